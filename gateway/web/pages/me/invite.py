"""`/me/invite`: the customer's own invitation (R025), to be scanned by a friend who stands beside him."""

from __future__ import annotations

from flask import Blueprint, Response, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from gateway import privacy, tagging
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Circle
from gateway.contract.store import Tx
from gateway.runtime import Runtime
from gateway.web.pages.me.coupon import origin
from gateway.web.pages.me.visitor import Visitor, visitor, watcher
from linkgen import qr
from linkgen.urls import invite_url


class InvitingPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def add_to(self, blueprint: Blueprint) -> None:
        """Give the views their addresses."""
        add = blueprint.add_url_rule
        add("/me/invite", "invite", self.show, methods=["GET"])
        add("/me/invite", "inviting", self.change, methods=["POST"])
        add("/me/invite/qr.png", "invite_image", self.image)

    def show(self) -> str:
        """GET: the standing invitation of one circle, or the button that makes one."""
        here, directory = visitor(self._runtime), self._runtime.directory()
        mine = self._circles(directory, here)
        circle = self._chosen(mine, request.args.get("circle"), here)
        standing = self._runtime.sharing.standing(here.who.id, circle.slug, g.now) if circle is not None else None
        return render_template(
            "me/invite.html",
            circle=circle or here.circle(directory),
            chosen=circle,
            others=[other for other in mine if other != circle],
            until=standing[1] if standing is not None else "",
            link=invite_url(origin(self._runtime), standing[0].token) if standing is not None else "",
            zone=directory.zone(None),
        )

    def change(self) -> AnyResponse:
        """POST: make an invitation, or withdraw it."""
        here, directory = visitor(self._runtime), self._runtime.directory()
        circle = self._chosen(self._circles(directory, here), request.form.get("circle"), here)
        if circle is None or circle.slug != request.form.get("circle"):
            abort(404)
        sharing = self._runtime.sharing
        if request.form.get("action") == "revoke":
            sharing.revoke(here.who.id, circle.slug, g.now)
        elif sharing.standing(here.who.id, circle.slug, g.now) is None:
            sharing.create(here.who.id, circle.slug, g.now)
        return redirect(url_for(".invite", circle=circle.slug), 303)

    def image(self) -> Response:
        """The QR code of the standing invitation; the address holds no token."""
        here = watcher(self._runtime)
        circle = self._chosen(self._circles(self._runtime.directory(), here), request.args.get("circle"), here)
        standing = self._runtime.sharing.standing(here.who.id, circle.slug, g.now) if circle is not None else None
        if standing is None:
            abort(404)
        return Response(qr.png(invite_url(origin(self._runtime), standing[0].token)), mimetype="image/png")

    def _circles(self, directory: Directory, here: Visitor) -> list[Circle]:
        """Where he is known: only there can he bring a friend."""

        def read(tx: Tx) -> list[str]:
            known = privacy.circles_of(tx, here.who)
            return [slug for slug in known if tagging.standing(tx, slug, here.who, g.now).state == "tagged"]

        found = (directory.circle(slug) for slug in self._runtime.store.read(read))
        return [circle for circle in found if circle is not None]

    @staticmethod
    def _chosen(mine: list[Circle], asked: str | None, here: Visitor) -> Circle | None:
        """The circle asked for, else the one that he signed in for, else the first; None where he has none."""
        for wanted in (asked, here.customer.circle):
            for circle in mine:
                if circle.slug == wanted:
                    return circle
        return mine[0] if mine else None
