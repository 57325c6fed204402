"""`/admin/payments/<id>`: why a payer got a link or none, and the two things that staff may do about a link."""

from __future__ import annotations

from typing import Any, Final

from flask import Response, abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway import links, rewards
from gateway.auth import Principal
from gateway.catalog.directory import Directory
from gateway.contract.store import Row, Tx
from gateway.reading import story as reading
from gateway.reading.story import Story
from gateway.runtime import Runtime
from gateway.web.admin.door import Answer, Room, noting
from gateway.web.admin.telling import Teller, headline
from linkgen import qr
from linkgen.urls import claim_url

_LONGEST_REASON: Final = 200
_OPEN: Final = frozenset({"issued", "opened"})


class PaymentPage:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def show(self, who: Principal, payment: str) -> Answer:
        """The timeline."""
        return self._page(who, payment, {})

    def revoke(self, who: Principal, payment: str, link: str) -> Answer:
        """End an unclaimed link, with a reason; its budget comes back, its address is dead at once."""
        _story, row = self._link(who, payment, link)
        reason = request.form.get("reason", "").strip()
        if not 0 < len(reason) <= _LONGEST_REASON:
            return self._page(who, payment, {"reason": _("请填写撤销原因")}), 422
        now, note = g.now, noting(self._runtime, who)

        def write(tx: Tx) -> bool:
            # Asked again inside: the customer may be claiming it at this moment.
            if not links.close(tx, row, now, "revoked", "staff"):
                return False
            if row["purpose"] == "source":
                rewards.forget_source(tx, row)
            note(tx, "link.revoke", link, before={"state": row["state"]}, after={"state": "revoked", "reason": reason})
            return True

        if self._runtime.store.write(write):
            flash(_("链接已撤销，预算已退回。"))
        else:
            flash(_("链接已经不能撤销：客人刚刚领取，或它已结束。"), "warn")
        return redirect(url_for(".show", payment=payment), 303)

    def slip(self, who: Principal, payment: str, link: str) -> Answer:
        """The link on paper, for a customer who did not see it; that it was printed is written down."""
        story, row = self._link(who, payment, link)
        if links.state_at(row, g.now) not in _OPEN:
            flash(_("链接已经结束，没有可以打印的。"), "warn")
            return redirect(url_for(".show", payment=payment), 303)
        note = noting(self._runtime, who)
        self._runtime.store.write(lambda tx: note(tx, "link.print", link, after={"payment": payment}))
        directory = self._runtime.directory()
        merchant = directory.merchant(row["merchant"])
        return render_template(
            "admin/link_slip.html",
            link=row,
            payment=story.payment,
            merchant=merchant.name if merchant is not None else row["merchant"],
            items=[self._item(directory, slug) for slug in links.items_of(row)],
            zone=directory.zone(row["shop"]),
        )

    def code(self, who: Principal, payment: str, link: str) -> Answer:
        """The picture on the slip. Its address holds no token: whoever is signed in decides."""
        _story, row = self._link(who, payment, link)
        if links.state_at(row, g.now) not in _OPEN:
            abort(404)
        token = self._runtime.link_keys.token(row["id"], row["key_id"])
        return Response(qr.png(claim_url(self._runtime.base_url, token)), mimetype="image/png")

    # -- finding it ---------------------------------------------------------------------------------------------------

    def _story(self, who: Principal, payment: str) -> Story:
        now = g.now
        story = self._runtime.store.read(lambda tx: reading.of_payment(tx, payment, now))
        if story is None or not who.sees(story.payment["circle"], story.payment["merchant"]):
            abort(404)
        return story

    def _link(self, who: Principal, payment: str, link: str) -> tuple[Story, Row]:
        story = self._story(who, payment)
        row = next((one.row for one in story.links if one.row["id"] == link), None)
        if row is None:
            abort(404)
        return story, row

    def _page(self, who: Principal, payment: str, faults: dict[str, str]) -> str:
        directory, story = self._runtime.directory(), self._story(who, payment)
        zone = directory.zone(story.payment["shop"])
        teller = Teller(directory, who.merchants(directory), zone, g.now)
        return render_template(
            "admin/payment.html",
            title=headline(directory, story.payment),
            payment=story.payment,
            steps=teller.steps(story),
            open_links=[_open_link(one.row) for one in story.links if one.state in _OPEN],
            faults=faults,
            zone=zone,
        )

    @staticmethod
    def _item(directory: Directory, slug: str) -> str:
        item = directory.item(slug)
        return item.name if item is not None else slug


def add_to(room: Room, runtime: Runtime) -> None:
    """The routes of one payment, in the room of all of them."""
    pages = PaymentPage(runtime)
    room.add("/payments/<payment>", "show", pages.show, role="manager")
    room.add("/payments/<payment>/links/<link>/revoke", "revoke", pages.revoke, role="manager", methods=("POST",))
    room.add("/payments/<payment>/links/<link>/print", "slip", pages.slip, role="manager", methods=("POST",))
    room.add("/payments/<payment>/links/<link>/qr.png", "code", pages.code, role="manager")


def _open_link(row: Row) -> dict[str, Any]:
    return {"id": row["id"], "is_reward": row["purpose"] == "source", "expires_at": row["expires_at"]}
