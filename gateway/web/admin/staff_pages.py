"""`/admin/staff`: who works here with which role, invitations by one-time links, devices, and what each role may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway.auth import Principal, grants, invites, tokens, users
from gateway.auth.grants import Scope
from gateway.auth.invites import Invite
from gateway.catalog.directory import Directory
from gateway.contract.errors import Refused
from gateway.contract.store import Row, Tx
from gateway.runtime import Runtime
from gateway.web.admin.door import Answer, Room, noting
from gateway.web.admin.menu import doors
from gateway.web.admin.periods import zone_of
from gateway.web.admin.scopes import read_scope, scope_choices, scope_words
from gateway.web.admin.token_pages import TokenPages
from gateway.web.pages.roles import role_name

T = TypeVar("T")
_LONGEST: Final = 100
_MATRIX: Final = ("clerk", "manager", "operator", "admin")


class StaffPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    # -- looking ------------------------------------------------------------------------------------------------------

    def index(self, who: Principal) -> Answer:
        """Everybody in scope, the open links, and the form of a new one."""
        return self._list(who, {}, {})

    def roles(self, who: Principal) -> Answer:
        """What each role may do, as the doors themselves say."""
        rows = [
            (_("核销"), "clerk"),
            (_("收银"), "clerk"),
            (_("状态"), "clerk"),
            (_("撤销核销"), "manager"),
            *doors(),
        ]
        places = {role: place for place, role in enumerate(_MATRIX)}
        return render_template(
            "admin/roles.html",
            roles=[role_name(role) for role in _MATRIX],
            rows=[(words, [place >= places[role] for place in range(len(_MATRIX))]) for words, role in rows],
            own=places.get(who.role),
        )

    def user(self, who: Principal) -> Answer:
        """One member of staff: his scope, devices, and what may be done about them."""
        return self._user(who, self._seen(who, request.args.get("name", "")), {})

    # -- links --------------------------------------------------------------------------------------------------------

    def invite(self, who: Principal) -> Answer:
        """Make a one-time link for somebody new; it is shown in this answer and never again."""
        name, scope, faults = request.form.get("name", "").strip(), read_scope(request.form.get("scope", "")), {}
        if scope is None or not grants.may_give(who, scope, self._directory):
            faults["scope"] = _("请选择角色和范围")
        if not name:
            faults["name"] = _("请填写用户名")
        values = {"name": name[:_LONGEST], "scope": request.form.get("scope", "")[:_LONGEST]}
        if faults or scope is None:
            return self._list(who, faults, values), 422
        try:
            made = self._make(who, "join", name, scope)
        except Refused as refused:
            if refused.code == "forbidden":
                raise
            taken = refused.code == "user_exists"
            words = _("这个用户名已经有人用了") if taken else _("用户名是 1 到 64 个字符的一行，两端没有空格")
            return self._list(who, {"name": words}, values), refused.status
        return self._link(made, name, scope, is_reset=False)

    def reset(self, who: Principal) -> Answer:
        """Make a one-time link by which a user sets a new password; the old one holds until then."""
        user = self._managed(who)
        scope = _scope_of(user)
        return self._link(self._make(who, "reset", user["name"], scope), user["name"], scope, is_reset=True)

    def withdraw(self, who: Principal) -> Answer:
        """End an open link."""
        invite, now, note = request.form.get("invite", ""), g.now, noting(self._runtime, who)
        found = self._runtime.store.read(lambda tx: invites.find(tx, invite))
        if found is None or not grants.may_give(who, _scope_of(found), self._directory):
            abort(404)

        def write(tx: Tx) -> bool:
            done = invites.revoke(tx, invite, now)
            if done:
                note(tx, "invite.revoke", invite, before={"name": found["name"], "kind": found["kind"]})
            return done

        if self._runtime.store.write(write):
            flash(_("链接已作废。"))
        else:
            flash(_("没有改动：链接刚才已经用过或作废。"), "warn")
        return redirect(url_for(".index"), 303)

    # -- users --------------------------------------------------------------------------------------------------------

    def scope(self, who: Principal) -> Answer:
        """Give another role or scope; both the old and the new one must be for `who` to give."""
        user, wanted = self._managed(who), read_scope(request.form.get("scope", ""))
        if wanted is None or not grants.may_give(who, wanted, self._directory):
            return self._user(who, user, {"scope": _("请选择角色和范围")}), 422
        before, note = _scope_of(user), noting(self._runtime, who)
        if wanted == before:
            flash(_("没有改动。"), "warn")
            return self._back(user)

        def write(tx: Tx) -> None:
            users.set_scope(tx, user["name"], wanted.role, wanted.circle, wanted.merchant)
            note(tx, "user.scope", user["name"], before=_facts(before), after=_facts(wanted))

        self._as_manager(who, user, write)
        flash(_("已改为 %(scope)s，立即生效。", scope=scope_words(self._directory, wanted)))
        return self._back(user)

    def disable(self, who: Principal) -> Answer:
        """Let somebody in no more: every session of his is dead at once, and the links he made with them."""
        user, now, note = self._managed(who), g.now, noting(self._runtime, who)

        def write(tx: Tx) -> bool:
            done = users.disable(tx, user["name"])
            if done:
                ended = tokens.revoke_of_user(tx, user["name"], now)
                note(tx, "user.disable", user["name"], after={"tokens_ended": ended})
            return done

        self._tell(self._as_manager(who, user, write), _("已停用，所有设备已退出登录。"))
        return self._back(user)

    def enable(self, who: Principal) -> Answer:
        """Let somebody in again, with the password that he had."""
        user, note = self._managed(who), noting(self._runtime, who)

        def write(tx: Tx) -> bool:
            done = users.enable(tx, user["name"])
            if done:
                note(tx, "user.enable", user["name"])
            return done

        self._tell(self._as_manager(who, user, write), _("已启用。"))
        return self._back(user)

    def sign_out(self, who: Principal) -> Answer:
        """End one device's session, or all of them. One's own devices too."""
        user = self._seen(who, request.form.get("name", ""))
        if user["name"] != who.name and not self._may_manage(who, user):
            raise Refused("forbidden", 403, role="admin")
        token, now, note = request.form.get("token", ""), g.now, noting(self._runtime, who)

        def write(tx: Tx) -> bool:
            if not token:
                ended = tokens.revoke_of_user(tx, user["name"], now)
                note(tx, "user.sign_out", user["name"], after={"tokens_ended": ended})
                return bool(ended)
            row = tokens.find(tx, token)
            done = row is not None and row["user_name"] == user["name"] and tokens.revoke(tx, token, now)
            if done:
                note(tx, "token.revoke", token, before={"name": user["name"]})
            return done

        self._tell(self._runtime.store.write(write), _("已退出登录。"))
        return self._back(user)

    # -- finding and may ----------------------------------------------------------------------------------------------

    @property
    def _directory(self) -> Directory:
        return self._runtime.directory()

    def _seen(self, who: Principal, name: str) -> Row:
        user = self._runtime.store.read(lambda tx: users.find(tx, name))
        if user is None or not (user["name"] == who.name or grants.may_see(who, _scope_of(user), self._directory)):
            abort(404)
        return user

    def _may_manage(self, who: Principal, user: Row) -> bool:
        if user["name"] == who.name:
            return False
        # Whose merchant was taken out of the catalogue is the admin's to put right.
        return who.role == "admin" or grants.may_give(who, _scope_of(user), self._directory)

    def _managed(self, who: Principal) -> Row:
        user = self._seen(who, request.form.get("name", ""))
        if not self._may_manage(who, user):
            raise Refused("forbidden", 403, role="admin")
        return user

    def _as_manager(self, who: Principal, user: Row | None, work: Callable[[Tx], T]) -> T:
        """Write, once it is sure that neither of the two has become somebody else since.

        Of two admins who disable each other at the same moment one stays. Raises Refused `forbidden` (403).
        """

        def write(tx: Tx) -> T:
            tx.lock("staff")
            me = users.find(tx, who.name)
            if me is None or me["disabled"] or _scope_of(me) != Scope(who.role, who.circle, who.merchant):
                raise Refused("forbidden", 403, role="admin")
            if user is not None:
                again = users.find(tx, user["name"])
                if again is None or _scope_of(again) != _scope_of(user):
                    raise Refused("forbidden", 403, role="admin")
            return work(tx)

        return self._runtime.store.write(write)

    def _make(self, who: Principal, kind: invites.Kind, name: str, scope: Scope) -> Invite:
        runtime, now, note = self._runtime, g.now, noting(self._runtime, who)

        def write(tx: Tx) -> Invite:
            made = invites.make(tx, runtime.ids, runtime.random, now, kind, name, scope, who.name)
            note(tx, "invite.make", made.id, after={**_facts(scope), "name": name, "kind": kind})
            return made

        return self._as_manager(who, None, write)

    # -- showing ------------------------------------------------------------------------------------------------------

    @staticmethod
    def _tell(done: bool, words: str) -> None:
        if done:
            flash(words)
        else:
            flash(_("没有改动：别人刚刚已经这样做了。"), "warn")

    @staticmethod
    def _back(user: Row) -> Answer:
        return redirect(url_for(".user", name=user["name"]), 303)

    def _link(self, made: Invite, name: str, scope: Scope, *, is_reset: bool) -> Answer:
        return render_template(
            "admin/invited.html",
            address=url_for("join.show", token=made.token, _external=False),
            base=self._runtime.base_url,
            name=name,
            scope=scope_words(self._directory, scope),
            until=made.expires_at,
            is_reset=is_reset,
            zone=self._directory.zone(None),
        )

    def _list(self, who: Principal, faults: dict[str, str], values: dict[str, str]) -> str:
        directory, now = self._directory, g.now

        def read(tx: Tx) -> tuple[list[Row], dict[str, str], list[Row]]:
            return users.every(tx), tokens.last_seen(tx), invites.open_ones(tx, now)

        everybody, seen, links = self._runtime.store.read(read)
        return render_template(
            "admin/staff.html",
            people=[
                (one, scope_words(directory, _scope_of(one)), seen.get(one["name"]))
                for one in everybody
                if one["name"] == who.name or grants.may_see(who, _scope_of(one), directory)
            ],
            links=[
                (one, scope_words(directory, _scope_of(one)))
                for one in links
                if grants.may_give(who, _scope_of(one), directory)
            ],
            scopes=[("", _("请选择")), *scope_choices(directory, grants.scopes_to_give(who, directory))],
            values=values,
            faults=faults,
            zone=zone_of(who, directory),
        )

    def _user(self, who: Principal, user: Row, faults: dict[str, str]) -> str:
        directory, now = self._directory, g.now
        may = self._may_manage(who, user)
        devices = self._runtime.store.read(lambda tx: tokens.live_of_user(tx, user["name"], now))
        give = grants.scopes_to_give(who, directory) if may else ()
        own: dict[str, Any] = {"scope": f"{user['role']}|{user['circle'] or ''}|{user['merchant'] or ''}"}
        return render_template(
            "admin/user.html",
            user=user,
            scope=scope_words(directory, _scope_of(user)),
            devices=devices,
            here=who.token_id,
            may_manage=may,
            may_sign_out=may or user["name"] == who.name,
            scopes=scope_choices(directory, give),
            values=own,
            faults=faults,
            zone=zone_of(who, directory),
        )


def staff_room(runtime: Runtime) -> Room:
    """Staff and programs, under the name `admin_staff`."""
    pages, programs = StaffPages(runtime), TokenPages(runtime)
    room = Room("staff", __name__, runtime)
    room.add("/staff", "index", pages.index, role="manager")
    room.add("/staff/roles", "roles", pages.roles, role="manager")
    room.add("/staff/user", "user", pages.user, role="manager")
    for rule, view in (
        ("invite", pages.invite),
        ("reset", pages.reset),
        ("withdraw", pages.withdraw),
        ("scope", pages.scope),
        ("disable", pages.disable),
        ("enable", pages.enable),
        ("sign-out", pages.sign_out),
    ):
        room.add(f"/staff/{rule}", rule.replace("-", "_"), view, role="manager", methods=("POST",))
    room.add("/staff/tokens", "tokens", programs.index, role="manager")
    room.add("/staff/tokens", "token_create", programs.create, role="manager", methods=("POST",))
    room.add("/staff/tokens/revoke", "token_revoke", programs.revoke, role="manager", methods=("POST",))
    return room


def _scope_of(row: Row) -> Scope:
    return Scope(row["role"], row["circle"], row["merchant"])


def _facts(scope: Scope) -> dict[str, str | None]:
    return {"role": scope.role, "circle": scope.circle, "merchant": scope.merchant}
