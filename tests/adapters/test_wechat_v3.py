"""WeChat Pay v3: what must pass, what must not, and the faults that others shipped."""

import base64
import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import wechat_v3_sender as wechat

from adapters.wechat_v3 import adapter
from adapters.wechat_v3.keys import Keys
from adapters.wechat_v3.verify import verify
from adapters.wechat_v3.wire import read_object
from crypto import rsa
from crypto.aead import Aead
from crypto.certs import load_certificate
from gateway.contract import (
    BadConfig,
    BadNotification,
    BadSignature,
    Ignored,
    Malformed,
    Payer,
    PaymentEvent,
    RawNotification,
    RefundEvent,
    SignatureProbe,
    StaleTimestamp,
    Undecryptable,
    UnknownKey,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "wechat"
GO = json.loads((VECTORS / "go_notify.json").read_text("utf-8"))
SERIAL = "5DEA10EF55877E3CF6C33255C2E7DEFFF7E427EC"


def parse(raw, *, at=wechat.SENT, table=None, **changed):
    return adapter.parse(raw, adapter.load_keys(table or wechat.keys_table(**changed)), at)


def refused(raw, kind, **how):
    with pytest.raises(BadNotification) as caught:
        parse(raw, **how)
    assert type(caught.value) is kind
    return caught.value


# The published notification (a pay-score event under a 16-byte key).


def published(**headers):
    values = {**GO["headers"], **headers}
    body = (VECTORS / "go_notify_body.json").read_bytes()
    at = datetime.fromtimestamp(GO["clock_at_test"], timezone.utc)
    return RawNotification("POST", "", tuple(values.items()), body, at)


def published_keys():
    pem = (VECTORS / "go_notify_platform_cert.pem").read_text()
    certificate = load_certificate(pem)
    key = rsa.load_public_key(pem)
    aead = Aead(GO["mch_apiv3_key"].encode())
    return Keys("1234567890", "054a", False, frozenset(), None, {certificate.serial: key}, (aead,), None, None)


def test_r003_the_published_notification_is_genuine():
    raw = published()
    assert verify(raw, published_keys(), raw.received_at) == raw.body


def test_r004_the_published_resource_opens():
    resource = read_object(published().body)["resource"]
    plain = Aead(GO["mch_apiv3_key"].encode()).open(
        resource["nonce"].encode(), base64.b64decode(resource["ciphertext"]), resource["associated_data"].encode()
    )
    assert plain == (VECTORS / "go_notify_plaintext.json").read_bytes()


def test_the_published_notification_is_ignored_as_another_event():
    raw = published()
    event = adapter.parse(raw, published_keys(), raw.received_at)
    assert event == Ignored("PAYSCORE.USER_OPEN_SERVICE", "event_type", "3119dfba-e649-5eec-ab1e-3412bc4d2e17")


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (replace(published(), body=published().body + b"\n"), BadSignature),
        (replace(published(), body=published().body.replace(b'"payscore"', b'"payscorf"', 1)), BadSignature),
        (published(**{"Wechatpay-Nonce": "EcZ9Cmy4Xyx1i6RlJQzLcCyEqDa26NB0"}), BadSignature),
        (published(**{"Wechatpay-Timestamp": "1624523845"}), BadSignature),
        (published(**{"Wechatpay-Serial": "D7CE59D1F522D702"}), UnknownKey),
        (published(**{"Wechatpay-Signature": GO["headers"]["Wechatpay-Signature"][:-4] + "AAA="}), BadSignature),
    ],
    ids=["newline", "body", "nonce", "time", "serial", "signature"],
)
def test_r003_the_published_notification_changed(raw, kind):
    with pytest.raises(kind):
        verify(raw, published_keys(), raw.received_at)


# Every negative of the signature. Regression 11 (jeepay 8fc5dfe, 015601f, 900a95b): verification faults.

BODY = wechat.body_of()
STAMP = f"{int(wechat.SENT.timestamp())}\n593BEC0C930BF1AFEB40B4A08C8FB242\n".encode()


@pytest.mark.parametrize(
    "text",
    [
        STAMP + BODY,
        STAMP + BODY + b"\r\n",
        STAMP.replace(b"\n", b"\r\n") + BODY + b"\r\n",
        STAMP + json.dumps(json.loads(BODY)).encode() + b"\n",
        STAMP + BODY + b"\n\n",
        BODY,
        b"",
    ],
    ids=["no last newline", "CRLF at the end", "CRLF", "re-serialised", "two newlines", "body alone", "nothing"],
)
def test_r003_another_signed_text(text):
    """Regression 11: the canonical string, its last newline and the raw bytes."""
    refused(wechat.signed(BODY, text=text), BadSignature)


def test_r003_a_body_with_other_line_ends():
    pretty = json.dumps(json.loads(BODY), indent=1, ensure_ascii=False).encode()
    genuine = wechat.signed(pretty)
    assert isinstance(parse(genuine), PaymentEvent)
    refused(replace(genuine, body=pretty.replace(b"\n", b"\r\n")), BadSignature)
    refused(replace(genuine, body=BODY), BadSignature)


def test_r003_the_border_between_nonce_and_body_cannot_move():
    genuine = wechat.signed(b"\n" + BODY, nonce="a")
    refused(wechat.signed(BODY, nonce="a\n", text=STAMP), BadSignature)
    moved = replace(
        genuine,
        body=BODY,
        headers=tuple((k, v + "\n" if k == "Wechatpay-Nonce" else v) for k, v in genuine.headers),
    )
    refused(moved, BadSignature)


@pytest.mark.parametrize(
    "value",
    ["", " ", "=", "AAAA", "not base64!", "A" * 343, "A" * 344, "é" * 344, "中" * 344, "null", "none", "\ud800"],
    ids=range(12),
)
def test_r003_a_wrong_signature(value):
    refused(wechat.signed(BODY, wechatpay_signature=value), BadSignature)


@pytest.mark.parametrize("tail", ["", "abc", "$%^&*", "é", "A" * 344])
def test_r003_a_probe_is_refused_without_alarm(tail):
    refused(wechat.signed(BODY, wechatpay_signature="WECHATPAY/SIGNTEST/" + tail), SignatureProbe)
    assert SignatureProbe.reason != BadSignature.reason


def test_r003_a_probe_needs_no_known_key():
    refused(wechat.signed(BODY, serial="PUB_KEY_ID_9", wechatpay_signature="WECHATPAY/SIGNTEST/x"), SignatureProbe)


@pytest.mark.parametrize(
    "value", ["WECHATPAY2-SM2-WITH-SM3", "", "none", "wechatpay2-sha256-rsa2048", "WECHATPAY2-SHA1-RSA2048"]
)
def test_r003_another_signature_type(value):
    """Regression 19 (hyperswitch): an unknown algorithm is a refusal."""
    refused(wechat.signed(BODY, wechatpay_signature_type=value), BadSignature)


def test_r003_a_missing_signature_type_is_rsa():
    assert isinstance(parse(wechat.signed(BODY, drop=("Wechatpay-Signature-Type",))), PaymentEvent)


def test_r003_xml_is_not_v3():
    refused(wechat.signed(b"<xml><return_code>SUCCESS</return_code></xml>"), Malformed)
    refused(RawNotification("POST", "", (("Content-Type", "text/xml"),), b"<xml/>", wechat.SENT), BadSignature)


@pytest.mark.parametrize(
    "serial",
    [
        "PUB_KEY_ID_0",
        "PUB_KEY_ID_",
        "PUB_KEY_ID_zz",
        "",
        "0",
        "xyz",
        "-1",
        "0x1",
        "é",
        wechat.KEY_ID.lower(),
        "0" + wechat.KEY_ID,
    ],
)
def test_r003_an_unknown_key_is_a_clean_refusal(serial):
    """Regression 16 (wechatpayv3): an unknown `PUB_KEY_ID_…` was read as a number and crashed."""
    refused(wechat.signed(BODY, serial=serial), UnknownKey)
    refused(wechat.signed(BODY, serial=serial), UnknownKey, public_keys=None, certificates=[wechat.certificate()])


@pytest.mark.parametrize("serial", [SERIAL, SERIAL.lower(), "00" + SERIAL, SERIAL.title()])
def test_r003_a_serial_is_a_number(serial):
    event = parse(wechat.signed(BODY, serial=serial), public_keys=None, certificates=[wechat.certificate()])
    assert isinstance(event, PaymentEvent)


def test_r003_both_key_modes_at_once_by_request():
    table = wechat.keys_table(certificates=[wechat.certificate(1), wechat.certificate()])
    for serial in (wechat.KEY_ID, SERIAL, "1"):
        assert isinstance(parse(wechat.signed(BODY, serial=serial), table=table), PaymentEvent)
    other = wechat.keys_table(
        public_keys={wechat.KEY_ID: rsa.public_pem(wechat.stranger())}, certificates=[wechat.certificate()]
    )
    assert isinstance(parse(wechat.signed(BODY, serial=SERIAL), table=other), PaymentEvent)
    refused(wechat.signed(BODY, serial=wechat.KEY_ID), BadSignature, table=other)


# Time. Regression 15 (wechatpay-java, wechatpayv3): no check at all.


@pytest.mark.parametrize("sign", [1, -1])
def test_r005_the_edge_of_five_minutes(sign):
    for away, fresh in ((299, True), (299.999, True), (300, False), (300.001, False), (86400, False)):
        at = wechat.SENT + sign * timedelta(seconds=away)
        if fresh:
            assert isinstance(parse(wechat.notification(), at=at), PaymentEvent)
        else:
            refused(wechat.notification(), StaleTimestamp, at=at)


def test_r005_what_is_stale_and_wrongly_signed_is_wrongly_signed():
    refused(wechat.signed(BODY, key=wechat.stranger()), BadSignature, at=wechat.SENT + timedelta(days=1))


@pytest.mark.parametrize(
    "value", ["", "x", "1.5", "-1", "+1", " 1", "1_0", "１", "1e9", "9" * 13, "0x10", "1\n", "NaN"]
)
def test_r005_a_timestamp_is_a_number(value):
    refused(wechat.signed(BODY, wechatpay_timestamp=value), Malformed)


# Decryption.


def test_r004_a_wrong_apiv3_key_is_told_apart():
    error = refused(wechat.notification(key="another-key-of-32-bytes-00000000"), Undecryptable)
    assert error.reason == "undecryptable"


@pytest.mark.parametrize(
    "how",
    [
        {"associated_data": "refund"},
        {"associated_data": None},
        {"associated_data": ""},
        {"nonce": "fdasflkja485"},
        {"nonce": "593BEC0C930BF1AFEB40B4A08C8FB242"},
        {"nonce": "x"},
        {"ciphertext": "AAAA"},
        {"ciphertext": ""},
        {"ciphertext": base64.b64encode(bytes(64)).decode()},
    ],
)
def test_r004_what_does_not_open(how):
    """Wrong associated data, wrong nonce, the header's nonce for the resource's, no tag."""
    sealed = {**json.loads(BODY)["resource"], **how}
    body = wechat.compact({**json.loads(BODY), "resource": {k: v for k, v in sealed.items() if v is not None}})
    refused(wechat.signed(body), Undecryptable)


def test_r004_a_cut_tag_does_not_open():
    resource = json.loads(BODY)["resource"]
    cut = base64.b64encode(base64.b64decode(resource["ciphertext"])[:-1]).decode()
    refused(
        wechat.signed(wechat.compact({**json.loads(BODY), "resource": {**resource, "ciphertext": cut}})), Undecryptable
    )


@pytest.mark.parametrize("aad", [None, ""])
def test_r004_no_associated_data_passes(aad):
    assert isinstance(parse(wechat.notification(aad=aad)), PaymentEvent)


@pytest.mark.parametrize("which", ["old-key-of-the-merchant-00000000", "new-key-of-the-merchant-00000000"])
def test_r004_old_and_new_key_are_valid_together(which):
    keys = ["old-key-of-the-merchant-00000000", "new-key-of-the-merchant-00000000"]
    assert isinstance(parse(wechat.notification(key=which), apiv3_key=None, apiv3_keys=keys), PaymentEvent)
    refused(wechat.notification(key="0" * 32), Undecryptable, apiv3_key=None, apiv3_keys=keys)


@pytest.mark.parametrize(
    "how",
    [
        {"algorithm": None},
        {"algorithm": "AEAD_SM4_GCM"},
        {"algorithm": "none"},
        {"ciphertext": None},
        {"ciphertext": 7},
        {"ciphertext": "%%%%"},
        {"nonce": None},
        {"nonce": 7},
        {"associated_data": 7},
    ],
)
def test_r004_a_resource_of_another_shape(how):
    resource = {k: v for k, v in {**json.loads(BODY)["resource"], **how}.items() if v is not None}
    refused(wechat.signed(wechat.compact({**json.loads(BODY), "resource": resource})), Malformed)


@pytest.mark.parametrize("resource", [None, [], "x", 1, {}])
def test_r004_no_resource(resource):
    body = wechat.compact({**json.loads(BODY), "resource": resource})
    event_or_error = None
    try:
        event_or_error = parse(wechat.signed(body))
    except Malformed as error:
        event_or_error = error
    assert isinstance(event_or_error, Malformed) or event_or_error.reason == "original_type"


@pytest.mark.parametrize("name", ["id", "event_type"])
@pytest.mark.parametrize("value", [None, "", 7, "x" * 1025, "a\0b", ["x"]])
def test_an_envelope_names_itself(name, value):
    refused(wechat.signed(wechat.compact({**json.loads(BODY), name: value})), Malformed)


def test_doubled_names_are_refused():
    """Readers disagree on which of two equal names counts; also in the envelope, also behind white space."""
    plain = wechat.compact(wechat.TRANSACTION)
    for twice in (
        plain.replace(b'"total":', b'"total":1,"total":'),
        plain.replace(b'"total":', b'"total" :1,"total":'),
        plain.replace(b'"mchid":', b'"mchid":"x","mchid":'),
        plain.replace(b'"mchid":', b'"mchid":"x",\n"m\\u0063hid":'),
    ):
        refused(wechat.notification(twice), Malformed)
    refused(wechat.signed(BODY.replace(b'"id":', b'"id":"x","id":')), Malformed)


@pytest.mark.parametrize(
    "plain",
    [
        json.dumps(wechat.TRANSACTION, indent=2).encode(),
        json.dumps(wechat.TRANSACTION, ensure_ascii=True, separators=(" , ", " : ")).encode(),
        wechat.compact(wechat.TRANSACTION).replace(b"till 3", b'"\\": \\/\\u4e2d'),
        wechat.compact({**wechat.TRANSACTION, "promotion_detail": [{"amount": 280, "goods": [{"id": "1"}]}]}),
        wechat.compact({**wechat.TRANSACTION, "a_new_field": {"amount": 1.5e300, "total": None}}),
    ],
    ids=["indented", "spaced", "escapes", "lists", "unknown"],
)
def test_the_same_facts_written_otherwise(plain):
    if b"till 3" not in plain:
        plain = plain.replace(b'"\\": \\/\\u4e2d', b"till 3")
    assert parse(wechat.notification(plain)) == parse(wechat.notification())


@pytest.mark.parametrize("depth", [200, 300, 900, 2000])
def test_deep_nesting_is_refused_cleanly(depth):
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    raw = wechat.notification(deep)
    try:
        assert parse(raw).reason == "foreign_merchant"
    except Malformed as error:
        assert error.detail == "not JSON"


# Payments.


def test_r002_a_minimal_notification_parses():
    """Regression 13 (helei112g/payment #137): an optional field was taken for granted."""
    told = wechat.without(
        wechat.TRANSACTION, "attach", "bank_type", "payer", "scene_info", "trade_type", "out_trade_no"
    )
    event = parse(wechat.notification({**told, "amount": {"total": 1}}))
    assert (event.payers, event.payer_total_fen, event.currency) == ((), None, "CNY")
    assert (event.attach, event.device_id, event.out_trade_no, event.trade_type) == (None, None, None, None)


@pytest.mark.parametrize("name", ["transaction_id", "amount", "success_time"])
@pytest.mark.parametrize("value", [None, "", 7, [], {}, True, "x" * 1025, "a\0b"])
def test_r002_what_has_to_be_there(name, value):
    refused(wechat.notification({**wechat.TRANSACTION, name: value}), Malformed)


@pytest.mark.parametrize("amount", [{"total": 1280, "payer_total": bad} for bad in (-1, 1.0, "1", True, None, 10**13)])
def test_r002_the_payers_amount_is_an_amount_too(amount):
    refused(wechat.notification({**wechat.TRANSACTION, "amount": amount}), Malformed)


def test_r002_integers_over_64_bits_are_no_amounts():
    plain = wechat.compact(wechat.TRANSACTION).replace(b'"total":1280', b'"total":18446744073709551616')
    refused(wechat.notification(plain), Malformed)


def test_r002_paid_wholly_by_coupons():
    told = {**wechat.TRANSACTION, "amount": {"total": 1280, "payer_total": 0, "currency": "CNY"}}
    assert parse(wechat.notification(told)).payer_total_fen == 0


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T12:05:03",
        "2026-11-22",
        "now",
        "2026-13-22T12:05:03+08:00",
        "0001-01-01T00:00:00+08:00",
        "1624523846",
    ],
)
def test_r002_times_have_a_zone(text):
    refused(wechat.notification({**wechat.TRANSACTION, "success_time": text}), Malformed)


@pytest.mark.parametrize("payer", ["x", ["o"], 7, {"openid": 7}, {"openid": "x" * 1025}, {"openid": "a\0"}])
def test_r007_a_payer_is_an_id_or_nothing(payer):
    refused(wechat.notification({**wechat.TRANSACTION, "payer": payer}), Malformed)


@pytest.mark.parametrize("payer", [None, {}, {"openid": ""}, {"openid": None}])
def test_r002_no_payer_is_untaggable_not_wrong(payer):
    assert parse(wechat.notification({**wechat.TRANSACTION, "payer": payer})).payers == ()


@pytest.mark.parametrize(
    ("changed", "how", "reason"),
    [
        ({}, {"original_type": "profitsharing"}, "original_type"),
        ({}, {"original_type": None}, "original_type"),
        ({"combine_mchid": "1900000109"}, {}, "combined_order"),
        ({"sub_orders": []}, {}, "combined_order"),
        ({"combine_payer_info": {"openid": "o"}}, {}, "combined_order"),
        ({"trade_scene": "PARKING"}, {}, "parking"),
        ({"trade_type": "PAP"}, {}, "papay"),
        ({"trade_state": "REFUND"}, {}, "unpaid"),
        ({"trade_state": "NOTPAY"}, {}, "unpaid"),
        ({"trade_state": "ACCEPT"}, {}, "unpaid"),
        ({"trade_state": None}, {}, "unpaid"),
        ({}, {"event_type": "TRANSACTION.FAIL"}, "event_type"),
        ({}, {"event_type": "TRANSACTION.PAY_BACK"}, "event_type"),
        ({}, {"event_type": "COUPON.USE"}, "event_type"),
        ({}, {"event_type": "MALL_TRANSACTION.SUCCESS"}, "event_type"),
        ({}, {"event_type": "SOMETHING.NEW"}, "event_type"),
        ({}, {"event_type": "transaction.success"}, "event_type"),
        ({"mchid": "1900000110"}, {}, "foreign_merchant"),
        ({"mchid": 1900000109}, {}, "foreign_merchant"),
        ({"mchid": None}, {}, "foreign_merchant"),
        ({"appid": "wx0"}, {}, "foreign_merchant"),
        ({"sp_mchid": "1230000109"}, {}, "foreign_merchant"),
    ],
)
def test_r017_what_is_genuine_but_nothing_for_us(changed, how, reason):
    """Regression 2 (jeepay #81, #106): signed, but not for this merchant; and everything that shares the event type."""
    event = parse(wechat.notification({**wechat.TRANSACTION, **changed}, **how))
    assert isinstance(event, Ignored)
    assert event.reason == reason
    assert event.event_id == wechat.ENVELOPE["id"]


def test_r009_the_same_payment_with_another_id_is_the_same_payment():
    first, again = parse(wechat.notification()), parse(wechat.notification(event_id="EV-2"))
    assert (first.mch_id, first.transaction_id) == (again.mch_id, again.transaction_id)
    assert first.event_id != again.event_id


# Partners.


def partner(**changed):
    return wechat.notification({**wechat.PARTNER, **changed})


def test_r007_without_a_sub_openid():
    event = parse(partner(payer={"sp_openid": "oSp"}, sub_appid=None), table=wechat.partner_table())
    assert event.payers == (Payer("wx8888888888888888", "openid", "oSp"),)


def test_r007_a_sub_openid_belongs_to_the_sub_appid():
    table = wechat.partner_table(sub_appid=None)
    told = parse(partner(payer={"sub_openid": "oSub"}), table=table)
    assert told.payers == (Payer("wxsub0000000000001", "openid", "oSub"),)
    configured = parse(partner(payer={"sub_openid": "oSub"}, sub_appid=None), table=wechat.partner_table())
    assert configured.payers == told.payers
    assert parse(partner(payer={"sub_openid": "oSub"}, sub_appid=None), table=table).payers == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"sp_mchid": "1"},
        {"sp_appid": "wx0"},
        {"sub_mchid": "1"},
        {"sub_mchid": None},
        {"sub_appid": "wxother"},
    ],
)
def test_r017_another_partner_or_sub_merchant_is_foreign(changed):
    assert parse(partner(**changed), table=wechat.partner_table()).reason == "foreign_merchant"


def test_r017_a_direct_payment_on_a_partners_channel_is_foreign():
    assert parse(wechat.notification(), table=wechat.partner_table()).reason == "foreign_merchant"


def test_r017_several_sub_merchants_on_one_channel():
    table = wechat.partner_table(sub_mchid=None, sub_appid=None, sub_mchids=["1900000119", "1900000120"])
    for one in ("1900000119", "1900000120"):
        assert parse(partner(sub_mchid=one), table=table).sub_mch_id == one
    assert parse(partner(sub_mchid="1900000121"), table=table).reason == "foreign_merchant"


# Refunds.


def refund(event_type="REFUND.SUCCESS", **changed):
    return wechat.notification(
        {**wechat.REFUND, **changed}, event_type=event_type, original_type="refund", aad="refund"
    )


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (refund("REFUND.ABNORMAL", refund_status="ABNORMAL"), "refund_failed"),
        (refund("REFUND.CLOSED", refund_status="CLOSED"), "refund_failed"),
        (refund(refund_status="PROCESSING"), "refund_failed"),
        (refund(refund_status=None), "refund_failed"),
        (refund(mchid="1900000110"), "foreign_merchant"),
        (refund(sp_mchid="1"), "foreign_merchant"),
        (refund("MALL_REFUND.SUCCESS"), "event_type"),
    ],
)
def test_r017_refunds_that_are_nothing_for_us(raw, reason):
    assert parse(raw).reason == reason


@pytest.mark.parametrize("name", ["refund_id", "transaction_id", "amount", "success_time"])
@pytest.mark.parametrize("value", [None, "", 7, {}])
def test_r015_refunds_with_something_missing(name, value):
    refused(refund(**{name: value}), Malformed)


@pytest.mark.parametrize("value", [-1, 1.5, "300", True, None, 10**13])
def test_r015_a_refunds_amount_is_an_amount(value):
    refused(refund(amount={"refund": value, "total": 1280}), Malformed)


def test_r009_two_partial_refunds_are_two():
    first, second = parse(refund()), parse(refund(refund_id="2"))
    assert isinstance(first, RefundEvent)
    assert first.transaction_id == second.transaction_id
    assert first.refund_id != second.refund_id


# Keys and answers.


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"mchid": None}, "mchid"),
        ({"mchid": 1900000109}, "mchid"),
        ({"appid": ""}, "appid"),
        ({"apiv3_key": None}, "apiv3_key"),
        ({"apiv3_key": "short"}, "apiv3_key"),
        ({"apiv3_key": "é" * 32}, "apiv3_key"),
        ({"apiv3_key": 7}, "apiv3_key"),
        ({"apiv3_keys": [wechat.APIV3_KEY]}, "apiv3_keys"),
        ({"apiv3_key": None, "apiv3_keys": []}, "apiv3_keys"),
        ({"apiv3_key": None, "apiv3_keys": wechat.APIV3_KEY}, "apiv3_keys"),
        ({"apiv3_key": None, "apiv3_keys": [wechat.APIV3_KEY, "x"]}, "apiv3_keys.1"),
        ({"public_keys": None}, "public_keys"),
        ({"public_keys": {}}, "public_keys"),
        ({"public_keys": []}, "public_keys"),
        ({"public_keys": {"1": "x"}}, "public_keys.1"),
        ({"public_keys": {wechat.KEY_ID: "no key"}}, f"public_keys.{wechat.KEY_ID}"),
        ({"public_keys": {wechat.KEY_ID: 7}}, f"public_keys.{wechat.KEY_ID}"),
        ({"certificates": ["no certificate"]}, "certificates.0"),
        ({"certificates": []}, "certificates"),
        ({"certificates": {"a": "b"}}, "certificates"),
        ({"sp_mchid": "1"}, "mchid"),
        ({"sub_mchid": "1"}, "sp_mchid"),
        ({"merchant_serial": "AB"}, "merchant_private_key"),
        ({"merchant_private_key": "x"}, "merchant_serial"),
        ({"merchant_private_key": "x", "merchant_serial": "AB"}, "merchant_private_key"),
        ({"api_key": "x"}, "api_key"),
    ],
)
def test_a_faulty_table_names_its_path(changed, path):
    with pytest.raises(BadConfig) as caught:
        adapter.load_keys(wechat.keys_table(**changed))
    assert path in [found for found, _ in caught.value.faults]


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"sp_appid": None}, "sp_appid"),
        ({"sub_mchid": None}, "sub_mchid"),
        ({"sub_mchid": None, "sub_mchids": []}, "sub_mchids"),
        ({"sub_mchids": ["1"]}, "sub_mchids"),
        ({"sub_mchid": None, "sub_mchids": ["1", 2]}, "sub_mchids.1"),
        ({"sub_appid": 7}, "sub_appid"),
        ({"mchid": "1"}, "mchid"),
    ],
)
def test_a_faulty_partner_table_names_its_path(changed, path):
    with pytest.raises(BadConfig) as caught:
        adapter.load_keys(wechat.partner_table(**changed))
    assert path in [found for found, _ in caught.value.faults]


def test_every_fault_at_once():
    with pytest.raises(BadConfig) as caught:
        adapter.load_keys({"mchid": 1, "apiv3_key": "x", "public_keys": {"a": "b"}, "stranger": 1})
    paths = {path for path, _ in caught.value.faults}
    assert paths == {"stranger", "mchid", "appid", "apiv3_key", "public_keys.a"}


def test_two_certificates_with_one_serial_are_a_fault():
    from crypto import certs

    other = certs.self_signed(wechat.stranger(), "x", serial=int(SERIAL, 16), now=wechat.SENT)
    with pytest.raises(BadConfig):
        adapter.load_keys(wechat.keys_table(certificates=[wechat.certificate(), other]))
    assert adapter.load_keys(wechat.keys_table(certificates=[wechat.certificate(), wechat.certificate()]))


def test_keys_for_own_calls_are_kept_and_hidden():
    pem = rsa.new_private_key()
    keys = adapter.load_keys(wechat.keys_table(merchant_private_key=pem, merchant_serial=" 5dea10 \n"))
    assert keys.merchant_private_key.public.to_pem() == rsa.public_pem(rsa.load_private_key(pem))
    assert keys.merchant_serial == "5DEA10"
    assert "PRIVATE" not in repr(keys)


def test_bare_base64_keys_and_white_space_are_taken():
    pem = rsa.public_pem(wechat.private_key())
    bare = "".join(line for line in pem.splitlines() if "-" not in line)
    table = wechat.keys_table(public_keys={wechat.KEY_ID: f"\n {bare} \n"}, apiv3_key=f" {wechat.APIV3_KEY}\n")
    assert isinstance(parse(wechat.notification(), table=table), PaymentEvent)


@pytest.mark.parametrize(
    ("status", "body", "taken"),
    [
        (200, b"", True),
        (204, b"", True),
        (200, b'{"code":"SUCCESS"}', True),
        (200, b"ok", True),
        (200, b"[]", True),
        (200, b'{"code":"FAIL","message":"x"}', False),
        (200, b'{ "message": "x", "code": "FAIL" }', False),
        (201, b"", False),
        (301, b"", False),
        (401, b'{"code":"SUCCESS"}', False),
        (500, b"", False),
    ],
)
def test_what_a_pos_answered(status, body, taken):
    """Regression 9: exact answers, and what counts as taken."""
    assert adapter.accepted(status, (), body) is taken
