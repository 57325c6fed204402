"""The `drainage` command. Each group of commands has a file, thin, and loaded only when it is called."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

from gateway.cli.common import Group, home_option

COMMANDS: Final = {
    "init": "setup",
    "migrate": "setup",
    "apply": "catalog",
    "export": "catalog",
    "serve": "serve",
    "work": "work",
    "check": "upkeep",
    "backup": "upkeep",
    "restore": "upkeep",
    "payments": "payments",
    "payment": "payments",
    "parked": "parked",
    "payouts": "payouts",
    "person": "persons",
    "forget": "persons",
    "merge": "persons",
    "unmerge": "persons",
    "keys": "keys",
    "user": "access",
    "token": "access",
    "adapters": "adapters",
    "simulate": "simulate",
    "demo": "demo",
}
"""Command → the module here that has it under the same name; in the order in which help lists them."""


class _Commands(Group):
    """Looks commands up in `COMMANDS`: a short command must not pay for what a long one needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"gateway.cli.{COMMANDS[cmd_name]}"), cmd_name)
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="drainage-gateway", prog_name="drainage")
@home_option
def main() -> None:
    """Stands between tills and payment callbacks: tags payers, links gifts, relays every byte."""
