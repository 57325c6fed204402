r"""WeChat Pay APIv3's side: signed and encrypted notifications of payments and refunds, in public-key mode.

Shapes: wechatpay-go `services/payments/models.go` and `services/partnerpayments/models.go`; refunds as listed in
`wechatpay-im/website` `webhook/v3/REFUND.SUCCESS.md`. Signed text: timestamp, nonce and body, each ended by `\n`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from adapters.sandbox.made import beijing, derived, newest, random_digits, random_word, signer, sub_merchant
from crypto import rsa
from crypto.aead import Aead
from gateway.contract import RawNotification, SandboxOrder, SandboxRefund
from gateway.contract.ids import system_random

RFC3339: Final = "%Y-%m-%dT%H:%M:%S+08:00"
SIGNATURE_TYPE: Final = "WECHATPAY2-SHA256-RSA2048"


class WeChatV3Platform:
    """The platform. In a partner's table (`sp_mchid` …) the payer has one openid under both appids.

    Really they differ; here whoever gives an openid means this payer, whichever appid is asked later.
    """

    slug: Final = "wechat_v3"

    def new_keys(self) -> tuple[Mapping[str, str], Mapping[str, Any]]:
        """(`private_key`, `serial`), and the `keys` table of a direct merchant who trusts them; fresh each time."""
        pem = rsa.new_private_key()
        mchid = "19" + random_digits(8, system_random)
        serial = f"PUB_KEY_ID_01{mchid}{random_digits(22, system_random)}"
        keys = {
            "mchid": mchid,
            "appid": "wx" + random_word(16, system_random),
            "apiv3_key": random_word(32, system_random),
            "public_keys": {serial: rsa.public_pem(signer(pem))},
        }
        return {"private_key": pem, "serial": serial}, keys

    def payment(self, private: Mapping[str, str], keys: Mapping[str, Any], order: SandboxOrder) -> RawNotification:
        """`TRANSACTION.SUCCESS` of a JSAPI payment, for the merchant and under the APIv3 key that `keys` names."""
        told = {
            **_merchant(keys, with_appids=True),
            "out_trade_no": order.out_trade_no,
            "transaction_id": order.transaction_id,
            "trade_type": "JSAPI",
            "trade_state": "SUCCESS",
            "trade_state_desc": "支付成功",
            "bank_type": "OTHERS",
            "attach": order.attach or "",
            "success_time": beijing(order.paid_at, RFC3339),
            "payer": _payer(keys, order.openid),
            "amount": {
                "total": order.amount_fen,
                "payer_total": order.amount_fen,
                "currency": "CNY",
                "payer_currency": "CNY",
            },
        }
        if order.device_id is not None:
            told["scene_info"] = {"device_id": order.device_id}
        return _notification(private, keys, order, "TRANSACTION.SUCCESS", "transaction", "支付成功", told)

    def refund(self, private: Mapping[str, str], keys: Mapping[str, Any], refund: SandboxRefund) -> RawNotification:
        """`REFUND.SUCCESS` of one refund."""
        order = refund.order
        told = {
            **_merchant(keys, with_appids=False),
            "out_trade_no": order.out_trade_no,
            "transaction_id": order.transaction_id,
            "out_refund_no": f"R{refund.refund_id}",
            "refund_id": refund.refund_id,
            "refund_status": "SUCCESS",
            "success_time": beijing(refund.refunded_at, RFC3339),
            "user_received_account": "支付用户零钱",
            "amount": {
                "total": order.amount_fen,
                "refund": refund.refund_fen,
                "payer_total": order.amount_fen,
                "payer_refund": refund.refund_fen,
            },
        }
        return _notification(private, keys, refund, "REFUND.SUCCESS", "refund", "退款成功", told)


def _merchant(keys: Mapping[str, Any], *, with_appids: bool) -> dict[str, Any]:
    if "sp_mchid" not in keys:
        found = {"mchid": keys["mchid"], "appid": keys["appid"]}
    else:
        found = {"sp_mchid": keys["sp_mchid"], "sub_mchid": sub_merchant(keys), "sp_appid": keys["sp_appid"]}
        if "sub_appid" in keys:
            found["sub_appid"] = keys["sub_appid"]
    return {name: value for name, value in found.items() if with_appids or not name.endswith("appid")}


def _payer(keys: Mapping[str, Any], openid: str) -> dict[str, str]:
    if "sp_mchid" not in keys:
        return {"openid": openid}
    return {"sp_openid": openid, "sub_openid": openid} if "sub_appid" in keys else {"sp_openid": openid}


def _notification(
    private: Mapping[str, str],
    keys: Mapping[str, Any],
    made: SandboxOrder | SandboxRefund,
    event_type: str,
    kind: str,
    summary: str,
    told: Mapping[str, Any],
) -> RawNotification:
    plain = _json(told)
    # GCM must never meet two texts under one nonce, so the text decides along: a nonce given twice does no harm.
    seal_nonce = derived(12, "resource", made.nonce, plain.decode())
    sealed = Aead(newest(keys, "apiv3_key", "apiv3_keys").encode()).seal(seal_nonce.encode(), plain, kind.encode())
    body = _json(
        {
            "id": f"EV-{derived(26, 'id', made.nonce, plain.decode())}",
            "create_time": beijing(made.sent_at, RFC3339),
            "resource_type": "encrypt-resource",
            "event_type": event_type,
            "summary": summary,
            "resource": {
                "original_type": kind,
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": base64.b64encode(sealed).decode("ascii"),
                "associated_data": kind,
                "nonce": seal_nonce,
            },
        }
    )
    timestamp = str(int(made.sent_at.timestamp()))
    nonce = derived(32, "header", made.nonce)
    message = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
    signature = rsa.sign_sha256(signer(private["private_key"]), message)
    headers = (
        ("Content-Type", "application/json"),
        ("Request-ID", derived(32, "request", made.nonce).upper()),
        ("Wechatpay-Nonce", nonce),
        ("Wechatpay-Serial", private["serial"]),
        ("Wechatpay-Signature", base64.b64encode(signature).decode("ascii")),
        ("Wechatpay-Signature-Type", SIGNATURE_TYPE),
        ("Wechatpay-Timestamp", timestamp),
    )
    return RawNotification("POST", "", headers, body, made.sent_at)


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


platform = WeChatV3Platform()
