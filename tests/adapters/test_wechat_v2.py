"""WeChat Pay v2: what must pass, what must not, and the faults that others shipped."""

import json
from pathlib import Path

import pytest
import wechat_v2_sender as wechat

from adapters.wechat_v2 import adapter
from adapters.wechat_v2.keys import ApiKey
from adapters.wechat_v2.verify import sign, signed_text
from crypto.legacy import md5_hex
from gateway.contract import (
    BadConfig,
    BadNotification,
    BadSignature,
    Ignored,
    Malformed,
    Payer,
    PaymentEvent,
    RefundEvent,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "wechat"
SIGN = json.loads((VECTORS / "v2_sign.json").read_text("utf-8"))
REFUND = json.loads((VECTORS / "v2_refund.json").read_text("utf-8"))


def parse(raw, **table):
    return adapter.parse(raw, adapter.load_keys(wechat.keys_table(**table)), wechat.SENT)


def refused(raw, kind=BadNotification, **table):
    with pytest.raises(kind) as caught:
        parse(raw, **table)
    assert type(caught.value) is kind or kind is BadNotification
    return caught.value


# Signatures.


@pytest.mark.parametrize("case", SIGN, ids=["official", "wechatpy"])
@pytest.mark.parametrize("kind", ["MD5", "HMAC-SHA256"])
def test_r003_published_signatures(case, kind):
    key = ApiKey(case["key"].encode(), md5_hex(case["key"].encode()).encode())
    assert signed_text(case["params"]) == case["string_a"]
    assert sign(case["params"], key, kind) == case[{"MD5": "md5", "HMAC-SHA256": "hmac_sha256"}[kind]]


@pytest.mark.parametrize("sign_type", [None, "", "HMAC-SHA256"])
def test_r003_hmac_passes_with_and_without_sign_type(sign_type):
    """Regression 17 (wechatpy `parse_payment_result`): a checker that knows MD5 only."""
    assert isinstance(parse(wechat.notification(kind="HMAC-SHA256", sign_type=sign_type)), PaymentEvent)


@pytest.mark.parametrize("sign_type", ["MD5", "RSA", "md5", "HMAC-SHA512", "none"])
def test_r003_sign_type_and_signature_have_to_agree(sign_type):
    refused(wechat.notification(kind="HMAC-SHA256", sign_type=sign_type), BadSignature)


def test_r003_md5_is_no_way_around_hmac():
    refused(wechat.notification(kind="MD5"), BadSignature, sign_type="HMAC-SHA256")
    refused(wechat.notification(kind="MD5", sign_type="HMAC-SHA256"), BadSignature)


@pytest.mark.parametrize(
    "sign_of", ["", "A" * 32, "A" * 64, "A" * 31, "９" * 32, " ", "SUCCESS", "A" * 40000], ids=range(8)
)
def test_r003_a_wrong_signature(sign_of):
    refused(wechat.raw(wechat.xml({**wechat.PAYMENT, "sign": sign_of})), BadSignature)


def test_r003_a_lower_case_signature_is_not_the_platforms():
    body = wechat.xml({**wechat.PAYMENT, "sign": wechat.sign(wechat.PAYMENT).lower()})
    refused(wechat.raw(body), BadSignature)


def test_r003_an_empty_value_is_no_algorithm():
    """Regression 19 (hyperswitch): no algorithm or no key means refusal, never acceptance."""
    refused(wechat.raw(wechat.xml(wechat.PAYMENT)), BadSignature)
    with pytest.raises(BadConfig):
        parse(wechat.notification(key=""), api_key="")


def test_r003_unknown_fields_stay_signed():
    """Regression 14 (go-pay/gopay): a fixed structure drops fields that it does not know from the signed text."""
    raw = wechat.notification(brand_new_field="值&=%25")
    assert isinstance(parse(raw), PaymentEvent)
    refused(wechat.raw(raw.body.replace(b"%25", b"%26")), BadSignature)
    refused(wechat.raw(raw.body.replace("值".encode(), "价".encode())), BadSignature)


def test_r003_empty_values_are_dropped_and_zero_is_kept():
    """Regression 4, the other way round: here blanks are not signed, but `0` is."""
    raw = wechat.notification(coupon_fee="0", attach="")
    assert parse(raw).attach is None
    refused(wechat.raw(raw.body.replace(b"<coupon_fee><![CDATA[0]]>", b"<coupon_fee><![CDATA[]]>")), BadSignature)
    added = raw.body.replace(b"</xml>", b"<blank></blank></xml>")
    assert parse(wechat.raw(added)) == parse(raw)


@pytest.mark.parametrize("value", ["%", "+", "&", '"', "a=b&c=d", "100%25", "<b>", "'", "é中", " two  spaces "])
def test_r003_special_characters_are_signed_as_they_are(value):
    """Regression 6 (jeepay dbf4d9c): escaping changed the signed text."""
    assert parse(wechat.notification(attach=value)).attach == value


def test_order_and_mark_up_are_not_signed():
    told = {**wechat.PAYMENT, "sign": wechat.sign(wechat.PAYMENT)}
    backwards = dict(reversed(told.items()))
    plain = "<xml>\n" + "".join(f"  <{k}>{v}</{k}>\n" for k, v in told.items()) + "</xml>\n"
    wanted = parse(wechat.notification())
    for body in (
        wechat.xml(backwards),
        plain.encode(),
        b"\xef\xbb\xbf" + plain.encode(),
        b'<?xml version="1.0"?>' + wechat.xml(told),
    ):
        assert parse(wechat.raw(body)) == wanted


def test_r004_old_and_new_key_are_valid_together():
    table = {"api_key": None, "api_keys": ["0" * 32, wechat.API_KEY]}
    assert isinstance(parse(wechat.notification(), **table), PaymentEvent)
    assert isinstance(parse(wechat.refund(), **table), RefundEvent)
    refused(wechat.notification(key="1" * 32), BadSignature, **table)


# XML.

ENTITIES = {
    "external": b'<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/passwd">]><xml><a>&x;</a></xml>',
    "external over http": b'<!DOCTYPE xml [<!ENTITY x SYSTEM "http://127.0.0.1:9/">]><xml><a>&x;</a></xml>',
    "parameter": b'<!DOCTYPE xml [<!ENTITY % x SYSTEM "http://127.0.0.1:9/"> %x;]><xml/>',
    "nested": b'<!DOCTYPE xml [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><xml><a>&b;</a></xml>',
    "external subset": b'<!DOCTYPE xml SYSTEM "http://127.0.0.1:9/x.dtd"><xml/>',
    "bare": b"<!DOCTYPE xml><xml/>",
    "undefined": b"<xml><a>&x;</a></xml>",
    "UTF-16": '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE xml><xml/>'.encode("utf-16"),
}


@pytest.mark.parametrize("what", ENTITIES)
def test_r003_entities_and_dtds_are_refused(what):
    """Regression 18 (CVE-2018-13439): files and addresses read through the notification URL."""
    refused(wechat.raw(ENTITIES[what]), Malformed)


def test_a_dtd_before_a_signed_document_is_refused():
    refused(wechat.raw(b'<!DOCTYPE xml [<!ENTITY y "z">]>' + wechat.notification().body), Malformed)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"ifCode=wxpay&amount=1",
        b"<html/>",
        b"<root></root>",
        b"<xml>",
        b"<xml></xml><xml/>",
        b"<xml><a><b>1</b></a></xml>",
        b"<xml><a>1</a><a>1</a></xml>",
        b'<?xml version="1.0" encoding="no-such"?><xml/>',
        b'<?xml version="1.0" encoding="gb18030"?><xml/>',
        b"<xml><a>\xff</a></xml>",
        b"<xml><a>\x00</a></xml>",
        b"<xml>" + b"<a>" * 9000,
        wechat.xml({"a": "b" * 65536}),
    ],
    ids=range(14),
)
def test_other_shapes_are_refused(body):
    """Regression 3 (jeepay #68): the kind of body comes from the adapter and is not guessed."""
    refused(wechat.raw(body), Malformed)


def test_a_name_given_twice_is_refused_though_signed():
    body = wechat.notification().body
    refused(wechat.raw(body.replace(b"<total_fee>", b"<total_fee>1</total_fee><total_fee>")), Malformed)


def test_a_v3_body_is_not_v2():
    headers = (("Wechatpay-Signature", "x"), ("Content-Type", "application/json"))
    refused(wechat.raw(b'{"id":"EV-1","resource":{}}', headers), Malformed)


# Payments.


def test_r002_a_minimal_notification_parses():
    """Regression 13 (helei112g/payment #137): an optional field was taken for granted."""
    told = dict.fromkeys(
        (
            "attach",
            "bank_type",
            "cash_fee",
            "device_info",
            "fee_type",
            "is_subscribe",
            "nonce_str",
            "out_trade_no",
            "trade_type",
            "openid",
        )
    )
    event = parse(wechat.notification(**told))
    assert (event.payers, event.payer_total_fen, event.currency) == ((), None, "CNY")
    assert (event.attach, event.device_id, event.out_trade_no, event.trade_type) == (None, None, None, None)


@pytest.mark.parametrize("name", ["transaction_id", "total_fee", "time_end"])
@pytest.mark.parametrize("value", [None, "", "x" * 513])
def test_r002_what_has_to_be_there(name, value):
    refused(wechat.notification(**{name: value}), Malformed)


@pytest.mark.parametrize("name", ["total_fee", "cash_fee"])
@pytest.mark.parametrize(
    "value", ["-1", "1.0", "1e2", "0x1", "01", "+1", " 1", "1 ", "１", "1000000000001", "9" * 40, "NaN"]
)
def test_r002_amounts_are_whole_fen(name, value):
    refused(wechat.notification(**{name: value}), Malformed)


def test_r002_zero_is_an_amount():
    assert parse(wechat.notification(cash_fee="0")).payer_total_fen == 0


@pytest.mark.parametrize(
    "value",
    [
        "20261322120503",
        "20261122",
        "20261122120503 ",
        "2026112212050a",
        "２０２６１１２２１２０５０３",
        "00000000000000",
        "00010101000000",
    ],
)
def test_r002_times_are_beijing_times(value):
    refused(wechat.notification(time_end=value), Malformed)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"result_code": "FAIL"}, "unpaid"),
        ({"return_code": "FAIL"}, "unpaid"),
        ({"result_code": None}, "unpaid"),
        ({"trade_type": "PAP"}, "papay"),
        ({"mch_id": "10000101"}, "foreign_merchant"),
        ({"mch_id": None}, "foreign_merchant"),
        ({"appid": "wx0"}, "foreign_merchant"),
        ({"sub_mch_id": "1900000119"}, "foreign_merchant"),
    ],
)
def test_r017_what_is_genuine_but_nothing_for_us(changed, reason):
    """Regression 2 (jeepay #81, #106): signed, but not for this merchant."""
    event = parse(wechat.notification(**changed))
    assert isinstance(event, Ignored)
    assert event.reason == reason
    assert event == parse(wechat.notification(**changed))


def test_an_unsigned_failure_is_refused():
    refused(wechat.raw(wechat.xml({"return_code": "FAIL", "return_msg": "x"})), BadSignature)


PARTNER = {"sub_mchid": "1900000119", "sub_appid": "wxsub1"}
SUB = {"sub_mch_id": "1900000119", "sub_appid": "wxsub1", "sub_openid": "oSub"}


def test_r007_a_partner_notification_has_two_ids_of_one_payer():
    event = parse(wechat.notification(**SUB), **PARTNER)
    assert event.sub_mch_id == "1900000119"
    assert event.payers == (Payer("wx2421b1c4370ec43b", "openid", wechat.OPENID), Payer("wxsub1", "openid", "oSub"))


def test_r007_the_sub_appid_may_come_from_the_channel_or_be_unknown():
    assert parse(wechat.notification(**{**SUB, "sub_appid": None}), **PARTNER).payers[1].app_id == "wxsub1"
    unknown = parse(wechat.notification(**{**SUB, "sub_appid": None}), sub_mchid="1900000119")
    assert len(unknown.payers) == 1


@pytest.mark.parametrize(
    ("changed", "table"),
    [
        ({**SUB, "sub_mch_id": "1900000120"}, PARTNER),
        ({**SUB, "sub_mch_id": None}, PARTNER),
        ({**SUB, "sub_appid": "wxother"}, PARTNER),
        ({**SUB, "sub_mch_id": "3"}, {"sub_mchids": ["1", "2"]}),
    ],
)
def test_r017_another_sub_merchant_is_foreign(changed, table):
    assert parse(wechat.notification(**changed), **table).reason == "foreign_merchant"


def test_r017_each_of_several_sub_merchants_is_ours():
    for one in ("1", "2"):
        assert parse(wechat.notification(**{**SUB, "sub_mch_id": one}), sub_mchids=["1", "2"]).sub_mch_id == one


# Refunds.


def published():
    table = {"mchid": "12345678", "appid": "wx4f4bc4dec97d474b", "api_key": REFUND["api_key"]}
    return parse(wechat.raw((VECTORS / REFUND["xml_file"]).read_bytes()), **table)


def test_r015_the_published_refund():
    event = published()
    assert isinstance(event, RefundEvent)
    asserted = REFUND["asserted_upstream"]
    assert event.transaction_id == asserted["transaction_id"]
    assert event.out_trade_no == asserted["out_trade_no"]
    assert event.refund_id == asserted["refund_id"]
    assert (event.refund_fen, event.refunded_at.isoformat()) == (1, "2020-01-04T10:34:24+00:00")


@pytest.mark.parametrize(
    "raw",
    [
        wechat.refund(key="f" * 32),
        wechat.refund(plain=b"not xml"),
        wechat.refund(root="xml"),
        wechat.refund(plain=b"<!DOCTYPE root><root/>"),
        wechat.refund(outer={"req_info": ""}),
        wechat.refund(outer={"req_info": "AAAA"}),
        wechat.refund(outer={"req_info": "A" * 64}),
    ],
    ids=["wrong key", "no XML", "another root", "DTD", "empty", "no block", "bad padding"],
)
def test_r003_a_refund_that_does_not_open_is_not_proven(raw):
    refused(raw, BadSignature)


def test_r003_a_refund_that_is_not_base64():
    refused(wechat.refund(outer={"req_info": "%%%%"}), Malformed)


def test_r003_a_refund_is_a_refund_whatever_is_signed_around_it():
    """A payment's values around an encrypted part do not make it a payment."""
    assert isinstance(parse(wechat.refund(outer=wechat.PAYMENT)), RefundEvent)
    refused(wechat.refund(key="f" * 32, outer={**wechat.PAYMENT, "sign": wechat.sign(wechat.PAYMENT)}), BadSignature)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (wechat.refund(refund_status="CHANGE"), "refund_failed"),
        (wechat.refund(refund_status="REFUNDCLOSE"), "refund_failed"),
        (wechat.refund(refund_status=None), "refund_failed"),
        (wechat.refund(outer={"mch_id": "10000101"}), "foreign_merchant"),
        (wechat.refund(outer={"appid": "wx0"}), "foreign_merchant"),
        (wechat.refund(outer={"sub_mch_id": "1"}), "foreign_merchant"),
    ],
)
def test_r017_refunds_that_are_nothing_for_us(raw, reason):
    assert parse(raw).reason == reason


@pytest.mark.parametrize(
    "changed",
    [
        {"refund_id": None},
        {"transaction_id": None},
        {"refund_fee": "-1"},
        {"refund_fee": "1.5"},
        {"refund_fee": None},
        {"success_time": None},
        {"success_time": "2026-11-23T12:00:00Z"},
        {"success_time": "20261123120000"},
        {"success_time": "2026-13-23 12:00:00"},
    ],
)
def test_r002_refunds_with_something_missing(changed):
    refused(wechat.refund(**changed), Malformed)


def test_r009_two_partial_refunds_are_two_events():
    first, second = parse(wechat.refund()), parse(wechat.refund(refund_id="5000040894"))
    assert first.event_id != second.event_id


# The third shape.

THIRD = {
    "appid": "wx2421b1c4370ec43b",
    "mch_id": "10000100",
    "event_type": "TRANSACTION.SUCCESS",
    "event_ciphertext": "AAAA",
    "event_nonce": "n",
    "event_associated_data": "a",
}


def test_the_third_shape_is_not_acted_upon():
    event = parse(wechat.raw(wechat.xml(THIRD)))
    assert (type(event), event.event_type, event.reason) == (Ignored, "TRANSACTION.SUCCESS", "encrypted_event")
    signed = parse(wechat.notification(THIRD))
    assert signed.reason == "encrypted_event"


def test_the_third_shape_with_a_wrong_signature_or_of_another_merchant_is_refused():
    refused(wechat.raw(wechat.xml({**THIRD, "sign": "A" * 32})), BadSignature)
    refused(wechat.raw(wechat.xml({**THIRD, "mch_id": "2"})), BadSignature)
    refused(wechat.raw(wechat.xml({**wechat.PAYMENT, "mch_id": "2", "event_ciphertext": "AAAA"})), BadSignature)


# Keys and answers.


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ({"mchid": None}, "mchid"),
        ({"mchid": 10000100}, "mchid"),
        ({"appid": " "}, "appid"),
        ({"api_key": None}, "api_key"),
        ({"api_key": "short"}, "api_key"),
        ({"api_key": "é" * 32}, "api_key"),
        ({"api_keys": [wechat.API_KEY]}, "api_keys"),
        ({"api_key": None, "api_keys": []}, "api_keys"),
        ({"api_key": None, "api_keys": [wechat.API_KEY, "x"]}, "api_keys.1"),
        ({"api_key": None, "api_keys": wechat.API_KEY}, "api_keys"),
        ({"sign_type": "RSA"}, "sign_type"),
        ({"sign_type": ["MD5"]}, "sign_type"),
        ({"sub_appid": "wx"}, "sub_mchid"),
        ({"sub_mchid": ""}, "sub_mchid"),
        ({"sub_mchid": "1", "sub_mchids": ["1"]}, "sub_mchids"),
        ({"apiv3_key": "x" * 32}, "apiv3_key"),
    ],
)
def test_a_faulty_table_names_its_path(changed, path):
    with pytest.raises(BadConfig) as caught:
        adapter.load_keys(wechat.keys_table(**changed))
    assert path in [found for found, _ in caught.value.faults]


def test_every_fault_at_once():
    with pytest.raises(BadConfig) as caught:
        adapter.load_keys({"appid": 1, "api_keys": ["x", 2], "sign_type": "RSA", "stranger": 1})
    assert {path for path, _ in caught.value.faults} == {
        "stranger",
        "mchid",
        "appid",
        "api_keys.0",
        "api_keys.1",
        "sign_type",
    }


def test_white_space_around_a_value_is_dropped():
    table = wechat.keys_table(api_key=f"  {wechat.API_KEY}\n", mchid=" 10000100 ")
    assert isinstance(adapter.parse(wechat.notification(), adapter.load_keys(table), wechat.SENT), PaymentEvent)


@pytest.mark.parametrize(
    ("status", "body", "taken"),
    [
        (200, b"<xml><return_code>SUCCESS</return_code></xml>", True),
        (200, b"<xml>\n<return_code><![CDATA[SUCCESS]]></return_code>\n</xml>", True),
        (200, b"<xml><return_code>FAIL</return_code></xml>", False),
        (200, b"<xml><return_code>success</return_code></xml>", False),
        (200, b"", False),
        (200, b"success", False),
        (200, b'{"code":"SUCCESS"}', False),
        (200, b"<!DOCTYPE xml><xml><return_code>SUCCESS</return_code></xml>", False),
        (500, b"<xml><return_code>SUCCESS</return_code></xml>", False),
        (302, b"<xml><return_code>SUCCESS</return_code></xml>", False),
    ],
)
def test_what_a_pos_answered(status, body, taken):
    """Regression 9 (jeepay e4c6280): a wrong answer made notifications repeat for ever; 200 alone is not success."""
    assert adapter.accepted(status, (), body) is taken
