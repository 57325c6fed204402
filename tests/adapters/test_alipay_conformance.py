"""The Alipay adapter under the conformance kit (R001 R002 R003 R006 R009 R015 R016 R017)."""

import base64
from datetime import datetime, timezone
from urllib.parse import quote_plus

import pytest
from alipay_sender import FIELDS, encoded, private_key, raw, send, table, with_body

from adapters.alipay import adapter
from adapters.conformance import AdapterConformance
from crypto import rsa
from gateway.contract import Ack, BadSignature, Malformed, Payer, PaymentEvent, RefundEvent

APP_KEY = rsa.new_private_key()
TEXT = (("Content-Type", "text/plain; charset=utf-8"),)
PAYMENT = PaymentEvent(
    provider="alipay",
    mch_id="2088531891668739",
    sub_mch_id=None,
    transaction_id="2026030122001468450512505578",
    out_trade_no="till-7/42",
    payers=(
        Payer("2021000000000001", "alipay_open_id", FIELDS["buyer_open_id"]),
        Payer("2021000000000001", "alipay_user_id", FIELDS["buyer_id"]),
    ),
    amount_fen=1280,
    payer_total_fen=1230,
    currency="CNY",
    paid_at=datetime(2026, 3, 1, 4, 0, tzinfo=timezone.utc),
    trade_type=None,
    device_id=None,
    store_id=None,
    attach="table=7",
    event_id="2026030100222120000068450559358070",
)


class TestAlipay(AdapterConformance):
    adapter = adapter

    def keys_table(self):
        return table(aes_key=base64.b64encode(bytes(range(16))).decode(), app_private_key=APP_KEY)

    def foreign_keys_table(self):
        return table(app_id="2021000000000002")

    def genuine(self):
        return send()

    def expected(self):
        return PAYMENT

    def refund(self):
        return send(gmt_refund="2026-03-02 09:00:00.120", refund_fee="2.80", out_biz_no="back-1")

    def expected_refund(self):
        return RefundEvent(
            provider="alipay",
            mch_id=PAYMENT.mch_id,
            sub_mch_id=None,
            transaction_id=PAYMENT.transaction_id,
            out_trade_no=PAYMENT.out_trade_no,
            refund_id="back-1",
            refund_fen=280,
            refunded_total_fen=None,
            refunded_at=datetime(2026, 3, 2, 1, 0, 0, 120_000, tzinfo=timezone.utc),
            event_id=PAYMENT.event_id,
        )

    def with_amount(self, amount):
        # Everything is text here: these texts are right amounts in yuan, and a list is no text at all.
        text = str(amount)
        return None if text in {"1.5", "100.0"} or isinstance(amount, list) else send(total_amount=text)

    def signed_parts(self, raw):
        """Values without escapes: `%2f` for `%2F` would be the same value written otherwise."""
        for name in ("total_amount", "trade_no", "seller_id", "app_id", "trade_status", "buyer_open_id"):
            start = raw.body.index(f"&{name}=".encode()) + len(name) + 2
            end = raw.body.find(b"&", start)
            yield slice(start, len(raw.body) if end < 0 else end)

    def acks(self):
        return {
            "accepted": Ack(200, TEXT, b"success"),
            "refused": Ack(200, TEXT, b"fail"),
            "try_later": Ack(503, TEXT, b"fail"),
        }

    def refusals(self):
        genuine = self.genuine()
        yield "another's key", send(key=private_key("stranger")), BadSignature
        yield "a downgrade", send(sign_type="RSA"), BadSignature
        yield "doubled", raw(genuine.body + b"&total_amount=0.01"), Malformed
        yield "tampered", with_body(genuine, b"total_amount=12.80", b"total_amount=12.81"), BadSignature

    def rightly_signed(self, content):
        """`content` as the subject: bytes of any kind under a good signature."""
        fields = {**FIELDS, "sign_type": "RSA2"}
        ordered = [(name, value.encode()) for name, value in fields.items() if name != "subject"]
        signed = sorted([*ordered, ("subject", content)])
        text = b"&".join(name.encode() + b"=" + value for name, value in signed if name != "sign_type")
        sign = base64.b64encode(rsa.sign_sha256(private_key(), text)).decode()
        body = encoded([*((name, value.decode()) for name, value in ordered), ("sign", sign)])
        return raw(body + b"&subject=" + quote_plus(content).encode())

    def test_contents_of_no_shape_are_refused_though_signed(self):
        """A form has no single content: whatever the subject holds, the payment stands, unless it is in no charset."""
        keys = self.keys()
        for content in (b"", b"{}", b"[" * 3000, b"1&2=3", b"\r\n"):
            assert adapter.parse(self.rightly_signed(content), keys, self.now()) == PAYMENT, content
        for content in (b"\0", b"\x01", b"\xff\xfe", b"\xc3\x28"):
            with pytest.raises(Malformed):
                adapter.parse(self.rightly_signed(content), keys, self.now())
