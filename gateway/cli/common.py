"""What every command shares: the home, the runtime over it, how refusals end and how lists are printed."""

from __future__ import annotations

import json
import os
import pwd
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import click

from crypto.errors import CryptoError
from gateway.config import HOME_VARIABLE, process_environ
from gateway.contract.errors import BadConfig, DrainageError, Refused, StoreTrouble
from gateway.home import Home
from gateway.logs import configure_logs

if TYPE_CHECKING:
    from gateway.runtime import Runtime

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_HOME: Final = "var"


class Desk:
    """What a command works at: a home, and the runtime over it once that is asked for."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root.absolute())

    @cached_property
    def runtime(self) -> Runtime:
        """The parts of this process. Raises BadConfig."""
        from gateway.runtime import create  # brings nearly everything with it

        runtime = create(self.home.root)
        # A command's stderr is for its own words; of the library's only what matters is let through.
        configure_logs("error")
        return runtime

    @property
    def who(self) -> str:
        """Whose name the audit log gets: the user of this machine."""
        with suppress(KeyError):
            return f"console:{pwd.getpwuid(os.getuid()).pw_name}"
        return f"console:{os.getuid()}"

    def close(self) -> None:
        """Let the store finish what was queued."""
        if "runtime" in self.__dict__:
            self.runtime.store.close()


class Group(click.Group):
    """A group of commands whose refusals are told on stderr, without a traceback, with exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; see the class."""
        try:
            return super().invoke(ctx)
        except BadConfig as refused:
            for path, message in refused.faults:
                click.echo(f"{path}: {message}" if path else message, err=True)
        except Refused as refused:
            click.echo(f"{refused.code}: {refused}" if str(refused) != refused.code else refused.code, err=True)
        except StoreTrouble as trouble:
            click.echo(f"the store: {trouble}", err=True)
        except DrainageError as trouble:
            click.echo(str(trouble), err=True)
        except CryptoError:
            click.echo("secret.key does not open this store: it belongs to another home", err=True)
        return ctx.exit(1)


def home_option(command: F) -> F:
    """Give a command `--home`, and a Desk as its first argument."""

    def settle(ctx: click.Context, _param: click.Parameter, value: Path | None) -> Path | None:
        if value is not None or ctx.obj is None:
            chosen = value or Path(process_environ().get(HOME_VARIABLE) or DEFAULT_HOME)
            ctx.obj = Desk(chosen)
            ctx.call_on_close(ctx.obj.close)
        return value

    option = click.option(
        "--home",
        type=click.Path(file_okay=False, path_type=Path),
        callback=settle,
        expose_value=False,
        help="The home folder; else DRAINAGE_HOME, else ./var.",
    )
    return option(command)


def with_desk(command: F) -> F:
    """`home_option` for a leaf: the Desk is the command's first argument."""
    return cast("F", home_option(click.pass_obj(command)))


def json_option(command: F) -> F:
    """Give a command `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def print_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """A list: one line each in aligned columns under a head, or a JSON list with every field."""
    found = list(rows)
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=2))
        return
    if not found:
        return
    table = [list(columns), *([_cell(row.get(column)) for column in columns] for row in found)]
    widths = [max(_width(line[place]) for line in table) for place in range(len(columns))]
    for line in table:
        padded = (cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def print_record(record: Mapping[str, Any], *, as_json: bool) -> None:
    """One record: a line a field, or a JSON object."""
    if as_json:
        click.echo(json.dumps(record, ensure_ascii=False, indent=2))
        return
    width = max((_width(name) for name in record), default=0)
    for name, value in record.items():
        click.echo(f"{name}{' ' * (width - _width(name))}  {_cell(value)}")


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False)
    # A stored text must not steer the terminal.
    return "".join(char if char.isprintable() else "�" for char in str(value))


def _width(text: str) -> int:
    """Columns that a terminal gives `text`: two for each East Asian wide character."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
