"""`drainage payouts`: what leaves the house, the second pair of eyes, the bank's file and its results."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, get_args

import click

from gateway.cli.common import Desk, Group, json_option, print_record, print_rows, with_desk
from gateway.contract.errors import Refused
from gateway.contract.payout import PayoutState
from gateway.contract.store import Row, Tx
from gateway.payouts import bank, rows

_COLUMNS: Final = ("id", "campaign", "way", "shown", "amount_fen", "state", "reason", "created_at")


@click.group(cls=Group)
def payouts() -> None:
    """Money on its way out of the house."""


@payouts.command("list")
@click.option("--state", type=click.Choice(get_args(PayoutState)), help="Only those in this state.")
@json_option
@with_desk
def list_(desk: Desk, state: str | None, as_json: bool) -> None:
    """The latest 200, newest first."""
    found = desk.runtime.store.read(lambda tx: rows.listed(tx, state=state or ""))
    print_rows([_shown(row) for row in found], _COLUMNS, as_json=as_json)


@payouts.command()
@click.argument("payout_id", metavar="ID")
@json_option
@with_desk
def approve(desk: Desk, payout_id: str, as_json: bool) -> None:
    """Let a payout go that waits for a second pair of eyes."""
    runtime = desk.runtime
    runtime.directory()

    def write(tx: Tx) -> Row | None:
        runtime.paying_out.approve_payout(tx, payout_id, desk.who, runtime.clock())
        return rows.payout(tx, payout_id)

    row = runtime.store.write(write)
    assert row is not None  # it was approved
    print_record(_shown(row), as_json=as_json)


@payouts.command("bank-file")
@click.option("--batch", default="", metavar="ID", help="Write this file once more instead of a new one.")
@click.argument("path", type=click.Path(dir_okay=False, path_type=Path))
@with_desk
def bank_file(desk: Desk, batch: str, path: Path) -> None:
    """Write what waits for the bank to PATH (CSV), which must not exist. From then on it counts as sent."""
    runtime = desk.runtime
    runtime.directory()
    now = runtime.clock()
    # Opened first: what is sent must not be lost for want of a place to write it to.
    with os.fdopen(_opened(path), "w", encoding="utf-8", newline="") as file:
        taken = batch or runtime.store.write(
            lambda tx: bank.take(tx, runtime.paying_out, runtime.ids, None, desk.who, now)
        )
        if taken is None:
            path.unlink()
            raise Refused("nothing_waits", 409, "no payout waits for the bank")
        try:
            text = runtime.store.write(lambda tx: bank.text_of(tx, runtime.vault(), taken, None, desk.who, now))
        except Refused:
            path.unlink()
            raise
        file.write(text)
    click.echo(taken)


@payouts.command("bank-result")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_desk
def bank_result(desk: Desk, path: Path) -> None:
    """Take in the bank's results from PATH (CSV: 付款编号, 结果, 原因): all of them, or none."""
    runtime = desk.runtime
    runtime.directory()
    with path.open("rb") as file:
        results = bank.read_results(file.read(bank.LONGEST + 1))
    now = runtime.clock()
    moved = runtime.store.write(lambda tx: bank.settle(tx, runtime.paying_out, results, None, desk.who, now))
    click.echo(f"{moved} settled or failed, {len(results) - moved} known already")


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Refused("cannot_write", 409, f"{path}: {error.strerror}") from None


def _shown(row: Row) -> dict[str, Any]:
    names = (*_COLUMNS, "circle", "merchant", "about", "detail", "batch", "begun_by", "approved_by", "moved_at")
    return {name: row[name] for name in names}
