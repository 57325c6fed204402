"""WeChat Pay's orders and refunds: the bytes we send, proven by other means, and every row of errors."""

import base64
import json
import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from adapters.sandbox.twin import EVERY
from adapters.wechat_v3.wallet import wallet
from gateway.contract.events import Payer
from gateway.contract.wallet import CallFailed, CallUnknown, Reply, Trade
from tests.wallets.support import NONCE, NOTIFY, NOW, NUMBER, OPENID, Street, tables
from tests.wallets.test_wechat_conformance import signed_by_platform

SERIAL_FAULTS = ("bad_signature", "unknown_serial", "old_timestamp", "signtest")


@pytest.fixture
def street():
    return Street("wechat")


def real():
    keys, _, table = tables("wechat")
    return wallet.load({k: v for k, v in table.items() if k != "endpoint"}, keys)


def proven(signature, text):
    """By plain `cryptography`, with the merchant's public key."""
    _, _, table = tables("wechat")
    key = serialization.load_pem_private_key(table["merchant_private_key"].encode(), None).public_key()
    key.verify(base64.b64decode(signature, validate=True), text, padding.PKCS1v15(), hashes.SHA256())


def params(call):
    (header,) = [value for name, value in call.headers if name == "Authorization"]
    scheme, _, rest = header.partition(" ")
    assert scheme == "WECHATPAY2-SHA256-RSA2048"
    assert re.fullmatch(r'(?:[a-z_]+="[^"]*",){4}[a-z_]+="[^"]*"', rest)
    return dict(re.findall(r'([a-z_]+)="([^"]*)"', rest))


def all_calls(street):
    keys = real()
    back = street.give_back()
    return {
        "prepay": wallet.prepay(keys, street.purchase(), NOW, NONCE),
        "query": wallet.query(keys, NUMBER, NOW, NONCE),
        "close": wallet.close(keys, NUMBER, NOW, NONCE),
        "refund": wallet.refund(keys, back, NOW, NONCE),
        "query_refund": wallet.query_refund(keys, back, NOW, NONCE),
    }


def test_R044_every_call_is_signed_over_its_five_lines(street):
    _, _, table = tables("wechat")
    for call in all_calls(street).values():
        told = params(call)
        assert (told["mchid"], told["serial_no"]) == (table["mchid"], table["merchant_serial"])
        assert (told["timestamp"], told["nonce_str"]) == (str(int(NOW.timestamp())), NONCE)
        parts = urlsplit(call.url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        text = f"{call.method}\n{target}\n{told['timestamp']}\n{NONCE}\n{call.body.decode()}\n"
        proven(told["signature"], text.encode())


def test_R044_paths_and_bodies_are_the_documented_ones(street):
    keys, _, _ = tables("wechat")
    calls = all_calls(street)
    mchid = keys["mchid"]
    assert {
        name: (call.method, call.url.removeprefix("https://api.mch.weixin.qq.com")) for name, call in calls.items()
    } == {
        "prepay": ("POST", "/v3/pay/transactions/jsapi"),
        "query": ("GET", f"/v3/pay/transactions/out-trade-no/{NUMBER}?mchid={mchid}"),
        "close": ("POST", f"/v3/pay/transactions/out-trade-no/{NUMBER}/close"),
        "refund": ("POST", "/v3/refund/domestic/refunds"),
        "query_refund": ("GET", "/v3/refund/domestic/refunds/R1"),
    }
    assert json.loads(calls["prepay"].body) == {
        "appid": keys["appid"],
        "mchid": mchid,
        "description": "梧桐里 老陈面馆 立减5元",
        "out_trade_no": NUMBER,
        "notify_url": NOTIFY,
        "amount": {"total": 1280, "currency": "CNY"},
        "payer": {"openid": OPENID},
        "time_expire": "2026-11-22T12:20:06+08:00",
    }
    assert json.loads(calls["close"].body) == {"mchid": mchid}
    assert json.loads(calls["refund"].body) == {
        "out_trade_no": NUMBER,
        "out_refund_no": "R1",
        "amount": {"refund": 1280, "total": 1280, "currency": "CNY"},
        "reason": "库存不足",
    }
    assert calls["query"].body == calls["query_refund"].body == b""


def test_R044_a_partner_names_both_parties():
    _, _, table = tables("wechat")
    signing = {name: table[name] for name in ("merchant_private_key", "merchant_serial", "public_keys")}
    sp = {"sp_mchid": "1230000109", "sp_appid": "wxsp", "sub_mchid": "1900000119"}
    street = Street("wechat")
    for app, payer, extra in (("wxsp", "sp_openid", {}), ("wxsub", "sub_openid", {"sub_appid": "wxsub"})):
        keys = wallet.load({"appid": app, "app_secret": "s", **signing}, sp)
        call = wallet.prepay(keys, street.purchase(payer=Payer(app, "openid", OPENID)), NOW, NONCE)
        told = json.loads(call.body)
        assert urlsplit(call.url).path == "/v3/pay/partner/transactions/jsapi"
        assert {name: told[name] for name in told if name.startswith("s")} == {**sp, **extra}
        assert told["payer"] == {payer: OPENID}
        assert "mchid" not in told
        assert "appid" not in told
        assert params(call)["mchid"] == "1230000109"
        assert wallet.query(keys, NUMBER, NOW, NONCE).url.endswith(
            f"/v3/pay/partner/transactions/out-trade-no/{NUMBER}?sp_mchid=1230000109&sub_mchid=1900000119"
        )
        assert json.loads(wallet.refund(keys, street.give_back(), NOW, NONCE).body)["sub_mchid"] == "1900000119"
        assert wallet.query_refund(keys, street.give_back(), NOW, NONCE).url.endswith("/R1?sub_mchid=1900000119")


def test_public_key_merchants_ask_to_be_answered_under_it(street):
    _, private, table = tables("wechat")
    call = wallet.query(street.keys, NUMBER, NOW, NONCE)
    assert dict(call.headers)["Wechatpay-Serial"] == private["serial"]
    from crypto.certs import self_signed
    from crypto.rsa import load_private_key

    certificate = self_signed(load_private_key(private["private_key"]), "platform", serial=0x5157F09E, now=NOW)
    keys, _, _ = tables("wechat")
    only = wallet.load(
        {**{k: v for k, v in table.items() if k != "public_keys"}, "certificates": [certificate]},
        {k: v for k, v in keys.items() if k != "public_keys"},
    )
    assert "Wechatpay-Serial" not in dict(wallet.query(only, NUMBER, NOW, NONCE).headers)
    signed = street.carry(wallet.prepay(street.keys, street.purchase(), NOW, NONCE))
    renamed = tuple((k, "5157f09e" if k == "Wechatpay-Serial" else v) for k, v in signed.headers)
    assert wallet.prepaid(only, replace(signed, headers=renamed), NOW).startswith("wx")


def test_R044_the_bridge_is_signed_over_four_lines(street):
    keys, _, _ = tables("wechat")
    told = wallet.bridge(street.keys, "wx201410272009395522657a690389285100", NOW, NONCE)
    assert {name: value for name, value in told.items() if name != "paySign"} == {
        "appId": keys["appid"],
        "timeStamp": str(int(NOW.timestamp())),
        "nonceStr": NONCE,
        "package": "prepay_id=wx201410272009395522657a690389285100",
        "signType": "RSA",
    }
    text = f"{told['appId']}\n{told['timeStamp']}\n{told['nonceStr']}\n{told['package']}\n"
    proven(told["paySign"], text.encode())


def test_a_description_is_cut_between_characters(street):
    call = wallet.prepay(street.keys, street.purchase(description="面" * 100), NOW, NONCE)
    assert json.loads(call.body)["description"] == "面" * 42  # 126 bytes of 127
    assert json.loads(wallet.prepay(street.keys, street.purchase(description=""), NOW, NONCE).body)["description"]


@pytest.mark.parametrize("url", ["https://a/b?c=d", "https://a/b#c", "https://a/" + "x" * 260])
def test_an_address_with_a_query_is_not_sent(street, url):
    with pytest.raises(CallFailed, match="unfit"):
        wallet.prepay(street.keys, street.purchase(notify_url=url), NOW, NONCE)


# The whole way.


def test_R044_an_order_from_its_announcement_to_its_refund(street):
    handle = street.prepay()
    assert street.prepay() == handle, "the identical call again is the same order"
    assert street.query() == Trade("unpaid")
    assert street.pay(handle).reply.body == b'{"err_msg":"get_brand_wcpay_request:ok"}'
    trade = street.query()
    assert (trade.state, trade.amount_fen, trade.paid_at, trade.payers) == ("paid", 1280, NOW, (street.payer,))
    assert street.close() == "paid"
    assert street.query_refund() == "not_found"
    assert street.refund(fen=280) == "pending"
    assert street.query_refund(fen=280) == "done"
    assert street.refund(fen=280) == "done", "the same again moves nothing"
    assert street.query().state == "paid"
    payment, refund = street.events
    assert (payment.kind, payment.out_trade_no, payment.amount_fen, payment.notify_url) == (
        "payment",
        NUMBER,
        1280,
        NOTIFY,
    )
    assert payment.transaction_id == trade.transaction_id
    assert (payment.openid, refund.openid) == (OPENID, OPENID)
    assert (refund.kind, refund.refund_no, refund.refund_fen, refund.refunded_total_fen) == ("refund", "R1", 280, 280)


def test_an_order_is_paid_once_by_its_own_payer(street):
    handle = street.prepay()
    assert b"fail" in street.pay(handle, openid="somebody-else").reply.body
    assert b"ok" in street.pay(handle).reply.body
    assert b"fail" in street.pay(handle).reply.body
    assert b"fail" in street.pay("wx-unknown").reply.body
    assert len(street.events) == 1


def test_R047_a_closed_or_expired_order_is_not_paid_unless_late_is_played(street):
    handle = street.prepay()
    street.now = NOW + timedelta(minutes=15)
    assert b"fail" in street.pay(handle).reply.body
    assert street.close() == "closed"
    assert street.close() == "closed"
    assert street.query() == Trade("closed")
    assert b"fail" in street.pay(handle).reply.body
    street.arm("pay", "late")
    assert b"ok" in street.pay(handle).reply.body
    assert street.query().state == "paid"


@pytest.mark.parametrize(("fault", "word"), [("cancel", b"cancel"), ("fail", b"fail")])
def test_a_customer_may_turn_away_and_come_back(street, fault, word):
    handle = street.prepay()
    street.arm("pay", fault)
    assert word in street.pay(handle).reply.body
    assert street.events == []
    assert b"ok" in street.pay(handle).reply.body


def test_a_number_with_other_facts_is_refused(street):
    street.prepay()
    with pytest.raises(CallFailed) as caught:
        street.prepay(fen=1281)
    assert caught.value.code == "OUT_TRADE_NO_USED"
    street.pay(street.prepay())
    with pytest.raises(CallUnknown) as unknown:
        street.prepay()
    assert unknown.value.code == "ORDERPAID", "asking tells, so no new number is taken"


def test_more_than_was_paid_is_never_given_back(street):
    street.paid()
    assert street.refund(refund="R1", fen=1000) == "pending"
    with pytest.raises(CallFailed):
        street.refund(refund="R2", fen=281)
    with pytest.raises(CallFailed):
        street.refund(refund="R1", fen=999)
    assert street.refund(refund="R3", fen=280) == "pending"
    assert [event.refunded_total_fen for event in street.events[1:]] == [1000, 1280]


def test_an_unpaid_order_has_nothing_to_give_back(street):
    street.prepay()
    with pytest.raises(CallFailed) as caught:
        street.refund()
    assert caught.value.code == "RESOURCE_NOT_EXISTS"


# Each row of errors.


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("PARAM_ERROR", CallFailed, "PARAM_ERROR"),
        ("SIGN_ERROR", CallFailed, "SIGN_ERROR"),
        ("SYSTEM_ERROR", CallUnknown, "SYSTEM_ERROR"),
        ("bad_gateway", CallUnknown, "http_502"),
        ("drop", CallUnknown, "no_answer"),
        *((fault, CallUnknown, "unverified") for fault in SERIAL_FAULTS),
    ],
)
def test_R044_prepay_rows(street, fault, error, code):
    street.arm("prepay", fault)
    with pytest.raises(error) as caught:
        street.prepay()
    assert caught.value.code == code
    made = fault not in ("PARAM_ERROR", "SIGN_ERROR", "bad_gateway")
    assert street.query().state == ("unpaid" if made else "not_found")
    assert street.prepay().startswith("wx"), "the identical call again"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("FREQUENCY_LIMITED", "FREQUENCY_LIMITED"),
        ("bad_gateway", "http_502"),
        ("drop", "no_answer"),
        *((fault, "unverified") for fault in SERIAL_FAULTS),
    ],
)
def test_R044_query_rows(street, fault, code):
    street.paid()
    street.arm("query", fault)
    with pytest.raises(CallUnknown) as caught:
        street.query()
    assert caught.value.code == code
    assert street.query().state == "paid"


def test_R044_not_found_is_a_word_and_no_error(street):
    street.paid()
    street.arm("query", "ORDER_NOT_EXIST")
    assert street.query() == Trade("not_found")
    assert street.query().state == "paid"


@pytest.mark.parametrize(("fault", "state"), [("ORDER_PAID", "paid"), ("ORDER_NOT_EXIST", "not_found")])
def test_R047_close_rows(street, fault, state):
    street.prepay()
    street.arm("close", fault)
    assert street.close() == state
    assert street.close() == "closed"


@pytest.mark.parametrize("fault", ["SYSTEM_ERROR", "bad_gateway", "drop", *SERIAL_FAULTS])
def test_R047_close_unknown_rows(street, fault):
    street.prepay()
    street.arm("close", fault)
    with pytest.raises(CallUnknown):
        street.close()
    assert street.close() == "closed"


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        ("NOT_ENOUGH", CallFailed, False),
        ("RESOURCE_NOT_EXISTS", CallFailed, False),
        ("SYSTEM_ERROR", CallUnknown, True),
        ("drop", CallUnknown, True),
        ("bad_gateway", CallUnknown, False),
        *((fault, CallUnknown, True) for fault in SERIAL_FAULTS),
    ],
)
def test_R047_refund_rows(street, fault, error, done):
    street.paid()
    street.arm("refund", fault)
    with pytest.raises(error):
        street.refund()
    assert street.query_refund() == ("done" if done else "not_found")
    assert street.refund() == ("done" if done else "pending"), "the same number again"
    assert [event.kind for event in street.events] == ["payment", "refund"], "money goes back once"


@pytest.mark.parametrize(
    ("fault", "state"),
    [("PROCESSING", "pending"), ("ABNORMAL", "abnormal"), ("CLOSED", "closed"), ("RESOURCE_NOT_EXISTS", "not_found")],
)
def test_R047_refund_query_rows(street, fault, state):
    street.paid()
    street.refund()
    street.arm("query_refund", fault)
    assert street.query_refund() == state
    assert street.query_refund() == "done"


def test_a_fault_under_a_star_is_played_by_the_next_call_of_any_kind(street):
    street.arm("*", "bad_gateway")
    with pytest.raises(CallUnknown):
        street.query()
    assert street.query().state == "not_found"


# What a signed answer must not say.


TRANSACTION = {
    "trade_state": "SUCCESS",
    "transaction_id": "4200000000202611220000000001",
    "success_time": "2026-11-22T12:05:06+08:00",
    "payer": {"openid": OPENID},
    "amount": {"total": 1280, "payer_total": 0, "currency": "CNY"},
}


@pytest.mark.parametrize(
    "change",
    [
        {"amount": {"total": "1280"}},
        {"amount": {"total": 12.8}},
        {"amount": {"total": True}},
        {"amount": {"total": -1}},
        {"amount": None},
        {"amount": {"total": 1280, "currency": "USD"}},
        {"trade_state": "ACCEPT"},
        {"trade_state": None},
        {"trade_state": ["SUCCESS"]},
        {"transaction_id": ""},
        {"transaction_id": 7},
        {"success_time": "2026-11-22T12:05:06"},
        {"success_time": "soon"},
        {"mchid": "1900000000"},
        {"mchid": None},
    ],
)
def test_R044_a_signed_answer_that_says_too_little_settles_nothing(street, change):
    """Another merchant's order, an amount that is none, a state that nobody knows."""
    keys, _, _ = tables("wechat")
    right = {**TRANSACTION, "mchid": keys["mchid"], "appid": keys["appid"]}
    assert wallet.queried(street.keys, signed_by_platform(right), NOW).amount_fen == 1280
    with pytest.raises(CallUnknown):
        wallet.queried(street.keys, signed_by_platform({**right, **change}), NOW)


def test_a_refunded_order_had_been_paid(street):
    keys, _, _ = tables("wechat")
    told = {**TRANSACTION, "trade_state": "REFUND", "mchid": keys["mchid"], "appid": keys["appid"]}
    assert wallet.queried(street.keys, signed_by_platform(told), NOW).state == "paid"


@pytest.mark.parametrize(
    "body", [{}, {"prepay_id": ""}, {"prepay_id": 7}, {"prepay_id": "a b"}, {"prepay_id": "x" * 65}]
)
def test_a_prepay_id_that_is_none_is_not_used(street, body):
    with pytest.raises(CallUnknown):
        wallet.prepaid(street.keys, signed_by_platform(body), NOW)


def test_an_error_is_told_with_its_request_and_never_with_its_message(street):
    reply = Reply(
        403,
        (("Request-ID", "08F78BC7EF-268435456"),),
        json.dumps({"code": "NO_AUTH", "message": f"payer {OPENID}"}).encode(),
    )
    with pytest.raises(CallFailed) as caught:
        wallet.prepaid(street.keys, reply, NOW)
    assert (caught.value.code, caught.value.detail) == ("NO_AUTH", "403 08F78BC7EF-268435456")


# The twin proves our calls.


@pytest.mark.parametrize(
    "spoil",
    [
        lambda call: replace(call, body=call.body.replace(b"1280", b"1281")),
        lambda call: replace(call, headers=tuple(pair for pair in call.headers if pair[0] != "Authorization")),
        lambda call: replace(call, headers=tuple((k, v.replace("mchid=", "mch_id=")) for k, v in call.headers)),
        lambda call: replace(call, headers=tuple((k, v.replace('"', "'")) for k, v in call.headers)),
        lambda call: replace(call, url=call.url + "?x=1"),
    ],
)
def test_the_twin_refuses_what_the_merchant_did_not_sign(street, spoil):
    call = wallet.prepay(street.keys, street.purchase(), NOW, NONCE)
    assert street.carry(spoil(call)).status == 401
    assert street.query().state == "not_found"


def test_the_twin_refuses_an_old_signature(street):
    call = wallet.prepay(street.keys, street.purchase(), NOW, NONCE)
    street.now = NOW + timedelta(seconds=301)
    assert street.carry(call).status == 401


def test_the_twin_refuses_names_that_wechat_does_not_know(street):
    """Unknown and null fields are faults there; ours has none."""
    from adapters.wechat_v3.wallet.calls import signed_call

    body = json.loads(wallet.prepay(street.keys, street.purchase(), NOW, NONCE).body)
    for wrong in ({**body, "stranger": 1}, {**body, "attach": None}, {**body, "appid": "wxother"}, [], {}):
        call = signed_call(street.keys, "POST", "/v3/pay/transactions/jsapi", wrong, NOW, NONCE)
        assert street.carry(call).status == 400


def test_an_unknown_path_of_the_twin_is_a_404(street):
    from adapters.wechat_v3.wallet.calls import signed_call

    assert street.carry(signed_call(street.keys, "GET", "/v3/certificates", None, NOW, NONCE)).status == 404


def test_every_fault_that_the_twin_names_changes_what_a_call_comes_to(street):
    """None of them is only a word."""
    for name, faults in street.twin.faults.items():
        if name in ("authorize", "exchange", "pay"):  # tried one by one above
            continue
        usual = outcome(name, "")
        for fault in (*faults, *EVERY):
            assert outcome(name, fault) != usual, (name, fault)


def outcome(name, fault):
    """What a call comes to on a street of its own, where it would have gone well."""
    street = Street("wechat")
    if name != "prepay":
        street.prepay()
    if name.endswith("refund"):
        street.paid()
    if name == "query_refund":
        street.refund()
    if name == "query_transfer":
        street.transfer()
    street.arm(name, fault)
    try:
        return getattr(street, name)()
    except (CallFailed, CallUnknown) as error:
        return type(error).__name__, error.code
