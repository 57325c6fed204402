"""`/login`, `/logout`, `/password`: staff sign in, out, and replace a password, the one-time one first of all."""

from __future__ import annotations

from typing import Final

from flask import Blueprint, g, make_response, redirect, render_template, request, session, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from gateway.auth.tokens import Issued
from gateway.contract.errors import Refused
from gateway.runtime import Runtime
from gateway.web.pages import staff
from gateway.web.pages.browser import address
from gateway.web.pages.chrome import guard

Answer = str | Response | tuple[str, int]

_USER: Final = "user"
_LONGEST: Final = 1000


class LoginPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def login(self) -> Answer:
        """Sign in. Whatever is wrong gets the same words (R204)."""
        if request.method == "GET":
            if staff.signed_in(self._runtime) is not None:
                return redirect(url_for("staff.home"), 303)
            return self._login_form({}, "")
        name, password = _field("username"), _field("password")
        try:
            issued = self._runtime.accounts.login(name, password, address(self._runtime), g.now, "session")
        except Refused as refused:
            if refused.code == "password_change_required":
                session[_USER] = name
                return redirect(url_for("staff.password"), 303)
            return self._login_form({"username": _why(refused)}, name, refused)
        return self._enter(issued)

    def home(self) -> Answer:
        """Where a signed-in member of staff begins."""
        return redirect(staff.page_after_login(staff.require(self._runtime, "clerk")), 303)

    def logout(self) -> Answer:
        """Sign out: the session is dead in every worker at once."""
        who = staff.signed_in(self._runtime)
        if who is not None:
            self._runtime.accounts.logout(who, g.now)
        return staff.leave(make_response(redirect(url_for("staff.login"), 303)))

    def password(self) -> Answer:
        """Replace a password. The current one is asked for again, also of who has just signed in with it."""
        who = staff.signed_in(self._runtime)
        name = who.name if who is not None else str(session.get(_USER, ""))
        if request.method == "GET":
            return self._password_form({}, name)
        name, old, new = _field("username"), _field("password"), _field("new_password")
        if new != _field("again"):
            return self._password_form({"again": _("两次填写的新密码不一样")}, name, 422)
        accounts, source = self._runtime.accounts, address(self._runtime)
        try:
            accounts.change_password(name, old, new, source, g.now)
            issued = accounts.login(name, new, source, g.now, "session")
        except Refused as refused:
            field = "new_password" if refused.code == "weak_password" else "password"
            return self._password_form({field: _why(refused)}, name, refused.status)
        session.pop(_USER, None)
        return self._enter(issued)

    def _enter(self, issued: Issued) -> Response:
        # The form token of before the sign-in is not that of after it.
        session.pop("csrf_token", None)
        return staff.enter(make_response(redirect(url_for("staff.home"), 303)), issued, g.now, self._runtime)

    @staticmethod
    def _login_form(faults: dict[str, str], name: str, refused: Refused | None = None) -> Answer:
        page = make_response(render_template("login.html", faults=faults, name=name))
        if refused is not None:
            page.status_code = refused.status
            if "retry_after_s" in refused.facts:
                page.headers["Retry-After"] = str(refused.facts["retry_after_s"])
        return page

    @staticmethod
    def _password_form(faults: dict[str, str], name: str, status: int = 200) -> Answer:
        return render_template("password.html", faults=faults, name=name), status


def login_blueprint(runtime: Runtime) -> Blueprint:
    """Signing in and out, under the name `staff`."""
    pages = LoginPages(runtime)
    blueprint = guard(Blueprint("staff", __name__), runtime)
    add = blueprint.add_url_rule
    add("/login", "login", pages.login, methods=["GET", "POST"])
    add("/logout", "logout", pages.logout, methods=["POST"])
    add("/password", "password", pages.password, methods=["GET", "POST"])
    add("/staff", "home", pages.home)
    return blueprint


def _field(name: str) -> str:
    return request.form.get(name, "")[:_LONGEST]


def _why(refused: Refused) -> str:
    match refused.code:
        case "too_many":
            words = _("操作太频繁，请 %(n)s 秒后再试", n=refused.facts.get("retry_after_s", 60))
        case "busy":
            words = _("现在登录的人太多，请稍后再试")
        case "weak_password":
            words = _("新密码至少 12 个字符，且不能和旧密码一样")
        case _unknown:
            words = _("用户名或密码不对")
    return str(words)
