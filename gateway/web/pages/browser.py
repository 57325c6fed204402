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
INVITES: Final = "invites"
_LINKS: Final = "links"
_NEXT: Final = {_LINKS: "next", INVITES: "next_invite"}
_ID: Final = "id"


def keep_link(token: str, runtime: Runtime, shelf: str = _LINKS) -> int:
    """The number under which this browser keeps a link, or on the shelf INVITES an invitation; the newest few stay."""
    links: dict[str, str] = session.get(shelf, {})
    for name, kept in links.items():
        if kept == token:
            return int(name)
    number = int(session.get(_NEXT[shelf], 1))
    newest = sorted(links, key=int)[-(KEPT_LINKS - 1) :]
    session[shelf] = {**{name: links[name] for name in newest}, str(number): token}
    session[_NEXT[shelf]] = number + 1
    session.setdefault(_ID, new_token(runtime.random))
    return number


def kept_link(number: str | None, shelf: str = _LINKS) -> str | None:
    """The token kept under a number as an address gives it; None for one that this browser does not keep."""
    token = session.get(shelf, {}).get(number or "")
    return token if isinstance(token, str) and looks_like_token(token) else None


def forget_links() -> None:
    """Forget every link that this browser kept."""
    session.pop(_LINKS, None)


def identity(runtime: Runtime) -> str:
    """A secret that stands for this browser, the same as long as it keeps its cookie."""
    session.setdefault(_ID, new_token(runtime.random))
    return str(session[_ID])


def known() -> str | None:
    """That secret, where the browser has brought it; None where it keeps none or is here for the first time."""
    found = session.get(_ID)
    return found if isinstance(found, str) else None


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
