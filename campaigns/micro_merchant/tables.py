"""What is stored: members, the purchases they brought, a record of each reward, and each member's entries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.contract.store import Row, Tx

MIGRATIONS: Final = (
    (
        "0001_micro_merchant",
        (
            # state: applied | approved | rejected | suspended | closed. `code` is given at approval and never reused.
            # WeChat ID and bank account are sealed; the ID is found again by its keyed hash.
            """CREATE TABLE micro_merchant_members (
                id TEXT PRIMARY KEY,
                campaign TEXT NOT NULL,
                person TEXT,
                state TEXT NOT NULL,
                wechat_blind BLOB NOT NULL,
                wechat_sealed BLOB NOT NULL,
                bank_sealed BLOB,
                bank_last4 TEXT NOT NULL,
                bank_changed_at TEXT,
                code TEXT UNIQUE,
                reason TEXT NOT NULL,
                applied_at TEXT NOT NULL,
                decided_at TEXT,
                decided_by TEXT NOT NULL
            ) STRICT""",
            """CREATE UNIQUE INDEX micro_merchant_members_wechat ON micro_merchant_members (campaign, wechat_blind)
                WHERE state IN ('applied', 'approved', 'suspended')""",
            """CREATE UNIQUE INDEX micro_merchant_members_person ON micro_merchant_members (campaign, person)
                WHERE person IS NOT NULL AND state IN ('applied', 'approved', 'suspended')""",
            """CREATE INDEX micro_merchant_members_list ON micro_merchant_members (campaign, state, id)""",
            # state: created | paid | completed | refunded. `terms` (JSON) are those at creation: what was promised.
            # settled: 1 once its rewards have been credited, or will never be.
            """CREATE TABLE micro_merchant_orders (
                id TEXT PRIMARY KEY,
                campaign TEXT NOT NULL,
                merchant TEXT NOT NULL,
                person TEXT,
                member TEXT,
                found_by TEXT NOT NULL,
                original_fen INTEGER NOT NULL,
                price_fen INTEGER NOT NULL,
                refunded_fen INTEGER NOT NULL,
                state TEXT NOT NULL,
                terms TEXT NOT NULL,
                created_at TEXT NOT NULL,
                paid_at TEXT,
                completed_at TEXT,
                matures_at TEXT,
                settled INTEGER NOT NULL,
                CHECK (refunded_fen >= 0 AND refunded_fen <= price_fen AND price_fen <= original_fen)
            ) STRICT""",
            """CREATE INDEX micro_merchant_orders_list ON micro_merchant_orders (campaign, id)""",
            """CREATE INDEX micro_merchant_orders_member ON micro_merchant_orders (member, id)""",
            """CREATE INDEX micro_merchant_orders_due ON micro_merchant_orders (campaign, matures_at)
                WHERE state = 'completed' AND settled = 0""",
            # state: pending | confirmed | cancelled. One record an order and kind: nothing is credited twice (R120).
            """CREATE TABLE micro_merchant_rewards (
                order_id TEXT NOT NULL,
                kind TEXT NOT NULL,
                campaign TEXT NOT NULL,
                member TEXT NOT NULL,
                item TEXT NOT NULL,
                amount INTEGER NOT NULL,
                taken_back INTEGER NOT NULL,
                state TEXT NOT NULL,
                reason TEXT NOT NULL,
                hold_key TEXT NOT NULL,
                made_at TEXT NOT NULL,
                settled_at TEXT,
                PRIMARY KEY (order_id, kind),
                CHECK (amount > 0 AND taken_back >= 0 AND taken_back <= amount)
            ) STRICT""",
            """CREATE INDEX micro_merchant_rewards_member ON micro_merchant_rewards (member, order_id)""",
            """CREATE INDEX micro_merchant_rewards_list ON micro_merchant_rewards (campaign, order_id)""",
            # One line of a member's own book beside each transfer of the ledger that touches his rewards.
            """CREATE TABLE micro_merchant_entries (
                id TEXT PRIMARY KEY,
                member TEXT NOT NULL,
                kind TEXT NOT NULL,
                item TEXT NOT NULL,
                amount INTEGER NOT NULL,
                reason TEXT NOT NULL,
                about TEXT NOT NULL,
                at TEXT NOT NULL,
                CHECK (amount <> 0)
            ) STRICT""",
            """CREATE INDEX micro_merchant_entries_member ON micro_merchant_entries (member, id)""",
            """CREATE INDEX micro_merchant_entries_about ON micro_merchant_entries (about) WHERE about <> ''""",
            """CREATE INDEX micro_merchant_entries_payouts ON micro_merchant_entries (id) WHERE reason = 'payout'""",
        ),
    ),
)

LIVE: Final = "('applied', 'approved', 'suspended')"

# -- members ----------------------------------------------------------------------------------------------------------


def insert(tx: Tx, table: str, values: Mapping[str, Any]) -> None:
    """One row; `table` is a name of ours without its prefix."""
    columns = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    tx.run(f"INSERT INTO micro_merchant_{table} ({columns}) VALUES ({marks})", values)


def member(tx: Tx, campaign: str, id_: str) -> Row | None:
    """A member of this campaign, whatever his state."""
    return tx.one(
        "SELECT * FROM micro_merchant_members WHERE id = :id AND campaign = :campaign",
        {"id": id_, "campaign": campaign},
    )


def member_by_code(tx: Tx, campaign: str, code: str) -> Row | None:
    """The member with this code who may bring buyers: an unknown or suspended one's code is no code (R103)."""
    return tx.one(
        "SELECT * FROM micro_merchant_members WHERE code = :code AND campaign = :campaign AND state = 'approved'",
        {"code": code, "campaign": campaign},
    )


def member_by_wechat(tx: Tx, campaign: str, blind: bytes) -> Row | None:
    """The member in good standing with this WeChat ID (R107)."""
    return tx.one(
        "SELECT * FROM micro_merchant_members WHERE wechat_blind = :blind AND campaign = :campaign "
        "AND state = 'approved'",
        {"blind": blind, "campaign": campaign},
    )


def live_with_wechat(tx: Tx, campaign: str, blind: bytes) -> Row | None:
    """The live record with this WeChat ID, decided or not (R102)."""
    return tx.one(
        f"SELECT * FROM micro_merchant_members WHERE wechat_blind = :blind AND campaign = :campaign "
        f"AND state IN {LIVE}",
        {"blind": blind, "campaign": campaign},
    )


def of_persons(tx: Tx, campaign: str, persons: Sequence[str]) -> list[Row]:
    """A human's records in a campaign, the newest first; `persons` are all ids that he is known under."""
    if not persons:
        return []
    marks = ", ".join(f":p{place}" for place in range(len(persons)))
    return tx.all(
        f"SELECT * FROM micro_merchant_members WHERE campaign = :campaign AND person IN ({marks}) ORDER BY id DESC",
        {"campaign": campaign, **{f"p{place}": person for place, person in enumerate(persons)}},
    )


def members(tx: Tx, campaign: str, state: str, before: str, most: int) -> list[Row]:
    """A campaign's records, newest first; `state` and `before` (an id) may be ""."""
    return tx.all(
        "SELECT * FROM micro_merchant_members WHERE campaign = :campaign AND (:state = '' OR state = :state) "
        "AND (:before = '' OR id < :before) ORDER BY id DESC LIMIT :most",
        {"campaign": campaign, "state": state, "before": before, "most": most},
    )


def counted(tx: Tx, campaign: str) -> dict[str, int]:
    """How many records are in each state."""
    rows = tx.all(
        "SELECT state, count(*) AS n FROM micro_merchant_members WHERE campaign = :campaign GROUP BY state",
        {"campaign": campaign},
    )
    return {row["state"]: int(row["n"]) for row in rows}


# -- purchases --------------------------------------------------------------------------------------------------------


def order(tx: Tx, campaign: str, id_: str) -> Row | None:
    """A purchase of this campaign."""
    return tx.one(
        "SELECT * FROM micro_merchant_orders WHERE id = :id AND campaign = :campaign",
        {"id": id_, "campaign": campaign},
    )


def orders(tx: Tx, campaign: str, merchants: frozenset[str] | None, before: str, most: int) -> list[Row]:
    """A campaign's purchases, newest first; of these merchants and of none in particular, None for all."""
    names = sorted(merchants) if merchants is not None else []
    marks = "".join(f", :m{place}" for place in range(len(names)))
    return tx.all(
        f"SELECT * FROM micro_merchant_orders WHERE campaign = :campaign AND (:before = '' OR id < :before) "
        f"AND (:all = 1 OR merchant IN (''{marks})) ORDER BY id DESC LIMIT :most",
        {
            "campaign": campaign,
            "before": before,
            "all": int(merchants is None),
            "most": most,
            **{f"m{place}": name for place, name in enumerate(names)},
        },
    )


def due_orders(tx: Tx, campaign: str, now: str, most: int) -> list[Row]:
    """Complete purchases whose refund window is over, not settled yet; the oldest first."""
    return tx.all(
        "SELECT id, member FROM micro_merchant_orders WHERE campaign = :campaign AND state = 'completed' "
        "AND settled = 0 AND matures_at <= :now ORDER BY matures_at, id LIMIT :most",
        {"campaign": campaign, "now": now, "most": most},
    )


# -- rewards ----------------------------------------------------------------------------------------------------------


def rewards_of(tx: Tx, order_id: str) -> list[Row]:
    """The records of one purchase, by kind."""
    return tx.all("SELECT * FROM micro_merchant_rewards WHERE order_id = :id ORDER BY kind", {"id": order_id})


def rewards(tx: Tx, campaign: str, state: str, before: str, most: int) -> list[Row]:
    """A campaign's records of rewards, newest purchase first; `before` is an order's id."""
    return tx.all(
        "SELECT r.*, m.code, m.person AS member_person, o.matures_at, o.state AS order_state "
        "FROM micro_merchant_rewards r JOIN micro_merchant_members m ON m.id = r.member "
        "JOIN micro_merchant_orders o ON o.id = r.order_id "
        "WHERE r.campaign = :campaign AND (:state = '' OR r.state = :state) "
        "AND (:before = '' OR r.order_id < :before) ORDER BY r.order_id DESC, r.kind LIMIT :most",
        {"campaign": campaign, "state": state, "before": before, "most": most},
    )


def pending_sums(tx: Tx, member_id: str) -> dict[str, int]:
    """What a member's pending records come to, by kind."""
    rows = tx.all(
        "SELECT kind, sum(amount) AS n FROM micro_merchant_rewards WHERE member = :member AND state = 'pending' "
        "GROUP BY kind",
        {"member": member_id},
    )
    return {row["kind"]: int(row["n"]) for row in rows}


def coupon_items(tx: Tx, member_id: str) -> list[str]:
    """The items of which a member has ever been given coupons."""
    rows = tx.all(
        "SELECT DISTINCT item FROM micro_merchant_rewards WHERE member = :member AND kind = 'coupons' ORDER BY item",
        {"member": member_id},
    )
    return [row["item"] for row in rows]


def entries(tx: Tx, member_id: str, kind: str, before: str, most: int) -> list[Row]:
    """A member's own book of one kind, newest first; `before` is an entry's id or ""."""
    return tx.all(
        "SELECT * FROM micro_merchant_entries WHERE member = :member AND kind = :kind "
        "AND (:before = '' OR id < :before) ORDER BY id DESC LIMIT :most",
        {"member": member_id, "kind": kind, "before": before, "most": most},
    )


def has_entry(tx: Tx, member_id: str, about: str, reason: str) -> bool:
    """Whether a member's cash book has such a line."""
    found = tx.one(
        "SELECT id FROM micro_merchant_entries WHERE about = :about AND reason = :reason AND member = :member",
        {"about": about, "reason": reason, "member": member_id},
    )
    return found is not None


def payouts(tx: Tx, campaign: str, before: str, most: int) -> list[Row]:
    """The payouts that members of a campaign began, newest first: id of the line, payout, member, his code."""
    return tx.all(
        "SELECT e.id, e.about AS payout, m.id AS member, m.code FROM micro_merchant_entries e "
        "JOIN micro_merchant_members m ON m.id = e.member WHERE e.reason = 'payout' AND m.campaign = :campaign "
        "AND (:before = '' OR e.id < :before) ORDER BY e.id DESC LIMIT :most",
        {"campaign": campaign, "before": before, "most": most},
    )


def totals(tx: Tx, campaign: str) -> dict[str, int]:
    """Purchases in all and brought by a member; fen promised and given."""
    bought = tx.one(
        "SELECT count(*) AS n, count(member) AS brought FROM micro_merchant_orders WHERE campaign = :campaign",
        {"campaign": campaign},
    )
    cash = tx.one(
        "SELECT coalesce(sum(CASE WHEN state = 'pending' THEN amount ELSE 0 END), 0) AS pending, "
        "coalesce(sum(CASE WHEN state = 'confirmed' THEN amount - taken_back ELSE 0 END), 0) AS given "
        "FROM micro_merchant_rewards WHERE campaign = :campaign AND kind = 'cash'",
        {"campaign": campaign},
    )
    assert bought is not None
    assert cash is not None
    return {
        "orders": int(bought["n"]),
        "orders_brought": int(bought["brought"]),
        "cash_pending_fen": int(cash["pending"]),
        "cash_given_fen": int(cash["given"]),
    }
