"""What the rooms that edit the catalogue share: what is stored and in scope, and saving with its conflicts told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from flask import abort, g, render_template

from gateway.auth import Principal
from gateway.catalog.edit import Edit, Editing, Moved, edit, stamp_of
from gateway.catalog.encoding import SecretId
from gateway.catalog.export import table_of
from gateway.catalog.plan import Change
from gateway.catalog.specs import DEFAULT_ZONE, Catalog, Channel, Circle, Item, Merchant, Shop, Spec
from gateway.catalog.storage import Stored, load, secret_id
from gateway.catalog.zones import zone_named
from gateway.contract.store import Tx
from gateway.runtime import Runtime
from gateway.setup.bench import money_only_down_to_used, workshop
from gateway.web.admin.door import Answer
from gateway.web.admin.forms import Field, shown_of
from gateway.web.pages.refusals import request_id


@dataclass(frozen=True, slots=True)
class Desk:
    """The stored catalogue, as it is at this request, seen by one member of staff.

    Read from the store and not from the directory, so that whoever has just saved sees what he saved.
    """

    runtime: Runtime
    who: Principal
    stored: Stored
    name: SecretId

    @property
    def catalog(self) -> Catalog:
        """All of it; what is shown goes through the look-ups below."""
        return self.stored.catalog

    @property
    def zone(self) -> tzinfo:
        """The zone of pages that speak of no shop."""
        return zone_named(DEFAULT_ZONE)

    def sees(self, merchant: str) -> bool:
        """Whether a merchant is in scope."""
        found = self.catalog.merchants.get(merchant)
        return found is not None and self.who.sees(found.circle, found.slug)

    def merchants(self, circle: str | None = None) -> list[Merchant]:
        """The merchants in scope, of one circle or of all."""
        return [
            one
            for one in self.catalog.merchants.values()
            if self.sees(one.slug) and (circle is None or one.circle == circle)
        ]

    def circles(self) -> list[Circle]:
        """The circles in scope; a manager's is that of his merchant."""
        if self.who.may("operator"):
            return [one for one in self.catalog.circles.values() if self.who.circle in {None, one.slug}]
        own = {one.circle for one in self.merchants()}
        return [one for one in self.catalog.circles.values() if one.slug in own]

    def shops(self, merchant: str) -> list[Shop]:
        """A merchant's shops."""
        return [one for one in self.catalog.shops.values() if one.merchant == merchant]

    def channels(self) -> list[Channel]:
        """The channels in scope."""
        return [one for one in self.catalog.channels.values() if self.sees(one.merchant)]

    def items(self) -> list[Item]:
        """The items in scope."""
        return [one for one in self.catalog.items.values() if self.sees(one.merchant)]

    def circle(self, slug: str) -> Circle:
        """The circle; 404 out of scope."""
        return next((one for one in self.circles() if one.slug == slug), None) or abort(404)

    def merchant(self, slug: str) -> Merchant:
        """The merchant; 404 out of scope."""
        return self.catalog.merchants[slug] if self.sees(slug) else abort(404)

    def shop(self, slug: str) -> Shop:
        """The shop; 404 out of scope."""
        found = self.catalog.shops.get(slug)
        return found if found is not None and self.sees(found.merchant) else abort(404)

    def channel(self, slug: str) -> Channel:
        """The channel; 404 out of scope."""
        found = self.catalog.channels.get(slug)
        return found if found is not None and self.sees(found.merchant) else abort(404)

    def item(self, slug: str) -> Item:
        """The item; 404 out of scope."""
        found = self.catalog.items.get(slug)
        return found if found is not None and self.sees(found.merchant) else abort(404)

    def stamp(self, spec: Spec) -> str:
        """The stamp that a form over this object bears."""
        return stamp_of(spec, self.name)

    def table(self, spec: Spec) -> dict[str, Any]:
        """The object's table, secrets as references, with the values of keys at their default too."""
        return {**_plain(spec), **table_of(spec, self.name)}

    def save(self, edits: Sequence[Edit] | Editing, also: Callable[[Tx], None] = lambda _tx: None) -> list[Change]:
        """Make the edits in the name of whoever is signed in, `also` in the same transaction.

        Raises BadConfig, Moved.
        """
        now: datetime = g.now
        today = f"{now.astimezone(self.zone):%Y-%m-%d}"

        def check(tx: Tx, changes: Sequence[Change]) -> Sequence[tuple[str, str]]:
            faults = money_only_down_to_used(tx, changes, today)
            if not faults:
                also(tx)
            return faults

        return edit(edits, workshop(self.runtime, self.who.name, request_id(self.runtime)), now, check)

    def moved(self, moved: Moved, fields: Sequence[Field], mine: Mapping[str, str], back: str) -> Answer:
        """409: what was typed beside what is stored now."""
        theirs = shown_of(fields, self.table(moved.now)) if moved.now is not None else {}
        rows = [
            (one.label, _words(one, mine.get(one.key, "")), _words(one, theirs.get(one.key, "")))
            for one in fields
            if mine.get(one.key, "") != theirs.get(one.key, "")
        ]
        return render_template("admin/moved.html", rows=rows, is_gone=moved.now is None, back=back), 409


def desk_of(runtime: Runtime, who: Principal) -> Desk:
    """The desk of this request. Raises StoreTrouble."""
    vault = runtime.keyring.reload()
    return Desk(runtime, who, runtime.store.read(lambda tx: load(tx, vault)), secret_id(vault))


def _plain(spec: Spec) -> dict[str, Any]:
    secret = {"keys", "wallet", "settings", "slug", "secret", "previous_secret"}
    return {name: getattr(spec, name) for name in type(spec).__dataclass_fields__ if name not in secret}


def _words(one: Field, text: str) -> str:
    if one.sort == "flag":
        return "✓" if text else "—"
    return dict(one.choices).get(text, text) or "—"
