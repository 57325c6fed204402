"""`/admin/people`: one person, found by a number that he can show; pseudonyms, and every deed with its preview.

What reaches beyond one circle (merging, undoing it, forgetting) is open to operators of all circles only: to tell
another that it cannot be done because of some other circle would tell him of that circle.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection
from typing import Final

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway import coupons, people, privacy, tagging
from gateway.auth import Principal
from gateway.catalog.directory import Directory
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.store import Row, Tx
from gateway.people import in_group
from gateway.reading import dossier
from gateway.reading.dossier import Dossier
from gateway.runtime import Runtime
from gateway.web.admin.door import Answer, Room, noting
from gateway.web.admin.payments_words import place_name, wallet_name
from gateway.web.admin.periods import zone_of
from gateway.web.pages.roles import guest
from linkgen.codes import normalise

_LONGEST: Final = 64
_LONGEST_REASON: Final = 200
_OPEN: Final = frozenset({"issued", "opened"})


class PeoplePages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    # -- looking ------------------------------------------------------------------------------------------------------

    def index(self, who: Principal) -> Answer:
        """The search. There is no list: nobody is looked at who did not show a number."""
        number = request.args.get("q", "").strip()[:_LONGEST]
        found = self._search(who, number) if number else []
        if len(found) == 1:
            return redirect(url_for(".show", person=found[0]), 303)
        return render_template("admin/people.html", number=number, found=[(one, guest(one)) for one in found])

    def show(self, who: Principal, person: str) -> Answer:
        """What his circles know of him."""
        return self._page(who, self._find(who, person), {})

    def reveal(self, who: Principal, person: str) -> Answer:
        """The codes of his coupons, and what kinds of ids he is known by: for a reason, which is audited."""
        found = self._find(who, person)
        reason = _reason()
        if not reason:
            return self._page(who, found, {"reveal": _("请填写原因")}), 422
        note, is_whole = noting(self._runtime, who), _is_whole(who)
        marks, params = in_group(found.person)

        def write(tx: Tx) -> list[Row]:
            note(tx, "person.reveal", found.person.id, after={"reason": reason})
            if not is_whole:
                return []
            return tx.all(
                f"SELECT provider, id_type, created_at FROM identities WHERE person IN ({marks}) "
                "ORDER BY created_at, provider",
                params,
            )

        known_by = self._runtime.store.write(write)
        return self._page(who, found, {}, revealed=[(wallet_name(row["provider"]), row) for row in known_by])

    # -- one circle's deeds -------------------------------------------------------------------------------------------

    def revoke(self, who: Principal, person: str) -> Answer:
        """End the live tag in one circle, with a reason; the next payment tags anew (R028)."""
        found, circle, reason = self._find(who, person), request.form.get("circle", ""), _reason()
        if circle not in {known for known, _standing in found.standings}:
            abort(404)
        if not reason:
            return self._page(who, found, {f"revoke-{circle}": _("请填写原因")}), 422
        now, note = g.now, noting(self._runtime, who)

        def write(tx: Tx) -> bool:
            again = people.look_up(tx, person)
            done = again is not None and tagging.revoke(tx, circle, again, now, reason)
            if done:
                facts = {"state": "revoked", "circle": circle, "reason": reason}
                note(tx, "tag.revoke", found.person.id, before={"state": "active"}, after=facts)
            return done

        if self._runtime.store.write(write):
            flash(_("标识已撤销；下次付款会重新标识。"))
        else:
            flash(_("没有改动：现在没有有效的标识。"), "warn")
        return redirect(url_for(".show", person=found.person.id), 303)

    # -- deeds on the whole person ------------------------------------------------------------------------------------

    def merging(self, who: Principal, person: str) -> Answer:
        """The preview of a merge: find the other by a number of his, see what will count together."""
        found = self._whole(who, person)
        number = request.args.get("q", "").strip()[:_LONGEST]
        others = [one for one in self._search(who, number) if one != found.person.id] if number else []
        return self._merging(who, found, number, others, {})

    def merge(self, who: Principal, person: str) -> Answer:
        """Make the two one, as it was previewed."""
        found = self._whole(who, person)
        other = self._find(who, request.form.get("other", "")[:_LONGEST]).person
        reason = _reason()
        if not reason or other.id == found.person.id:
            faults = {} if reason else {"reason": _("请填写原因")}
            others = [other.id] if other.id != found.person.id else []
            return self._merging(who, found, "", others, faults), 422
        runtime, now = self._runtime, g.now
        winner, loser = sorted((found.person.id, other.id))
        try:
            runtime.store.write(
                lambda tx: people.merge(tx, runtime.ids, now, winner=winner, loser=loser, by=who.name, reason=reason)
            )
        except Refused:
            flash(_("没有改动：其中一位刚才已经合并过了。"), "warn")
        else:
            flash(_("已合并为 %(guest)s，可以撤销。", guest=guest(winner)))
        return redirect(url_for(".show", person=winner), 303)

    def unmerging(self, who: Principal, person: str, merge: str) -> Answer:
        """The preview of undoing a merge."""
        found = self._whole(who, person)
        row = _merge_of(found, merge)
        directory = self._runtime.directory()
        tags = self._runtime.store.read(lambda tx: dossier.returning(tx, merge))
        return render_template(
            "admin/unmerge.html",
            person=found.person.id,
            merge=row,
            winner=guest(row["winner"]),
            loser=guest(row["loser"]),
            tags=[(_circle_name(directory, tag["circle"]), guest(tag["person"]), tag) for tag in tags],
            zone=zone_of(who, directory),
        )

    def unmerge(self, who: Principal, person: str, merge: str) -> Answer:
        """Undo a merge."""
        found = self._whole(who, person)
        row, now = _merge_of(found, merge), g.now
        try:
            self._runtime.store.write(lambda tx: people.unmerge(tx, now, merge, who.name))
        except Refused as refused:
            later = refused.code == "merged_since"
            words = _("请先撤销更晚的那次合并。") if later else _("没有改动：这次合并已经撤销过了。")
            flash(words, "warn")
        else:
            flash(_("合并已撤销，两位各自独立。"))
        return redirect(url_for(".show", person=row["winner"]), 303)

    def forget(self, who: Principal, person: str) -> Answer:
        """Erase the person, once the last four characters of his name were typed."""
        found = self._whole(who, person)
        typed = request.form.get("typed", "").strip().upper()
        wanted = found.person.id[-4:].upper()
        if not hmac.compare_digest(typed.encode("utf-8", "replace"), wanted.encode()):
            return self._page(who, found, {"typed": _("请填写 %(n)s 来确认", n=wanted)}), 422
        self._runtime.directory()  # the campaigns erase by what is written there
        gone = privacy.forget(self._runtime.store, found.person.id, who.name, g.now, self._runtime.campaigns.forget)
        flash(
            _(
                "已删除：%(n)s 个付款标识、%(m)s 条原文。金额记录保留，但不再指向任何人。",
                n=gone["identities"],
                m=gone["requests"],
            )
        )
        return redirect(url_for(".show", person=found.person.id), 303)

    # -- finding ------------------------------------------------------------------------------------------------------

    def _search(self, who: Principal, number: str) -> list[str]:
        merchants, code = who.merchants(self._runtime.directory()), normalise(number)
        return self._runtime.store.read(lambda tx: dossier.by_number(tx, merchants, number, code))

    def _find(self, who: Principal, person: str) -> Dossier:
        circles, now = self._circles(who), g.now
        return self._runtime.store.read(lambda tx: dossier.look(tx, person, circles, now)) or abort(404)

    def _whole(self, who: Principal, person: str) -> Dossier:
        """The person, for deeds that reach into every circle. Raises Refused `forbidden` for a circle's operator."""
        found = self._find(who, person)
        if not _is_whole(who):
            raise Refused("forbidden", 403, role="operator")
        return found

    def _circles(self, who: Principal) -> Collection[str] | None:
        return None if _is_whole(who) else who.circles(self._runtime.directory())

    # -- showing ------------------------------------------------------------------------------------------------------

    def _page(
        self, who: Principal, found: Dossier, faults: dict[str, str], revealed: list[tuple[str, Row]] | None = None
    ) -> str:
        directory, now = self._runtime.directory(), g.now
        is_open = revealed is not None
        return render_template(
            "admin/person.html",
            person=found.person.id,
            name=guest(found.person.id),
            short=found.person.id[-4:].upper(),
            also=[guest(one) for one in found.person.group[1:]] if _is_whole(who) else [],
            created_at=found.created_at,
            forgotten_at=found.forgotten_at,
            standings=[
                (circle, _circle_name(directory, circle), standing, _source_name(directory, standing.source))
                for circle, standing in found.standings
            ],
            tags=[
                (_circle_name(directory, tag["circle"]), _came_from(directory, tag), _tag_state(tag, to_text(now)), tag)
                for tag in found.tags
            ],
            links=[
                (_merchant_name(directory, one["merchant"]), _link_state(one, to_text(now)), one) for one in found.links
            ],
            coupons=[
                (
                    _merchant_name(directory, one["merchant"]),
                    coupons.state_at(one, now),
                    _code(one, is_open=is_open),
                    one,
                )
                for one in found.coupons
            ],
            payments=[(place_name(directory, one), wallet_name(one["provider"]), one) for one in found.payments],
            merges=[(guest(one["winner"]), guest(one["loser"]), one) for one in found.merges] if _is_whole(who) else [],
            is_whole=_is_whole(who),
            revealed=revealed,
            most=dossier.MOST,
            faults=faults,
            zone=zone_of(who, directory),
        )

    def _merging(self, who: Principal, found: Dossier, number: str, others: list[str], faults: dict[str, str]) -> str:
        directory, now = self._runtime.directory(), g.now

        def read(tx: Tx) -> list[dossier.Together]:
            known = (people.look_up(tx, other) for other in others)
            return [dossier.together(tx, found.person, one, now) for one in known if one is not None]

        plans = self._runtime.store.read(read)
        return render_template(
            "admin/merge.html",
            person=found.person.id,
            name=guest(found.person.id),
            number=number,
            plans=[
                {
                    "other": plan.loser if plan.winner == found.person.id else plan.winner,
                    "winner": guest(plan.winner),
                    "loser": guest(plan.loser),
                    "resting": [
                        (_circle_name(directory, tag["circle"]), guest(tag["person"]), tag) for tag in plan.resting
                    ],
                    "payments": plan.payments,
                    "open_links": plan.open_links,
                    "usable": plan.usable,
                    "left": [_circle_name(directory, circle) for circle in plan.left],
                }
                for plan in plans
            ],
            faults=faults,
            zone=zone_of(who, directory),
        )


def people_room(runtime: Runtime) -> Room:
    """People, under the name `admin_people`."""
    pages = PeoplePages(runtime)
    room = Room("people", __name__, runtime)
    room.add("/people", "index", pages.index, role="operator")
    room.add("/people/<person>", "show", pages.show, role="operator")
    room.add("/people/<person>/reveal", "reveal", pages.reveal, role="operator", methods=("POST",))
    room.add("/people/<person>/revoke", "revoke", pages.revoke, role="operator", methods=("POST",))
    room.add("/people/<person>/merge", "merging", pages.merging, role="operator")
    room.add("/people/<person>/merge", "merge", pages.merge, role="operator", methods=("POST",))
    room.add("/people/<person>/merges/<merge>", "unmerging", pages.unmerging, role="operator")
    room.add("/people/<person>/merges/<merge>", "unmerge", pages.unmerge, role="operator", methods=("POST",))
    room.add("/people/<person>/forget", "forget", pages.forget, role="operator", methods=("POST",))
    return room


def _is_whole(who: Principal) -> bool:
    """Whether he is bound to no circle."""
    return who.role == "admin" or who.circle is None


def _reason() -> str:
    return request.form.get("reason", "").strip()[:_LONGEST_REASON]


def _merge_of(found: Dossier, merge: str) -> Row:
    return next((row for row in found.merges if row["id"] == merge), None) or abort(404)


def _circle_name(directory: Directory, slug: str) -> str:
    circle = directory.circle(slug)
    return circle.name if circle is not None else slug


def _merchant_name(directory: Directory, slug: str) -> str:
    merchant = directory.merchant(slug)
    return merchant.name if merchant is not None else slug


def _source_name(directory: Directory, source: tagging.Source | None) -> str:
    if source is None:
        return ""
    return guest(source.id) if source.type == "payer" else _merchant_name(directory, source.id)


def _came_from(directory: Directory, tag: Row) -> str:
    return _source_name(directory, tagging.Source(tag["source_type"], tag["source_id"], tag["mode"]))


def _tag_state(tag: Row, now: str) -> str:
    return "expired" if tag["state"] == "active" and tag["expires_at"] <= now else str(tag["state"])


def _link_state(link: Row, now: str) -> str:
    return "expired" if link["state"] in _OPEN and link["expires_at"] <= now else str(link["state"])


def _code(coupon: Row, *, is_open: bool) -> str:
    """A coupon's code: its last three characters, for a code is as good as the coupon."""
    code = str(coupon["code"])
    return code if is_open else f"…{code[-3:]}"
