"""`drainage apply` and `drainage export`: the catalogue from and to a file."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.catalog.apply import apply as apply_text
from gateway.catalog.export import export as export_text
from gateway.catalog.references import Sources, file_reader
from gateway.catalog.storage import load, secret_id
from gateway.cli.common import Desk, json_option, print_rows, with_desk
from gateway.config import process_environ
from gateway.contract.errors import BadConfig
from gateway.setup.bench import workshop


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Tell what would change and change nothing.")
@click.option("--prune", is_flag=True, help="Remove what the file does not name.")
@json_option
@with_desk
def apply(desk: Desk, file: Path, dry_run: bool, prune: bool, as_json: bool) -> None:
    """Bring circles, merchants, channels, items and campaigns to what FILE says."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadConfig([("", f"{file} cannot be read as UTF-8 text ({type(error).__name__})")]) from None
    changes = apply_text(
        text,
        lambda stored: Sources(file_reader(file.absolute().parent), process_environ(), stored.secret),
        workshop(desk.runtime, desk.who),
        desk.runtime.clock(),
        prune=prune,
        dry_run=dry_run,
    )
    told = [{"object": f"{change.kind}.{change.slug}", "action": change.action} for change in changes]
    if as_json:
        print_rows(told, ("object", "action"), as_json=True)
        return
    for line in told:
        click.echo(f"{line['action']:<9}  {line['object']}")


@click.command()
@with_desk
def export(desk: Desk) -> None:
    """Print what is stored as an apply file, secrets as references."""
    vault = desk.runtime.keyring.reload()
    stored = desk.runtime.store.read(lambda tx: load(tx, vault))
    click.echo(export_text(stored.catalog, secret_id(vault)), nl=False)
