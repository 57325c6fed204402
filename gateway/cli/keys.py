"""`drainage keys`: the data keys, by id only."""

from __future__ import annotations

import click

from gateway.catalog.storage import seal_again
from gateway.cli.common import Desk, Group, json_option, print_rows, with_desk


@click.group(cls=Group)
def keys() -> None:
    """Data keys: list them, or make a new one the active one."""


@keys.command("list")
@json_option
@with_desk
def list_(desk: Desk, as_json: bool) -> None:
    """Ids of the data keys, oldest first."""
    rows = desk.runtime.store.read(
        lambda tx: tx.all("SELECT id, active, created_at FROM data_keys ORDER BY created_at, id")
    )
    found = [{"id": row["id"], "active": bool(row["active"]), "created_at": row["created_at"]} for row in rows]
    print_rows(found, ("id", "active", "created_at"), as_json=as_json)


@keys.command()
@with_desk
def rotate(desk: Desk) -> None:
    """Make a new data key and seal with it from now on."""
    runtime = desk.runtime
    now = runtime.clock()
    key_id = runtime.store.write(lambda tx: runtime.keyring.rotate(tx, now, desk.who))
    vault = runtime.keyring.reload()
    runtime.store.write(lambda tx: seal_again(tx, vault))
    click.echo(key_id)
