"""Signing in and out (R200–R205). What goes wrong is told with one neutral answer."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from gateway.auth.tokens import Issued
from gateway.contract.clock import to_text
from gateway.web.api.guard import caller_address, principal
from gateway.web.api.models import Login, PasswordChange, Reauthenticate, Reauthenticated, TokenMade
from gateway.web.api.surface import Surface


def access_blueprint(surface: Surface) -> Blueprint:
    """`/login`, `/logout`, `/refresh`, `/reauthenticate`, `/password`."""
    blueprint = Blueprint("access", __name__)
    runtime = surface.runtime

    @blueprint.post("/login")
    @surface.operation("open", "access", TokenMade, refusals=(401, 403, 429))
    def login(json: Login) -> dict[str, Any]:
        """A token of two hours for a user's name and password."""
        return told(runtime.accounts.login(json.username, json.password, caller_address(runtime), runtime.clock()))

    @blueprint.post("/logout")
    @surface.operation("any", "access", status=204)
    def logout() -> tuple[str, int]:
        """End the token that this call is made with, everywhere at once."""
        runtime.accounts.logout(principal(), runtime.clock())
        return "", 204

    @blueprint.post("/refresh")
    @surface.operation("any", "access", TokenMade)
    def refresh() -> dict[str, Any]:
        """A new token for the one that this call is made with, which is dead from then on."""
        return told(runtime.accounts.refresh(principal(), runtime.clock()))

    @blueprint.post("/password")
    @surface.operation("open", "access", status=204, refusals=(401, 429))
    def password(json: PasswordChange) -> tuple[str, int]:
        """Replace a password, a one-time password too. Every earlier token of the user is dead."""
        runtime.accounts.change_password(
            json.username, json.password, json.new_password, caller_address(runtime), runtime.clock()
        )
        return "", 204

    @blueprint.post("/reauthenticate")
    @surface.operation("any", "access", Reauthenticated, refusals=(429,))
    def reauthenticate(json: Reauthenticate) -> dict[str, Any]:
        """Give a password for the token of this call; for five minutes it may move values of any size."""
        now = runtime.clock()
        until = runtime.accounts.reauthenticate(principal(), json.username, json.password, caller_address(runtime), now)
        return {"until": to_text(until)}

    def told(issued: Issued) -> dict[str, Any]:
        return {"token": issued.text, "expires_at": to_text(issued.expires_at)}

    return blueprint
