"""The `Authorization: Bearer` header, which is the only way in for a program (R201)."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from gateway.auth.accounts import Accounts
from gateway.auth.principal import Principal, TokenKind
from gateway.auth.tokens import unauthorized
from gateway.contract.errors import Refused, StoreTrouble

_KINDS: Final[tuple[TokenKind, ...]] = ("api", "login")
"""A browser's session is good in its cookie alone, where the browser guards it."""


def bearer_text(header: str | None) -> str:
    """The token in the header's value. Raises Refused `unauthorized` (401): no header, another scheme, no token."""
    scheme, _, text = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise unauthorized()
    return text.strip()


def authenticate_bearer(accounts: Accounts, header: str | None, now: datetime) -> Principal:
    """Whoever sent this header. Raises Refused `unauthorized` or `password_change_required`; StoreTrouble."""
    return accounts.authenticate(bearer_text(header), now, _KINDS)


def bearer_principal(accounts: Accounts, header: str | None, now: datetime) -> Principal | None:
    """Whoever sent this header; None for nobody we know, and while the store can't be asked."""
    try:
        return authenticate_bearer(accounts, header, now)
    except (Refused, StoreTrouble):
        return None
