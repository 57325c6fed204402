"""What has become of payments, for the API and the pages: firings by payment, by merchant, by payer; sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from campaigns.two_sided.money import debts
from campaigns.two_sided.tables import marks
from gateway.contract.account import Account, merchant_rewards, person_rewards
from gateway.contract.store import Row, Tx
from gateway.ledger import book


def firings(
    tx: Tx,
    campaign: str,
    *,
    merchants: frozenset[str] | None = None,
    transaction_id: str = "",
    state: str = "",
    before: str = "",
    most: int = 50,
) -> Sequence[Row]:
    """Rows of `two_sided_firings`, newest first, before one of them; `merchants`: of these alone."""
    wheres, params = ["campaign = :campaign"], {"campaign": campaign, "most": most}
    if merchants is not None:
        names, more = marks("m", tuple(sorted(merchants)) or ("",))
        wheres.append(f"merchant IN ({names})")
        params.update(more)
    for column, value, sign in (("transaction_id", transaction_id, "="), ("state", state, "="), ("id", before, "<")):
        if value:
            wheres.append(f"{column} {sign} :{column}")
            params[column] = value
    where = " AND ".join(wheres)
    return tx.all(f"SELECT * FROM two_sided_firings WHERE {where} ORDER BY id DESC LIMIT :most", params)


def as_json(row: Row) -> Mapping[str, Any]:
    """A firing as the API tells it."""
    return {
        "transaction_id": row["transaction_id"],
        "state": row["state"],
        "reason": row["reason"],
        "amount_fen": row["amount_fen"],
        "paid_at": row["paid_at"],
        "user": {"person": row["person"], "fen": row["user_fen"], "back_fen": row["user_back_fen"]},
        "merchant": {"merchant": row["merchant"], "fen": row["merchant_fen"], "back_fen": row["merchant_back_fen"]},
        "clerk": {"user": row["clerk"], "fen": row["clerk_fen"], "back_fen": row["clerk_back_fen"]}
        if row["clerk"] is not None
        else None,
    }


def of_person(tx: Tx, campaign: str, group: tuple[str, ...], most: int = 50) -> Sequence[Row]:
    """What a human's payments brought him, newest first; payments that brought nothing are left out."""
    names, params = marks("p", group)
    return tx.all(
        f"SELECT * FROM two_sided_firings WHERE campaign = :campaign AND person IN ({names}) AND state <> 'refused' "
        f"ORDER BY paid_at DESC, id DESC LIMIT :most",
        {**params, "campaign": campaign, "most": most},
    )


def holds(tx: Tx, account: Account) -> int:
    """What an account of rewards holds, less what its owner owes."""
    return book.balance(tx, account) + book.balance(tx, debts(account))


def held_by(tx: Tx, group: tuple[str, ...]) -> int:
    """What a human holds, under all his ids."""
    return sum(holds(tx, person_rewards(person)) for person in group)


def held_by_merchant(tx: Tx, merchant: str) -> int:
    """What a merchant holds."""
    return holds(tx, merchant_rewards(merchant))


def counts(tx: Tx, campaign: str) -> Mapping[str, int]:
    """How many codes, merchants and payments of each outcome, and what was given and taken back."""
    found = {"codes": 0, "merchants": 0, "fired": 0, "refused": 0, "reversed": 0, "given_fen": 0, "back_fen": 0}
    rows = tx.all(
        "SELECT state, count(*) AS n, sum(user_fen + merchant_fen + clerk_fen) AS given, "
        "sum(user_back_fen + merchant_back_fen + clerk_back_fen) AS back FROM two_sided_firings "
        "WHERE campaign = :campaign GROUP BY state",
        {"campaign": campaign},
    )
    for row in rows:
        found[row["state"]] = int(row["n"])
        found["given_fen"] += int(row["given"])
        found["back_fen"] += int(row["back"])
    admitted = "two_sided_merchants m JOIN two_sided_codes c ON c.code = m.code WHERE m.campaign = :campaign"
    for name, sql in (
        ("codes", "SELECT count(*) AS n FROM two_sided_codes WHERE campaign = :campaign AND voided_at IS NULL"),
        ("merchants", f"SELECT count(*) AS n FROM {admitted} AND c.voided_at IS NULL"),
    ):
        found[name] = sum(int(one["n"]) for one in tx.all(sql, {"campaign": campaign}))
    return found


def rows_of(tx: Tx, table: str, campaign: str) -> list[dict[str, Any]]:
    """A campaign's rows of one of the module's tables, as they are."""
    rows = tx.all(f"SELECT * FROM {table} WHERE campaign = :campaign", {"campaign": campaign})
    return [{name: row[name] for name in list(row.keys())} for row in rows]
