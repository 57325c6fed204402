"""R113, R114: money sent to customers, before the twins of both platforms."""

import base64
import functools
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from wallets.support import NONCE, NOW, OPENID, Street, tables

from adapters.alipay.wallet import wallet as alipay
from adapters.conformance import TransferConformance
from adapters.sandbox.twin import spoiled
from adapters.wechat_v3.wallet import wallet as wechat
from crypto import rsa
from gateway.contract import BadConfig
from gateway.contract.wallet import CallUnknown, Reply, TransferStanding

NUMBER = "0199c0ffee0199c0ffee0199c0ffee01"
PACKAGE = "ABBQO+oYAAABAAAA0123"


@functools.cache
def loaded(slug, without):
    keys, _, table = tables(slug)
    wallet = {"wechat": wechat, "alipay": alipay}[slug]
    return wallet.load({name: value for name, value in table.items() if name not in without}, keys)


class TestWechat(TransferConformance):
    wallet = wechat

    def keys(self):
        return loaded("wechat", ())

    def signing_in_keys(self):
        return loaded("wechat", ("transfer_scene",))

    def now(self):
        return NOW

    def transfer(self):
        return Street("wechat").wanted()

    def answers(self):
        bill = {"out_bill_no": NUMBER, "transfer_bill_no": "1330", "create_time": "2026-11-22T12:05:06+08:00"}
        states = (
            {"state": "WAIT_USER_CONFIRM", "package_info": PACKAGE},
            {"state": "ACCEPTED"},
            {"state": "PROCESSING"},
            {"state": "TRANSFERING"},
            {"state": "CANCELING"},
            {"state": "SUCCESS"},
            {"state": "FAIL", "fail_reason": "OVERDUE_CLOSE"},
            {"state": "FAIL", "fail_reason": "NAME_NOT_CORRECT"},
            {"state": "FAIL", "fail_reason": "A_NEW_REASON"},
            {"state": "FAIL", "fail_reason": "not a word"},
            {"state": "CANCELLED"},
        )
        return {reader: [{**bill, **state} for state in states] for reader in ("transferred", "transfer_queried")}

    def standings(self):
        found = [
            TransferStanding("confirms", handle=PACKAGE, detail="WAIT_USER_CONFIRM"),
            *(TransferStanding("accepted", detail=d) for d in ("ACCEPTED", "PROCESSING", "TRANSFERING", "CANCELING")),
            TransferStanding("done", detail="SUCCESS"),
            TransferStanding("failed", fault="expired", detail="OVERDUE_CLOSE"),
            TransferStanding("failed", fault="name", detail="NAME_NOT_CORRECT"),
            TransferStanding("failed", fault="declined", detail="A_NEW_REASON"),
            TransferStanding("failed", fault="declined", detail="FAIL"),
            TransferStanding("failed", fault="cancelled", detail="CANCELLED"),
        ]
        return {"transferred": found, "transfer_queried": found}

    def rightly_signed(self, reader, content):
        from adapters.sandbox.wechat_orders import Desk

        street = Street("wechat")
        return Desk(street.private, street.table, street.state, NOW, "").signed(200, content)

    def forged(self, reply):
        kept = tuple(pair for pair in reply.headers if pair[0].lower() != "wechatpay-signature")
        signature = reply.header("Wechatpay-Signature")
        return (
            replace(reply, headers=kept),
            replace(reply, headers=(*kept, ("Wechatpay-Signature", spoiled(signature)))),
            replace(reply, body=reply.body + b" "),
        )

    def declining(self, reader, code):
        from adapters.sandbox.wechat_orders import failing

        return failing(404 if code == "NOT_FOUND" else 400, code)

    def refusals(self):
        return {
            "PARAM_ERROR": "declined",
            "INVALID_REQUEST": "declined",
            "NO_AUTH": "permission",
            "USER_ERROR": "permission",
            "NOT_ENOUGH": "balance",
        }

    def not_found(self):
        return "NOT_FOUND"

    def test_another_merchants_transfer_is_not_ours(self):
        content = {**self.answers()["transfer_queried"][5], "mch_id": "1900000001"}
        with pytest.raises(CallUnknown):
            self.read("transfer_queried", self.rightly_signed("transfer_queried", content))

    def test_the_page_of_the_payee_is_given_what_it_needs(self):
        keys = self.keys()
        assert wechat.confirm(keys, PACKAGE) == {"mchId": keys.mch_id, "appId": keys.app_id, "package": PACKAGE}


class TestAlipay(TransferConformance):
    wallet = alipay

    def keys(self):
        return loaded("alipay", ())

    def signing_in_keys(self):
        return loaded("alipay", ("app_certificate", "root_certificate"))

    def now(self):
        return NOW

    def transfer(self):
        return Street("alipay").wanted()

    def answers(self):
        facts = {"code": "10000", "msg": "Success", "out_biz_no": NUMBER, "order_id": "1"}
        states = (
            {"status": "SUCCESS"},
            {"status": "DEALING"},
            {"status": "WAIT_PAY"},
            {"status": "FAIL", "error_code": "PAYEE_NOT_EXIST"},
            {"status": "FAIL", "error_code": "A_NEW_WORD"},
            {"status": "FAIL"},
            {"status": "CLOSED"},
            {"status": "REFUND"},
        )
        return {reader: [{**facts, **state} for state in states] for reader in ("transferred", "transfer_queried")}

    def standings(self):
        found = [
            TransferStanding("done", detail="SUCCESS"),
            TransferStanding("accepted", detail="DEALING"),
            TransferStanding("accepted", detail="WAIT_PAY"),
            TransferStanding("failed", fault="account", detail="PAYEE_NOT_EXIST"),
            TransferStanding("failed", fault="declined", detail="A_NEW_WORD"),
            *(TransferStanding("failed", fault="declined", detail=status) for status in ("FAIL", "CLOSED", "REFUND")),
        ]
        return {"transferred": found, "transfer_queried": found}

    def rightly_signed(self, reader, content, *, sign=None):
        _, private, _ = tables("alipay")
        key = rsa.load_private_key(private["private_key"])
        name = {"transferred": "uni_transfer", "transfer_queried": "common_query"}[reader]
        inner = json.dumps(content, ensure_ascii=False)
        sign = sign or base64.b64encode(rsa.sign_sha256(key, inner.encode())).decode()
        return Reply(200, (), f'{{"alipay_fund_trans_{name}_response":{inner},"sign":"{sign}"}}'.encode())

    def forged(self, reply):
        told = json.loads(reply.body)
        sign = told.pop("sign")
        return (
            replace(reply, body=json.dumps(told).encode()),
            replace(reply, body=reply.body.replace(sign.encode(), spoiled(sign).encode())),
            replace(reply, body=reply.body.replace(NUMBER.encode(), b"1")),
        )

    def declining(self, reader, code):
        gate = "40002" if code.startswith("isv.") else "40004"
        return self.rightly_signed(reader, {"code": gate, "msg": "no", "sub_code": code})

    def refusals(self):
        return {
            "PAYER_BALANCE_NOT_ENOUGH": "balance",
            "PAYEE_NOT_EXIST": "account",
            "PAYEE_USER_INFO_ERROR": "name",
            "PERMIT_CHECK_PERM_LIMITED": "permission",
            "isv.missing-app-cert-sn": "permission",
        }

    def not_found(self):
        return "ORDER_NOT_EXIST"

    def test_nobody_has_to_tap(self):
        assert alipay.confirm(self.keys(), "") == {}


# -- before the twins ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=["wechat", "alipay"])
def street(request):
    return Street(request.param)


def test_a_transfer_is_sent_once_however_often_it_is_sent(street):
    """R114: under one number nothing goes twice."""
    first = street.transfer()
    assert street.transfer() == first
    assert [key for kind, key in street.state.kept if kind == "transfer"] == [NUMBER]


def test_other_facts_under_a_used_number_are_declined(street):
    street.transfer()
    try:
        found = street.transfer(fen=881)
    except CallUnknown:
        found = None
    assert found is None or found.state == "failed"
    assert street.query_transfer().state in ("done", "confirms")


def test_a_number_that_was_never_sent_is_not_found(street):
    assert street.query_transfer() == TransferStanding("not_found")


@pytest.mark.parametrize(
    ("slug", "fault"),
    [("wechat", "SYSTEM_ERROR"), ("wechat", "drop"), ("alipay", "isp.unknow-error"), ("alipay", "drop")],
)
def test_an_unknown_end_was_sent_all_the_same(slug, fault):
    """R114: asking tells; sending again would have changed nothing."""
    street = Street(slug)
    street.arm("transfer", fault)
    with pytest.raises(CallUnknown):
        street.transfer()
    assert street.query_transfer().state in ("done", "confirms")


def test_the_payee_confirms_at_wechat():
    street = Street("wechat")
    standing = street.transfer()
    assert standing.state == "confirms"
    other = json.loads(street.pay(standing.handle, openid="somebody-else").reply.body)
    assert other == {"err_msg": "requestMerchantTransfer:fail"}
    assert street.query_transfer().state == "confirms"
    street.arm("pay", "cancel")
    assert json.loads(street.pay(standing.handle).reply.body) == {"err_msg": "requestMerchantTransfer:cancel"}
    assert json.loads(street.pay(standing.handle, OPENID).reply.body) == {"err_msg": "requestMerchantTransfer:ok"}
    assert street.query_transfer() == TransferStanding("done", detail="SUCCESS")
    assert json.loads(street.pay(standing.handle).reply.body) == {"err_msg": "requestMerchantTransfer:fail"}
    assert not street.events


def test_a_day_later_the_transfer_is_closed():
    street = Street("wechat")
    handle = street.transfer().handle
    street.now = NOW + timedelta(hours=23, minutes=59)
    assert street.query_transfer().state == "confirms"
    street.now = NOW + timedelta(hours=24)
    assert street.query_transfer() == TransferStanding("failed", fault="expired", detail="OVERDUE_CLOSE")
    assert json.loads(street.pay(handle).reply.body) == {"err_msg": "requestMerchantTransfer:fail"}


def test_what_was_accepted_waits_for_its_payee_by_the_next_look():
    street = Street("wechat")
    street.arm("transfer", "ACCEPTED")
    assert street.transfer() == TransferStanding("accepted", detail="ACCEPTED")
    assert street.query_transfer().state == "confirms"


def test_the_scene_is_one_that_is_known():
    keys, _, table = tables("wechat")
    for scene in ("1005", "", "1000 ", 1000, ["1000"], "x" * 99):
        try:
            made = wechat.load({**table, "transfer_scene": scene}, keys)
        except BadConfig as refused:
            assert [path for path, _ in refused.faults] == ["transfer_scene"]
        else:
            assert made.transfer_scene == "1000"


def test_a_service_provider_sends_nothing():
    _, _, table = tables("wechat")
    partner = {**table, "sp_mchid": table["mchid"], "sp_appid": table["appid"], "sub_mchid": "1900000109"}
    partner.pop("mchid")
    made = wechat.load(partner, {})
    assert not wechat.can_transfer(made)


def test_the_twin_takes_only_what_wechat_would(monkeypatch):
    from adapters.wechat_v3.wallet.calls import signed_call

    street = Street("wechat")
    right = json.loads(wechat.transfer(street.keys, street.wanted(), NOW, NONCE).body)
    for change in (
        {"transfer_amount": 9},
        {"transfer_amount": "880"},
        {"out_bill_no": "with-a-dash"},
        {"out_bill_no": "x" * 33},
        {"appid": "wxother"},
        {"openid": ""},
        {"transfer_remark": "长" * 33},
        {"transfer_scene_id": "1001"},
        {"transfer_scene_report_infos": right["transfer_scene_report_infos"][:1]},
        {"transfer_scene_report_infos": "x"},
        {"stranger": 1},
    ):
        path = "/v3/fund-app/mch-transfer/transfer-bills"
        assert street.carry(signed_call(street.keys, "POST", path, {**right, **change}, NOW, NONCE)).status == 400
    assert street.query_transfer().state == "not_found"
