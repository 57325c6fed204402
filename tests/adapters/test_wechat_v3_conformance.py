"""R001-R005, R017: the WeChat Pay v3 adapter holds what every adapter has to hold, in each of its shapes."""

from datetime import datetime, timezone

import wechat_v3_sender as wechat

from adapters.conformance import AdapterConformance
from adapters.wechat_v3 import adapter
from gateway.contract import (
    Ack,
    BadSignature,
    Fen,
    Malformed,
    Payer,
    PaymentEvent,
    RefundEvent,
    SignatureProbe,
    Undecryptable,
    UnknownKey,
)

JSON = (("Content-Type", "application/json"),)


class TestDirect(AdapterConformance):
    adapter = adapter
    serial = wechat.KEY_ID
    signature_headers = ("Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature", "Wechatpay-Serial")

    def keys_table(self):
        return wechat.keys_table()

    def foreign_keys_table(self):
        return wechat.keys_table(mchid="1900000110")

    def genuine(self):
        return wechat.notification()

    def expected(self):
        return PaymentEvent(
            provider="wechat",
            mch_id="1900000109",
            sub_mch_id=None,
            transaction_id="1217752501201407033233368018",
            out_trade_no="1217752501201407033233368018",
            payers=(Payer("wxd678efh567hg6787", "openid", wechat.OPENID),),
            amount_fen=Fen(1280),
            payer_total_fen=Fen(1000),
            currency="CNY",
            paid_at=datetime(2026, 11, 22, 4, 5, 3, tzinfo=timezone.utc),
            trade_type="JSAPI",
            device_id="013467007045764",
            store_id=None,
            attach="till 3",
            event_id="EV-2018022511223320873",
        )

    def with_amount(self, amount):
        told = wechat.TRANSACTION
        total = {} if amount is None else {"total": amount}
        return wechat.notification(
            {**told, "amount": {**wechat.without(told["amount"], "total"), **total}}, serial=self.serial
        )

    def acks(self):
        return {
            "accepted": Ack(200, JSON, '{"code":"SUCCESS","message":"成功"}'.encode()),
            "refused": Ack(401, JSON, '{"code":"FAIL","message":"通知未通过验证"}'.encode()),
            "try_later": Ack(503, JSON, '{"code":"FAIL","message":"请稍后重试"}'.encode()),
        }

    def refund(self):
        return wechat.notification(
            wechat.REFUND,
            event_type="REFUND.SUCCESS",
            original_type="refund",
            aad="refund",
            event_id="EV-R1",
            serial=self.serial,
        )

    def expected_refund(self):
        return RefundEvent(
            provider="wechat",
            mch_id="1900000109",
            sub_mch_id=None,
            transaction_id="1217752501201407033233368018",
            out_trade_no="1217752501201407033233368018",
            refund_id="50200207182018070300011301001",
            refund_fen=Fen(300),
            refunded_total_fen=None,
            refunded_at=datetime(2026, 11, 23, 4, 0, 0, tzinfo=timezone.utc),
            event_id="EV-R1",
        )

    def rightly_signed(self, content):
        return wechat.notification(content, serial=self.serial)

    def refusals(self):
        body, named = wechat.body_of(), {"serial": self.serial}
        yield "unknown key id", wechat.signed(body, serial="PUB_KEY_ID_0000000000000000"), UnknownKey
        yield "unknown serial", wechat.signed(body, serial="5DEA10EF55877E3CF6C33255C2E7DEFFF7E42700"), UnknownKey
        yield "another's signature", wechat.signed(body, key=wechat.stranger(), **named), BadSignature
        yield "probe", wechat.signed(body, wechatpay_signature="WECHATPAY/SIGNTEST/abc$%", **named), SignatureProbe
        yield "another algorithm", wechat.signed(body, wechatpay_signature_type="SM2-WITH-SM3", **named), BadSignature
        yield "wrong APIv3 key", wechat.notification(key="0" * 32, **named), Undecryptable
        yield "no JSON", wechat.signed(b"<xml/>", **named), Malformed


class TestPartner(TestDirect):
    """The service provider's shape: two openids of the one payer, each under its appid (R007)."""

    def keys_table(self):
        return wechat.partner_table()

    def foreign_keys_table(self):
        return wechat.partner_table(sub_mchid="1900000120")

    def genuine(self):
        return wechat.notification(wechat.PARTNER)

    def expected(self):
        direct = super().expected()
        return PaymentEvent(
            **{
                **{name: getattr(direct, name) for name in direct.__slots__},
                "mch_id": "1230000109",
                "sub_mch_id": "1900000119",
                "payers": (
                    Payer("wx8888888888888888", "openid", "oSp-" + wechat.OPENID),
                    Payer("wxsub0000000000001", "openid", "oSub-" + wechat.OPENID),
                ),
            }
        )

    def with_amount(self, amount):
        return wechat.notification({**wechat.PARTNER, "amount": {"total": amount}})

    def refund(self):
        told = {**wechat.without(wechat.REFUND, "mchid"), "sp_mchid": "1230000109", "sub_mchid": "1900000119"}
        return wechat.notification(told, event_type="REFUND.SUCCESS", event_id="EV-R1")

    def expected_refund(self):
        direct = super().expected_refund()
        return RefundEvent(
            **{
                **{name: getattr(direct, name) for name in direct.__slots__},
                "mch_id": "1230000109",
                "sub_mch_id": "1900000119",
            }
        )


class TestCertificate(TestDirect):
    """Signed under a platform certificate's serial instead of a public key's id."""

    serial = "5DEA10EF55877E3CF6C33255C2E7DEFFF7E427EC"

    def keys_table(self):
        return wechat.keys_table(public_keys=None, certificates=[wechat.certificate()])

    def foreign_keys_table(self):
        return {**self.keys_table(), "appid": "wx0000000000000000"}

    def genuine(self):
        return wechat.notification(serial=self.serial)
