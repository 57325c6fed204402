"""A channel's `keys` table for WeChat Pay v2 → keys, every fault at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from crypto.legacy import md5_hex
from gateway.contract import BadConfig

API_KEY_LENGTH: Final = 32
SIGN_TYPES: Final = ("MD5", "HMAC-SHA256")
_NAMES: Final = frozenset(
    ("mchid", "appid", "sub_mchid", "sub_mchids", "sub_appid", "api_key", "api_keys", "sign_type")
)


@dataclass(frozen=True, slots=True, repr=False)
class ApiKey:
    """One API key, and what refunds are encrypted under: the lower-case hexadecimal MD5 of it, as ASCII."""

    sign: bytes
    refund: bytes

    def __repr__(self) -> str:
        return "ApiKey(…)"


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """What `verify` and `parse` need of one channel.

    `mch_id` and `app_id` are the service provider's where `sub_mch_ids` is not empty. `md5` says whether an MD5
    signature is still good enough; HMAC-SHA256 always is. `api_keys` are valid together while a merchant rotates.
    """

    mch_id: str
    app_id: str
    sub_mch_ids: frozenset[str]
    sub_app_id: str | None
    api_keys: tuple[ApiKey, ...]
    md5: bool

    def __repr__(self) -> str:
        return f"Keys(mch_id={self.mch_id!r}, app_id={self.app_id!r}, api_keys=<{len(self.api_keys)}>)"


def load_keys(table: Mapping[str, Any]) -> Keys:
    """The table, secrets already read to strings → keys.

    Raises BadConfig listing every fault by its path inside the table: unknown names, missing or empty values, an API
    key that has not 32 characters, an unknown `sign_type`.
    """
    reader = _Reader(table)
    keys = Keys(
        mch_id=reader.text("mchid"),
        app_id=reader.text("appid"),
        sub_mch_ids=frozenset(value for _, value in reader.sub_merchants()),
        sub_app_id=reader.text("sub_appid") if "sub_appid" in table else None,
        api_keys=reader.api_keys(),
        md5=reader.sign_type() == "MD5",
    )
    if reader.faults:
        raise BadConfig(reader.faults)
    return keys


class _Reader:
    """Reads the table and collects what is wrong with it. A message never repeats a value."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table
        self.faults = [(str(name), "is not a name that wechat_v2 knows") for name in table if name not in _NAMES]

    def text(self, name: str) -> str:
        return self._clean(name, self.table.get(name))

    def sign_type(self) -> str:
        kind = self.text("sign_type") if "sign_type" in self.table else "MD5"
        if kind and kind not in SIGN_TYPES:
            self.faults.append(("sign_type", f"is none of {', '.join(SIGN_TYPES)}"))
        return kind

    def sub_merchants(self) -> list[tuple[str, str]]:
        if "sub_mchid" in self.table or "sub_mchids" in self.table or "sub_appid" in self.table:
            return self._one_or_many("sub_mchid", "sub_mchids")
        return []

    def api_keys(self) -> tuple[ApiKey, ...]:
        made = []
        for path, value in self._one_or_many("api_key", "api_keys"):
            raw = value.encode()
            if value and len(raw) != API_KEY_LENGTH:
                self.faults.append((path, f"has {len(raw)} bytes; an API key has {API_KEY_LENGTH}"))
            made.append(ApiKey(raw, md5_hex(raw).encode()))
        return tuple(made)

    def _one_or_many(self, single: str, plural: str) -> list[tuple[str, str]]:
        """(path, value) of what stands under either name; one of them has to be there."""
        if plural not in self.table:
            return [(single, self.text(single))]
        if single in self.table:
            self.faults.append((plural, f"stands beside {single}; one of them is wanted"))
        values = self.table[plural]
        if not isinstance(values, (list, tuple)) or not values:
            self.faults.append((plural, "is not a list with something in it"))
            return []
        paths = [f"{plural}.{place}" for place in range(len(values))]
        return [(path, self._clean(path, value)) for path, value in zip(paths, values, strict=True)]

    def _clean(self, path: str, value: Any) -> str:
        if value is None:
            self.faults.append((path, "is missing"))
        elif not isinstance(value, str):
            self.faults.append((path, "is not text"))
        elif not value.strip():
            self.faults.append((path, "is empty"))
        else:
            return value.strip()
        return ""
