"""A store with a past: real payments, links, claims and redemptions of a few guests, copied under fresh ids.

What is copied was made by the gateway itself, so each row is as it writes them; ids, numbers, codes and digests are
fresh in every copy, and times lie spread over the last weeks. SQLite only; the copies are written in one go.
"""

from __future__ import annotations

import json
import os
import re
import secrets
from datetime import datetime, timedelta, timezone
from pathlib import Path

from pysqlite3 import dbapi2 as sqlite3

from gateway.contract.clock import from_text, to_text
from gateway.runtime import create
from gateway.sandbox import make_payment
from linkgen.codes import new_code

TABLES = (
    "persons", "identities", "tags", "deliveries", "payments", "relay_attempts", "links", "coupons", "redemptions",
)  # fmt: skip
"""What a payment leaves behind. Budgets and stock are left as they are: they are counters, not history."""

_ID = re.compile(r"[a-z]{1,3}_[0-9a-f]{32}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT")
PAYMENTS_A_STORY = 2


def fill(home: Path, payments: int, *, days: int = 28) -> None:
    """Bring the demo's home to `payments` payments of the last `days`, half of them with a claimed link."""
    story = _tell(home)
    now = datetime.now(timezone.utc)
    copies = max(0, payments // PAYMENTS_A_STORY - 1)
    database = sqlite3.connect(home / "drainage.db")
    try:
        for copy in range(copies):
            _copy(database, story, now, now - timedelta(days=days) * ((copies - copy) / max(copies, 1)))
        database.commit()
        database.execute("ANALYZE")
        database.commit()
    finally:
        database.close()


def _tell(home: Path) -> dict[str, list[dict[str, object]]]:
    """One guest pays twice, claims and uses what he got, through the gateway's own use cases; all rows of it."""
    runtime = create(home)
    try:
        directory = runtime.directory()
        channel = directory.channel("noodles-wechat")
        openid = f"history-{os.urandom(6).hex()}"
        before = {table: _keys(home, table) for table in TABLES}
        for _ in range(PAYMENTS_A_STORY):
            now = runtime.clock()
            raw, _ = make_payment(runtime, "noodles-wechat", openid=openid, amount_fen=2600, now=now)
            runtime.intake.take_in(directory, channel, raw, now)
        link = runtime.store.read(lambda tx: tx.one("SELECT * FROM links ORDER BY id DESC LIMIT 1"))
        token = runtime.link_keys.token(link["id"], link["key_id"])
        runtime.claiming.claim(directory, token, runtime.clock())
    finally:
        runtime.store.close()
    return {table: [row for key, row in _rows(home, table).items() if key not in before[table]] for table in TABLES}


def _copy(database: sqlite3.Connection, story: dict[str, list[dict[str, object]]], now: datetime, at: datetime) -> None:
    fresh: dict[str, str] = {}
    stamp = int(at.timestamp() * 1000) << 80
    shift = at - now

    def new_id(found: re.Match[str]) -> str:
        old = found.group()
        if old not in fresh:
            number = stamp | int.from_bytes(secrets.token_bytes(9), "big")
            fresh[old] = f"{old.partition('_')[0]}_{number:032x}"
        return fresh[old]

    codes: dict[object, str] = {}
    numbers: dict[object, str] = {}
    for table, rows in story.items():
        for row in rows:
            made = {}
            for name, value in row.items():
                if name in {"code", "coupon"}:
                    made[name] = codes.setdefault(value, new_code(secrets.token_bytes))
                elif name in {"transaction_id", "out_trade_no"} and value:
                    made[name] = numbers.setdefault(value, str(value)[:6] + f"{secrets.randbelow(10**22):022d}")
                elif isinstance(value, bytes) and name in {"blind", "token_digest", "digest"}:
                    made[name] = secrets.token_bytes(len(value))
                elif isinstance(value, str) and _TIME.match(value):
                    made[name] = to_text(from_text(value) + shift)
                elif isinstance(value, str):
                    made[name] = _ID.sub(new_id, value)
                else:
                    made[name] = value
            places = ", ".join(f":{name}" for name in made)
            database.execute(f"INSERT INTO {table} ({', '.join(made)}) VALUES ({places})", made)


def _rows(home: Path, table: str) -> dict[str, dict[str, object]]:
    database = sqlite3.connect(home / "drainage.db")
    database.row_factory = sqlite3.Row
    try:
        return {
            json.dumps([str(value) for value in row]): dict(row) for row in database.execute(f"SELECT * FROM {table}")
        }
    finally:
        database.close()


def _keys(home: Path, table: str) -> set[str]:
    return set(_rows(home, table))
