"""The way to a bank: a file that an operator takes to it, and the results that he brings back (R113).

A file takes along what is held and approved, and what is in it is sent. It can be read again while one of its payouts
is open. Results are checked as a whole before the first of them counts.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, cast

from crypto.vault import Vault
from gateway import audit
from gateway.contract.errors import Refused
from gateway.contract.ids import IdFactory
from gateway.contract.money import Fen, yuan_of_fen
from gateway.contract.payout import OPEN
from gateway.contract.store import Row, Tx
from gateway.payouts import rows
from gateway.payouts.story import BANK, PayingOut

MOST: Final = 1000
"""So many payouts go into one file."""
LONGEST: Final = 1024 * 1024
HEAD: Final = ("付款编号", "收款户名", "收款账号", "金额(元)", "附言")
RESULT_HEAD: Final = ("付款编号", "结果", "原因")

_NAMES: Final[Mapping[str, str]] = {
    "付款编号": "payout",
    "payout": "payout",
    "结果": "result",
    "result": "result",
    "原因": "reason",
    "reason": "reason",
}
_WORDS: Final[Mapping[str, str]] = {"成功": "settled", "settled": "settled", "失败": "failed", "failed": "failed"}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
_REASON: Final = 64


@dataclass(frozen=True, slots=True)
class Result:
    """What the bank says of one payout."""

    payout: str
    state: Literal["settled", "failed"]
    reason: str


def take(
    tx: Tx, paying: PayingOut, ids: IdFactory, circles: frozenset[str] | None, who: str, now: datetime
) -> str | None:
    """A new file of what waits for the bank, in these circles (None: all); its id, None where nothing waits."""
    tx.lock("payouts:bank-file")
    waiting = rows.for_bank(tx, circles, MOST)
    if not waiting:
        return None
    batch = ids.new("bf", now)
    for row in waiting:
        tx.lock(f"payout:{row['id']}")
        paying.move(tx, row, "sent", now, batch=batch, who=who)
    return batch


def text_of(tx: Tx, vault: Vault, batch: str, circles: frozenset[str] | None, who: str, now: datetime) -> str:
    """The file as CSV, written down in the audit log. Raises Refused `not_found` where nothing of it is open."""
    found = [row for row in rows.of_batch(tx, batch) if row["state"] in OPEN]
    if not found or (circles is not None and any(row["circle"] not in circles for row in found)):
        raise Refused("not_found", 404)
    audit.record(tx, now, who, "payout.bank_file", batch, after={"payouts": len(found)})
    out = io.StringIO()
    # The mark by which spreadsheets know UTF-8.
    out.write("\ufeff")
    writer = csv.writer(out)
    writer.writerow(HEAD)
    writer.writerows([guarded(value) for value in _line(vault, row)] for row in found)
    return out.getvalue()


def read_results(data: bytes) -> list[Result]:
    """A CSV with the columns of `RESULT_HEAD`, in any order, others passed over.

    Raises Refused `invalid` (422) with every fault by its line: `fields = {"line 3": "…"}`.
    """
    lines = _lines(data)
    columns = {_NAMES[name]: place for place, name in enumerate(lines[0]) if name in _NAMES}
    if "payout" not in columns or "result" not in columns:
        raise _invalid({"line 1": f"the columns {', '.join(RESULT_HEAD[:2])} are wanted"})
    faults: dict[str, str] = {}
    found: dict[str, Result] = {}
    for number, line in enumerate(lines[1:], 2):
        if not any(line):
            continue
        said = {name: line[place] if place < len(line) else "" for name, place in columns.items()}
        id_ = said["payout"].removeprefix("'")
        word = _WORDS.get(said["result"].lower())
        if not rows.is_payout(id_):
            faults[f"line {number}"] = "no payout's number"
        elif id_ in found:
            faults[f"line {number}"] = "is there twice"
        elif word is None:
            faults[f"line {number}"] = "the result is 成功 or 失败"
        else:
            reason = "".join(sign for sign in said.get("reason", "") if sign.isprintable())[:_REASON]
            found[id_] = Result(id_, cast('Literal["settled", "failed"]', word), reason)
    if not faults and not found:
        faults["line 2"] = "there is no result"
    if faults:
        raise _invalid(faults)
    return list(found.values())


def settle(
    tx: Tx,
    paying: PayingOut,
    results: Sequence[Result],
    circles: frozenset[str] | None,
    who: str,
    now: datetime,
) -> int:
    """Let every result count, or none; how many moved a payout. Those that say what is so already move nothing.

    Raises Refused `invalid` (422) with every fault by its payout.
    """
    faults: dict[str, str] = {}
    before: list[Row] = []
    for result in sorted(results, key=lambda one: one.payout):
        tx.lock(f"payout:{result.payout}")
        row = rows.payout(tx, result.payout)
        if row is None or row["way"] != BANK or (circles is not None and row["circle"] not in circles):
            faults[result.payout] = "is not there"
        elif row["state"] not in {"sent", result.state}:
            faults[result.payout] = f"is {row['state']}"
        else:
            before.append(row)
    if faults:
        raise _invalid(faults)
    said = {result.payout: result for result in results}
    moved = 0
    for row in before:
        result = said[row["id"]]
        moved += row["state"] != result.state
        paying.bank_says(tx, row["id"], result.state, result.reason, now, who=who)
    return moved


def guarded(value: str) -> str:
    """Without what a spreadsheet would take for a formula."""
    return f"'{value}" if value.startswith(_FORMULA) else value


def _line(vault: Vault, row: Row) -> tuple[str, ...]:
    said = rows.request_of(vault, row)
    return (
        row["id"],
        said["name"],
        said["bank_account"],
        yuan_of_fen(Fen(row["amount_fen"])),
        row["campaign"],
    )


def _lines(data: bytes) -> list[list[str]]:
    if len(data) > LONGEST:
        raise _invalid({"file": "is larger than 1 MiB"})
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # What a Chinese spreadsheet writes where nobody told it otherwise.
        text = data.decode("gb18030", "replace")
    try:
        lines = [[cell.strip() for cell in line] for line in csv.reader(io.StringIO(text, newline=""), strict=True)]
    except csv.Error:
        raise _invalid({"file": "is no CSV"}) from None
    if not lines:
        raise _invalid({"file": "is empty"})
    return lines


def _invalid(faults: Mapping[str, str]) -> Refused:
    return Refused("invalid", 422, "; ".join(f"{place}: {fault}" for place, fault in faults.items()), fields=faults)
