"""The door of the console: every route says whom it is open to, and there is no other way to add one (R072)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Final

from flask import Blueprint, g
from werkzeug.wrappers import Response

from gateway.auth import Principal
from gateway.auth.principal import Role
from gateway.runtime import Runtime
from gateway.web.pages import staff
from gateway.web.pages.chrome import guard

Answer = str | Response | tuple[str, int]
View = Callable[..., Answer]

PREFIX: Final = "/admin"
ROLES: Final = "drainage.admin_roles"
"""Under this name `app.extensions` holds each route's (endpoint, method) → role, for the menu and the tests."""


class Room:
    """A group of the console's pages: a blueprint under `/admin` whose routes each bear a role.

    A view is called as `view(who, **values)`; what lies outside the scope of `who` it answers with 404.
    """

    def __init__(self, name: str, import_name: str, runtime: Runtime) -> None:
        self._runtime = runtime
        self.blueprint = guard(Blueprint(f"admin_{name}", import_name, url_prefix=PREFIX), runtime)
        self.blueprint.context_processor(_whose)
        self._roles: dict[tuple[str, str], Role] = {}
        self.blueprint.record_once(lambda state: state.app.extensions.setdefault(ROLES, {}).update(self._roles))

    def add(self, rule: str, endpoint: str, view: View, *, role: Role, methods: Sequence[str] = ("GET",)) -> None:
        """A page or form at `/admin<rule>` for `role` and those above it. Nobody: the sign-in; a lower role: 403."""

        @wraps(view)
        def checked(**values: Any) -> Answer:
            who: Principal = staff.require(self._runtime, role)
            return view(who, **values)

        self.blueprint.add_url_rule(rule, endpoint, checked, methods=list(methods))
        for method in methods:
            self._roles[f"{self.blueprint.name}.{endpoint}", method] = role


def _whose() -> dict[str, Principal | None]:
    """`who` and `me` for the templates: whoever is signed in."""
    who = g.get("principal")
    return {"who": who, "me": who}
