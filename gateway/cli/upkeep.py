"""`drainage check`, `drainage backup`, `drainage restore`: keeping an installation well."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from gateway import backup as backups
from gateway.cli.common import Desk, json_option, print_record, print_rows, with_desk
from gateway.config import load_config, process_environ
from gateway.contract.errors import BadConfig
from gateway.doctor import examine
from gateway.store import sqlite_path


@click.command()
@json_option
@with_desk
def check(desk: Desk, as_json: bool) -> None:
    """Look at everything that has to be right; a line each. Exit status 1 on a fault."""
    findings = []
    for finding in examine(desk.runtime):
        findings.append(finding)
        if not as_json:
            click.echo(f"{'ok   ' if finding.ok else 'FAULT'}  {finding.name}: {finding.detail}")
    if as_json:
        print_rows(map(dataclasses.asdict, findings), ("name", "ok", "detail"), as_json=True)
    if not all(finding.ok for finding in findings):
        click.get_current_context().exit(1)


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--without-key", is_flag=True, help="Leave secret.key out: without it the backup opens nothing.")
@json_option
@with_desk
def backup(desk: Desk, file: Path, without_key: bool, as_json: bool) -> None:
    """Write a consistent copy of the home to FILE, also while it serves; rows by table."""
    database = _database(desk, desk.home.root)
    try:
        counts = backups.backup(desk.home, database, file, with_key=not without_key)
    except OSError as error:
        raise BadConfig([(str(file), f"cannot be written: {error.strerror}")]) from None
    print_record(counts, as_json=as_json)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
@with_desk
def restore(desk: Desk, file: Path, as_json: bool) -> None:
    """Bring an empty home back from a backup, checked before anything is put in place; rows by table."""
    try:
        counts = backups.restore(desk.home, lambda folder: _database(desk, folder), file)
    except OSError as error:
        raise BadConfig([(str(desk.home.root), f"cannot be written: {error.strerror}")]) from None
    print_record(counts, as_json=as_json)


def _database(desk: Desk, folder: Path) -> Path:
    """The store's file in the home, by the settings in `folder`. Raises BadConfig where the store is PostgreSQL."""
    config = load_config(folder, process_environ())
    database = sqlite_path(config.store.url.reveal(), desk.home.root)
    if database is None:
        raise BadConfig([("store.url", "names a PostgreSQL database; its own tools (pg_dump) back it up")])
    return database
