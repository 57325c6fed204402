"""A channel's table of keys with one added beside the old ones, or an old one taken out. Pure.

Secrets that stay are references (`{"stored": id}`), which the store lays back by itself; only a new one is a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_MANY: Final[Mapping[str, str]] = {"apiv3_key": "apiv3_keys", "api_key": "api_keys"}
"""A key's name alone → its name as a list: while two are good together, the list holds them."""
_ONE: Final = {many: one for one, many in _MANY.items()}
_LISTS: Final = ("public_keys", "certificates")
FINGERPRINT: Final = 8
"""Characters of a key's id that are shown."""


def is_replaceable(name: str) -> bool:
    """Whether old and new can be good together; else the channel's own form replaces it at once."""
    return name in _MANY or name in _ONE or name in _LISTS


def is_named(table: Mapping[str, Any], name: str) -> bool:
    """Whether a new one needs the key id that the platform gave it."""
    return isinstance(table.get(name), Mapping) and "stored" not in table[name]


def added(table: Mapping[str, Any], name: str, value: str, key_id: str = "") -> dict[str, Any]:
    """The table with the new key beside the old ones."""
    made = dict(table)
    if name in _MANY:
        made[_MANY[name]] = [value, made.pop(name)]
    elif is_named(table, name):
        made[name] = {**made[name], key_id: value}
    else:
        made[name] = [value, *made.get(name, ())]
    return made


def removed(table: Mapping[str, Any], name: str, fingerprint: str) -> dict[str, Any] | None:
    """The table without that key; None where there is no such key, or it is the last one of its name."""
    held = table.get(name)
    if is_named(table, name) and isinstance(held, Mapping):
        left: Any = {key: one for key, one in held.items() if not _is(one, fingerprint)}
    elif isinstance(held, list):
        left = [one for one in held if not _is(one, fingerprint)]
    else:
        return None
    if not left or len(left) != len(held) - 1:
        return None
    made = {**table, name: left}
    if name in _ONE and len(left) == 1:
        del made[name]
        made[_ONE[name]] = left[0]
    return made


def count(table: Mapping[str, Any], name: str) -> int:
    """How many keys stand under a name."""
    held = table.get(name)
    if isinstance(held, list) or (isinstance(held, Mapping) and is_named(table, name)):
        return len(held)
    return int(held is not None)


def _is(one: Any, fingerprint: str) -> bool:
    return isinstance(one, Mapping) and str(one.get("stored", ""))[:FINGERPRINT] == fingerprint
