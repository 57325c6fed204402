"""`/me/privacy`: what is kept, a copy of it, deleting it, leaving a circle and joining it again (R016, R029)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, abort, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response as AnyResponse

from gateway import privacy, tagging
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Circle
from gateway.contract.store import Tx
from gateway.people import Person
from gateway.runtime import Runtime
from gateway.web.pages import browser, customer
from gateway.web.pages.me.visitor import Visitor, visitor

Answer = str | AnyResponse | tuple[str, int]


@dataclass(frozen=True, slots=True)
class Membership:
    """How the customer stands to a circle."""

    circle: Circle
    state: tagging.State


class PrivacyPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def add_to(self, blueprint: Blueprint) -> None:
        """Give the views their addresses."""
        add = blueprint.add_url_rule
        add("/me/privacy", "privacy", self.show)
        add("/me/privacy/leave/<circle>", "leave", self.leave, methods=["POST"])
        add("/me/privacy/join/<circle>", "join", self.join, methods=["POST"])
        add("/me/privacy/export", "export", self.export)
        add("/me/privacy/export.json", "export_file", self.export_file)
        add("/me/privacy/delete", "delete", self.delete, methods=["GET", "POST"])
        add("/me/deleted", "deleted", self.deleted)

    def show(self) -> str:
        """What is kept, in numbers, and the circles that know him."""
        here, directory = visitor(self._runtime), self._runtime.directory()

        def read(tx: Tx) -> dict[str, Any]:
            return {
                "kept": privacy.copy_for(tx, here.who.id, self._runtime.campaigns.copy_for),
                "circles": self._circles(tx, directory, here),
            }

        return self._page("me/privacy.html", here, directory, **self._runtime.store.read(read))

    def leave(self, circle: str) -> AnyResponse:
        """POST: leave a circle; coupons stay good."""
        now = g.now
        return self._turn(circle, lambda tx, who: tagging.opt_out(tx, circle, who, now))

    def join(self, circle: str) -> AnyResponse:
        """POST: join it again."""
        return self._turn(circle, lambda tx, who: tagging.opt_in(tx, circle, who))

    def export(self) -> str:
        """All that is kept, to read on the spot: embedded browsers may not save files."""
        here, directory = visitor(self._runtime), self._runtime.directory()
        kept = self._runtime.store.read(lambda tx: privacy.copy_for(tx, here.who.id, self._runtime.campaigns.copy_for))
        return self._page("me/export.html", here, directory, kept=kept, named=_Named(directory))

    def export_file(self) -> Response:
        """The same as a file for programs."""
        here, _directory = visitor(self._runtime), self._runtime.directory()
        kept = self._runtime.store.read(lambda tx: privacy.copy_for(tx, here.who.id, self._runtime.campaigns.copy_for))
        answer = Response(json.dumps(kept, ensure_ascii=False, indent=2) + "\n", mimetype="application/json")
        answer.headers["Content-Disposition"] = 'attachment; filename="my-data.json"'
        return answer

    def delete(self) -> Answer:
        """GET asks; POST deletes where the word was typed, and ends the sign-in."""
        here, directory = visitor(self._runtime), self._runtime.directory()
        word = _("删除")
        faults = {}
        if request.method == "POST":
            if request.form.get("confirm", "").strip().casefold() == word.casefold():
                privacy.forget(self._runtime.store, here.who.id, "customer", g.now, self._runtime.campaigns.forget)
                customer.leave()
                browser.forget_links()
                return redirect(url_for(".deleted"), 303)
            faults = {"confirm": _("请输入“%(word)s”", word=word)}
        page = self._page("me/delete.html", here, directory, word=word, faults=faults)
        return page, 422 if faults else 200

    def deleted(self) -> str:
        """The farewell; it knows nobody."""
        return render_template("me/deleted.html")

    def _circles(self, tx: Tx, directory: Directory, here: Visitor) -> list[Membership]:
        known = dict.fromkeys([*privacy.circles_of(tx, here.who), here.customer.circle])
        found = []
        for slug in known:
            circle = directory.circle(slug)
            if circle is not None:
                found.append(Membership(circle, tagging.standing(tx, slug, here.who, g.now).state))
        return found

    def _turn(self, circle: str, act: Callable[[Tx, Person], None]) -> AnyResponse:
        here, directory = visitor(self._runtime), self._runtime.directory()
        known = {one.circle.slug for one in self._runtime.store.read(lambda tx: self._circles(tx, directory, here))}

        def turn(tx: Tx) -> None:
            # One after another with a payment that is being decided about at this moment.
            tx.lock(f"person:{here.who.id}")
            act(tx, here.who)

        if circle not in known:
            abort(404)
        self._runtime.store.write(turn)
        return redirect(url_for(".privacy"), 303)

    def _page(self, template: str, here: Visitor, directory: Directory, **values: Any) -> str:
        return render_template(template, circle=here.circle(directory), zone=directory.zone(None), **values)


@dataclass(frozen=True, slots=True)
class _Named:
    """Names for the slugs of a copy; a slug stays where the catalogue has none any more."""

    directory: Directory

    def circle(self, slug: str) -> str:
        found = self.directory.circle(slug)
        return found.name if found is not None else slug

    def merchant(self, slug: str) -> str:
        found = self.directory.merchant(slug)
        return found.name if found is not None else slug
