"""What Alipay may send, rightly signed or not, case by case (R003 R006 R007 R015 R017)."""

import base64
from datetime import datetime, timezone

import pytest
from alipay_sender import FIELDS, RECEIVED, certificate, encoded, parse, private_key, raw, send, table, with_body

from adapters.alipay import adapter
from adapters.alipay.verify import verified
from crypto import certs, rsa
from gateway.contract import (
    BadNotification,
    BadSignature,
    Ignored,
    Malformed,
    Payer,
    PaymentEvent,
    RefundEvent,
    UnknownKey,
)

APP = FIELDS["app_id"]
TRADE = FIELDS["trade_no"]
REFUND = {"gmt_refund": "2026-03-02 09:00:00", "refund_fee": "2.80", "out_biz_no": "back-1"}


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
    spelt_otherwise = bytes([body[last] + 1])
    for damaged in (
        body[:last] + spelt_otherwise + body[last + 1 :],
        body[:start] + b"%20" + body[start:],
        body[: start + 4] + b"%0A" + body[start + 4 :],
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


# What it tells.


def test_r006_paid_is_success_or_finished():
    first, second = (parse(send(trade_status=status)) for status in ("TRADE_SUCCESS", "TRADE_FINISHED"))
    assert isinstance(first, PaymentEvent)
    assert first == second


@pytest.mark.parametrize("status", ["WAIT_BUYER_PAY", "TRADE_CLOSED", "TRADE_PENDING", "trade_success", "未知"])
def test_r006_any_other_status_is_unpaid(status):
    notification = send(trade_status=status)
    if status == "未知":
        with pytest.raises(Malformed):
            parse(notification)
    else:
        assert parse(notification) == Ignored(status, "unpaid", FIELDS["notify_id"])


def test_the_same_trade_under_another_notify_id_is_the_same_payment():
    """R009: the id of the message differs, everything that makes the payment unique does not."""
    first, second = parse(send()), parse(send(notify_id="another"))
    assert (first.event_id, second.event_id) == (FIELDS["notify_id"], "another")
    assert (first.provider, first.mch_id, first.transaction_id) == (
        second.provider,
        second.mch_id,
        second.transaction_id,
    )


def test_r017_another_app_or_seller_is_foreign():
    for changes in (
        {"app_id": "2021000000000009"},
        {"app_id": ""},
        {"app_id": None},
        {"seller_id": "2088000000000000"},
        {"seller_id": None},
        {"seller_id": "", "seller_email": "other@example.com"},
        {"seller_id": None, "seller_email": None},
    ):
        event = parse(send(**changes))
        assert (event.event_type, event.reason) == ("TRADE_SUCCESS", "foreign_merchant"), changes


def test_r017_a_known_address_stands_in_for_an_absent_seller_id():
    """One trade keeps one key: the seller is told by his configured id either way."""
    keys = adapter.load_keys(table(seller_email=FIELDS["seller_email"]))
    assert parse(send(seller_id=None), keys) == parse(send(), keys)
    assert parse(send(seller_id=None, seller_email="other@example.com"), keys).reason == "foreign_merchant"
    # An id that is there counts, whatever the address says.
    assert parse(send(seller_id="2088000000000000"), keys).reason == "foreign_merchant"
    assert parse(send(seller_email="other@example.com"), keys).mch_id == FIELDS["seller_id"]


def test_r017_a_foreign_refund_is_foreign_too():
    assert parse(send(seller_id="2088000000000000", **REFUND)).reason == "foreign_merchant"


def test_r002_the_least_notification_is_a_payment():
    """Regression list no. 13: no optional field is presumed."""
    least = (
        "app_id charset notify_id notify_time notify_type out_trade_no seller_id total_amount trade_no trade_status version"
    ).split()
    event = parse(send({name: FIELDS[name] for name in least}))
    assert event == PaymentEvent(
        provider="alipay",
        mch_id=FIELDS["seller_id"],
        sub_mch_id=None,
        transaction_id=TRADE,
        out_trade_no="till-7/42",
        payers=(),
        amount_fen=1280,
        payer_total_fen=None,
        currency="CNY",
        paid_at=datetime(2026, 3, 1, 4, 0, 5, tzinfo=timezone.utc),
        trade_type=None,
        device_id=None,
        store_id=None,
        attach=None,
        event_id=FIELDS["notify_id"],
    )


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, ["alipay_open_id", "alipay_user_id"]),
        ({"buyer_id": None}, ["alipay_open_id"]),
        ({"buyer_open_id": None}, ["alipay_user_id"]),
        ({"buyer_open_id": ""}, ["alipay_user_id"]),
        ({"buyer_open_id": None, "buyer_id": ""}, []),
    ],
)
def test_r007_every_payer_id_is_told_and_none_makes_him_untaggable(changes, kinds):
    """Regression list no. 1: OpenID-mode apps give no `buyer_id`."""
    event = parse(send(buyer_logon_id="abc***@example.com", **changes))
    assert [payer.id_type for payer in event.payers] == kinds
    assert all(payer.app_id == APP and isinstance(payer, Payer) for payer in event.payers)


@pytest.mark.parametrize(
    ("text", "fen"), [("0.10", 10), ("12", 1200), ("0", 0), ("0.01", 1), ("12.5", 1250), ("9999999999.99", 10**12 - 1)]
)
def test_r002_amounts_in_yuan(text, fen):
    assert parse(send(total_amount=text)).amount_fen == fen


@pytest.mark.parametrize(
    "text",
    [
        "1e2",
        "-1.00",
        "0.001",
        "",
        " 1",
        "1 ",
        "+1",
        "1,00",
        "1.",
        ".1",
        "01",
        "NaN",
        "１",
        "10000000000",
        None,
        "¥1",
        "1\n",
    ],
)
def test_r002_what_is_no_amount_is_malformed(text):
    with pytest.raises(Malformed, match="total_amount"):
        parse(send(total_amount=text))


@pytest.mark.parametrize("text", ["1e2", "-1.00", "0.001", "x"])
def test_a_payer_total_is_an_amount_or_absent(text):
    with pytest.raises(Malformed, match="buyer_pay_amount"):
        parse(send(buyer_pay_amount=text))
    assert parse(send(buyer_pay_amount=None)).payer_total_fen is None
    assert parse(send(buyer_pay_amount="0.00")).payer_total_fen == 0


@pytest.mark.parametrize("name", ["trade_no"])
@pytest.mark.parametrize("value", [None, "", "号", "a\tb", "x" * 257])
def test_r002_no_transaction_number_is_malformed(name, value):
    with pytest.raises(Malformed, match=name):
        parse(send(**{name: value}))


@pytest.mark.parametrize("name", ["buyer_open_id", "buyer_id", "notify_id"])
@pytest.mark.parametrize("value", ["号", "a\x7fb", "a\nb", "x" * 257])
def test_an_id_is_one_plain_word(name, value):
    with pytest.raises(Malformed, match=name):
        parse(send(**{name: value}))


def test_an_order_number_may_be_of_any_script():
    assert parse(send(out_trade_no="单号 7", charset="gbk")).out_trade_no == "单号 7"
    assert parse(send(out_trade_no=None)).out_trade_no is None
    with pytest.raises(Malformed, match="out_trade_no"):
        parse(send(out_trade_no="a\nb"))


def test_without_a_message_id_the_trade_number_stands_in():
    assert parse(send(notify_id=None)).event_id == TRADE


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01 12:00:00", datetime(2026, 3, 1, 4, 0, tzinfo=timezone.utc)),
        ("2026-01-01 00:00:00", datetime(2025, 12, 31, 16, 0, tzinfo=timezone.utc)),
        ("2026-03-01 12:00:00.5", datetime(2026, 3, 1, 4, 0, 0, 500_000, tzinfo=timezone.utc)),
    ],
)
def test_times_are_beijings(text, moment):
    event = parse(send(gmt_payment=text))
    assert event.paid_at == moment
    assert event.paid_at.tzinfo is timezone.utc


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00",
        "2026-03-01 12:00",
        "2026-03-01 12:00:00Z",
        "2026-03-01 12:00+08",
        "2026-W10-1 12:00:00",
        "2026-02-30 12:00:00",
        "2026-03-01 24:00:01",
        "0001-01-01 00:00:00",
        "20260301120000",
        "yesterday",
        "2026-03-01 12:00:00\n",
        "２026-03-01 12:00:00",
    ],
)
def test_what_is_no_time_is_malformed(text):
    with pytest.raises(Malformed, match="gmt_payment"):
        parse(send(gmt_payment=text))


def test_the_time_of_payment_falls_back_to_the_nearest_that_is_told():
    assert parse(send(gmt_payment=None)).paid_at == datetime(2026, 3, 1, 4, 0, 5, tzinfo=timezone.utc)
    assert parse(send(gmt_payment="", notify_time=None)).paid_at == RECEIVED


# Refunds.


@pytest.mark.parametrize("status", ["TRADE_SUCCESS", "TRADE_CLOSED", "TRADE_FINISHED"])
def test_r015_a_refund_notice_is_no_second_payment(status):
    event = parse(send(trade_status=status, **REFUND))
    assert isinstance(event, RefundEvent)
    assert (event.transaction_id, event.refund_id, event.refund_fen) == (TRADE, "back-1", 280)
    assert event.refunded_total_fen is None
    assert event.refunded_at == datetime(2026, 3, 2, 1, 0, tzinfo=timezone.utc)


def test_r015_two_partial_refunds_are_two():
    numbers = {
        parse(send(**{**REFUND, **changes})).refund_id
        for changes in (
            {},
            {"out_biz_no": "back-2"},
            {"out_biz_no": None, "out_request_no": "request-1"},
            {"out_biz_no": None},
            {"out_biz_no": "", "refund_fee": "2.81"},
            {"out_biz_no": None, "gmt_refund": "2026-03-02 09:00:01"},
            {"out_biz_no": None, "gmt_refund": None},
            {"out_biz_no": None, "gmt_refund": None, "notify_id": "another"},
        )
    }
    assert len(numbers) == 8


def test_a_refund_needs_only_one_sign_of_itself():
    assert isinstance(parse(send(refund_fee="0.01")), RefundEvent)
    assert parse(send(refund_fee="0.01")).refunded_at == datetime(2026, 3, 1, 4, 0, 5, tzinfo=timezone.utc)
    assert parse(send(refund_fee="0.01", notify_time=None)).refunded_at == RECEIVED
    # Closed and given back, without a sum: all of it.
    whole = parse(send(trade_status="TRADE_CLOSED", gmt_refund=REFUND["gmt_refund"]))
    assert (type(whole), whole.refund_fen) == (RefundEvent, 1280)


@pytest.mark.parametrize("fee", [None, "", "0.00", "0"])
def test_no_refund_fee_is_no_refund(fee):
    assert isinstance(parse(send(refund_fee=fee, gmt_refund="")), PaymentEvent)
    assert parse(send(trade_status="TRADE_CLOSED", refund_fee=fee)).reason == "unpaid"


@pytest.mark.parametrize(
    "changes",
    [
        {"gmt_refund": REFUND["gmt_refund"]},
        {"gmt_refund": REFUND["gmt_refund"], "refund_fee": "0.00"},
        {**REFUND, "refund_fee": "-1.00"},
        {**REFUND, "refund_fee": "1e2"},
        {**REFUND, "gmt_refund": "soon"},
        {**REFUND, "out_biz_no": "号"},
        {**REFUND, "trade_no": None},
    ],
)
def test_a_refund_that_cannot_be_told_is_malformed(changes):
    with pytest.raises(Malformed):
        parse(send(**changes))


def test_an_unpaid_trade_has_no_refund():
    assert parse(send(trade_status="WAIT_BUYER_PAY", **REFUND)).reason == "unpaid"


# Other messages.


def test_a_gateway_message_is_genuine_and_ignored():
    """Rule v2 signs `sign_type` too; which rule held tells the family."""
    fields = {
        "notify_type": "servicemarket_order_notify",
        "notify_id": "n-1",
        "app_id": APP,
        "charset": "utf-8",
        "biz_content": '{"a":1}',
        "version": "1.1",
    }
    assert parse(send(fields, rule="v2")) == Ignored("servicemarket_order_notify", "gateway_message", "n-1")
    assert parse(send(rule="v2")).reason == "gateway_message"
    with pytest.raises(BadSignature):
        parse(with_body(send(fields, rule="v2"), b"sign_type=RSA2", b"sign_type=RSA"))


@pytest.mark.parametrize(
    "changes", [{"notify_type": "dut_user_sign"}, {"notify_type": ""}, {"trade_status": None}, {"trade_status": ""}]
)
def test_another_kind_of_message_is_ignored(changes):
    assert parse(send(**changes)).reason == "event_type"


def test_a_missing_notify_type_is_no_hindrance():
    assert isinstance(parse(send(notify_type=None)), PaymentEvent)


@pytest.mark.parametrize("body", [b"{}", b"<xml/>", b'{"sign":"x"}', b"ifCode=alipay&", b"sign=", b"\x1f\x8b"])
def test_a_body_of_another_kind_is_refused(body):
    """Regression list no. 3: the adapter knows its kind of body and does not guess."""
    with pytest.raises(BadNotification):
        parse(raw(body))


# Answers.


@pytest.mark.parametrize("body", [b"success", b"SUCCESS", b"Success\n", b" success\r\n"])
def test_a_till_that_took_it(body):
    """Jeepay answers in capitals and lives."""
    assert adapter.accepted(200, (), body)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"fail"),
        (200, b"<html>success</html>"),
        (200, b"success!"),
        (200, b"\xef\xbb\xbfsuccess"),
        (200, b'"success"'),
        (201, b"success"),
        (204, b""),
        (302, b"success"),
        (500, b"success"),
    ],
)
def test_a_till_that_did_not(status, body):
    assert not adapter.accepted(status, (), body)


def test_our_success_is_seven_bytes_exactly():
    """Regression list no. 9: exact bytes; no newline, no BOM, no HTML."""
    ack = adapter.ack("accepted")
    assert (ack.status, ack.body, len(ack.body)) == (200, b"success", 7)
    assert adapter.ack("refused").body == b"fail" == adapter.ack("try_later").body
