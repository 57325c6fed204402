"""The twin's desk for Alipay's transfers to customers: done at once, and asked about by the merchant's number.

A transfer is kept under kind `transfer` by the merchant's number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from adapters.sandbox.made import beijing
from adapters.sandbox.twin import changed, digits
from gateway.contract.money import fen_of_yuan
from gateway.contract.wallet import Reply

if TYPE_CHECKING:
    from adapters.sandbox.alipay_trades import Desk

CALLS: Final = ("transfer", "query_transfer")
_CLOCK: Final = "%Y-%m-%d %H:%M:%S"
_NUMBER: Final = re.compile(r"[0-9A-Za-z_]{1,64}\Z", re.ASCII)
_KIND: Final = {"product_code": "TRANS_ACCOUNT_NO_PWD", "biz_scene": "DIRECT_TRANSFER"}
_IDENTITIES: Final = frozenset({"ALIPAY_OPEN_ID", "ALIPAY_USER_ID"})
_LEAST: Final = 10


def handle(desk: Desk, call: str, params: Mapping[str, str]) -> Reply:
    """One of `CALLS` with the parameters of its form."""
    try:
        content = json.loads(params.get("biz_content", ""))
    except ValueError:
        content = None
    if not isinstance(content, dict) or not _NUMBER.match(str(content.get("out_biz_no", ""))):
        return desk.refused("PARAM_ILLEGAL")
    if any(content.get(name) != value for name, value in _KIND.items()):
        return desk.refused("PRODUCT_NOT_SIGN")
    if call == "query_transfer":
        return _query(desk, content)
    if not params.get("app_cert_sn") or not params.get("alipay_root_cert_sn"):
        return desk.error("40002", "isv.missing-app-cert-sn")
    return _transfer(desk, content)


def _transfer(desk: Desk, content: Mapping[str, Any]) -> Reply:
    number, payee = str(content["out_biz_no"]), content.get("payee_info")
    try:
        amount = fen_of_yuan(str(content.get("trans_amount")))
    except ValueError:
        return desk.refused("PARAM_ILLEGAL")
    if not isinstance(payee, dict) or payee.get("identity_type") not in _IDENTITIES or not payee.get("identity"):
        return desk.refused("PAYEE_NOT_EXIST")
    if amount < _LEAST or not content.get("order_title"):
        return desk.refused("PARAM_ILLEGAL")
    moment = beijing(desk.now, _CLOCK)
    made = {
        "content": dict(content),
        "order_id": f"{beijing(desk.now, '%Y%m%d')}1100{digits(16, 'transfer', number)}",
        "pay_fund_order_id": f"{beijing(desk.now, '%Y%m%d')}2200{digits(16, 'fund', number)}",
        "status": "DEALING" if desk.fault == "DEALING" else "SUCCESS",
        "at": moment,
    }
    if not desk.state.add("transfer", number, made):
        kept = desk.state.get("transfer", number) or {}
        if kept.get("content") != content:
            return desk.refused("REQUEST_PROCESSING")
        made = dict(kept)
    return desk.done(**_told(number, made))


def _query(desk: Desk, content: Mapping[str, Any]) -> Reply:
    number = str(content["out_biz_no"])
    made = desk.state.get("transfer", number)
    if made is None:
        return desk.refused("ORDER_NOT_EXIST")
    if desk.fault == "FAIL":
        made = changed(made, status="FAIL")
        desk.state.put("transfer", number, made)
    elif made["status"] == "DEALING":
        made = changed(made, status="SUCCESS")
        desk.state.put("transfer", number, made)
    why = {"error_code": "PAYEE_NOT_EXIST", "fail_reason": "沙箱:PAYEE_NOT_EXIST"} if made["status"] == "FAIL" else {}
    return desk.done(**_told(number, made), **why)


def _told(number: str, made: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "out_biz_no": number,
        "order_id": made["order_id"],
        "pay_fund_order_id": made["pay_fund_order_id"],
        "status": made["status"],
        "trans_date": made["at"],
    }
