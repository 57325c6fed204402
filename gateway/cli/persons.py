"""`drainage person`, `forget`, `merge`, `unmerge`: who a person is, and what he may ask for (PIPL)."""

from __future__ import annotations

from typing import Any

import click

from gateway import people, privacy
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
    # The campaigns erase what they keep of him, and what that means is written in the catalogue.
    desk.runtime.directory()
    gone = privacy.forget(desk.runtime.store, person_id, desk.who, desk.runtime.clock(), desk.runtime.campaigns.forget)
    print_record(gone, as_json=as_json)


@click.command()
@click.argument("one", metavar="PERSON")
@click.argument("other", metavar="PERSON")
@click.option("--reason", required=True, help="Why they are one; it stands in the audit log.")
@with_desk
def merge(desk: Desk, one: str, other: str, reason: str) -> None:
    """Make two persons one; prints the merge's id, by which it can be undone. The older one keeps the name."""
    runtime = desk.runtime
    winner, loser = sorted((one, other))
    now = runtime.clock()
    id_ = runtime.store.write(
        lambda tx: people.merge(tx, runtime.ids, now, winner=winner, loser=loser, by=desk.who, reason=reason)
    )
    click.echo(id_)


@click.command()
@click.argument("merge_id", metavar="MERGE")
@with_desk
def unmerge(desk: Desk, merge_id: str) -> None:
    """Undo a merge: both are themselves again, with the tags that had to rest."""
    runtime = desk.runtime
    now = runtime.clock()
    runtime.store.write(lambda tx: people.unmerge(tx, now, merge_id, desk.who))
