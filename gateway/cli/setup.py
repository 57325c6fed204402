"""`drainage init` and `drainage migrate`: a home, its keys and its store."""

from __future__ import annotations

import dataclasses
from typing import Final

import click

from gateway.catalog.registry import installed, kinds_migrations
from gateway.cli.common import Desk, print_rows, with_desk
from gateway.config import load_config, process_environ
from gateway.contract.clock import system_clock
from gateway.contract.errors import BadConfig
from gateway.contract.ids import system_random
from gateway.contract.store import Tx
from gateway.heartbeat import worker_state
from gateway.home import Home, write_private
from gateway.store import Migrations, migrate_store, open_store, sqlite_path
from gateway.transfer import transfer

FIRST_USER: Final = "admin"

CONFIG_TEXT = """\
# The deployment's settings. Every key can be set by a variable DRAINAGE_SECTION_KEY instead (a list as JSON), and what
# is written here is checked at every start: a wrong key or value stops it with every fault listed. Shown are defaults
# or examples; take the # away from the section's line and the key's to set one.

# [server]
# base_url = "https://pay.example.com"        # where customers reach us; links begin with it
# trusted_proxies = ["127.0.0.1/32"]          # whose X-Forwarded-For is believed

# [store]
# url = "sqlite:///drainage.db"               # relative to this folder, or postgresql://user:password@host/database

# [redis]
# url = ""                                    # e.g. "redis://127.0.0.1:6379/0"; for flash sales with a crowd

# [relay]
# allow = ["127.0.0.0/8"]                     # private ranges that a till may be in, e.g. also "192.168.1.0/24"
# upstream_concurrency = 8                    # calls to one till at once, per process

# [sandbox]
# enabled = false                             # pretend payments; never where real ones are taken
# clock_offset_s = 0                          # moves the clock of every process; sandbox only

# [spool]
# path = "spool.bin"                          # where notifications wait while the store is down; another disk is best
# bytes = 67108864

# [security]
# unverified_burst = 120                      # requests of one address that no signature vouches for, at once
# unverified_per_second = 2.0                 # and then per second

# [retention]
# raw_days = 30
# quarantine_days = 3
# audit_days = 1095
# quarantine_bytes = 268435456

# [plugins]
# allow = ["*"]                               # distributions whose plug-ins are loaded beside our own; "*" is any

# [log]
# level = "info"                              # debug, info, warning, error
"""


@click.command()
@with_desk
def init(desk: Desk) -> None:
    """Make the home: settings, key, database, first user. Safe to run again."""
    home = desk.home
    home.create()
    if write_private(home.config_file, CONFIG_TEXT.encode(), replace=False):
        click.echo(f"made {home.config_file}")
    config = load_config(home.root, process_environ())
    url = config.store.url.reveal()
    for step in migrate_store(url, home.root, kinds_migrations(installed(config.plugins.allow))):
        click.echo(f"migrated {step}")
    _make_key(home, url)
    runtime = desk.runtime
    now = runtime.clock()
    if runtime.store.write(lambda tx: runtime.keyring.make_first(tx, now)):
        click.echo("made the first data key")
    # Raises where the store's data keys were wrapped under another master key.
    runtime.keyring.reload()
    click.echo(f"{home.root} is ready")
    _make_first_user(desk)


def _make_first_user(desk: Desk) -> None:
    """The admin, whose one-time password is printed this once; an admin that exists keeps his own."""
    runtime = desk.runtime
    if any(user["name"] == FIRST_USER for user in runtime.accounts.users()):
        return
    password = runtime.accounts.create_user(FIRST_USER, "admin", None, None, runtime.clock(), desk.who)
    click.echo(f"made the user {FIRST_USER}; shown only now, to be replaced at the first sign-in:")
    click.echo(f"one-time password: {password}")


def _make_key(home: Home, url: str) -> None:
    """Make `secret.key`, unless the store has been used with one that is not here: a new one would open nothing."""
    if not home.secret_file.exists():
        store = open_store(url, home.root)
        try:
            used = store.read(_has_data_keys)
        finally:
            store.close()
        if used:
            raise BadConfig([("secret.key", "is missing, and this store was made with one: copy it here")])
    if home.create_master_key(system_random):
        click.echo(f"made {home.secret_file}; keep a copy in a safe place: without it nothing here can be read")
    home.master_key()


def _has_data_keys(tx: Tx) -> bool:
    return tx.one("SELECT id FROM data_keys LIMIT 1") is not None


@click.command()
@click.option("--to-postgres", metavar="DSN", help="Copy the whole store to this empty PostgreSQL database.")
@with_desk
def migrate(desk: Desk, to_postgres: str | None) -> None:
    """Bring the store's schema up to date, or move the store to PostgreSQL."""
    config = load_config(desk.home.root, process_environ())
    url = config.store.url.reveal()
    kinds = kinds_migrations(installed(config.plugins.allow))
    steps = migrate_store(url, desk.home.root, kinds)
    for step in steps:
        click.echo(f"migrated {step}")
    if to_postgres is not None:
        _move(desk, url, to_postgres, kinds)
    elif not steps:
        click.echo("the schema is up to date")


def _move(desk: Desk, url: str, dsn: str, kinds: Migrations) -> None:
    if sqlite_path(url, desk.home.root) is None:
        raise BadConfig([("store.url", "names PostgreSQL already")])
    if not dsn.startswith(("postgresql://", "postgres://")):
        raise click.BadParameter("must begin with postgresql://", param_hint="--to-postgres")
    if worker_state(desk.home.run_dir, system_clock()()) == "ok":
        raise BadConfig([("", "the gateway is running: what comes in during the copy would be lost; stop it first")])
    migrate_store(dsn, desk.home.root, kinds)
    source, target = open_store(url, desk.home.root), open_store(dsn, desk.home.root)
    try:
        copied = transfer(source, target)
    finally:
        source.close()
        target.close()
    print_rows(map(dataclasses.asdict, copied), ("table", "rows", "checksum"), as_json=False)
    click.echo("counts and checksums are the same; now set [store] url in config.toml")
