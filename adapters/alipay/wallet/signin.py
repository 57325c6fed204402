"""Signing in to an app without a question asked (`auth_base`).

Sources: Alipay's page of `publicAppAuthorize.htm` (docs.antom.com/ac/common/obtain_uid) and the response class of
`alipay.system.oauth.token` in alipay/alipay-sdk-java-all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final
from urllib.parse import quote

from adapters.alipay.wallet.calls import Declined, answered, signed_call
from adapters.alipay.wallet.keys import WalletKeys
from gateway.contract.events import Payer
from gateway.contract.wallet import Call, CallUnknown, Reply, SignInFailed

EXCHANGE: Final = "alipay.system.oauth.token"
_CODE: Final = re.compile(r"[!-~]{1,512}\Z", re.ASCII)
_ID: Final = re.compile(r"[!-~]{1,128}\Z", re.ASCII)
_SPENT: Final = "isv.code-invalid"
_BUSY: Final = "20000"


def authorize_url(keys: WalletKeys, redirect_uri: str, state: str) -> str:
    """Where the browser is sent."""
    return (
        f"{keys.pages}/oauth2/publicAppAuthorize.htm?app_id={keys.app_id}&scope=auth_base"
        f"&redirect_uri={quote(redirect_uri, safe='')}&state={quote(state, safe='')}"
    )


def code_of(keys: WalletKeys, query: Mapping[str, str]) -> str:
    """The `auth_code`.

    Raises SignInFailed: `foreign_app` where it names another app, `declined` where there is none, `malformed`.
    """
    if query.get("app_id", keys.app_id) != keys.app_id:
        raise SignInFailed("foreign_app")
    code = query.get("auth_code", "")
    if not code:
        raise SignInFailed("declined")
    if not _CODE.match(code):
        raise SignInFailed("malformed")
    return code


def exchange(keys: WalletKeys, code: str, now: datetime) -> Call:
    """The code goes as a parameter of its own, not inside `biz_content`."""
    return signed_call(keys, EXCHANGE, now, form={"grant_type": "authorization_code", "code": code})


def identity(keys: WalletKeys, reply: Reply) -> tuple[Payer, ...]:
    """The open id before the old user id, each under the app, as a payment's notification names them.

    Raises SignInFailed: `code_spent` (again), `busy`, `unverified` (not signed by Alipay), `unavailable`,
    `misconfigured` (the platform does not take our calls), `refused`, `malformed`.
    """
    try:
        told = answered(keys, reply, EXCHANGE, unsigned_no=True)
    except CallUnknown as error:
        code = error.code if error.code in ("unverified", "malformed") else "unavailable"
        raise SignInFailed(code, detail=error.code) from None
    if isinstance(told, Declined):
        raise _refusal(told)
    found = []
    for name, kind in (("open_id", "alipay_open_id"), ("user_id", "alipay_user_id")):
        value = told.get(name)
        if value in (None, ""):
            continue
        if not isinstance(value, str) or not _ID.match(value):
            raise SignInFailed("malformed")
        found.append(Payer(keys.app_id, kind, value))
    if not found:
        raise SignInFailed("malformed", detail="no open_id")
    return tuple(found)


def _refusal(told: Declined) -> SignInFailed:
    if told.sub_code == _SPENT:
        return SignInFailed("code_spent", again=True, detail=told.word)
    if told.code == _BUSY:
        return SignInFailed("busy", detail=told.word)
    if told.code.startswith("4000"):
        return SignInFailed("misconfigured", detail=told.word)
    return SignInFailed("refused", detail=told.word)
