"""The twin's desk for WeChat Pay v3 calls: orders and refunds against what it remembers.

Codes and statuses as in the platform's documents; where these leave a status open, 404 for what is not there, 403 for a
refusal, 400 for the rest.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from adapters.sandbox.made import beijing, derived, signer
from adapters.sandbox.twin import changed, digits, spoiled
from adapters.sandbox.wechat_v3 import RFC3339, SIGNATURE_TYPE
from crypto import rsa
from crypto.errors import SignatureMismatch
from gateway.contract.money import MAX_FEN, Fen
from gateway.contract.wallet import Reply, TwinAnswer, TwinEvent, TwinRequest, TwinState

_WINDOW_S: Final = 300
_PARAMS: Final = re.compile(r'([a-z_]+)="([^"]*)"')
_SCHEME: Final = "WECHATPAY2-SHA256-RSA2048 "
_NUMBER: Final = re.compile(r"[0-9A-Za-z_*-]{6,32}\Z", re.ASCII)
_REFUND_NUMBER: Final = re.compile(r"[0-9A-Za-z_*|@-]{1,64}\Z", re.ASCII)
_ORDER_NAMES: Final = {"description", "out_trade_no", "notify_url", "amount", "payer"}
_ORDER_MAY: Final = {"time_expire", "attach", "goods_tag", "scene_info"}
_REFUND_NAMES: Final = {"out_refund_no", "amount"}
_REFUND_MAY: Final = {"out_trade_no", "transaction_id", "reason", "notify_url"}
_DESCRIPTION: Final = 127
_STATUS: Final = {"NOT_ENOUGH": 403, "SYSTEM_ERROR": 500, "FREQUENCY_LIMITED": 429, "SIGN_ERROR": 401}
_NOT_FOUND: Final = frozenset({"ORDER_NOT_EXIST", "RESOURCE_NOT_EXISTS"})
_BEFORE: Final = frozenset(
    {
        "PARAM_ERROR",
        "SIGN_ERROR",
        "ORDER_NOT_EXIST",
        "FREQUENCY_LIMITED",
        "ORDER_PAID",
        "NOT_ENOUGH",
        "RESOURCE_NOT_EXISTS",
    }
)
"""Faults that refuse before anything is done; SYSTEM_ERROR is said after it was done."""


def told(value: Mapping[str, Any]) -> Reply:
    """An unsigned 200."""
    return Reply(200, (("Content-Type", "application/json; charset=utf-8"),), _json(value))


def errcode(number: int) -> Reply:
    """An error of api.weixin.qq.com: a 200 all the same."""
    return told({"errcode": number, "errmsg": f"sandbox says {number} rid: 00000000-00000000-00000000"})


def failing(status: int, code: str) -> Reply:
    """An error of WeChat Pay; not signed."""
    headers = (("Content-Type", "application/json; charset=utf-8"), ("Request-ID", "SANDBOX-0000000000-268435456"))
    return Reply(status, headers, _json({"code": code, "message": f"沙箱:{code}"}))


def caller_fault(wallet: Mapping[str, Any], request: TwinRequest, now: datetime) -> Reply | None:
    """The refusal of a call that the wallet's merchant did not sign, now; None for one that he did."""
    header = request.header("Authorization") or ""
    told_params = dict(_PARAMS.findall(header))
    timestamp = told_params.get("timestamp", "")
    mch_id = wallet.get("sp_mchid", wallet.get("mchid"))
    right = (
        header.startswith(_SCHEME)
        and told_params.get("mchid") == mch_id
        and told_params.get("serial_no") == wallet["merchant_serial"]
        and bool(told_params.get("nonce_str"))
        and timestamp.isascii()
        and timestamp.isdigit()
        and len(timestamp) < 12  # noqa: PLR2004 - seconds for a long time
        and abs(now.timestamp() - int(timestamp)) <= _WINDOW_S
    )
    target = f"{request.path}?{request.query}" if request.query else request.path
    text = f"{request.method}\n{target}\n{timestamp}\n{told_params.get('nonce_str')}\n".encode() + request.body + b"\n"
    try:
        signature = base64.b64decode(told_params.get("signature", ""), validate=True)
        rsa.verify_sha256(signer(wallet["merchant_private_key"]).public, signature, text)
    except (SignatureMismatch, ValueError):
        right = False
    return None if right else failing(401, "SIGN_ERROR")


@dataclass(frozen=True, slots=True)
class Desk:
    """One call at the desk. `fault` is what it plays."""

    private: Mapping[str, str] = field(repr=False)
    wallet: Mapping[str, Any] = field(repr=False)
    state: TwinState
    now: datetime
    fault: str

    def handle(self, call: str, request: TwinRequest, places: tuple[str, ...]) -> TwinAnswer:
        """`call` with the parts of its path."""
        if self.fault in _BEFORE:
            return TwinAnswer(_failing(self.fault))
        answer = self._handle(call, request, places)
        return TwinAnswer(_failing("SYSTEM_ERROR"), answer.events) if self.fault == "SYSTEM_ERROR" else answer

    def pay(self, handle: str, openid: str) -> TwinAnswer:
        """The order behind a prepay id is paid, once, by whom it was announced for, before it closes."""
        kept = self.state.get("handle", handle)
        order = self.state.get("order", str(kept["out_trade_no"])) if kept else None
        if self.fault == "cancel":
            return TwinAnswer(told({"err_msg": "get_brand_wcpay_request:cancel"}))
        open_ = order is not None and (
            order["state"] == "NOTPAY" and self.now.timestamp() < order["expires_at"]
            if self.fault != "late"
            else order["state"] in ("NOTPAY", "CLOSED")
        )
        if order is None or not open_ or order["openid"] != openid or self.fault == "fail":
            return TwinAnswer(told({"err_msg": "get_brand_wcpay_request:fail"}))
        number = str(order["out_trade_no"])
        if not self.state.add("paid", number, {"at": self.now.timestamp()}):
            return TwinAnswer(told({"err_msg": "get_brand_wcpay_request:fail"}))
        paid = changed(
            order,
            state="SUCCESS",
            transaction_id=f"4200{beijing(self.now, '%Y%m%d')}{digits(16, handle, number)}",
            paid_at=beijing(self.now, RFC3339),
        )
        self.state.put("order", number, paid)
        event = TwinEvent(
            "payment", number, str(paid["transaction_id"]), openid, Fen(paid["total"]), str(paid["notify_url"])
        )
        return TwinAnswer(told({"err_msg": "get_brand_wcpay_request:ok"}), (event,))

    def _handle(self, call: str, request: TwinRequest, places: tuple[str, ...]) -> TwinAnswer:
        if call in ("prepay", "refund", "close"):
            try:
                body = json.loads(request.body)
            except ValueError:
                return TwinAnswer(_failing("PARAM_ERROR"))
            if not isinstance(body, dict) or not self._merchant_named(body, call):
                return TwinAnswer(_failing("PARAM_ERROR"))
            if call == "prepay":
                return TwinAnswer(self._prepay(body))
            return self._refund(body) if call == "refund" else TwinAnswer(self._close(places[0]))
        if call == "query":
            return TwinAnswer(self._query(places[0]))
        return TwinAnswer(self._query_refund(places[0]))

    def _merchant_named(self, body: Mapping[str, Any], call: str) -> bool:
        """Whether the body says the wallet's own merchant and app, and nothing that WeChat Pay would not know."""
        wallet = self.wallet
        if "sp_mchid" in wallet:
            whole = {name: wallet[name] for name in ("sp_mchid", "sp_appid", "sub_mchid") if name in wallet}
            wanted = {"prepay": whole, "refund": {"sub_mchid": wallet.get("sub_mchid")}}.get(
                call, {name: whole[name] for name in ("sp_mchid", "sub_mchid") if name in whole}
            )
            extra = {"sub_appid"} if call == "prepay" else set()
        else:
            whole = {"mchid": wallet["mchid"], "appid": wallet["appid"]}
            wanted = {"prepay": whole, "refund": {}}.get(call, {"mchid": wallet["mchid"]})
            extra = set()
        must, may = {
            "prepay": (_ORDER_NAMES, _ORDER_MAY),
            "refund": (_REFUND_NAMES, _REFUND_MAY),
            "close": (set(), set()),
        }[call]
        names = set(body)
        return (
            all(body.get(name) == value for name, value in wanted.items())
            and must <= names
            and names <= must | may | set(wanted) | extra
            and None not in body.values()
        )

    def _prepay(self, body: Mapping[str, Any]) -> Reply:
        number, amount, payer = body["out_trade_no"], body["amount"], body["payer"]
        right = (
            isinstance(number, str)
            and _NUMBER.match(number) is not None
            and isinstance(body["description"], str)
            and 0 < len(body["description"]) <= _DESCRIPTION
            and isinstance(body["notify_url"], str)
            and "?" not in body["notify_url"]
            and isinstance(amount, dict)
            and _amount(amount.get("total"))
            and amount.get("currency", "CNY") == "CNY"
            and isinstance(payer, dict)
            and len(payer) == 1
        )
        expires_at = _instant(body.get("time_expire")) if right else None
        if not right or expires_at is None:
            return _failing("PARAM_ERROR")
        handle = f"wx{beijing(self.now, '%d%H%M%S')}{derived(26, 'prepay', self.private['serial'], number)}"
        order = {
            "out_trade_no": number,
            "body": dict(body),
            "openid": next(iter(payer.values())),
            "total": amount["total"],
            "notify_url": body["notify_url"],
            "expires_at": expires_at,
            "state": "NOTPAY",
            "handle": handle,
            "refunded": 0,
        }
        if not self.state.add("order", number, order):
            kept = self.state.get("order", number) or {}
            if kept.get("body") != body:
                return _failing("OUT_TRADE_NO_USED")
            if kept["state"] != "NOTPAY":
                return _failing("ORDER_CLOSED" if kept["state"] == "CLOSED" else "ORDERPAID")
            handle = str(kept["handle"])
        self.state.put("handle", handle, {"out_trade_no": number})
        return self.signed(200, {"prepay_id": handle})

    def _query(self, number: str) -> Reply:
        order = self.state.get("order", number)
        return _failing("ORDER_NOT_EXIST") if order is None else self.signed(200, self._transaction(order))

    def _close(self, number: str) -> Reply:
        order = self.state.get("order", number)
        if order is None:
            return _failing("ORDER_NOT_EXIST")
        if order["state"] in ("SUCCESS", "REFUND"):
            return _failing("ORDER_PAID")
        self.state.put("order", number, changed(order, state="CLOSED"))
        return self.signed(204, None)

    def _refund(self, body: Mapping[str, Any]) -> TwinAnswer:
        number, money = body["out_refund_no"], body["amount"]
        order = self.state.get("order", str(body.get("out_trade_no")))
        if order is None or order["state"] not in ("SUCCESS", "REFUND"):
            return TwinAnswer(_failing("RESOURCE_NOT_EXISTS"))
        right = (
            isinstance(number, str)
            and _REFUND_NUMBER.match(number) is not None
            and isinstance(money, dict)
            and _amount(money.get("refund"))
            and money.get("total") == order["total"]
            and money.get("currency") == "CNY"
        )
        if not right:
            return TwinAnswer(_failing("PARAM_ERROR"))
        kept = self.state.get("refund", number)
        if kept is not None:
            same = kept["body"] == body
            return TwinAnswer(self.signed(200, self._refund_told(kept)) if same else _failing("INVALID_REQUEST"))
        given_back = int(order["refunded"]) + money["refund"]
        if given_back > order["total"]:
            return TwinAnswer(_failing("INVALID_REQUEST"))
        refund = {
            "body": dict(body),
            "out_refund_no": number,
            "out_trade_no": order["out_trade_no"],
            "transaction_id": order["transaction_id"],
            "refund_id": f"5030{beijing(self.now, '%Y%m%d')}{digits(16, 'refund', number)}",
            "refund": money["refund"],
            "total": order["total"],
            "status": "PROCESSING",
            "at": beijing(self.now, RFC3339),
        }
        if not self.state.add("refund", number, refund):
            return TwinAnswer(_failing("FREQUENCY_LIMITED"))
        self.state.put("order", str(order["out_trade_no"]), changed(order, state="REFUND", refunded=given_back))
        # Accepted is all that is said now; by the time anybody asks, the money is back.
        self.state.put("refund", number, changed(refund, status="SUCCESS"))
        event = TwinEvent(
            "refund",
            str(order["out_trade_no"]),
            str(order["transaction_id"]),
            str(order["openid"]),
            Fen(order["total"]),
            str(body.get("notify_url", order["notify_url"])),
            number,
            Fen(money["refund"]),
            Fen(given_back),
        )
        return TwinAnswer(self.signed(200, self._refund_told(refund)), (event,))

    def _query_refund(self, number: str) -> Reply:
        refund = self.state.get("refund", number)
        if refund is None:
            return _failing("RESOURCE_NOT_EXISTS")
        status = self.fault if self.fault in ("PROCESSING", "ABNORMAL", "CLOSED") else refund["status"]
        return self.signed(200, self._refund_told(changed(refund, status=status)))

    def _refund_told(self, refund: Mapping[str, Any]) -> dict[str, Any]:
        answer = {
            "refund_id": refund["refund_id"],
            "out_refund_no": refund["out_refund_no"],
            "transaction_id": refund["transaction_id"],
            "out_trade_no": refund["out_trade_no"],
            "channel": "ORIGINAL",
            "user_received_account": "支付用户零钱",
            "create_time": refund["at"],
            "status": refund["status"],
            "amount": {"total": refund["total"], "refund": refund["refund"], "currency": "CNY"},
        }
        return {**answer, "success_time": refund["at"]} if refund["status"] == "SUCCESS" else answer

    def _transaction(self, order: Mapping[str, Any]) -> dict[str, Any]:
        body = order["body"]
        names = ("mchid", "appid", "sp_mchid", "sp_appid", "sub_mchid", "sub_appid")
        answer = {name: body[name] for name in names if name in body} | {
            "out_trade_no": order["out_trade_no"],
            "trade_state": order["state"],
            "trade_state_desc": "沙箱订单",
        }
        if order["state"] in ("NOTPAY", "CLOSED"):
            return answer
        return answer | {
            "transaction_id": order["transaction_id"],
            "trade_type": "JSAPI",
            "bank_type": "OTHERS",
            "attach": "",
            "success_time": order["paid_at"],
            "payer": body["payer"],
            "amount": {
                "total": order["total"],
                "payer_total": order["total"],
                "currency": "CNY",
                "payer_currency": "CNY",
            },
        }

    def signed(self, status: int, value: Mapping[str, Any] | None) -> Reply:
        """A 2xx under the platform's key; some faults are in how it is signed."""
        body = b"" if value is None else _json(value)
        moment = self.now - timedelta(minutes=10) if self.fault == "old_timestamp" else self.now
        timestamp = str(int(moment.timestamp()))
        nonce = derived(32, "reply", timestamp, body.decode())
        text = f"{timestamp}\n{nonce}\n".encode() + body + b"\n"
        signature = base64.b64encode(rsa.sign_sha256(signer(self.private["private_key"]), text)).decode("ascii")
        if self.fault == "bad_signature":
            signature = spoiled(signature)
        elif self.fault == "signtest":
            signature = f"WECHATPAY/SIGNTEST/{signature}"
        unknown = "PUB_KEY_ID_00000000000000000000000000000000000"
        headers = (
            ("Content-Type", "application/json; charset=utf-8"),
            ("Request-ID", f"SANDBOX-{nonce[:10]}-0"),
            ("Wechatpay-Nonce", nonce),
            ("Wechatpay-Serial", unknown if self.fault == "unknown_serial" else self.private["serial"]),
            ("Wechatpay-Signature", signature),
            ("Wechatpay-Signature-Type", SIGNATURE_TYPE),
            ("Wechatpay-Timestamp", timestamp),
        )
        return Reply(status, headers, body)


def _failing(code: str) -> Reply:
    return failing(404 if code in _NOT_FOUND else _STATUS.get(code, 400), code)


def _amount(value: Any) -> bool:
    return type(value) is int and 0 < value <= MAX_FEN


def _instant(text: Any) -> float | None:
    """Seconds of an RFC 3339 time; two hours hence where none is given is not for a twin to guess, so None."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo is not None else None


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
