"""The values of a channel's `keys` and `wallet` tables: texts, or references to where a text is.

`{ file = "path" }` and `{ env = "NAME" }` are read once, when the file is applied; `{ stored = "id" }` stands for the
value that is stored already under that id, as `drainage export` shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gateway.checks import toml_path

MAX_VALUE: Final = 64 * 1024
PLAIN_NAMES: Final = frozenset(
    {
        "mchid",
        "appid",
        "sp_mchid",
        "sp_appid",
        "sub_mchid",
        "sub_appid",
        "merchant_serial",
        "app_id",
        "seller_id",
        "seller_email",
        "sign_type",
    }
)
"""Names whose values are printed on receipts or in consoles; every other value is treated as a secret."""

_REFERENCES: Final = ("file", "env", "stored")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where references are read from. `file` raises OSError or ValueError; the others give None for what is not there.

    `stored` takes the channel's slug and the id.
    """

    file: Callable[[str], str]
    env: Mapping[str, str]
    stored: Callable[[str, str], str | None]

    def resolve(self, table: Any, channel: str, name: str, faults: list[tuple[str, str]]) -> dict[str, Any]:
        """The table `channel.<channel>.<name>` with every reference replaced by its text; faults are added."""
        path = toml_path("channel", channel, name)
        if not isinstance(table, dict):
            faults.append((path, "must be a table"))
            return {}
        return {key: self.value(value, channel, f"{path}.{toml_path(key)}", faults) for key, value in table.items()}

    def value(self, value: Any, channel: str, path: str, faults: list[tuple[str, str]]) -> Any:
        """One value with its references replaced by their texts; `path` is where it stands, for faults."""
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return [self.value(one, channel, f"{path}.{place}", faults) for place, one in enumerate(value)]
        if isinstance(value, dict):
            reference = reference_in(value)
            if reference is None:
                return {k: self.value(one, channel, f"{path}.{toml_path(k)}", faults) for k, one in value.items()}
            try:
                return self._read(*reference, channel)
            except ValueError as error:
                faults.append((path, str(error)))
                return ""
        faults.append((path, 'must be text, { file = "…" }, { env = "…" }, or a list or table of them'))
        return ""

    def _read(self, way: str, name: str, channel: str) -> str:
        if way == "stored":
            kept = self.stored(channel, name)
            if kept is None:
                raise ValueError(f"nothing is stored under {name} for this channel; give the value itself")
            return kept
        if way == "env":
            found = self.env.get(name)
            if found is None:
                raise ValueError(f"the environment variable {name} is not set")
        else:
            try:
                found = self.file(name)
            except UnicodeDecodeError:
                raise ValueError(f"the file {name} is not UTF-8 text; convert it to PEM") from None
            except OSError as error:
                raise ValueError(f"the file {name} cannot be read: {error.strerror}") from None
        # White space around a key file or variable is an editor's, never the key's.
        return found.strip()


def reference_in(table: Mapping[str, Any]) -> tuple[str, str] | None:
    """(way, name) when the table is a reference: one entry, named file, env or stored, whose value is text."""
    if len(table) == 1:
        ((way, name),) = table.items()
        if way in _REFERENCES and isinstance(name, str):
            return way, name
    return None


def file_reader(folder: Path) -> Callable[[str], str]:
    """Reads text files named relative to `folder`. Raises OSError, or ValueError for one that is no text or too big."""

    def read(name: str) -> str:
        with (folder / name).open("rb") as file:
            content = file.read(MAX_VALUE + 1)
        if len(content) > MAX_VALUE:
            raise ValueError(f"the file {name} is larger than {MAX_VALUE // 1024} KiB")
        return content.decode("utf-8")

    return read


def hide_secrets(table: Mapping[str, Any], id_of: Callable[[str], str]) -> tuple[dict[str, Any], dict[str, str]]:
    """(the table with every secret text replaced by `{"stored": id}`, the secrets by id).

    The inverse is `show_secrets`. An empty text is no secret.
    """
    secrets: dict[str, str] = {}

    def hide(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: hide(one) for key, one in value.items()}
        if isinstance(value, list):
            return [hide(one) for one in value]
        if not value:
            return value
        key_id = id_of(value)
        secrets[key_id] = value
        return {"stored": key_id}

    shown = {name: value if name in PLAIN_NAMES else hide(value) for name, value in table.items()}
    return shown, secrets


def show_secrets(value: Any, secrets: Mapping[str, str]) -> Any:
    """A value made by `hide_secrets` with its secrets back. Raises KeyError for an id that is not among them."""
    if isinstance(value, dict):
        reference = reference_in(value)
        if reference is not None:
            return secrets[reference[1]]
        return {key: show_secrets(one, secrets) for key, one in value.items()}
    if isinstance(value, list):
        return [show_secrets(one, secrets) for one in value]
    return value
