"""A skeleton package for a new adapter: it installs, works on a made-up platform, and passes the kit as it is."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Final

from gateway.contract.errors import Refused

_PYPROJECT: Final = """\
[build-system]
requires = ["setuptools>=80"]
build-backend = "setuptools.build_meta"

[project]
name = "drainage-adapter-$dashed"
version = "0.1.0"
description = "Reads the payment notifications of $slug for the drainage gateway."
requires-python = ">=3.11"
dependencies = ["drainage-gateway"]

[project.optional-dependencies]
dev = ["pytest", "hypothesis"]

[project.entry-points."drainage.adapters"]
$slug = "$package:adapter"

[project.entry-points."drainage.conformance"]
$slug = "$package.conformance:Conformance"

[tool.setuptools]
packages = ["$package"]
"""

_README: Final = """\
# drainage-adapter-$dashed

Reads the notifications of $slug for the drainage gateway.

    pip install -e '.[dev]'
    pytest                              # the conformance kit, with the samples in $package/conformance.py
    drainage adapters check $slug       # the same, from wherever it is installed

What to change, in this order:

1. `$package/conformance.py`: notifications as the platform really sends them, and what they must be read as.
2. `$package/__init__.py`: the keys, the signature, the mapping, the platform's own answer. Verify the raw bytes before
   anything of them is believed, and raise nothing but `BadNotification` and its children.
"""

_ADAPTER: Final = '''\
"""The adapter of $slug. As made, it reads a made-up platform: JSON, signed by HMAC-SHA256 in `X-Signature`."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from gateway.contract import (
    Ack,
    BadConfig,
    BadSignature,
    Event,
    Fen,
    Ignored,
    Malformed,
    Outcome,
    Payer,
    PaymentEvent,
    RawNotification,
)

MAX_FEN = 10**12


@dataclass(frozen=True)
class Keys:
    """What one channel's `keys` table holds."""

    mchid: str
    api_key: bytes = field(repr=False)


class Adapter:
    """See `gateway.contract.Adapter`."""

    slug = "$slug"

    def load_keys(self, table: Mapping[str, Any]) -> Keys:
        """Every fault at once; a message never repeats a value."""
        faults = [(name, "is not a name that $slug knows") for name in table if name not in {"mchid", "api_key"}]
        for name in ("mchid", "api_key"):
            if not isinstance(table.get(name), str) or not table[name].strip():
                faults.append((name, "must be text"))
        if faults:
            raise BadConfig(faults)
        return Keys(table["mchid"].strip(), table["api_key"].strip().encode("utf-8", "surrogatepass"))

    def parse(self, raw: RawNotification, keys: Keys, now: datetime) -> Event:
        """Verify the raw bytes first; only then look into them."""
        try:
            signature = raw.header("X-Signature")
        except ValueError:
            raise BadSignature("the signature is there twice") from None
        expected = hmac.digest(keys.api_key, raw.body, "sha256").hex()
        if signature is None or not hmac.compare_digest(expected.encode(), signature.encode()):
            raise BadSignature("the signature is not over these bytes")
        try:
            told = json.loads(raw.body)
        except (ValueError, RecursionError):
            raise Malformed("not JSON") from None
        if not isinstance(told, dict):
            raise Malformed("not an object")
        if told.get("type") != "payment":
            return Ignored(str(told.get("type"))[:40], "event_type", _text(told, "id"))
        if told.get("mchid") != keys.mchid:
            return Ignored("payment", "foreign_merchant", _text(told, "id"))
        amount = told.get("amount_fen")
        if isinstance(amount, bool) or not isinstance(amount, int) or not 0 <= amount <= MAX_FEN:
            raise Malformed("amount_fen is no amount")
        return PaymentEvent(
            provider=self.slug,
            mch_id=keys.mchid,
            sub_mch_id=None,
            transaction_id=_text(told, "transaction_id"),
            out_trade_no=None,
            payers=(Payer(keys.mchid, "openid", _text(told, "payer")),),
            amount_fen=Fen(amount),
            payer_total_fen=None,
            currency="CNY",
            paid_at=_time(told),
            trade_type=None,
            device_id=None,
            store_id=None,
            attach=None,
            event_id=_text(told, "id"),
        )

    def ack(self, outcome: Outcome, event: Event | None = None) -> Ack:
        """The platform compares these bytes."""
        status, body = {"accepted": (200, b"ok"), "refused": (401, b"fail"), "try_later": (503, b"fail")}[outcome]
        return Ack(status, (("Content-Type", "text/plain"),), body)


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 128:
        raise Malformed(f"{name} is missing or no text")
    return value


def _time(told: Mapping[str, Any]) -> datetime:
    try:
        moment = datetime.fromisoformat(_text(told, "paid_at"))
    except ValueError:
        raise Malformed("paid_at is no time") from None
    if moment.tzinfo is None:
        raise Malformed("paid_at has no zone")
    return moment.astimezone(timezone.utc)


adapter = Adapter()
'''

_CONFORMANCE: Final = '''\
"""Samples for the conformance kit: what the platform sends, and what it must be read as."""

from __future__ import annotations

import hmac
import json
from datetime import datetime, timezone

from $package import adapter

from adapters.conformance import AdapterConformance
from gateway.contract import Ack, Fen, Payer, PaymentEvent, RawNotification

TABLE = {"mchid": "1900000109", "api_key": "a key of this sample alone"}
TOLD = {
    "type": "payment",
    "id": "ev-1",
    "mchid": "1900000109",
    "transaction_id": "4200000001",
    "payer": "payer-7f3a",
    "amount_fen": 1280,
    "paid_at": "2026-11-22T12:05:03+08:00",
}


def notification(body: bytes) -> RawNotification:
    signature = hmac.digest(TABLE["api_key"].encode(), body, "sha256").hex()
    received = datetime(2026, 11, 22, 4, 5, 6, tzinfo=timezone.utc)
    return RawNotification("POST", "", (("X-Signature", signature),), body, received)


class Conformance(AdapterConformance):
    adapter = adapter
    signature_headers = ("X-Signature",)

    def keys_table(self):
        return TABLE

    def foreign_keys_table(self):
        return {**TABLE, "mchid": "1900000110"}

    def genuine(self):
        return notification(json.dumps(TOLD).encode())

    def expected(self):
        return PaymentEvent(
            provider="$slug",
            mch_id="1900000109",
            sub_mch_id=None,
            transaction_id="4200000001",
            out_trade_no=None,
            payers=(Payer("1900000109", "openid", "payer-7f3a"),),
            amount_fen=Fen(1280),
            payer_total_fen=None,
            currency="CNY",
            paid_at=datetime(2026, 11, 22, 4, 5, 3, tzinfo=timezone.utc),
            trade_type=None,
            device_id=None,
            store_id=None,
            attach=None,
            event_id="ev-1",
        )

    def with_amount(self, amount):
        return notification(json.dumps({**TOLD, "amount_fen": amount}).encode())

    def rightly_signed(self, content):
        return notification(content)

    def acks(self):
        plain = (("Content-Type", "text/plain"),)
        return {
            "accepted": Ack(200, plain, b"ok"),
            "refused": Ack(401, plain, b"fail"),
            "try_later": Ack(503, plain, b"fail"),
        }
'''

_TEST: Final = '''\
"""The conformance kit, run by pytest."""

from $package.conformance import Conformance as TestConformance  # noqa: F401
'''


def write(slug: str, folder: Path) -> list[Path]:
    """Write the package under `folder`/drainage-adapter-…; the files, in the order to read them.

    Raises Refused `exists` when that folder is there already.
    """
    names = {"slug": slug, "dashed": slug.replace("_", "-"), "package": f"drainage_adapter_{slug}"}
    root = folder / f"drainage-adapter-{names['dashed']}"
    if root.exists():
        raise Refused("exists", 409, f"{root} is there already")
    texts = {
        "README.md": _README,
        "pyproject.toml": _PYPROJECT,
        f"{names['package']}/__init__.py": _ADAPTER,
        f"{names['package']}/conformance.py": _CONFORMANCE,
        "tests/test_conformance.py": _TEST,
    }
    for name, text in texts.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(text).substitute(names), encoding="utf-8")
    return [root / name for name in texts]
