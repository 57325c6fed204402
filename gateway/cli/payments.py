"""`drainage payments` and `drainage payment`: what came in, and everything that was decided about one of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

from gateway.cli.common import Desk, json_option, print_record, print_rows, with_desk
from gateway.cli.views import link_view, without_address
from gateway.contract.errors import Refused
from gateway.contract.store import Row, Tx
from gateway.reading import payments as reading
from gateway.reading import timeline

LISTED = ("transaction_id", "provider", "channel", "merchant", "amount_fen", "refunded_fen", "paid_at", "payer")


@click.command()
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="At most so many.")
@json_option
@with_desk
def payments(desk: Desk, limit: int, as_json: bool) -> None:
    """The newest payments, newest first."""
    shown = _shower(desk)

    def read(tx: Tx) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        before: str | None = None
        while len(found) < limit:
            rows, before = reading.page(tx, None, before)
            found += shown(tx, rows)
            if before is None:
                break
        return found[:limit]

    print_rows(desk.runtime.store.read(read), LISTED, as_json=as_json)


@click.command()
@click.argument("transaction_id")
@click.option("--provider", help="Where two providers gave one number: which of them.")
@json_option
@with_desk
def payment(desk: Desk, transaction_id: str, provider: str | None, as_json: bool) -> None:
    """One payment: its timeline and the reason of every decision."""
    shown = _shower(desk)

    def read(tx: Tx) -> dict[str, Any]:
        rows = reading.find(tx, transaction_id, provider)
        if not rows:
            raise Refused("not_found", 404, "no payment of that number")
        if len(rows) > 1:
            providers = ", ".join(sorted({row["provider"] for row in rows}))
            raise Refused("ambiguous", 409, f"say which with --provider: {providers}")
        return {**shown(tx, rows)[0], "timeline": timeline.of_payment(tx, rows[0])}

    record = desk.runtime.store.read(read)
    if as_json:
        print_record(record, as_json=True)
        return
    lists = {name: record.pop(name) for name in ("decisions", "links", "timeline")}
    print_record(record, as_json=False)
    columns = {
        "decisions": ("rule", "outcome", "reason"),
        "links": ("id", "for", "state", "items"),
        "timeline": ("at", "what", "detail"),
    }
    for name, rows in lists.items():
        click.echo(f"\n{name}")
        print_rows(rows, columns[name], as_json=False)


def _shower(desk: Desk) -> Callable[[Tx, Sequence[Row]], list[dict[str, Any]]]:
    """Shows payments as the API does, but for the links' addresses."""
    view = link_view(desk)
    # Read before the transaction in which payments are read: it takes one of its own.
    directory = desk.runtime.directory()

    def shown(tx: Tx, rows: Sequence[Row]) -> list[dict[str, Any]]:
        found = reading.as_json(tx, rows, directory, view)
        for one in found:
            one["links"] = [without_address(link) for link in one["links"]]
        return found

    return shown
