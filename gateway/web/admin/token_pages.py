"""`/admin/staff/tokens`: the programs that may ask the API, each with a token that is shown once and ends by itself."""

from __future__ import annotations

from typing import Final

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway.auth import Principal, grants, tokens
from gateway.auth.grants import Scope
from gateway.auth.tokens import API_DAYS
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.store import Row, Tx
from gateway.runtime import Runtime
from gateway.web.admin.door import Answer, noting
from gateway.web.admin.periods import zone_of
from gateway.web.admin.scopes import read_scope, scope_choices, scope_words

DAYS: Final = (30, API_DAYS, 180, 365)
_LONGEST: Final = 100


class TokenPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """The programs in scope, ended ones last, and the form of a new one."""
        return self._page(who, {}, {})

    def create(self, who: Principal) -> Answer:
        """Make a token; its text is in this answer and never again."""
        directory, runtime = self._runtime.directory(), self._runtime
        name, scope, faults = request.form.get("name", "").strip(), read_scope(request.form.get("scope", "")), {}
        days = request.form.get("days", "")
        if not name:
            faults["name"] = _("请填写程序的名称")
        if scope is None or not grants.may_give(who, scope, directory):
            faults["scope"] = _("请选择角色和范围")
        if days not in {str(known) for known in DAYS}:
            faults["days"] = _("请选择有效期")
        values = {"name": name[:_LONGEST], "scope": request.form.get("scope", "")[:_LONGEST], "days": days[:4]}
        if faults or scope is None:
            return self._page(who, faults, values), 422
        try:
            issued = runtime.accounts.create_token(
                name, scope.role, scope.circle, scope.merchant, g.now, who.name, days=int(days)
            )
        except Refused as refused:
            words = _("名称是 1 到 64 个字符的一行，两端没有空格")
            return self._page(who, {"name" if refused.code == "bad_name" else "scope": words}, values), refused.status
        return render_template(
            "admin/token.html",
            text=issued.text,
            name=name,
            scope=scope_words(directory, scope),
            until=issued.expires_at,
            base=runtime.base_url,
            zone=directory.zone(None),
        )

    def revoke(self, who: Principal) -> Answer:
        """End a token, in every process at once."""
        token, now, note = request.form.get("token", ""), g.now, noting(self._runtime, who)
        row = self._runtime.store.read(lambda tx: tokens.find(tx, token))
        if row is None or row["kind"] != "api" or not self._in_scope(who, row):
            abort(404)

        def write(tx: Tx) -> bool:
            done = tokens.revoke(tx, token, now)
            if done:
                note(tx, "token.revoke", token, before={"name": row["name"], "role": row["role"]})
            return done

        if self._runtime.store.write(write):
            flash(_("令牌已作废，用它的程序立即进不来。"))
        else:
            flash(_("没有改动：令牌刚才已经作废。"), "warn")
        return redirect(url_for(".tokens"), 303)

    def _in_scope(self, who: Principal, row: Row) -> bool:
        scope = Scope(row["role"], row["circle"], row["merchant"])
        return who.role == "admin" or grants.may_give(who, scope, self._runtime.directory())

    def _page(self, who: Principal, faults: dict[str, str], values: dict[str, str]) -> str:
        directory, now = self._runtime.directory(), to_text(g.now)
        rows = [row for row in self._runtime.accounts.tokens() if self._in_scope(who, row)]
        told = [
            (
                row,
                scope_words(directory, Scope(row["role"], row["circle"], row["merchant"])),
                "revoked" if row["revoked_at"] else "expired" if row["expires_at"] <= now else "live",
            )
            for row in rows
        ]
        return render_template(
            "admin/tokens.html",
            rows=sorted(told, key=lambda one: one[2] != "live"),
            scopes=[
                ("", _("请选择")),
                *scope_choices(directory, grants.scopes_to_give(who, directory, programs=True)),
            ],
            days=[(str(days), _("%(n)s 天", n=days)) for days in DAYS],
            values={"days": str(API_DAYS), **values},
            faults=faults,
            zone=zone_of(who, directory),
        )
