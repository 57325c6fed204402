"""The twin's desk for Alipay's calls: the code's exchange, trades and refunds against what it remembers."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Final

from adapters.sandbox import alipay_transfers as transfers
from adapters.sandbox.made import beijing, derived, signer
from adapters.sandbox.twin import changed, digits, spoiled
from crypto import rsa
from gateway.contract.clock import BEIJING
from gateway.contract.money import Fen, fen_of_yuan, yuan_of_fen
from gateway.contract.wallet import Reply, TwinAnswer, TwinEvent, TwinState

_CLOCK: Final = "%Y-%m-%d %H:%M:%S"
_USER_ID: Final = re.compile(r"2088[0-9]{12}\Z")
_NUMBER: Final = re.compile(r"[0-9A-Za-z_]{1,64}\Z", re.ASCII)
_FORBIDDEN: Final = frozenset("/=&")
_SUBJECT: Final = 256
_BEFORE: Final = {
    "isv.code-invalid": "40002",
    "isv.invalid-signature": "40002",
    "ACQ.BUYER_NOT_EXIST": "40004",
    "ACQ.TRADE_NOT_EXIST": "40004",
    "isv.missing-app-cert-sn": "40002",
    "PAYER_BALANCE_NOT_ENOUGH": "40004",
    "PAYEE_NOT_EXIST": "40004",
    "ORDER_NOT_EXIST": "40004",
}
"""Faults that refuse before anything is done, with the gateway's code."""
_AFTER: Final = {"isp.unknow-error": "20000", "ACQ.SYSTEM_ERROR": "40004", "SYSTEM_ERROR": "40004"}
"""Faults that are said after it was done."""
_MESSAGES: Final = {
    "10000": "Success",
    "20000": "Service Currently Unavailable",
    "40002": "Invalid Arguments",
    "40004": "Business Failed",
}


@dataclass(frozen=True, slots=True)
class Desk:
    """One call of `method` at the desk. `fault` is what it plays."""

    private: Mapping[str, str] = field(repr=False)
    method: str
    state: TwinState
    now: datetime
    fault: str

    def handle(self, call: str, params: Mapping[str, str]) -> TwinAnswer:
        """`call` with the parameters of its form."""
        if self.fault in _BEFORE:
            return TwinAnswer(self.error(_BEFORE[self.fault], self.fault))
        answer = self._handle(call, params)
        if self.fault in _AFTER:
            return TwinAnswer(self.error(_AFTER[self.fault], self.fault), answer.events)
        return answer

    def error(self, code: str, sub_code: str) -> Reply:
        """A refusal; that of a sign-in, and of what is no call at all, stands under `error_response`."""
        told = {"code": code, "msg": _MESSAGES[code], "sub_code": sub_code, "sub_msg": f"沙箱:{sub_code}"}
        known = self.method.startswith(("alipay.trade.", "alipay.fund."))
        return self._signed(told, self._node if known else "error_response")

    def pay(self, handle: str, openid: str) -> TwinAnswer:
        """The trade is paid, once, by whom it was made for, before it closes."""
        kept = self.state.get("handle", handle)
        trade = self.state.get("order", str(kept["out_trade_no"])) if kept else None
        if self.fault == "cancel":
            return _tapped("6001")
        open_ = trade is not None and (
            trade["status"] == "WAIT_BUYER_PAY" and self.now.timestamp() < trade["expires_at"]
            if self.fault != "late"
            else not trade["paid_at"]
        )
        if trade is None or not open_ or trade["openid"] != openid or self.fault == "fail":
            return _tapped("4000")
        number = str(trade["out_trade_no"])
        if not self.state.add("paid", number, {"at": self.now.timestamp()}):
            return _tapped("4000")
        self.state.put("order", number, changed(trade, status="TRADE_SUCCESS", paid_at=beijing(self.now, _CLOCK)))
        event = TwinEvent(
            "payment", number, str(trade["trade_no"]), openid, Fen(trade["total"]), str(trade["notify_url"])
        )
        return _tapped("9000", event)

    @property
    def _node(self) -> str:
        return f"{self.method.replace('.', '_')}_response"

    def _handle(self, call: str, params: Mapping[str, str]) -> TwinAnswer:
        if call == "exchange" or call in transfers.CALLS:
            return TwinAnswer(self._exchange(params) if call == "exchange" else transfers.handle(self, call, params))
        try:
            content = json.loads(params.get("biz_content", ""))
        except ValueError:
            content = None
        if not isinstance(content, dict) or not _NUMBER.match(str(content.get("out_trade_no", ""))):
            return TwinAnswer(self.refused("ACQ.INVALID_PARAMETER"))
        if call == "prepay":
            return TwinAnswer(self._create(content, params.get("notify_url", "")))
        trade = self.state.get("order", content["out_trade_no"])
        if trade is None:
            return TwinAnswer(self.refused("ACQ.TRADE_NOT_EXIST"))
        if call == "refund":
            return self._refund(content, trade)
        return TwinAnswer(
            {"query": self._query, "close": self._close, "query_refund": self._query_refund}[call](content, trade)
        )

    def _exchange(self, params: Mapping[str, str]) -> Reply:
        code = params.get("code", "")
        kept = self.state.get("code", code)
        if (
            params.get("grant_type") != "authorization_code"
            or kept is None
            or self.now.timestamp() - float(kept["at"]) >= float(kept["lives_s"])
            or not self.state.add("code_used", code, {"at": self.now.timestamp()})
        ):
            return self.error("40002", "isv.code-invalid")
        openid = str(kept["openid"])
        name = "user_id" if self.fault == "user_id" or _USER_ID.match(openid) else "open_id"
        told = {
            name: openid,
            "access_token": f"sandbox{derived(32, 'access', code)}",
            "expires_in": 1296000,
            "refresh_token": f"sandbox{derived(32, 'refresh', code)}",
            "re_expires_in": 2592000,
            "auth_start": beijing(self.now, _CLOCK),
        }
        return self._signed(told, self._node)

    def _create(self, content: Mapping[str, Any], notify_url: str) -> Reply:
        number, subject = str(content["out_trade_no"]), content.get("subject")
        total, expires_at = _fen(content.get("total_amount")), _instant(content.get("time_expire"))
        buyers = [content[name] for name in ("buyer_open_id", "buyer_id") if content.get(name)]
        if len(buyers) != 1:
            return self.refused("ACQ.BUYER_NOT_EXIST")
        right = isinstance(subject, str) and 0 < len(subject) <= _SUBJECT and not _FORBIDDEN & set(subject)
        if not right or not total or expires_at is None:
            return self.refused("ACQ.INVALID_PARAMETER")
        trade = {
            "content": dict(content),
            "out_trade_no": number,
            "trade_no": f"{beijing(self.now, '%Y%m%d')}2200{digits(16, 'trade', number)}",
            "openid": buyers[0],
            "total": total,
            "notify_url": notify_url,
            "expires_at": expires_at,
            "status": "WAIT_BUYER_PAY",
            "paid_at": "",
            "refunded": 0,
        }
        if not self.state.add("order", number, trade):
            kept = self.state.get("order", number) or {}
            if kept.get("content") != content:
                return self.refused("ACQ.CONTEXT_INCONSISTENT")
            if kept["status"] != "WAIT_BUYER_PAY":
                closed = kept["status"] == "TRADE_CLOSED"
                return self.refused("ACQ.TRADE_HAS_CLOSE" if closed else "ACQ.TRADE_HAS_SUCCESS")
            trade = dict(kept)
        self.state.put("handle", str(trade["trade_no"]), {"out_trade_no": number})
        return self.done(out_trade_no=number, trade_no=trade["trade_no"])

    def _query(self, content: Mapping[str, Any], trade: Mapping[str, Any]) -> Reply:
        del content
        told = {
            "trade_no": trade["trade_no"],
            "out_trade_no": trade["out_trade_no"],
            "buyer_logon_id": "san***@sandbox",
            "trade_status": trade["status"],
            "total_amount": yuan_of_fen(trade["total"]),
            _buyer(trade): trade["openid"],
        }
        return self.done(**told, **({"send_pay_date": trade["paid_at"]} if trade["paid_at"] else {}))

    def _close(self, content: Mapping[str, Any], trade: Mapping[str, Any]) -> Reply:
        del content
        number = str(trade["out_trade_no"])
        if trade["status"] != "WAIT_BUYER_PAY":
            return self.refused("ACQ.TRADE_STATUS_ERROR")
        self.state.put("order", number, changed(trade, status="TRADE_CLOSED"))
        return self.done(out_trade_no=number, trade_no=trade["trade_no"])

    def _refund(self, content: Mapping[str, Any], trade: Mapping[str, Any]) -> TwinAnswer:
        number, request_no = str(trade["out_trade_no"]), str(content.get("out_request_no", ""))
        amount = _fen(content.get("refund_amount"))
        if not amount or not request_no:
            return TwinAnswer(self.refused("ACQ.INVALID_PARAMETER"))
        key = f"{number}/{request_no}"
        kept = self.state.get("refund", key)
        if kept is not None:
            if kept["amount"] != amount:
                return TwinAnswer(self.refused("ACQ.DISCORDANT_REPEAT_REQUEST"))
            return TwinAnswer(self._refunded(trade, "N"))
        return self._give_back(trade, key, request_no, amount)

    def _give_back(self, trade: Mapping[str, Any], key: str, request_no: str, amount: Fen) -> TwinAnswer:
        number = str(trade["out_trade_no"])
        if not trade["paid_at"]:
            return TwinAnswer(self.refused("ACQ.TRADE_STATUS_ERROR"))
        given_back = int(trade["refunded"]) + amount
        if given_back > trade["total"]:
            return TwinAnswer(self.refused("ACQ.REFUND_AMT_NOT_EQUAL_TOTAL"))
        if not self.state.add("refund", key, {"amount": amount, "at": beijing(self.now, _CLOCK)}):
            return TwinAnswer(self.refused("ACQ.SYSTEM_ERROR"))
        status = "TRADE_CLOSED" if given_back == trade["total"] else trade["status"]
        trade = changed(trade, status=status, refunded=given_back)
        self.state.put("order", number, trade)
        event = TwinEvent(
            "refund",
            number,
            str(trade["trade_no"]),
            str(trade["openid"]),
            Fen(trade["total"]),
            str(trade["notify_url"]),
            request_no,
            amount,
            Fen(given_back),
        )
        return TwinAnswer(self._refunded(trade, "N" if self.fault == "fund_change_N" else "Y"), (event,))

    def _refunded(self, trade: Mapping[str, Any], change: str) -> Reply:
        return self.done(
            trade_no=trade["trade_no"],
            out_trade_no=trade["out_trade_no"],
            buyer_logon_id="san***@sandbox",
            fund_change=change,
            refund_fee=yuan_of_fen(trade["refunded"]),
        )

    def _query_refund(self, content: Mapping[str, Any], trade: Mapping[str, Any]) -> Reply:
        number = str(trade["out_trade_no"])
        kept = self.state.get("refund", f"{number}/{content.get('out_request_no', '')}")
        if kept is None or self.fault == "empty":
            return self.done()
        return self.done(
            trade_no=trade["trade_no"],
            out_trade_no=number,
            out_request_no=content["out_request_no"],
            total_amount=yuan_of_fen(trade["total"]),
            refund_amount=yuan_of_fen(kept["amount"]),
            refund_status="REFUND_SUCCESS",
        )

    def done(self, **facts: Any) -> Reply:
        """It was done; `facts` are told of it."""
        return self._signed({"code": "10000", "msg": _MESSAGES["10000"], **facts}, self._node)

    def refused(self, sub_code: str) -> Reply:
        """The business's own no."""
        return self.error("40004", sub_code)

    def _signed(self, told: Mapping[str, Any], node: str) -> Reply:
        """The inner object as text, and the signature over just that text."""
        inner = _json(told)
        sign = base64.b64encode(rsa.sign_sha256(signer(self.private["private_key"]), inner.encode())).decode("ascii")
        if self.fault == "bad_signature":
            sign = spoiled(sign)
        tail = "" if self.fault == "unsigned" else f',"sign":{_json(sign)}'
        return Reply(200, (("Content-Type", "text/html;charset=utf-8"),), f'{{"{node}":{inner}{tail}}}'.encode())


def _tapped(code: str, *events: TwinEvent) -> TwinAnswer:
    return TwinAnswer(Reply(200, (("Content-Type", "application/json"),), _json({"resultCode": code}).encode()), events)


def _buyer(trade: Mapping[str, Any]) -> str:
    return "buyer_open_id" if "buyer_open_id" in trade["content"] else "buyer_user_id"


def _fen(value: Any) -> Fen | None:
    try:
        return fen_of_yuan(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _instant(value: Any) -> float | None:
    try:
        moment = datetime.strptime(str(value), _CLOCK).replace(tzinfo=BEIJING)
    except ValueError:
        return None
    return moment.astimezone(timezone.utc).timestamp()


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
