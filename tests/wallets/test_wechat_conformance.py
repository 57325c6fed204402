"""The kit against WeChat's wallet; the replies are the twin's, the forgeries our own."""

import json
from dataclasses import replace
from datetime import timedelta

from adapters.conformance import WalletConformance
from adapters.sandbox.wechat_orders import Desk
from adapters.wechat_v3.wallet import wallet
from gateway.contract.wallet import Reply
from tests.wallets.support import NOW, OPENID, Street, tables


def with_header(reply, name, value):
    return replace(reply, headers=tuple((key, value if key == name else old) for key, old in reply.headers))


def signed_by_platform(told):
    """Any object, rightly signed by the twin's key."""
    _, private, table = tables("wechat")
    return Desk(private, table, Street("wechat").state, NOW, "").signed(200, told)


class TestWechatWallet(WalletConformance):
    wallet = wallet

    def tables(self):
        keys, _, table = tables("wechat")
        return table, keys

    def now(self):
        return NOW

    def purchase(self):
        return Street("wechat").purchase()

    def give_back(self):
        return Street("wechat").give_back()

    def replies(self):
        street, spoken = Street("wechat"), {}
        keys, wallet_, now, nonce = street.keys, street.wallet, NOW, "n" * 32
        code = street.browse()["code"]
        spoken["identity"] = street.carry(wallet_.exchange(keys, code, now, nonce))
        spoken["prepaid"] = street.carry(wallet_.prepay(keys, street.purchase(), now, nonce))
        street.pay(street.prepay())
        spoken["queried"] = street.carry(wallet_.query(keys, street.purchase().out_trade_no, now, nonce))
        street.prepay(number="D000002")
        spoken["closed"] = street.carry(wallet_.close(keys, "D000002", now, nonce))
        spoken["refunded"] = street.carry(wallet_.refund(keys, street.give_back(), now, nonce))
        spoken["refund_queried"] = street.carry(wallet_.query_refund(keys, street.give_back(), now, nonce))
        return spoken

    def expected(self):
        street = Street("wechat")
        handle = street.paid()
        return {
            "identity": (street.payer,),
            "prepaid": handle,
            "queried": street.query(),
            "closed": "closed",
            "refunded": "pending",
            "refund_queried": "done",
        }

    def declining(self, code):
        body = json.dumps({"code": code, "message": f"no {OPENID}"}).encode()
        return Reply(400, (("Content-Type", "application/json"), ("Request-ID", "08F78BC7-268435456")), body)

    def final(self):
        return {
            "prepaid": ("PARAM_ERROR", "INVALID_REQUEST", "SIGN_ERROR", "NO_AUTH", "OUT_TRADE_NO_USED"),
            "refunded": ("USER_ACCOUNT_ABNORMAL", "NOT_ENOUGH", "INVALID_REQUEST", "NO_AUTH", "RESOURCE_NOT_EXISTS"),
        }

    def forged(self, reply):
        if reply.header("Wechatpay-Signature") is None:  # the sign-in's host signs nothing
            return ()
        signature = reply.header("Wechatpay-Signature")
        old = str(int((NOW - timedelta(seconds=300)).timestamp()))
        without = [
            replace(reply, headers=tuple(pair for pair in reply.headers if pair[0] != name))
            for name in ("Wechatpay-Signature", "Wechatpay-Serial", "Wechatpay-Nonce", "Wechatpay-Timestamp")
        ]
        return [
            *without,
            with_header(reply, "Wechatpay-Signature", ("A" if signature[0] != "A" else "B") + signature[1:]),
            with_header(reply, "Wechatpay-Signature", f"WECHATPAY/SIGNTEST/{signature}"),
            with_header(reply, "Wechatpay-Signature", ""),
            with_header(reply, "Wechatpay-Serial", "PUB_KEY_ID_0000000000000000000000000000000000"),
            with_header(reply, "Wechatpay-Timestamp", old),
            with_header(reply, "Wechatpay-Signature-Type", "WECHATPAY2-SM2-WITH-SM3"),
            replace(reply, headers=(*reply.headers, ("wechatpay-serial", "x"))),
            replace(reply, body=reply.body + b" "),
        ]

    def content(self, reader):
        body = self.replies()[reader].body
        return json.loads(body) if body else {}

    def rightly_signed(self, reader, told):
        if reader == "identity":
            return Reply(200, (), json.dumps(told).encode())
        return signed_by_platform(told)

    def back(self):
        query = Street("wechat").browse()
        return query, query["code"]
