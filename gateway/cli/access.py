"""`drainage user` and `drainage token`: who may sign in, and which programs may ask."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import click

from gateway.auth.principal import ROLES, USER_ROLES
from gateway.auth.tokens import API_DAYS
from gateway.cli.common import Desk, Group, json_option, print_rows, with_desk
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused

F = TypeVar("F", bound=Callable[..., Any])


def scope_options(command: F) -> F:
    """Give a command `--circle` and `--merchant`."""
    command = click.option("--merchant", help="The merchant that a manager or clerk works for.")(command)
    return click.option("--circle", help="The circle that an operator is bound to.")(command)


@click.group(cls=Group)
def user() -> None:
    """People who sign in."""


@user.command()
@click.argument("name")
@click.option("--role", type=click.Choice(USER_ROLES), required=True)
@scope_options
@with_desk
def add(desk: Desk, name: str, role: str, circle: str | None, merchant: str | None) -> None:
    """Make a user and print a one-time password, once: the first sign-in must replace it."""
    check_scope_exists(desk, circle, merchant)
    runtime = desk.runtime
    password = runtime.accounts.create_user(name, role, circle, merchant, runtime.clock(), desk.who)
    click.echo("one-time password, shown only now:", err=True)
    click.echo(password)


@user.command("list")
@json_option
@with_desk
def list_users(desk: Desk, as_json: bool) -> None:
    """Every user."""
    rows = [{**_plain(row), "must_change": bool(row["must_change"])} for row in desk.runtime.accounts.users()]
    rows = [{**row, "disabled": bool(row["disabled"])} for row in rows]
    print_rows(rows, ("name", "role", "circle", "merchant", "must_change", "disabled"), as_json=as_json)


@user.command()
@click.argument("name")
@with_desk
def disable(desk: Desk, name: str) -> None:
    """Let a user in no more; every session of his ends at once."""
    desk.runtime.accounts.disable_user(name, desk.runtime.clock(), desk.who)


@click.group(cls=Group)
def token() -> None:
    """API tokens of programs."""


@token.command()
@click.option("--role", type=click.Choice(ROLES), required=True)
@click.option("--name", required=True, help="What the program is called in lists and in the audit log.")
@scope_options
@click.option("--days", type=click.IntRange(1, 3650), default=API_DAYS, show_default=True)
@with_desk
def create(desk: Desk, role: str, name: str, circle: str | None, merchant: str | None, days: int) -> None:
    """Make a token and print it, once, alone on the last line."""
    check_scope_exists(desk, circle, merchant)
    runtime = desk.runtime
    issued = runtime.accounts.create_token(name, role, circle, merchant, runtime.clock(), desk.who, days=days)
    click.echo(f"{issued.id} until {to_text(issued.expires_at)}; the token is shown only now:", err=True)
    sys.stderr.flush()
    click.echo(issued.text)


@token.command("list")
@json_option
@with_desk
def list_tokens(desk: Desk, as_json: bool) -> None:
    """Every token of a program, newest first."""
    now = desk.runtime.clock()
    rows = [{**_plain(row), "state": _state(row, now)} for row in desk.runtime.accounts.tokens()]
    print_rows(rows, ("id", "name", "role", "circle", "merchant", "state", "expires_at"), as_json=as_json)


@token.command()
@click.argument("token_id", metavar="ID")
@with_desk
def revoke(desk: Desk, token_id: str) -> None:
    """End a token at once, in every process."""
    desk.runtime.accounts.revoke_token(token_id, desk.runtime.clock(), desk.who)


def check_scope_exists(desk: Desk, circle: str | None, merchant: str | None) -> None:
    """Raises Refused `bad_scope` for a circle or merchant that no apply file has made: a typing slip, mostly."""
    if circle is None and merchant is None:
        return
    catalog = desk.runtime.directory().catalog
    if circle is not None and circle not in catalog.circles:
        raise Refused("bad_scope", 422, f"there is no circle {circle}")
    if merchant is not None and merchant not in catalog.merchants:
        raise Refused("bad_scope", 422, f"there is no merchant {merchant}")


def _state(row: Any, now: datetime) -> str:
    if row["revoked_at"] is not None:
        return "revoked"
    return "expired" if from_text(row["expires_at"]) <= now else "live"


def _plain(row: Any) -> dict[str, Any]:
    return {name: row[name] for name in row.keys()}  # noqa: SIM118 - a Row iterates over its values
