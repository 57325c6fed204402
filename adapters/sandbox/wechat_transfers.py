"""The twin's desk for WeChat Pay's transfers to customers: announced, confirmed by the payee, closed after a day.

A transfer is kept under kind `transfer` by the merchant's number; its `package_info` under `handle`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from adapters.sandbox.made import beijing, derived
from adapters.sandbox.twin import changed, digits
from adapters.sandbox.wechat_orders import Desk, failing, told
from adapters.sandbox.wechat_v3 import RFC3339
from gateway.contract.money import MAX_FEN
from gateway.contract.wallet import Reply, TwinAnswer, TwinRequest

CALLS: Final = ("transfer", "query_transfer")
REFUSED: Final[Mapping[str, int]] = {
    "PARAM_ERROR": 400,
    "INVALID_REQUEST": 400,
    "NO_AUTH": 403,
    "NOT_ENOUGH": 403,
    "NOT_FOUND": 404,
    "FREQUENCY_LIMITED": 429,
}
"""Faults that refuse before anything is done; SYSTEM_ERROR is said after it was done."""
ENDS: Final = ("OVERDUE_CLOSE", "NAME_NOT_CORRECT", "PAYEE_ACCOUNT_ABNORMAL")
"""Reasons with which a transfer can be made to fail when it is asked about."""

_CONFIRM_WITHIN: Final = timedelta(hours=24)
_LEAST: Final = 10
_REMARK: Final = 32
_NUMBER: Final = re.compile(r"[0-9A-Za-z]{1,32}\Z", re.ASCII)
_MUST: Final = {
    "appid",
    "out_bill_no",
    "transfer_scene_id",
    "openid",
    "transfer_amount",
    "transfer_remark",
    "transfer_scene_report_infos",
}
_MAY: Final = {"notify_url", "user_recv_perception"}
_INFOS: Final = {"1000": ["奖励说明", "活动名称"]}


def handle(desk: Desk, call: str, request: TwinRequest, places: tuple[str, ...]) -> TwinAnswer:
    """One of `CALLS` with the parts of its path."""
    if desk.fault in REFUSED:
        return TwinAnswer(failing(REFUSED[desk.fault], desk.fault))
    reply = _transfer(desk, request) if call == "transfer" else _query(desk, places[0])
    return TwinAnswer(failing(500, "SYSTEM_ERROR") if desk.fault == "SYSTEM_ERROR" else reply)


def confirm(desk: Desk, handle_: str, openid: str) -> TwinAnswer | None:
    """The payee taps: the money is his, once, within a day; None where the handle is none of a transfer's."""
    kept = desk.state.get("handle", handle_)
    if not kept or "transfer" not in kept:
        return None
    bill = _standing(desk, str(kept["transfer"]))
    if desk.fault == "cancel":
        return TwinAnswer(told({"err_msg": "requestMerchantTransfer:cancel"}))
    right = bill is not None and bill["state"] == "WAIT_USER_CONFIRM" and bill["body"]["openid"] == openid
    if bill is None or not right or desk.fault in ("fail", "late"):
        return TwinAnswer(told({"err_msg": "requestMerchantTransfer:fail"}))
    _keep(desk, bill, state="SUCCESS")
    return TwinAnswer(told({"err_msg": "requestMerchantTransfer:ok"}))


def _transfer(desk: Desk, request: TwinRequest) -> Reply:
    try:
        body = json.loads(request.body)
    except ValueError:
        body = None
    if not isinstance(body, dict) or not _right(desk, body):
        return failing(400, "PARAM_ERROR")
    number = str(body["out_bill_no"])
    moment = beijing(desk.now, RFC3339)
    bill = {
        "body": body,
        "transfer_bill_no": f"1330{beijing(desk.now, '%Y%m%d')}{digits(18, 'transfer', number)}",
        "package_info": f"ABBQO+oYAAABAAAA{derived(48, 'package', desk.private['serial'], number)}",
        "create_time": moment,
        "update_time": moment,
        "at": desk.now.timestamp(),
        "state": "ACCEPTED" if desk.fault == "ACCEPTED" else "WAIT_USER_CONFIRM",
        "fail_reason": "",
    }
    if not desk.state.add("transfer", number, bill):
        kept = _standing(desk, number) or bill
        if kept["body"] != body:
            return failing(400, "INVALID_REQUEST")
        bill = dict(kept)
    desk.state.put("handle", str(bill["package_info"]), {"transfer": number})
    return desk.signed(200, _bill(bill, whole=False))


def _query(desk: Desk, number: str) -> Reply:
    bill = _standing(desk, number)
    if bill is None:
        return failing(404, "NOT_FOUND")
    if desk.fault in ENDS and bill["state"] != "SUCCESS":
        bill = _keep(desk, bill, state="FAIL", fail_reason=desk.fault)
    mch_id = desk.wallet["mchid"]
    return desk.signed(200, {**_bill(bill, whole=True), "mch_id": mch_id})


def _standing(desk: Desk, number: str) -> Mapping[str, Any] | None:
    """A transfer as it is now: what was accepted waits for its payee by the next look, and a day later it is closed."""
    bill = desk.state.get("transfer", number)
    if bill is None:
        return None
    if bill["state"] == "ACCEPTED":
        bill = _keep(desk, bill, state="WAIT_USER_CONFIRM")
    if bill["state"] == "WAIT_USER_CONFIRM" and desk.now.timestamp() - bill["at"] >= _CONFIRM_WITHIN.total_seconds():
        bill = _keep(desk, bill, state="FAIL", fail_reason="OVERDUE_CLOSE")
    return bill


def _keep(desk: Desk, bill: Mapping[str, Any], **facts: Any) -> Mapping[str, Any]:
    after = changed(bill, **facts, update_time=beijing(desk.now, RFC3339))
    desk.state.put("transfer", str(bill["body"]["out_bill_no"]), after)
    return after


def _bill(bill: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    body = bill["body"]
    answer = {
        "out_bill_no": body["out_bill_no"],
        "transfer_bill_no": bill["transfer_bill_no"],
        "create_time": bill["create_time"],
        "state": bill["state"],
    }
    if bill["state"] == "WAIT_USER_CONFIRM":
        answer["package_info"] = bill["package_info"]
    if bill["fail_reason"]:
        answer["fail_reason"] = bill["fail_reason"]
    if whole:
        answer |= {
            "appid": body["appid"],
            "openid": body["openid"],
            "transfer_amount": body["transfer_amount"],
            "transfer_remark": body["transfer_remark"],
            "update_time": bill["update_time"],
        }
    return answer


def _right(desk: Desk, body: Mapping[str, Any]) -> bool:
    infos, amount = body.get("transfer_scene_report_infos"), body.get("transfer_amount")
    names = set(body)
    return (
        "mchid" in desk.wallet
        and _MUST <= names <= _MUST | _MAY
        and body["appid"] == desk.wallet["appid"]
        and isinstance(body["openid"], str)
        and bool(body["openid"])
        and isinstance(body["out_bill_no"], str)
        and _NUMBER.match(body["out_bill_no"]) is not None
        and type(amount) is int
        and _LEAST <= amount <= MAX_FEN
        and _short(body["transfer_remark"])
        and isinstance(infos, list)
        and all(isinstance(info, dict) and _short(info.get("info_content")) for info in infos)
        and sorted(str(info.get("info_type")) for info in infos) == _INFOS.get(str(body["transfer_scene_id"]))
    )


def _short(text: Any) -> bool:
    return isinstance(text, str) and 0 < len(text) <= _REMARK
