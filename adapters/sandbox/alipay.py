"""Alipay's side: payment and refund notifications as signed forms.

Fields: the list in smartwalle/alipay `notify_type.go`; the signing rule is v1 (everything but `sign` and `sign_type`,
sorted by name, values as bytes of the charset).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote_plus

from adapters.sandbox.made import beijing, derived, random_digits, signer
from crypto import rsa
from gateway.contract import RawNotification, SandboxOrder, SandboxRefund
from gateway.contract.ids import system_random
from gateway.contract.money import yuan_of_fen

_CLOCK: Final = "%Y-%m-%d %H:%M:%S"
_SIGN: Final = {"RSA2": rsa.sign_sha256, "RSA": rsa.sign_sha1}
_USER_ID: Final = re.compile(r"2088[0-9]{12}\Z")
"""An old user id, as Alipay numbers them; anything else is told as an open id."""


class AlipayPlatform:
    """The platform, sending in `charset` (utf-8, gbk or gb2312)."""

    slug: Final = "alipay"

    def __init__(self, charset: str = "utf-8") -> None:
        self._charset = charset

    def new_keys(self) -> tuple[Mapping[str, str], Mapping[str, Any]]:
        """(`private_key`), and the `keys` table that trusts it; fresh each time."""
        pem = rsa.new_private_key()
        keys = {
            "app_id": "9021" + random_digits(12, system_random),
            "seller_id": "2088" + random_digits(12, system_random),
            "public_keys": [rsa.public_pem(signer(pem))],
            "sign_type": "RSA2",
        }
        return {"private_key": pem}, keys

    def payment(self, private: Mapping[str, str], keys: Mapping[str, Any], order: SandboxOrder) -> RawNotification:
        """TRADE_SUCCESS, for the app and seller and by the `sign_type` that `keys` names."""
        return self._notification(private, keys, order, {**_trade(order), "trade_status": "TRADE_SUCCESS"})

    def refund(self, private: Mapping[str, str], keys: Mapping[str, Any], refund: SandboxRefund) -> RawNotification:
        """One refund: the trade stays TRADE_SUCCESS until all of it is given back, then it is TRADE_CLOSED."""
        whole = refund.refunded_total_fen >= refund.order.amount_fen
        told = {
            **_trade(refund.order),
            "trade_status": "TRADE_CLOSED" if whole else "TRADE_SUCCESS",
            "out_biz_no": refund.refund_id,
            "refund_fee": yuan_of_fen(refund.refund_fen),
            "gmt_refund": beijing(refund.refunded_at, f"{_CLOCK}.%f")[:-3],
        }
        return self._notification(private, keys, refund, told)

    def _notification(
        self,
        private: Mapping[str, str],
        keys: Mapping[str, Any],
        made: SandboxOrder | SandboxRefund,
        told: Mapping[str, str],
    ) -> RawNotification:
        sign_type = str(keys.get("sign_type", "RSA2"))
        fields = {
            "notify_time": beijing(made.sent_at, _CLOCK),
            "notify_type": "trade_status_sync",
            "notify_id": beijing(made.sent_at, "%Y%m%d00222%H%M%S") + derived(15, "notify", made.nonce),
            "app_id": str(keys["app_id"]),
            "auth_app_id": str(keys["app_id"]),
            "charset": self._charset,
            "version": "1.0",
            "seller_id": str(keys["seller_id"]),
            **told,
        }
        if "seller_email" in keys:
            fields["seller_email"] = str(keys["seller_email"])
        text = "&".join(f"{name}={fields[name]}" for name in sorted(fields)).encode(self._charset)
        signature = _SIGN[sign_type](signer(private["private_key"]), text)
        fields |= {"sign_type": sign_type, "sign": base64.b64encode(signature).decode("ascii")}
        body = "&".join(f"{name}={quote_plus(value.encode(self._charset))}" for name, value in fields.items())
        headers = (("Content-Type", f"application/x-www-form-urlencoded; charset={self._charset}"),)
        return RawNotification("POST", "", headers, body.encode("ascii"), made.sent_at)


def _trade(order: SandboxOrder) -> dict[str, str]:
    amount = yuan_of_fen(order.amount_fen)
    told = {
        "trade_no": order.transaction_id,
        "out_trade_no": order.out_trade_no,
        "subject": "沙箱收银",
        "body": "",
        "total_amount": amount,
        "receipt_amount": amount,
        "invoice_amount": amount,
        "buyer_pay_amount": amount,
        "point_amount": "0.00",
        "fund_bill_list": f'[{{"amount":"{amount}","fundChannel":"ALIPAYACCOUNT"}}]',
        "gmt_create": beijing(order.paid_at, _CLOCK),
        "gmt_payment": beijing(order.paid_at, _CLOCK),
        "buyer_id" if _USER_ID.match(order.openid) else "buyer_open_id": order.openid,
    }
    if order.attach is not None:
        told["passback_params"] = order.attach
    return told


platform = AlipayPlatform()
