"""What a customer's browser keeps in its signed cookie: the links it opened, under numbers that stand in addresses.

Addresses and images then hold no token (R057): `/c?n=2` is the second link that this browser opened.
"""

from __future__ import annotations

from typing import Final

from flask import request, session

from crypto.tokens import looks_like_token, new_token
from gateway.auth.throttle import UNKNOWN_LINK, source
from gateway.runtime import Runtime
from gateway.web.environ import client_address

KEPT_LINKS: Final = 8
_LINKS: Final = "links"
_NEXT: Final = "next"
_ID: Final = "id"


def keep_link(token: str, runtime: Runtime) -> int:
    """The number under which this browser keeps a link; the newest few stay."""
    links: dict[str, str] = session.get(_LINKS, {})
    for name, kept in links.items():
        if kept == token:
            return int(name)
    number = int(session.get(_NEXT, 1))
    newest = sorted(links, key=int)[-(KEPT_LINKS - 1) :]
    session[_LINKS] = {**{name: links[name] for name in newest}, str(number): token}
    session[_NEXT] = number + 1
    session.setdefault(_ID, new_token(runtime.random))
    return number


def kept_link(number: str | None) -> str | None:
    """The token kept under a number as an address gives it; None for one that this browser does not keep."""
    token = session.get(_LINKS, {}).get(number or "")
    return token if isinstance(token, str) and looks_like_token(token) else None


def count_failed_look_up(runtime: Runtime) -> None:
    """One more link that is none, by address and by browser session (R056). Raises Refused `too_many` (429)."""
    now = runtime.clock()
    subjects = [f"address {source(address(runtime))}"]
    if _ID in session:
        subjects.append(f"browser {session[_ID]}")
    runtime.store.write(lambda tx: UNKNOWN_LINK.count(tx, now, *subjects))


def address(runtime: Runtime) -> str:
    """Where the request came from, trusted proxies stepped over."""
    return client_address(request.environ, runtime.config.server.trusted_proxies)
