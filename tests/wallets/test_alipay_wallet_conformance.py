"""The kit against Alipay's wallet; the replies are the twin's, the forgeries our own."""

import base64
import json
from dataclasses import replace

from adapters.alipay.wallet import wallet
from adapters.conformance import WalletConformance
from adapters.sandbox.made import signer
from crypto import rsa
from gateway.contract.wallet import Reply
from tests.wallets.support import NOW, OPENID, Street, tables


def spoken_by(private, node, told):
    inner = json.dumps(told, ensure_ascii=False)
    sign = base64.b64encode(rsa.sign_sha256(signer(private["private_key"]), inner.encode())).decode()
    return Reply(200, (), f'{{"{node}": {inner} , "sign" : "{sign}"}}'.encode())


class TestAlipayWallet(WalletConformance):
    wallet = wallet

    def tables(self):
        keys, _, table = tables("alipay")
        return table, keys

    def now(self):
        return NOW

    def purchase(self):
        return Street("alipay").purchase()

    def give_back(self):
        return Street("alipay").give_back()

    def replies(self):
        street, spoken = Street("alipay"), {}
        keys, wallet_, now, nonce = street.keys, street.wallet, NOW, ""
        code = street.browse()["auth_code"]
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
        street = Street("alipay")
        handle = street.paid()
        return {
            "identity": (street.payer,),
            "prepaid": handle,
            "queried": street.query(),
            "closed": "closed",
            "refunded": "done",
            "refund_queried": "done",
        }

    def declining(self, code):
        told = {"code": "40004", "msg": "Business Failed", "sub_code": code, "sub_msg": f"no {OPENID}"}
        return spoken_by(tables("alipay")[1], "error_response", told)

    def final(self):
        return {
            "prepaid": ("ACQ.BUYER_NOT_EXIST", "ACQ.CONTEXT_INCONSISTENT", "ACQ.TRADE_HAS_CLOSE"),
            "refunded": ("ACQ.SELLER_BALANCE_NOT_ENOUGH", "ACQ.TRADE_NOT_EXIST"),
        }

    def forged(self, reply):
        told = json.loads(reply.body)
        node = next(name for name in told if name.endswith("_response"))
        inner, tail = reply.body.split(b',"sign":')
        stranger = spoken_by({"private_key": STRANGER}, node, told[node])
        return [
            stranger,
            replace(reply, body=inner + b"}"),
            replace(reply, body=inner + b',"sign":""}'),
            replace(reply, body=inner + b',"sign":"not base64"}'),
            replace(reply, body=inner + b',"sign":7}'),
            replace(reply, body=inner + b',"sign":' + tail[:-1] + b',"sign":' + tail),
            # The same object, written anew: only the bytes that came were signed.
            replace(reply, body=json.dumps(told, indent=1).encode()),
            # A second answer beside the signed one.
            replace(reply, body=reply.body.replace(b"{", b'{"' + node.encode() + b'":{"code":"10000"},', 1)),
        ]

    def content(self, reader):
        (told,) = [value for name, value in json.loads(self.replies()[reader].body).items() if name != "sign"]
        return told

    def rightly_signed(self, reader, told):
        return spoken_by(tables("alipay")[1], NODES[reader], told)

    def back(self):
        query = Street("alipay").browse()
        return query, query["auth_code"]


NODES = {
    "identity": "alipay_system_oauth_token_response",
    "prepaid": "alipay_trade_create_response",
    "queried": "alipay_trade_query_response",
    "closed": "alipay_trade_close_response",
    "refunded": "alipay_trade_refund_response",
    "refund_queried": "alipay_trade_fastpay_refund_query_response",
}
STRANGER = rsa.new_private_key()
