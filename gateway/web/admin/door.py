"""The door of the console: every route says whom it is open to, and there is no other way to add one (R072)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Final, Protocol

from flask import Blueprint, g
from werkzeug.wrappers import Response

from gateway import audit
from gateway.auth import Principal
from gateway.auth.principal import Role
from gateway.contract.store import Tx
from gateway.runtime import Runtime
from gateway.web.pages import staff
from gateway.web.pages.chrome import guard
from gateway.web.pages.refusals import request_id

Answer = str | Response | tuple[str, int]
View = Callable[..., Answer]

PREFIX: Final = "/admin"
ROLES: Final = "drainage.admin_roles"
"""Under this name `app.extensions` holds each route's (endpoint, method) → role, for the menu and the tests."""
JOBS: Final = "drainage.admin_jobs"
"""Under this name `app.extensions` holds what people read about each kind of job (`job_pages.JobKind`)."""


class Room:
    """A group of the console's pages: a blueprint under `/admin` whose routes each bear a role.

    A view is called as `view(who, **values)`; what lies outside the scope of `who` it answers with 404.
    """

    def __init__(self, name: str, import_name: str, runtime: Runtime) -> None:
        self._runtime = runtime
        self.blueprint = guard(Blueprint(f"admin_{name}", import_name, url_prefix=PREFIX), runtime)
        self.blueprint.context_processor(_whose)
        self._roles: dict[tuple[str, str], Role] = {}
        self._kinds: dict[str, Any] = {}
        self.blueprint.record_once(lambda state: state.app.extensions.setdefault(JOBS, {}).update(self._kinds))
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

    def job(self, name: str, kind: Any) -> None:
        """Say what people read about a kind of job that this room begins: a `job_pages.JobKind`."""
        self._kinds[name] = kind


class Note(Protocol):
    """Writes one audit row in a transaction: `note(tx, "payment.link_revoked", payment, after={…})`."""

    def __call__(
        self,
        tx: Tx,
        action: str,
        object_: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """What was and what is hold no secret and no openid."""


def noting(runtime: Runtime, who: Principal) -> Note:
    """An audit pen with the name, moment and request id of this request (R246).

    Taken before the transaction begins: the store may run it in another thread, where no request is known.
    """
    now, number = g.now, request_id(runtime)

    def note(
        tx: Tx,
        action: str,
        object_: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        audit.record(tx, now, who.name, action, object_, before=before, after=after, request_id=number)

    return note


def _whose() -> dict[str, Principal | None]:
    """`who` and `me` for the templates: whoever is signed in."""
    who = g.get("principal")
    return {"who": who, "me": who}
