"""Alipay's trades and refunds: the bytes we send, proven by other means, published vectors, and every row of errors."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

from adapters.alipay.wallet import calls, wallet
from adapters.sandbox.twin import EVERY
from crypto import certs, rsa
from gateway.contract import BadConfig
from gateway.contract.events import Payer
from gateway.contract.wallet import CallFailed, CallUnknown, Reply, Trade
from tests.wallets.support import NOTIFY, NOW, NUMBER, OPENID, Street, tables
from tests.wallets.test_alipay_wallet_conformance import spoken_by

VECTORS = Path(__file__).parent.parent / "vectors" / "alipay"


@pytest.fixture
def street():
    return Street("alipay")


def form(call):
    pairs = parse_qsl(urlsplit(call.url).query, strict_parsing=True, keep_blank_values=True)
    pairs += parse_qsl(call.body.decode("ascii"), strict_parsing=True, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def content(call):
    return json.loads(form(call)["biz_content"])


def told(method, **facts):
    return spoken_by(tables("alipay")[1], f"{method.replace('.', '_')}_response", facts)


def all_calls(street):
    keys, back = street.keys, street.give_back()
    return {
        "alipay.system.oauth.token": wallet.exchange(keys, "code", NOW, ""),
        "alipay.trade.create": wallet.prepay(keys, street.purchase(), NOW, ""),
        "alipay.trade.query": wallet.query(keys, NUMBER, NOW, ""),
        "alipay.trade.close": wallet.close(keys, NUMBER, NOW, ""),
        "alipay.trade.refund": wallet.refund(keys, back, NOW, ""),
        "alipay.trade.fastpay.refund.query": wallet.query_refund(keys, back, NOW, ""),
    }


def test_R044_every_call_is_signed_over_its_sorted_parameters(street):
    """By plain `cryptography`: everything but `sign`, `sign_type` included, as sent."""
    _, _, table = tables("alipay")
    key = serialization.load_pem_private_key(table["app_private_key"].encode(), None).public_key()
    for method, call in all_calls(street).items():
        params = form(call)
        signature = base64.b64decode(params.pop("sign"), validate=True)
        text = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
        key.verify(signature, text.encode(), padding.PKCS1v15(), hashes.SHA256())
        assert "" not in params.values()
        assert {
            name: params[name]
            for name in ("app_id", "method", "format", "charset", "sign_type", "timestamp", "version")
        } == {
            "app_id": table["app_id"],
            "method": method,
            "format": "JSON",
            "charset": "utf-8",
            "sign_type": "RSA2",
            "timestamp": "2026-11-22 12:05:06",
            "version": "1.0",
        }


def test_R044_contents_are_the_documented_ones(street):
    made = all_calls(street)
    assert content(made["alipay.trade.create"]) == {
        "out_trade_no": NUMBER,
        "total_amount": "12.80",
        "subject": "梧桐里 老陈面馆 立减5元",
        "buyer_open_id": OPENID,
        "time_expire": "2026-11-22 12:20:06",
    }
    assert form(made["alipay.trade.create"])["notify_url"] == NOTIFY
    assert content(made["alipay.trade.query"]) == content(made["alipay.trade.close"]) == {"out_trade_no": NUMBER}
    assert content(made["alipay.trade.refund"]) == {
        "out_trade_no": NUMBER,
        "out_request_no": "R1",
        "refund_amount": "12.80",
        "refund_reason": "库存不足",
    }
    assert content(made["alipay.trade.fastpay.refund.query"]) == {"out_trade_no": NUMBER, "out_request_no": "R1"}


@pytest.mark.parametrize(
    ("fen", "yuan"), [(1, "0.01"), (10, "0.10"), (99, "0.99"), (100, "1.00"), (123456789, "1234567.89")]
)
def test_R044_amounts_are_yuan_with_two_decimals(street, fen, yuan):
    call = wallet.prepay(street.keys, street.purchase(fen=fen), NOW, "")
    assert content(call)["total_amount"] == yuan


def test_R044_an_old_user_id_goes_under_its_own_name(street):
    payer = Payer(street.channel_keys["app_id"], "alipay_user_id", "2088102363632794")
    made = content(wallet.prepay(street.keys, street.purchase(payer=payer), NOW, ""))
    assert made["buyer_id"] == "2088102363632794"
    assert "buyer_open_id" not in made


def test_a_subject_holds_none_of_the_forbidden_signs(street):
    made = content(wallet.prepay(street.keys, street.purchase(description="A/B=C&D\n" + "长" * 300), NOW, ""))
    assert not set("/=&\n") & set(made["subject"])
    assert made["subject"].startswith("A／B＝C＆D")
    assert len(made["subject"]) == 128


def test_the_bridge_is_given_the_trade_number(street):
    assert wallet.bridge(street.keys, "2026112222001", NOW, "") == {"tradeNO": "2026112222001"}


# Published answers and certificates.


def test_a_published_answer_verifies_over_its_own_bytes():
    """The vector's inner JSON is signed as it stands; escaped, spaced or sorted anew it is not."""
    vector = json.loads((VECTORS / "sync_response_rsa2.json").read_text("utf-8"))
    keys, _, table = tables("alipay")
    loaded = wallet.load({**table, "public_keys": [vector["public_key_b64_der"]]}, keys)

    def answer(inner):
        return Reply(200, (), f'{{"alipay_trade_pay_response":{inner},"sign":"{vector["sign"]}"}}'.encode())

    right = calls.answered(loaded, answer(vector["signed_text"]), "alipay.trade.pay")
    assert (right["code"], right["buyer_user_id"]) == ("10000", "2088102363632794")
    spaced = answer(" \n" + vector["signed_text"] + " \t")
    assert calls.answered(loaded, spaced, "alipay.trade.pay") == right
    for changed in (
        json.dumps(json.loads(vector["signed_text"])),
        vector["signed_text"].replace("0.01", "0.02"),
        vector["signed_text"].replace("@", "\\u0040"),
    ):
        with pytest.raises(CallUnknown):
            calls.answered(loaded, answer(changed), "alipay.trade.pay")


def test_certificate_mode_names_both_certificates():
    """The published numbers of the published certificates, on every call and signed along."""
    wanted = {case["file"]: case["sn"] for case in json.loads((VECTORS / "cert_sn.json").read_text("utf-8"))["cases"]}
    keys, _, whole = tables("alipay")
    table = {name: value for name, value in whole.items() if not name.endswith("_certificate")}
    private = rsa.load_private_key(table["app_private_key"])
    mine = certs.self_signed(private, "app", serial=77, now=NOW)
    root = (VECTORS / "node_alipayRootCert.crt").read_text("utf-8")
    loaded = wallet.load({**table, "app_certificate": mine, "root_certificate": root}, keys)
    params = form(wallet.query(loaded, NUMBER, NOW, ""))
    assert params["alipay_root_cert_sn"] == wanted["node_alipayRootCert.crt"]
    assert params["app_cert_sn"] == certs.alipay_cert_sn(certs.load_certificate(mine))
    foreign = (VECTORS / "node_appCertPublicKey_2021001161683774.crt").read_text("utf-8")
    for change, path in (
        ({"app_certificate": foreign, "root_certificate": root}, "app_certificate"),
        ({"app_certificate": mine}, "root_certificate"),
        ({"root_certificate": root}, "app_certificate"),
        ({"app_certificate": mine, "root_certificate": mine[:200]}, "root_certificate"),
    ):
        with pytest.raises(BadConfig) as caught:
            wallet.load({**table, **change}, keys)
        assert [name for name, _ in caught.value.faults] == [path]


def test_an_answer_names_the_certificate_it_is_signed_under():
    keys, private, table = tables("alipay")
    alipay_key = rsa.load_private_key(private["private_key"])
    mine = certs.self_signed(alipay_key, "alipay", serial=7, now=NOW)
    other = certs.self_signed(rsa.load_private_key(rsa.new_private_key()), "alipay", serial=8, now=NOW)
    bare = {name: value for name, value in table.items() if name != "public_keys"}
    own = {name: value for name, value in keys.items() if name != "public_keys"}
    loaded = wallet.load({**bare, "certificates": [mine, other]}, own)
    reply = told("alipay.trade.query", code="40004", sub_code="ACQ.TRADE_NOT_EXIST")

    def naming(certificate):
        number = certs.alipay_cert_sn(certs.load_certificate(certificate))
        return replace(reply, body=reply.body[:-1] + f',"alipay_cert_sn":"{number}"}}'.encode())

    assert wallet.queried(loaded, naming(mine), NOW) == wallet.queried(loaded, reply, NOW) == Trade("not_found")
    stranger = certs.self_signed(alipay_key, "alipay", serial=9, now=NOW)
    for wrong in (naming(other), naming(stranger), replace(reply, body=reply.body[:-1] + b',"alipay_cert_sn":7}')):
        with pytest.raises(CallUnknown):
            wallet.queried(loaded, wrong, NOW)


# Tables.


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"app_id": "a b"}, "app_id"),
        ({"app_private_key": "no key"}, "app_private_key"),
        ({"app_private_key": None}, "app_private_key"),
        ({"public_keys": ["no key"]}, "public_keys[0]"),
        ({"public_keys": []}, "public_keys"),
        ({"sign_type": "RSA"}, "sign_type"),
        ({"appid": "wx1"}, "appid"),
    ],
)
def test_each_fault_has_its_path(change, path):
    keys, _, table = tables("alipay")
    with pytest.raises(BadConfig) as caught:
        wallet.load({k: v for k, v in {**table, **change}.items() if v is not None}, keys)
    assert path in dict(caught.value.faults)


def test_the_channels_keys_are_of_use_only_to_its_own_app():
    """Alipay has a pair of keys an app: another app's would verify nothing."""
    keys, _, table = tables("alipay")
    own = {"app_id": keys["app_id"], "app_private_key": table["app_private_key"]}
    loaded = wallet.load(own, keys)
    assert wallet.can_pay(loaded) is True
    with pytest.raises(BadConfig) as caught:
        wallet.load({**own, "app_id": "2021000000000001"}, keys)
    assert dict(caught.value.faults).keys() == {"public_keys"}
    other = wallet.load({**own, "app_id": "2021000000000001", "public_keys": table["public_keys"]}, keys)
    assert wallet.can_pay(other) is False, "the channel does not take in what Alipay tells of that app"
    wechat_keys, _, _ = tables("wechat")
    assert wallet.can_pay(wallet.load({**own, "public_keys": table["public_keys"]}, wechat_keys)) is False


# The whole way.


def test_R044_a_trade_from_its_making_to_its_refund(street):
    handle = street.prepay()
    assert street.prepay() == handle, "the identical call again is the same trade"
    assert street.query() == Trade("unpaid")
    assert street.pay(handle).reply.body == b'{"resultCode":"9000"}'
    trade = street.query()
    assert trade == Trade("paid", handle, 1280, NOW, (street.payer,))
    with pytest.raises(CallUnknown) as caught:
        street.close()
    assert caught.value.code == "ACQ.TRADE_STATUS_ERROR", "paid or closed: asking tells which"
    assert street.query_refund(fen=280) == "not_found"
    assert street.refund(fen=280) == "done"
    assert street.query_refund(fen=280) == "done"
    assert street.refund(fen=280) == "pending", "the same again moves nothing"
    assert street.refund(refund="R2", fen=1000) == "done"
    assert street.query() == trade, "given back whole, it is closed there, and had been paid"
    assert [event.refunded_total_fen for event in street.events] == [0, 280, 1280]
    assert [event.refund_no for event in street.events] == ["", "R1", "R2"]
    assert {(event.out_trade_no, event.transaction_id, event.openid, event.notify_url) for event in street.events} == {
        (NUMBER, handle, OPENID, NOTIFY)
    }


def test_a_trade_is_paid_once_by_its_own_buyer(street):
    handle = street.prepay()
    assert b"4000" in street.pay(handle, openid="somebody-else").reply.body
    assert b"9000" in street.pay(handle).reply.body
    assert b"4000" in street.pay(handle).reply.body
    assert len(street.events) == 1


def test_R047_a_closed_or_expired_trade_is_not_paid_unless_late_is_played(street):
    handle = street.prepay()
    street.now = NOW + timedelta(minutes=15)
    assert b"4000" in street.pay(handle).reply.body
    assert street.close() == "closed"
    assert street.query() == Trade("closed")
    with pytest.raises(CallFailed) as caught:
        street.prepay()
    assert caught.value.code == "ACQ.TRADE_HAS_CLOSE"
    street.arm("pay", "late")
    assert b"9000" in street.pay(handle).reply.body
    assert street.query().state == "paid"


@pytest.mark.parametrize(("fault", "code"), [("cancel", b"6001"), ("fail", b"4000")])
def test_a_customer_may_turn_away_and_come_back(street, fault, code):
    handle = street.prepay()
    street.arm("pay", fault)
    assert code in street.pay(handle).reply.body
    assert b"9000" in street.pay(handle).reply.body


def test_a_number_with_other_facts_is_refused(street):
    street.prepay()
    with pytest.raises(CallFailed) as caught:
        street.prepay(fen=1281)
    assert caught.value.code == "ACQ.CONTEXT_INCONSISTENT"
    street.paid()
    street.refund(fen=100)
    with pytest.raises(CallUnknown) as unknown:
        street.refund(fen=101)
    assert unknown.value.code == "ACQ.DISCORDANT_REPEAT_REQUEST", "a new number would give back twice"
    with pytest.raises(CallFailed):
        street.refund(refund="R2", fen=1181)


# Each row of errors.


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("ACQ.BUYER_NOT_EXIST", CallFailed, "ACQ.BUYER_NOT_EXIST"),
        ("isv.invalid-signature", CallFailed, "isv.invalid-signature"),
        ("isp.unknow-error", CallUnknown, "isp.unknow-error"),
        ("bad_gateway", CallUnknown, "http_502"),
        ("drop", CallUnknown, "no_answer"),
        ("bad_signature", CallUnknown, "unverified"),
        ("unsigned", CallUnknown, "unverified"),
    ],
)
def test_R044_create_rows(street, fault, error, code):
    street.arm("prepay", fault)
    with pytest.raises(error) as caught:
        street.prepay()
    assert caught.value.code == code
    made = fault not in ("ACQ.BUYER_NOT_EXIST", "isv.invalid-signature", "bad_gateway")
    assert street.query().state == ("unpaid" if made else "not_found")
    assert street.prepay(), "the identical call again"


@pytest.mark.parametrize("fault", ["ACQ.SYSTEM_ERROR", "bad_signature", "unsigned", "bad_gateway", "drop"])
def test_R044_query_rows(street, fault):
    street.paid()
    street.arm("query", fault)
    with pytest.raises(CallUnknown):
        street.query()
    street.arm("query", "ACQ.TRADE_NOT_EXIST")
    assert street.query() == Trade("not_found")
    assert street.query().state == "paid"


@pytest.mark.parametrize("fault", ["ACQ.SYSTEM_ERROR", "bad_signature", "unsigned", "bad_gateway", "drop"])
def test_R047_close_rows(street, fault):
    street.prepay()
    street.arm("close", fault)
    with pytest.raises(CallUnknown):
        street.close()
    state = street.query().state
    assert state == ("unpaid" if fault == "bad_gateway" else "closed")
    street.arm("close", "ACQ.TRADE_NOT_EXIST")
    assert street.close() == "not_found"


@pytest.mark.parametrize(
    ("fault", "error", "done"),
    [
        ("ACQ.TRADE_NOT_EXIST", CallFailed, False),
        ("ACQ.SYSTEM_ERROR", CallUnknown, True),
        ("isp.unknow-error", CallUnknown, True),
        ("unsigned", CallUnknown, True),
        ("bad_signature", CallUnknown, True),
        ("drop", CallUnknown, True),
        ("bad_gateway", CallUnknown, False),
    ],
)
def test_R047_refund_rows(street, fault, error, done):
    street.paid()
    street.arm("refund", fault)
    with pytest.raises(error):
        street.refund()
    assert street.query_refund() == ("done" if done else "not_found")
    assert street.refund() == ("pending" if done else "done"), "the same number again"
    assert [event.kind for event in street.events] == ["payment", "refund"], "money goes back once"


def test_R047_a_refund_that_moved_nothing_now_is_asked_about(street):
    street.paid()
    street.arm("refund", "fund_change_N")
    assert street.refund() == "pending"
    street.arm("query_refund", "empty")
    assert street.query_refund() == "not_found"
    assert street.query_refund() == "done"


def test_R047_what_the_gateway_refuses_does_not_end_a_refund(street):
    """Under other keys an earlier try may have gone through, so no new number is taken."""
    for code, sub_code in (
        ("40002", "isv.invalid-signature"),
        ("40006", "isv.insufficient-isv-permissions"),
        ("20000", "x"),
    ):
        with pytest.raises(CallUnknown):
            wallet.refunded(street.keys, told("alipay.trade.refund", code=code, sub_code=sub_code), NOW)


def test_an_unsigned_refusal_ends_nothing(street):
    """Whoever sits on the wire could say so."""
    facts = {"code": "40004", "sub_code": "ACQ.SELLER_BALANCE_NOT_ENOUGH"}
    with pytest.raises(CallFailed):
        wallet.refunded(street.keys, told("alipay.trade.refund", **facts), NOW)
    for body in ({"alipay_trade_refund_response": facts}, {"error_response": facts}):
        with pytest.raises(CallUnknown):
            wallet.refunded(street.keys, Reply(200, (), json.dumps(body).encode()), NOW)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({"refund_status": "REFUND_SUCCESS"}, "done"),
        ({"refund_status": "REFUND_PROCESSING"}, "pending"),
        ({"refund_amount": "12.80"}, "pending"),
        ({}, "not_found"),
        ({"refund_status": "", "refund_amount": ""}, "not_found"),
    ],
)
def test_R047_only_the_refund_s_own_status_says_done(street, facts, state):
    reply = told("alipay.trade.fastpay.refund.query", code="10000", msg="Success", **facts)
    assert wallet.refund_queried(street.keys, reply, NOW) == state


TRADE = {
    "code": "10000",
    "trade_status": "TRADE_SUCCESS",
    "trade_no": "2026112222001432790585537960",
    "total_amount": "12.80",
    "send_pay_date": "2026-11-22 12:05:06",
    "buyer_open_id": OPENID,
}


@pytest.mark.parametrize(
    "change",
    [
        {"total_amount": 12.8},
        {"total_amount": "1e2"},
        {"total_amount": "-1.00"},
        {"total_amount": "0.001"},
        {"total_amount": None},
        {"trade_status": "TRADE_ACCEPTED"},
        {"trade_status": None},
        {"trade_status": []},
        {"trade_no": ""},
        {"trade_no": 7},
        {"send_pay_date": "2026-11-22"},
        {"send_pay_date": "2026-13-22 12:05:06"},
        {"send_pay_date": None},
        {"buyer_open_id": {"a": 1}},
        {"code": None},
    ],
)
def test_R044_a_signed_answer_that_says_too_little_settles_nothing(street, change):
    assert wallet.queried(street.keys, told("alipay.trade.query", **TRADE), NOW).amount_fen == 1280
    with pytest.raises(CallUnknown):
        wallet.queried(street.keys, told("alipay.trade.query", **{**TRADE, **change}), NOW)


def test_R044_another_calls_answer_is_none_to_this_one(street):
    """Rightly signed, but for another question."""
    for method in ("alipay.trade.close", "alipay.trade.refund", "alipay.system.oauth.token"):
        with pytest.raises(CallUnknown):
            wallet.queried(street.keys, told(method, **TRADE), NOW)


# The twin proves our calls.


def test_the_twin_refuses_what_the_app_did_not_sign(street):
    call = wallet.prepay(street.keys, street.purchase(), NOW, "")
    for wrong in (
        replace(call, body=call.body.replace(b"12.80", b"12.81")),
        replace(call, url=call.url.replace("sign=", "sing=")),
        replace(call, url=call.url.replace("utf-8", "gbk")),
        replace(call, url=call.url + "&extra=1"),
        replace(call, url=call.url + "&app_id=1"),
        replace(call, body=call.body + b"&biz_content=%7B%7D"),
    ):
        assert json.loads(street.carry(wrong).body)["alipay_trade_create_response"]["code"] == "40002"
    assert street.query() == Trade("not_found")


def test_the_twin_knows_no_other_calls(street):
    reply = street.carry(calls.signed_call(street.keys, "alipay.user.info.share", NOW, content={}))
    assert json.loads(reply.body)["error_response"]["sub_code"] == "isv.invalid-method"


def test_every_fault_that_the_twin_names_changes_what_a_call_comes_to(street):
    """None of them is only a word."""
    for name, faults in street.twin.faults.items():
        if name in ("authorize", "exchange", "pay"):  # tried one by one elsewhere
            continue
        usual = outcome(name, "")
        for fault in (*faults, *EVERY):
            assert outcome(name, fault) != usual, (name, fault)


def outcome(name, fault):
    """What a call comes to on a street of its own, where it would have gone well."""
    street = Street("alipay")
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
