"""Each kind's table in the apply file: its keys, what each may hold, and the object made of them.

The keys' names are the fields of `specs`, but for a pair's `from` and `to`. Ranges are the product's own where the
contract gives none: wide enough for any shop, narrow enough that a slip of the finger is seen.
"""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.catalog import specs
from gateway.checks import Check, flag, list_of, matching, one_of, suggestion, text, toml_path, whole
from gateway.contract.clock import from_text, to_text
from gateway.contract.money import MAX_FEN

WEBHOOK_EVENTS: Final = (
    "link.issued",
    "link.claimed",
    "coupon.redeemed",
    "coupon.reversed",
    "payout.held",
    "payout.sent",
    "payout.settled",
    "payout.failed",
    "payout.unknown",
)
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with
_SECRET_BYTES: Final = range(24, 65)

SLUG: Final = matching(r"[a-z0-9][a-z0-9-]{0,62}", "a name of small letters, digits and dashes, at most 63 of them")

_NAME: Final = text(1, 100)
_FEN: Final = whole(0, MAX_FEN)
_COUNT: Final = whole(0, 10**9)
_HOST: Final = matching(
    r"(?=.{1,253}\Z)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*",
    "a host name in small letters, without scheme and port",
)
_PATH: Final = matching(r"/[!-\"$->@-~]{0,499}", "a path that begins with / and has no query")
_UPSTREAM: Final = matching(r"(https?://[!-~]{1,490})?", "an address such as http://127.0.0.1:9001/pay/wx")


def _or_empty(check: Check) -> Check:
    return lambda value: "" if value == "" else check(value)


def _zone(value: Any) -> str:
    name = matching(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*", "a time zone such as Asia/Shanghai")(value)
    if name != specs.DEFAULT_ZONE:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be a time zone that this machine knows, such as Asia/Shanghai") from None
    return str(name)


def _moment(value: Any) -> str:
    if value == "":
        return ""
    try:
        if isinstance(value, datetime):
            return to_text(value)
        return to_text(from_text(text()(value)))
    except ValueError:
        raise ValueError("must be a time with its zone, such as 2026-11-22T08:00:00+08:00") from None


def _sub_merchants(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError("must be a table SUB_MCHID = merchant")  # noqa: TRY004 - one kind of fault for the caller
    name = matching(r"[0-9A-Za-z_-]{1,32}", "a table whose names are SUB_MCHIDs, letters and digits")
    return {name(sub_mch_id): SLUG(merchant) for sub_mch_id, merchant in value.items()}


def _signing_secret(value: Any) -> str:
    """The serialisation of Standard Webhooks: `whsec_` and the base64 of 24 to 64 bytes."""
    secret = str(text()(value))
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(SECRET_PREFIX) or len(key) not in _SECRET_BYTES:
        raise ValueError("must be whsec_ and the base64 of 24 to 64 random bytes")
    return secret


FIELDS: Final[Mapping[specs.KindName, Mapping[str, Check]]] = {
    "circle": {
        "name": _NAME,
        "min_amount_fen": _FEN,
        "tag_days": whole(1, 3650),
        "last_touch": flag(),
        "binding": one_of("oauth", "bearer"),
        "welcome_item": _or_empty(SLUG),
        "wording": one_of("strict", "warn", "off"),
    },
    "merchant": {"circle": SLUG, "name": _NAME, "paused": flag(), "confirm_first": flag()},
    "shop": {"merchant": SLUG, "name": _NAME, "timezone": _zone},
    "channel": {
        "merchant": SLUG,
        "adapter": text(1, 63),
        "shop": _or_empty(SLUG),
        "intake": one_of("relay", "copy", "poll"),
        "upstream": _UPSTREAM,
        "answer": one_of("mirror", "ack"),
        "timeout_ms": whole(200, 4000),
        "paused": flag(),
        "sandbox": flag(),
        "hosts": list_of(_HOST, "host names"),
        "hosts_default": flag(),
        "notify_paths": list_of(_PATH, "paths"),
        "sub_merchants": _sub_merchants,
    },
    "item": {
        "merchant": SLUG,
        "name": _NAME,
        "kind": one_of("coupon", "points", "gift"),
        "value_fen": _FEN,
        "percent_off": whole(0, 100),
        "cap_fen": _FEN,
        "min_spend_fen": _FEN,
        "stock": _COUNT,
        "valid_days": whole(1, 3650),
        "offer": one_of("own", "elsewhere", "both"),
        "price_fen": _FEN,
        "exclusive_group": text(0, 63),
        "stackable": flag(),
        "transferable": flag(),
        "weight": whole(0, 1_000_000),
        "paused": flag(),
    },
    "pair": {"from": SLUG, "to": SLUG, "both": flag(), "relation": one_of("allow", "prefer", "block")},
    "offer": {
        "circle": SLUG,
        "own": whole(0, 20),
        "elsewhere": whole(0, 20),
        "link_days": whole(1, 365),
        "per_person_per_day": _COUNT,
        "per_person_per_week": _COUNT,
        "per_person": _COUNT,
        "bought_threshold": _COUNT,
        "bought_days": whole(1, 3650),
        "bought_repeat": flag(),
        "source_item": _or_empty(SLUG),
        "source_first_payments": whole(1, 1000),
        "budget_fen": _FEN,
        "budget_fen_per_day": _FEN,
        "source_budget_fen": _FEN,
    },
    "campaign": {
        "kind": text(1, 63),
        "circle": SLUG,
        "merchants": list_of(SLUG, "merchants"),
        "state": one_of("draft", "scheduled", "live"),
        "starts_at": _moment,
        "ends_at": _moment,
        "budget_fen": _FEN,
        "budget_fen_per_day": _FEN,
        "wording": _or_empty(one_of("strict", "warn", "off")),
    },
    "webhook": {
        "url": matching(r"https?://[!-~]{1,490}", "an address such as https://erp.example.com/drainage"),
        "secret": _signing_secret,
        "previous_secret": _or_empty(_signing_secret),
        "circle": _or_empty(SLUG),
        "merchant": _or_empty(SLUG),
        "events": list_of(one_of(*WEBHOOK_EVENTS), "events"),
        "paused": flag(),
    },
}
"""Kind → key → check. A channel's `keys` and `wallet` and a campaign's own keys are read elsewhere."""

FIELD_OF_KEY: Final = {"from": "giver", "to": "taker"}
KEY_OF_FIELD: Final = {field: key for key, field in FIELD_OF_KEY.items()}


_TELLING: Final = frozenset({"binding", "sandbox", "intake", "answer", "relation", "welcome_item", "source_item"})
"""Fields on which other rules depend: with a wrong one nothing more can be said of the object."""


def read_object(
    kind: specs.KindName, slug: str, table: Mapping[str, Any], extra: Mapping[str, Any], faults: list[tuple[str, str]]
) -> specs.Spec | None:
    """The object that `[kind.slug]` describes; None when a required field is missing or a telling one is faulty.

    Faults are added to `faults`. A faulty field that has a default gets it, so that what else is wrong with the object
    can be told as well; not so the fields of `_TELLING`, whose default would make faults where there are none.
    `extra` are fields that were read elsewhere, and whose keys `table` no longer holds.
    """
    known = FIELDS[kind]
    whole = True
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            faults.append((toml_path(kind, slug, key), f"no such key{suggestion(key, known)}"))
            continue
        try:
            values[FIELD_OF_KEY.get(key, key)] = known[key](value)
        except ValueError as error:
            faults.append((toml_path(kind, slug, key), str(error)))
            whole = whole and key not in _TELLING
    required = _required(specs.KINDS[kind])
    faults += [(toml_path(kind, slug, key), "is required") for key in map(_key_of, required) if key not in table]
    whole = whole and all(name in values for name in required)
    return specs.KINDS[kind](slug=slug, **values, **extra) if whole else None


def plain(value: Any) -> Any:
    """A TOML value as JSON keeps it: times become text. Raises ValueError for inf and nan, which JSON has not."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, datetime):
        return to_text(value) if value.tzinfo else value.isoformat()
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, float) and (value != value or value in {float("inf"), float("-inf")}):  # noqa: PLR0124 - nan
        raise ValueError("must be a finite number")
    return value


def _required(spec: type[specs.Spec]) -> list[str]:
    return [
        part.name
        for part in dataclasses.fields(spec)
        if part.name != "slug" and part.default is dataclasses.MISSING and part.default_factory is dataclasses.MISSING
    ]


def _key_of(field: str) -> str:
    return KEY_OF_FIELD.get(field, field)
