"""`drainage person` and `drainage forget`: what a person may ask for (PIPL)."""

from __future__ import annotations

from typing import Any

import click

from gateway import privacy
from gateway.cli.common import Desk, json_option, print_record, with_desk
from gateway.cli.views import link_view, without_address
from gateway.contract.store import Tx
from gateway.reading import persons


@click.command()
@click.argument("person_id", metavar="PERSON")
@json_option
@with_desk
def person(desk: Desk, person_id: str, as_json: bool) -> None:
    """Everything that is kept about one person, but for the ids he pays with."""
    runtime = desk.runtime
    circles = runtime.directory().catalog.circles
    view = link_view(desk)

    def read(tx: Tx) -> dict[str, Any]:
        known = privacy.known_about(tx, person_id)
        held = persons.as_json(tx, person_id, circles, view, everywhere=True) or {}
        links = [without_address(link) for link in held.get("links", ())]
        # A coupon's code is as good as the coupon: how many there are is enough here.
        return {**known, "circles": held.get("circles", {}), "links": links, "coupons": len(held.get("coupons", ()))}

    print_record(runtime.store.read(read), as_json=as_json)


@click.command()
@click.argument("person_id", metavar="PERSON")
@json_option
@with_desk
def forget(desk: Desk, person_id: str, as_json: bool) -> None:
    """Erase one person: every id of his and every stored request; the history of money stays, nobody's."""
    gone = privacy.forget(desk.runtime.store, person_id, desk.who, desk.runtime.clock())
    print_record(gone, as_json=as_json)
