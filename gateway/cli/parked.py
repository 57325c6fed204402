"""`drainage parked`: what could not be delivered, and its replay."""

from __future__ import annotations

import json
from functools import partial
from typing import Any, Final

import click

from gateway import audit, incidents, outbox
from gateway.cli.common import Desk, Group, json_option, print_record, print_rows, with_desk
from gateway.contract.errors import Refused
from gateway.contract.store import Row, Tx
from gateway.relay import Guard
from gateway.replay import hand_over

_TRY: Final = ("id", "at", "outcome", "status", "ms", "replay")


@click.group(cls=Group)
def parked() -> None:
    """What could not be delivered within its time."""


@parked.command("list")
@json_option
@with_desk
def list_(desk: Desk, as_json: bool) -> None:
    """Everything that is parked, oldest first."""
    rows = [_shown(row) for row in desk.runtime.store.read(outbox.parked)]
    print_rows(rows, ("id", "topic", "object", "tries", "created_at", "last_error"), as_json=as_json)


@parked.command()
@click.argument("parked_id", metavar="ID")
@json_option
@with_desk
def show(desk: Desk, parked_id: str, as_json: bool) -> None:
    """One parked thing with every try at it."""
    row = _find(desk, parked_id)
    delivery = json.loads(row["payload"]).get("delivery")
    attempts = desk.runtime.store.read(
        lambda tx: tx.all(
            "SELECT id, at, outcome, status, ms, replay FROM relay_attempts WHERE delivery = :delivery ORDER BY id",
            {"delivery": delivery},
        )
    )
    tries = [{name: attempt[name] for name in _TRY} for attempt in attempts]
    print_record({**_shown(row), "payload": json.loads(row["payload"]), "attempts": tries}, as_json=as_json)


@parked.command()
@click.argument("parked_ids", nargs=-1, metavar="[ID]...")
@click.option("--dry-run", is_flag=True, help="Tell what would be sent and send nothing.")
@json_option
@with_desk
def replay(desk: Desk, parked_ids: tuple[str, ...], dry_run: bool, as_json: bool) -> None:
    """Send the named, or all, to their POS once more. Exit status 1 when one of them was not taken."""
    rows = [_find(desk, parked_id) for parked_id in parked_ids] or desk.runtime.store.read(outbox.parked)
    from gateway.app import build_relay  # brings every surface with it, which no other command here needs

    relay = build_relay(desk.runtime, Guard(desk.runtime.config.relay.allow))
    told = []
    for row in rows:
        if dry_run:
            told.append({"id": row["id"], "object": row["object"], "result": "would be sent", "detail": ""})
            continue
        tried = hand_over(
            desk.runtime, relay, json.loads(row["payload"])["delivery"], desk.runtime.clock(), replay=True
        )
        if tried.verdict == "accepted":
            desk.runtime.store.write(partial(_settle, desk=desk, row=row))
        told.append({"id": row["id"], "object": row["object"], "result": tried.verdict, "detail": tried.detail})
    print_rows(told, ("id", "object", "result", "detail"), as_json=as_json)
    if any(line["result"] not in {"accepted", "would be sent"} for line in told):
        raise Refused("not_delivered", 502, "what was not accepted stays parked")


def _settle(tx: Tx, /, desk: Desk, row: Row) -> None:
    now = desk.runtime.clock()
    outbox.done(tx, now, row["id"])
    audit.record(tx, now, desk.who, "parked.replay", row["id"], after={"object": row["object"]})
    if not any(other["object"] == row["object"] for other in outbox.parked(tx)):
        incidents.close(tx, now, "parked", row["object"])


def _find(desk: Desk, parked_id: str) -> Row:
    row = desk.runtime.store.read(
        lambda tx: tx.one("SELECT * FROM outbox WHERE id = :id AND state = 'parked'", {"id": parked_id})
    )
    if row is None:
        raise Refused("not_found", 404, f"nothing parked is called {parked_id}")
    return row


def _shown(row: Row) -> dict[str, Any]:
    names = ("id", "topic", "object", "tries", "created_at", "due_at", "give_up_at", "last_error")
    return {name: row[name] for name in names}
