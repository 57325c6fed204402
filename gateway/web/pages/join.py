"""`/join/<token>`: the one-time link by which somebody sets a password of his own, and is signed in with it."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, abort, g, make_response, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from gateway.auth import grants, invites
from gateway.auth.grants import Scope
from gateway.auth.passwords import check_strength
from gateway.contract.errors import Refused
from gateway.contract.store import Row
from gateway.runtime import Runtime
from gateway.web.pages import staff
from gateway.web.pages.browser import address
from gateway.web.pages.chrome import guard
from gateway.web.pages.refusals import request_id
from gateway.web.pages.roles import role_name

Answer = str | Response | tuple[str, int]
_LONGEST: Final = 1000


class JoinPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def show(self, token: str) -> Answer:
        """The form. Looking changes nothing, and every link that is no more gets the same answer (R056)."""
        return self._form(self._find(token), {})

    def join(self, token: str) -> Answer:
        """Set the password; once, whoever else has the link too."""
        found, password = self._find(token), request.form.get("new_password", "")[: _LONGEST + 1]
        if password != request.form.get("again", "")[: _LONGEST + 1]:
            return self._form(found, {"again": _("两次填写的新密码不一样")}), 422
        runtime, now = self._runtime, g.now
        directory, number = runtime.directory(), request_id(runtime)
        try:
            check_strength(password, "")
            # Hashed before the transaction: it takes longer than every write of a payment together.
            password_hash = runtime.accounts.hasher.hash(password)
            name = runtime.store.write(
                lambda tx: invites.take(
                    tx,
                    token,
                    now,
                    password_hash,
                    lambda maker, scope: maker.role == "admin" or grants.may_give(maker, scope, directory),
                    number,
                )
            )
            issued = runtime.accounts.login(name, password, address(runtime), now, "session")
        except Refused as refused:
            return self._refused(found, refused)
        session.pop("csrf_token", None)
        return staff.enter(make_response(redirect(url_for("staff.home"), 303)), issued, now, runtime)

    def _refused(self, found: Row, refused: Refused) -> Answer:
        words = {
            "weak_password": _("密码至少 12 个字符"),
            "busy": _("现在登录的人太多，请稍后再试"),
            "user_exists": _("这个用户名刚刚被别人用了，请让邀请你的人换一个名字再发一次。"),
        }
        if refused.code == "too_many":
            # The password is set; too many tries of somebody else bar the sign-in of this address for a while.
            return redirect(url_for("staff.login"), 303)
        if refused.code not in words:
            abort(404)
        return self._form(found, {"new_password": words[refused.code]}), refused.status

    def _find(self, token: str) -> Row:
        now = g.now
        return self._runtime.store.read(lambda tx: invites.look(tx, token, now)) or abort(404)

    def _form(self, found: Row, faults: dict[str, str]) -> str:
        # Nothing on the page repeats the token: a choice of language leads back to the page by a relative address.
        directory = self._runtime.directory()
        scope = Scope(found["role"], found["circle"], found["merchant"])
        place = ""
        if scope.merchant is not None:
            merchant = directory.merchant(scope.merchant)
            place = merchant.name if merchant is not None else scope.merchant
        elif scope.circle is not None:
            circle = directory.circle(scope.circle)
            place = circle.name if circle is not None else scope.circle
        return render_template(
            "join.html",
            name=found["name"],
            role=role_name(scope.role),
            place=place,
            by=found["made_by"],
            until=found["expires_at"],
            is_reset=found["kind"] == "reset",
            faults=faults,
            zone=directory.zone(None),
        )


def join_blueprint(runtime: Runtime) -> Blueprint:
    """One-time links of staff, under the name `join`."""
    pages = JoinPages(runtime)
    blueprint = guard(Blueprint("join", __name__), runtime)
    blueprint.add_url_rule("/join/<token>", "show", pages.show)
    blueprint.add_url_rule("/join/<token>", "join", pages.join, methods=["POST"])
    return blueprint
