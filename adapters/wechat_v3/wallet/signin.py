"""Signing in to a service account's app without a question asked (`snsapi_base`).

Sources: the platform's web authorization guide (`OA_Web_Apps/Wechat_webpage_authorization`) and its page of
`sns/oauth2/access_token`; the error numbers as in `wechatpy/constants.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from adapters.wechat_v3.wallet.keys import WalletKeys
from adapters.wechat_v3.wire import read_object
from gateway.contract.errors import Malformed
from gateway.contract.events import Payer
from gateway.contract.wallet import Call, Reply, SignInFailed

# Used, too old, or another app's: only a fresh one helps.
_SPENT: Final = frozenset((40029, 40163, 42003, 41008))
_BUSY: Final = frozenset((-1, 45009, 45011))
_OURS: Final = frozenset((40013, 40125, 40001, 40002, 41002, 41004, 48001))
_CODE: Final = re.compile(r"[!-~]{1,512}\Z", re.ASCII)
_OPENID: Final = re.compile(r"[!-~]{1,128}\Z", re.ASCII)
_OK: Final = 200


def authorize_url(keys: WalletKeys, redirect_uri: str, state: str) -> str:
    """WeChat matches this address as text: the order of the parameters and the fragment at the end both count."""
    return (
        f"{keys.pages}/connect/oauth2/authorize?appid={keys.app_id}&redirect_uri={quote(redirect_uri, safe='')}"
        f"&response_type=code&scope=snsapi_base&state={quote(state, safe='')}#wechat_redirect"
    )


def code_of(query: Mapping[str, str]) -> str:
    """The `code`. Raises SignInFailed: `declined` where it came back without one, `malformed`."""
    code = query.get("code", "")
    if not code:
        raise SignInFailed("declined")
    if not _CODE.match(code):
        raise SignInFailed("malformed")
    return code


def exchange(keys: WalletKeys, code: str) -> Call:
    """The call is not signed; the app's secret goes along in the query, so the address is shown nowhere."""
    query = (
        f"appid={keys.app_id}&secret={quote(keys.app_secret.reveal(), safe='')}"
        f"&code={quote(code, safe='')}&grant_type=authorization_code"
    )
    return Call("GET", f"{keys.api}/sns/oauth2/access_token?{query}", (("Accept", "application/json"),))


def identity(keys: WalletKeys, reply: Reply) -> tuple[Payer, ...]:
    """The openid under the app. The answer is not signed: TLS alone vouches for it.

    Raises SignInFailed: `code_spent` (again), `busy`, `misconfigured` (app or secret), `snapshot_user` (a visitor of
    WeChat's snapshot page, whose openid belongs to nobody), `refused`, `unavailable`, `malformed`.
    """
    if reply.status != _OK:
        raise SignInFailed("unavailable", detail=str(reply.status))
    try:
        told = read_object(reply.body)
    except Malformed:
        raise SignInFailed("malformed") from None
    _no_error(told.get("errcode", 0))
    # As a number, but whatever is there and is not a plain no is taken for a yes.
    if told.get("is_snapshotuser", 0) not in (0, "0", None):
        raise SignInFailed("snapshot_user")
    openid = told.get("openid")
    if not isinstance(openid, str) or not _OPENID.match(openid):
        raise SignInFailed("malformed")
    return (Payer(keys.app_id, "openid", openid),)


def _no_error(errcode: Any) -> None:
    if type(errcode) is not int:
        raise SignInFailed("malformed")
    if errcode == 0:
        return
    detail = str(errcode)[:12]
    if errcode in _SPENT:
        raise SignInFailed("code_spent", again=True, detail=detail)
    if errcode in _BUSY:
        raise SignInFailed("busy", detail=detail)
    raise SignInFailed("misconfigured" if errcode in _OURS else "refused", detail=detail)
