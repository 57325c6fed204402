"""Tables as files: what may be exported, and the job that writes one into the home, readable by its owner alone.

The scope stands in the job's parameters, worked out when it was asked for. A run that was cut off begins its file anew.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gateway.contract.clock import from_text
from gateway.contract.ids import floor_id
from gateway.contract.money import yuan_of_fen
from gateway.contract.store import Row, Tx
from gateway.jobs import Progress
from gateway.reading.links import in_list
from gateway.runtime import Runtime

NAME: Final = "export"
KEPT_FOR: Final = timedelta(hours=24)
_AT_ONCE: Final = 500
_DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class DataSet:
    """A table that may be exported: its columns, which of them are about persons, and how it is read in pages.

    Ids begin with `prefix` and their time, by which a range is found; `select` ends before its WHERE.
    """

    columns: Sequence[str]
    personal: frozenset[str]
    prefix: str
    select: str
    key: str
    merchant: str
    money: frozenset[str] = frozenset()


DATA_SETS: Final[Mapping[str, DataSet]] = {
    "payments": DataSet(
        columns=(
            "received_at", "paid_at", "merchant", "shop", "channel", "provider", "transaction_id", "out_trade_no",
            "amount_fen", "refunded_fen", "tag_before", "tag_after", "relay_state", "relay_status", "payer",
        ),
        personal=frozenset({"payer"}),
        prefix="pay",
        select="SELECT t.id AS row_id, t.*, t.person AS payer FROM payments t",
        key="t.id",
        merchant="t.merchant",
        money=frozenset({"amount_fen", "refunded_fen"}),
    ),
    "links": DataSet(
        columns=("created_at", "merchant", "shop", "purpose", "items", "state", "expires_at", "opened_at",
                 "claimed_at", "closed_at", "closed_reason", "payer"),
        personal=frozenset({"payer"}),
        prefix="l",
        select="SELECT t.id AS row_id, t.*, t.person AS payer FROM links t",
        key="t.id",
        merchant="t.merchant",
    ),
    "redemptions": DataSet(
        columns=("at", "merchant", "shop", "item", "name", "kind", "discount_fen", "amount_fen", "transaction_id",
                 "by", "reversed_at", "reversed_by", "reason", "coupon", "payer"),
        personal=frozenset({"coupon", "payer"}),
        prefix="rd",
        select="SELECT t.id AS row_id, t.*, c.merchant, c.item, c.name, c.kind, c.person AS payer FROM redemptions t "
        "JOIN coupons c ON c.code = t.coupon",
        key="t.id",
        merchant="c.merchant",
        money=frozenset({"discount_fen", "amount_fen"}),
    ),
}  # fmt: skip


def write_file(runtime: Runtime, params: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
    """`params`: data, columns, since, until (texts or None), merchants (list or None). The result: rows, bytes."""
    data = DATA_SETS[params["data"]]
    columns = [name for name in data.columns if name in params["columns"]]
    folder = folder_of(runtime)
    folder.mkdir(mode=0o700, exist_ok=True)
    path = file_of(runtime, progress.job.id)
    draft = path.with_suffix(".part")
    total = runtime.store.read(lambda tx: _count(tx, data, params))
    rows = 0
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
        # The mark by which spreadsheets know UTF-8.
        file.write("\ufeff")
        writer = csv.writer(file)
        writer.writerow([_head(data, name) for name in columns])
        after = ""
        progress(0, total)
        while page := runtime.store.read(lambda tx, after=after: _page(tx, data, params, after)):  # type: ignore[misc]
            writer.writerows([cell(data, name, row[name]) for name in columns] for row in page)
            rows += len(page)
            after = page[-1]["row_id"]
            progress(rows, max(total, rows))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return {"rows": rows, "bytes": path.stat().st_size}


def cell(data: DataSet, name: str, value: Any) -> str:
    """One value for a spreadsheet: sums in yuan, and no text that a spreadsheet would take for a formula."""
    if value is None:
        return ""
    if name in data.money:
        return yuan_of_fen(int(value))
    text = str(value)
    return f"'{text}" if text.startswith(_DANGEROUS) else text


def as_csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A small table as CSV text, with the same guard."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(head)
    plain = DataSet((), frozenset(), "", "", "", "")
    writer.writerows([cell(plain, "", value) for value in row] for row in rows)
    return out.getvalue()


def folder_of(runtime: Runtime) -> Path:
    """Where export files lie."""
    return runtime.home.path("exports")


def file_of(runtime: Runtime, job: str) -> Path:
    """The file of one job. Raises ValueError for what is no job's id."""
    if not job.startswith("job_") or not job[4:].isalnum():
        raise ValueError("not a job's id")
    return folder_of(runtime) / f"{job}.csv"


def drop_old(runtime: Runtime, now: datetime) -> int:
    """Delete what is older than a day, drafts of dead workers too; how many files."""
    dropped = 0
    with suppress(FileNotFoundError):
        for path in folder_of(runtime).iterdir():
            # By the time in the job's id: the clock of files need not be ours.
            if _made_at(path) < now - KEPT_FOR:
                path.unlink(missing_ok=True)
                dropped += 1
    return dropped


def _made_at(path: Path) -> datetime:
    try:
        millis = int(path.stem.removeprefix("job_")[:12], 16)
        return from_text("1970-01-01T00:00:00Z") + timedelta(milliseconds=millis)
    except (ValueError, OverflowError):
        return from_text("1970-01-01T00:00:00Z")


def _head(data: DataSet, name: str) -> str:
    return name.replace("_fen", "_yuan") if name in data.money else name


def _where(data: DataSet, params: Mapping[str, Any], after: str) -> tuple[str, dict[str, Any]]:
    values: dict[str, Any] = {"low": after or f"{data.prefix}_", "high": f"{data.prefix}_g"}
    if params["since"] and not after:
        values["low"] = floor_id(data.prefix, from_text(params["since"]))
    if params["until"]:
        values["high"] = floor_id(data.prefix, from_text(params["until"]))
    where = f"{data.key} > :low AND {data.key} < :high"
    if params["merchants"] is not None:
        marks, more = in_list(params["merchants"] or ["-"])
        where += f" AND {data.merchant} IN ({marks})"
        values |= more
    return where, values


def _count(tx: Tx, data: DataSet, params: Mapping[str, Any]) -> int:
    where, values = _where(data, params, "")
    joined = data.select.partition(" FROM ")[2]
    row = tx.one(f"SELECT count(*) AS n FROM {joined} WHERE {where}", values)
    return int(row["n"]) if row is not None else 0


def _page(tx: Tx, data: DataSet, params: Mapping[str, Any], after: str) -> list[Row]:
    where, values = _where(data, params, after)
    return tx.all(f"{data.select} WHERE {where} ORDER BY {data.key} LIMIT :most", {**values, "most": _AT_ONCE})
