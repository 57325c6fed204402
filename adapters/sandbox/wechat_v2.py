"""WeChat Pay APIv2's side: payment notices signed with the shared API key, refund notices encrypted under it.

Shapes: `wechatpay-im/website` `webhook/v2/transaction-success.md` and `webhook/v2/refund-processed.md`. The refund
envelope is not signed at all: its cipher key is the lower-case MD5 of the API key, and that is the only proof.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from adapters.sandbox.made import beijing, derived, newest, random_digits, random_word, sub_merchant
from crypto.legacy import ecb_encrypt, md5_hex
from crypto.mac import hmac_sha256
from gateway.contract import RawNotification, SandboxOrder, SandboxRefund
from gateway.contract.ids import system_random

_NUMBERS: Final = frozenset({"total_fee", "cash_fee", "refund_fee", "settlement_refund_fee", "settlement_total_fee"})
_HEADERS: Final = (("Content-Type", "text/xml"),)


class WeChatV2Platform:
    """The platform. Its only secret is the API key, which the merchant holds as well."""

    slug: Final = "wechat_v2"

    def new_keys(self) -> tuple[Mapping[str, str], Mapping[str, Any]]:
        """(`api_key`), and the `keys` table of a direct merchant who shares it; fresh each time."""
        api_key = random_word(32, system_random)
        keys = {
            "mchid": "12" + random_digits(8, system_random),
            "appid": "wx" + random_word(16, system_random),
            "api_key": api_key,
            "sign_type": "MD5",
        }
        return {"api_key": api_key}, keys

    def payment(self, private: Mapping[str, str], keys: Mapping[str, Any], order: SandboxOrder) -> RawNotification:
        """A successful JSAPI payment, signed by the table's `sign_type` (MD5 where absent) under the table's key."""
        told = {
            **_merchant(keys),
            "nonce_str": derived(32, "payment", order.nonce),
            "return_code": "SUCCESS",
            "result_code": "SUCCESS",
            "openid": order.openid,
            "is_subscribe": "N",
            "trade_type": "JSAPI",
            "bank_type": "OTHERS",
            "total_fee": str(order.amount_fen),
            "cash_fee": str(order.amount_fen),
            "fee_type": "CNY",
            "transaction_id": order.transaction_id,
            "out_trade_no": order.out_trade_no,
            "time_end": beijing(order.paid_at, "%Y%m%d%H%M%S"),
            "attach": order.attach or "",
            "device_info": order.device_id or "",
        }
        if "sub_appid" in keys:
            told |= {"sub_openid": order.openid, "sub_is_subscribe": "N"}
        told = {name: value for name, value in told.items() if value}
        told["sign"] = _sign(told, _api_key(private, keys), str(keys.get("sign_type", "MD5")))
        return RawNotification("POST", "", _HEADERS, _xml("xml", told), order.sent_at)

    def refund(self, private: Mapping[str, str], keys: Mapping[str, Any], refund: SandboxRefund) -> RawNotification:
        """A successful refund: what it tells is inside `req_info`, encrypted."""
        order = refund.order
        inner = {
            "out_refund_no": f"R{refund.refund_id}",
            "out_trade_no": order.out_trade_no,
            "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS",
            "refund_fee": str(refund.refund_fen),
            "refund_id": refund.refund_id,
            "refund_recv_accout": "支付用户零钱",  # spelt so by the platform
            "refund_request_source": "API",
            "refund_status": "SUCCESS",
            "settlement_refund_fee": str(refund.refund_fen),
            "settlement_total_fee": str(order.amount_fen),
            "success_time": beijing(refund.refunded_at, "%Y-%m-%d %H:%M:%S"),
            "total_fee": str(order.amount_fen),
            "transaction_id": order.transaction_id,
        }
        cipher_key = md5_hex(_api_key(private, keys).encode()).encode()
        told = {
            "return_code": "SUCCESS",
            **_merchant(keys),
            "nonce_str": derived(32, "refund", refund.nonce),
            "req_info": base64.b64encode(ecb_encrypt(cipher_key, _xml("root", inner))).decode("ascii"),
        }
        return RawNotification("POST", "", _HEADERS, _xml("xml", told), refund.sent_at)


def _api_key(private: Mapping[str, str], keys: Mapping[str, Any]) -> str:
    """The table's key, which its owner may have changed; the platform's where the table was given without secrets."""
    if "api_key" in keys or "api_keys" in keys:
        return newest(keys, "api_key", "api_keys")
    return private["api_key"]


def _merchant(keys: Mapping[str, Any]) -> dict[str, str]:
    found = {"appid": str(keys["appid"]), "mch_id": str(keys["mchid"])}
    if "sub_appid" in keys:
        found["sub_appid"] = str(keys["sub_appid"])
    sub_mch_id = sub_merchant(keys)
    if sub_mch_id is not None:
        found["sub_mch_id"] = sub_mch_id
    return found


def _sign(told: Mapping[str, str], api_key: str, sign_type: str) -> str:
    """Sorted by name, `k=v` joined by `&`, the key at the end; MD5 or HMAC-SHA256 in upper-case hexadecimal."""
    text = "&".join(f"{name}={told[name]}" for name in sorted(told)) + f"&key={api_key}"
    if sign_type == "HMAC-SHA256":
        return hmac_sha256(api_key.encode(), text.encode()).hex().upper()
    return md5_hex(text.encode()).upper()


def _xml(root: str, told: Mapping[str, str]) -> bytes:
    """Numbers bare, everything else in CDATA, as the platform writes it. Raises ValueError for what XML cannot hold."""
    lines = []
    for name, value in told.items():
        if any(character < " " and character not in "\t\n" for character in value):
            raise ValueError(f"{name} holds a control character")
        held = value if name in _NUMBERS else f"<![CDATA[{value.replace(']]>', ']]]]><![CDATA[>')}]]>"
        lines.append(f"<{name}>{held}</{name}>")
    return f"<{root}>{''.join(lines)}</{root}>".encode()


platform = WeChatV2Platform()
