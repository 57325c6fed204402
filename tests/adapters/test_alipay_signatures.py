"""Who signed an Alipay notification, in which charset, by which rule and certificate (R003 R006)."""

import base64

import pytest
from alipay_sender import FIELDS, certificate, encoded, parse, private_key, raw, send, table, with_body

from adapters.alipay import adapter
from adapters.alipay.verify import verified
from crypto import certs, rsa
from gateway.contract import (
    BadNotification,
    BadSignature,
    Malformed,
    PaymentEvent,
    UnknownKey,
)

TRADE = FIELDS["trade_no"]


# Who signed it.


def test_r003_another_key_is_refused():
    with pytest.raises(BadSignature):
        parse(send(key=private_key("stranger")))


@pytest.mark.parametrize("order", [0, 1])
def test_any_of_several_keys_will_do(order):
    """Alipay rotates: the old key and the new one hold together, whichever is listed first."""
    listed = [rsa.public_pem(private_key()), rsa.public_pem(private_key("next"))]
    keys = adapter.load_keys(table(public_keys=listed[::-1] if order else listed))
    for name in ("alipay", "next"):
        assert parse(send(key=private_key(name)), keys).transaction_id == TRADE
    with pytest.raises(BadSignature):
        parse(send(key=private_key("stranger")), keys)


def test_the_sender_cannot_choose_the_digest():
    """A good SHA-1 signature is worth nothing to an RSA2 channel, whatever the message says of itself."""
    for named in ("RSA", "RSA2"):
        with pytest.raises(BadSignature):
            parse(send(sign_type=named, digest="RSA"))
    old = adapter.load_keys(table(sign_type="RSA"))
    assert parse(send(sign_type="RSA"), old).transaction_id == TRADE
    for named in ("RSA", "RSA2"):
        with pytest.raises(BadSignature):
            parse(send(sign_type=named, digest="RSA2"), old)


@pytest.mark.parametrize("named", [None, "", "rsa2", "RSA3", "MD5", "none", "RSA2 "])
def test_an_absent_or_unknown_sign_type_is_refused(named):
    """Regression list no. 19: no algorithm is a refusal."""
    with pytest.raises(BadSignature, match="absent or unknown"):
        parse(send(sign_type=named, digest="RSA2"))


def genuine_sign():
    body = send().body
    return body[body.index(b"&sign=") + 6 :]


@pytest.mark.parametrize("sign", [b"", b"AAAA", b"%21%21", b"x", b"=", b"%FF%00", b"A" * 344, b"%E4%BD%A0"])
def test_a_sign_that_is_none_is_refused(sign):
    notification = send()
    with pytest.raises(BadNotification) as caught:
        parse(with_body(notification, b"&sign=" + genuine_sign(), b"&sign=" + sign))
    assert isinstance(caught.value, (BadSignature, Malformed))


def test_a_sign_that_is_missing_or_doubled_is_refused():
    notification = send()
    sign = b"&sign=" + genuine_sign()
    with pytest.raises(BadSignature, match="no signature"):
        parse(with_body(notification, sign, b""))
    for second in (sign, b"&sign=", b"&sign=AAAA"):
        with pytest.raises(Malformed, match="twice"):
            parse(raw(notification.body + second))


def test_a_sign_written_otherwise_is_refused():
    """Bits that base64 does not read, white space within, the URL alphabet: one signature has one spelling."""
    body = send().body
    start = body.index(b"&sign=") + 6
    last = body.index(b"%3D%3D", start) - 1
    # Behind the first character of the sign, which may be written as an escape of three bytes.
    within = start + (3 if body[start : start + 1] == b"%" else 1)
    spelt_otherwise = bytes([body[last] + 1])
    for damaged in (
        body[:last] + spelt_otherwise + body[last + 1 :],
        body[:start] + b"%20" + body[start:],
        body[:within] + b"%0A" + body[within:],
        body + b"%3D",
    ):
        with pytest.raises(BadSignature):
            parse(raw(damaged))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"total_amount=12.80", b"total_amount=1.280"),
        (b"total_amount=12.80", b"total_amount=12.80&added=1"),
        (b"&version=1.0", b""),
        (b"trade_status=TRADE_SUCCESS", b"trade_status=TRADE_FINISHED"),
        (b"subject=%E7%8E%8B", b"subject=%E7%8E%8C"),
        (b"&body=", b""),
        (b"&body=", b"&body=+"),
        (b"seller_id=2088531891668739", b"seller_id=2088531891668730"),
        (b"buyer_id=2088102169481075", b"buyer_id=2088102169481076"),
        (b"buyer_id=", b"buyer_uid="),
    ],
)
def test_r003_anything_changed_is_refused(old, new):
    with pytest.raises(BadSignature):
        parse(with_body(send(), old, new))


def test_the_order_on_the_wire_does_not_matter():
    body = send().body
    assert parse(raw(b"&".join(sorted(body.split(b"&"), reverse=True)))) == parse(raw(body))


@pytest.mark.parametrize("name", ["total_amount", "trade_no", "charset", "sign_type", "a_new_field"])
def test_a_field_given_twice_is_refused(name):
    notification = send(a_new_field="1")
    value = {"sign_type": "RSA2", "a_new_field": "1", **FIELDS}[name]
    for second in (value, "x", ""):
        with pytest.raises(Malformed, match="twice"):
            parse(raw(notification.body + b"&" + encoded([(name, second)])))


@pytest.mark.parametrize(
    "value", ["", "100%", "100%25", "a+b", "a&b=c", "=&=", '"{}"', "1 2", "\\x41", "a_=41", "¬ify_id", "\t\r\n", "<b>"]
)
def test_any_value_survives_as_it_is(value):
    """Regression list no. 4, 6, 12, 20: blank, escapes, `100%25`, `&notify_id` damaged to `¬ify_id`."""
    event = parse(send(subject=value, passback_params=value))
    assert isinstance(event, PaymentEvent)
    assert event.attach == (value or None)


def test_a_field_nobody_knows_stays_signed():
    """Regression list no. 14: a fixed struct drops what it does not know."""
    notification = send(zz_new_2027="1", A_first="")
    assert isinstance(parse(notification), PaymentEvent)
    with pytest.raises(BadSignature):
        parse(with_body(notification, b"&zz_new_2027=1", b""))


# Charsets.


@pytest.mark.parametrize("charset", ["gbk", "GBK", "gb2312", "utf-8", "UTF-8"])
def test_each_charset_is_read_in_its_own_bytes(charset):
    """Regression list no. 5."""
    event = parse(send(charset=charset, passback_params="桌号七"))
    assert event.attach == "桌号七"


def test_a_gb2312_message_may_hold_gbk_characters():
    assert parse(send(charset="gb2312", encoding="gbk", passback_params="鎔")).attach == "鎔"


@pytest.mark.parametrize("charset", [None, "", "latin-1", "utf-16", "big5", "utf8mb4", "rot13", "编码"])
def test_an_absent_or_unknown_charset_is_refused(charset):
    with pytest.raises(Malformed, match="charset"):
        parse(send(charset=charset, encoding="utf-8"))


def in_two_charsets(signed_in, sent_in, declared):
    told = {**FIELDS, "charset": declared, "subject": "大乐透 测试"}
    text = "&".join(f"{name}={told[name]}" for name in sorted(told)).encode(signed_in)
    sign = base64.b64encode(rsa.sign_sha256(private_key(), text)).decode()
    return raw(encoded([*told.items(), ("sign_type", "RSA2"), ("sign", sign)], sent_in))


def test_a_lying_charset_is_refused():
    """GBK declared and signed, UTF-8 sent, and the other ways round."""
    for lie in (
        in_two_charsets("gbk", "utf-8", "gbk"),
        in_two_charsets("utf-8", "gbk", "utf-8"),
        in_two_charsets("gbk", "gbk", "utf-8"),
    ):
        with pytest.raises((BadSignature, Malformed)):
            parse(lie)


# Certificates.


def sn(name, serial):
    return certs.alipay_cert_sn(certs.load_certificate(certificate(name, serial)))


def certified():
    return adapter.load_keys(table(public_keys=None, certificates=[certificate("one", 10), certificate("two", 11)]))


@pytest.mark.parametrize("leave_out", [(), ("alipay_cert_sn",)])
@pytest.mark.parametrize("rule", ["v1", "v2"])
def test_the_named_certificate_is_used_and_both_readings_pass(leave_out, rule):
    """Whether `alipay_cert_sn` is signed along is not settled: either is taken, and it is told which."""
    notification = send(
        key=private_key("two"), alipay_cert_sn=sn("two", 11), leave_out=leave_out, rule=rule, passback_params="桌"
    )
    genuine = verified(notification.body, certified())
    assert (genuine.rule, genuine.sn_signed) == (rule, not leave_out)


def test_a_certificate_that_did_not_sign_is_no_help():
    with pytest.raises(BadSignature):
        parse(send(key=private_key("two"), alipay_cert_sn=sn("one", 10)), certified())


@pytest.mark.parametrize("number", ["", "0" * 32, "x", "7513daaaa48aa3ba2e4018d84402479c"])
def test_a_certificate_that_is_not_held_is_an_unknown_key(number):
    with pytest.raises(UnknownKey):
        parse(send(key=private_key("one"), alipay_cert_sn=number), certified())


def test_without_a_number_every_certificate_is_tried():
    assert isinstance(parse(send(key=private_key("two")), certified()), PaymentEvent)
    with pytest.raises(BadSignature):
        parse(send(), certified())


def test_a_plain_key_still_serves_a_message_that_names_a_certificate():
    """While a merchant moves from public key to certificate mode, both may be in use."""
    assert isinstance(parse(send(alipay_cert_sn="0" * 32)), PaymentEvent)
    with pytest.raises(BadSignature):
        parse(send(key=private_key("stranger"), alipay_cert_sn="0" * 32))
