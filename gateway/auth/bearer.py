"""The `Authorization: Bearer` header, which is the only way in for a program (R201)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.auth.principal import Principal, TokenKind
from gateway.auth.tokens import unauthorized
from gateway.contract.errors import Refused, StoreTrouble

if TYPE_CHECKING:
    from gateway.runtime import Runtime  # the runtime holds the accounts, so it knows this package

_KINDS: Final[tuple[TokenKind, ...]] = ("api", "login")
"""A browser's session is good in its cookie alone, where the browser guards it."""


def bearer_text(header: str | None) -> str:
    """The token in the header's value. Raises Refused `unauthorized` (401): no header, another scheme, no token."""
    scheme, _, text = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise unauthorized()
    return text.strip()


def authenticate_bearer(runtime: Runtime, header: str | None) -> Principal:
    """Whoever sent this header. Raises Refused `unauthorized` or `password_change_required`; StoreTrouble."""
    return runtime.accounts.authenticate(bearer_text(header), runtime.clock(), _KINDS)


def bearer_principal(runtime: Runtime, header: str | None) -> Principal | None:
    """Whoever sent this header; None for nobody we know, and while the store can't be asked."""
    try:
        return authenticate_bearer(runtime, header)
    except (Refused, StoreTrouble):
        return None
