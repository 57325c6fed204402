"""R001, R002, R003, R017: the WeChat Pay v2 adapter holds what every adapter has to hold, under each signature."""

from datetime import datetime, timezone

import wechat_v2_sender as wechat

from adapters.conformance import AdapterConformance
from adapters.wechat_v2 import adapter
from gateway.contract import Ack, BadSignature, Fen, Malformed, Payer, PaymentEvent, RefundEvent

XML = (("Content-Type", "text/xml; charset=utf-8"),)


def answer(code, message):
    return f"<xml><return_code><![CDATA[{code}]]></return_code><return_msg><![CDATA[{message}]]></return_msg></xml>".encode()


class TestMd5(AdapterConformance):
    adapter = adapter
    kind = "MD5"

    def keys_table(self):
        return wechat.keys_table()

    def foreign_keys_table(self):
        return wechat.keys_table(mchid="10000101")

    def genuine(self):
        return wechat.notification(kind=self.kind)

    def expected(self):
        return PaymentEvent(
            provider="wechat",
            mch_id="10000100",
            sub_mch_id=None,
            transaction_id="1004400740201409030005092168",
            out_trade_no="1409811653",
            payers=(Payer("wx2421b1c4370ec43b", "openid", wechat.OPENID),),
            amount_fen=Fen(1280),
            payer_total_fen=Fen(1000),
            currency="CNY",
            paid_at=datetime(2026, 11, 22, 4, 5, 3, tzinfo=timezone.utc),
            trade_type="JSAPI",
            device_id="013467007045764",
            store_id=None,
            attach="支付测试",
            event_id="payment:1004400740201409030005092168",
        )

    def signed_parts(self, raw):
        """The values: the mark-up around them is not signed."""
        for value in wechat.PAYMENT.values():
            start = raw.body.index(b"[" + value.encode() + b"]") + 1
            yield slice(start, start + len(value.encode()))
        start = raw.body.index(b"<sign><![CDATA[") + len("<sign><![CDATA[")
        yield slice(start, raw.body.index(b"]]></sign>"))

    def with_amount(self, amount):
        if isinstance(amount, (bool, list)):
            return None
        return wechat.notification(kind=self.kind, total_fee=amount if amount is None else str(amount))

    def acks(self):
        return {
            "accepted": Ack(200, XML, answer("SUCCESS", "OK")),
            "refused": Ack(200, XML, answer("FAIL", "签名失败")),
            "try_later": Ack(503, XML, answer("FAIL", "请稍后重试")),
        }

    def refund(self):
        return wechat.refund()

    def expected_refund(self):
        return RefundEvent(
            provider="wechat",
            mch_id="10000100",
            sub_mch_id=None,
            transaction_id="1004400740201409030005092168",
            out_trade_no="71106718111915575302817",
            refund_id="50000408942018111907145868882",
            refund_fen=Fen(300),
            refunded_total_fen=None,
            refunded_at=datetime(2026, 11, 23, 4, 0, tzinfo=timezone.utc),
            event_id="refund:50000408942018111907145868882",
        )

    def rightly_signed(self, content):
        """As the encrypted part of a refund: the only bytes that v2 wraps whole."""
        return wechat.refund(plain=content)

    def refusals(self):
        yield "another's key", wechat.notification(key="f" * 32, kind=self.kind), BadSignature
        yield "no signature", wechat.raw(wechat.xml(wechat.PAYMENT)), BadSignature
        yield "an unknown algorithm", wechat.notification(kind=self.kind, sign_type="RSA"), BadSignature
        yield "a DTD", wechat.raw(b"<!DOCTYPE xml><xml/>"), Malformed


class TestHmac(TestMd5):
    kind = "HMAC-SHA256"

    def keys_table(self):
        return wechat.keys_table(sign_type="HMAC-SHA256")
