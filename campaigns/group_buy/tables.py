"""The tables of the group buys, and every row function: nobody else in this package writes SQL about orders and slots.

Orders carry the id of the core's order; slots are counted a shop, since a table seats one party.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from gateway.contract.clock import to_text
from gateway.contract.store import Row, Tx

MIGRATIONS: Final = (
    (
        "0001_orders_queue_videos",
        (
            # state: created | paid | used | lapsed | closed | refunding | refunded. `misses`: how often all picked
            # times passed unused. `valid_to`: until when the deal can be used; a little before its coupon ends.
            """CREATE TABLE group_buy_orders (
                id TEXT PRIMARY KEY,
                campaign TEXT NOT NULL,
                circle TEXT NOT NULL,
                merchant TEXT NOT NULL,
                shop TEXT NOT NULL,
                person TEXT NOT NULL,
                amount_fen INTEGER NOT NULL,
                state TEXT NOT NULL,
                pay_path TEXT NOT NULL,
                coupon TEXT,
                misses INTEGER NOT NULL DEFAULT 0,
                reminders INTEGER NOT NULL DEFAULT 1,
                created_at TEXT NOT NULL,
                expires_at TEXT NOT NULL,
                paid_at TEXT,
                valid_to TEXT,
                used_at TEXT,
                prompted_at TEXT,
                ended_at TEXT
            ) STRICT""",
            """CREATE INDEX group_buy_orders_person ON group_buy_orders (person, id)""",
            """CREATE INDEX group_buy_orders_campaign ON group_buy_orders (campaign, id)""",
            """CREATE UNIQUE INDEX group_buy_orders_coupon ON group_buy_orders (coupon) WHERE coupon IS NOT NULL""",
            """CREATE INDEX group_buy_orders_open ON group_buy_orders (campaign, valid_to) WHERE state = 'paid'""",
            # How many seats of a shop's visiting time are held.
            """CREATE TABLE group_buy_slots (
                campaign TEXT NOT NULL,
                shop TEXT NOT NULL,
                slot TEXT NOT NULL,
                starts_at TEXT NOT NULL,
                taken INTEGER NOT NULL,
                PRIMARY KEY (campaign, shop, slot)
            ) STRICT""",
            # state: held | used | passed | freed
            """CREATE TABLE group_buy_picks (
                order_id TEXT NOT NULL,
                slot TEXT NOT NULL,
                campaign TEXT NOT NULL,
                shop TEXT NOT NULL,
                starts_at TEXT NOT NULL,
                passes_at TEXT NOT NULL,
                state TEXT NOT NULL,
                PRIMARY KEY (order_id, slot)
            ) STRICT""",
            """CREATE INDEX group_buy_picks_held ON group_buy_picks (campaign, passes_at) WHERE state = 'held'""",
            # A reminder: a row an (order, slot, moment), so that it is sent once however often it is looked at.
            # state: due | sent | skipped | quiet
            """CREATE TABLE group_buy_pushes (
                order_id TEXT NOT NULL,
                slot TEXT NOT NULL,
                at TEXT NOT NULL,
                campaign TEXT NOT NULL,
                state TEXT NOT NULL,
                waiting INTEGER,
                estimate_min INTEGER,
                settled_at TEXT,
                PRIMARY KEY (order_id, slot, at)
            ) STRICT""",
            """CREATE INDEX group_buy_pushes_due ON group_buy_pushes (campaign, at) WHERE state = 'due'""",
            # state: waiting | called | seated | left. `head_s`: how long it stood first in line until it was called.
            """CREATE TABLE group_buy_tickets (
                id TEXT PRIMARY KEY,
                campaign TEXT NOT NULL,
                shop TEXT NOT NULL,
                day TEXT NOT NULL,
                number INTEGER NOT NULL,
                person TEXT,
                state TEXT NOT NULL,
                taken_at TEXT NOT NULL,
                called_at TEXT,
                ended_at TEXT,
                head_s INTEGER
            ) STRICT""",
            """CREATE UNIQUE INDEX group_buy_tickets_number ON group_buy_tickets (shop, day, number)""",
            # state: uploading | uploaded | processing | review | published | rejected | removed. `kind`: what the
            # bytes turned out to be. `has_original`, `has_public`: files that lie on the disk.
            """CREATE TABLE group_buy_videos (
                id TEXT PRIMARY KEY,
                campaign TEXT NOT NULL,
                order_id TEXT NOT NULL,
                merchant TEXT NOT NULL,
                shop TEXT NOT NULL,
                person TEXT NOT NULL,
                state TEXT NOT NULL,
                reason TEXT NOT NULL DEFAULT '',
                size INTEGER NOT NULL,
                kind TEXT,
                cut_from_ms INTEGER,
                cut_to_ms INTEGER,
                length_ms INTEGER,
                width INTEGER,
                height INTEGER,
                has_original INTEGER NOT NULL DEFAULT 1,
                consent_at TEXT NOT NULL,
                uploaded_at TEXT,
                processed_at TEXT,
                decided_at TEXT,
                decided_by TEXT,
                moved_at TEXT NOT NULL
            ) STRICT""",
            """CREATE UNIQUE INDEX group_buy_videos_order ON group_buy_videos (order_id)
                WHERE state <> 'rejected' AND state <> 'removed'""",
            """CREATE INDEX group_buy_videos_shop ON group_buy_videos (shop, id) WHERE state = 'published'""",
            """CREATE INDEX group_buy_videos_campaign ON group_buy_videos (campaign, id)""",
        ),
    ),
)

# -- orders -----------------------------------------------------------------------------------------------------------


def add_order(
    tx: Tx, id_: str, campaign: str, circle: str, merchant: str, shop: str, person: str, amount_fen: int,
    pay_path: str, until: datetime, now: datetime,
) -> None:  # fmt: skip
    """A new order, not yet paid."""
    tx.run(
        "INSERT INTO group_buy_orders (id, campaign, circle, merchant, shop, person, amount_fen, state, pay_path, "
        "created_at, expires_at) VALUES (:id, :campaign, :circle, :merchant, :shop, :person, :amount, 'created', "
        ":path, :now, :until)",
        {
            "id": id_,
            "campaign": campaign,
            "circle": circle,
            "merchant": merchant,
            "shop": shop,
            "person": person,
            "amount": amount_fen,
            "path": pay_path,
            "now": to_text(now),
            "until": to_text(until),
        },
    )


def order(tx: Tx, id_: str) -> Row | None:
    """An order."""
    return tx.one("SELECT * FROM group_buy_orders WHERE id = :id", {"id": id_})


def order_with_coupon(tx: Tx, code: str) -> Row | None:
    """The order whose coupon this is."""
    return tx.one("SELECT * FROM group_buy_orders WHERE coupon = :code", {"code": code})


def orders_of(tx: Tx, campaign: str, persons: Sequence[str], most: int) -> list[Row]:
    """A human's orders in a campaign, newest first."""
    marks, params = listed("p", persons)
    return tx.all(
        f"SELECT * FROM group_buy_orders WHERE person IN ({marks}) AND campaign = :campaign "
        "ORDER BY id DESC LIMIT :most",
        {**params, "campaign": campaign, "most": most},
    )


def orders_in(tx: Tx, campaign: str, before: str, most: int) -> list[Row]:
    """A campaign's orders, newest first, older than `before` ("" for all)."""
    return tx.all(
        "SELECT * FROM group_buy_orders WHERE campaign = :campaign AND (:before = '' OR id < :before) "
        "ORDER BY id DESC LIMIT :most",
        {"campaign": campaign, "before": before, "most": most},
    )


def move_order(tx: Tx, id_: str, froms: Sequence[str], to: str, **columns: str | int | None) -> bool:
    """Move an order that stands in one of `froms`, and set some columns; whether it stood there."""
    marks, params = listed("s", froms)
    more = "".join(f", {name} = :{name}" for name in columns)
    return bool(
        tx.run(
            f"UPDATE group_buy_orders SET state = :to{more} WHERE id = :id AND state IN ({marks})",
            {**params, **columns, "to": to, "id": id_},
        )
    )


def set_order(tx: Tx, id_: str, **columns: str | int | None) -> None:
    """Set some columns of an order."""
    names = ", ".join(f"{name} = :{name}" for name in columns)
    tx.run(f"UPDATE group_buy_orders SET {names} WHERE id = :id", {**columns, "id": id_})


def ended_orders(tx: Tx, campaign: str, now: datetime, most: int) -> list[Row]:
    """Paid orders whose coupon's time is over."""
    return tx.all(
        "SELECT * FROM group_buy_orders WHERE campaign = :campaign AND state = 'paid' AND valid_to <= :now "
        "ORDER BY valid_to LIMIT :most",
        {"campaign": campaign, "now": to_text(now), "most": most},
    )


def counts(tx: Tx, campaign: str) -> dict[str, int]:
    """How many orders stand in each state, and how many videos are to be seen."""
    rows = tx.all(
        "SELECT state, count(*) AS n FROM group_buy_orders WHERE campaign = :campaign GROUP BY state",
        {"campaign": campaign},
    )
    published = tx.one(
        "SELECT count(*) AS n FROM group_buy_videos WHERE campaign = :campaign AND state = 'published'",
        {"campaign": campaign},
    )
    found = {f"orders_{row['state']}": int(row["n"]) for row in rows}
    return {
        "orders": sum(found.values()),
        **found,
        "videos_published": int(published["n"]) if published is not None else 0,
    }


# -- visiting times ---------------------------------------------------------------------------------------------------


def take_seat(tx: Tx, campaign: str, shop: str, slot: str, starts_at: datetime, capacity: int) -> bool:
    """Hold a seat; False, and nothing done, where none is left. One statement: of two at once one is the last."""
    return (
        tx.one(
            "INSERT INTO group_buy_slots (campaign, shop, slot, starts_at, taken) "
            "VALUES (:campaign, :shop, :slot, :starts, 1) ON CONFLICT (campaign, shop, slot) "
            "DO UPDATE SET taken = group_buy_slots.taken + 1 WHERE group_buy_slots.taken < :capacity RETURNING taken",
            {"campaign": campaign, "shop": shop, "slot": slot, "starts": to_text(starts_at), "capacity": capacity},
        )
        is not None
    )


def free_seat(tx: Tx, campaign: str, shop: str, slot: str) -> None:
    """Let a seat go."""
    tx.run(
        "UPDATE group_buy_slots SET taken = taken - 1 WHERE campaign = :campaign AND shop = :shop AND slot = :slot "
        "AND taken > 0",
        {"campaign": campaign, "shop": shop, "slot": slot},
    )


def seats_taken(tx: Tx, campaign: str, shop: str, since: datetime) -> dict[str, int]:
    """How many seats of each visiting time at or after `since` are held."""
    rows = tx.all(
        "SELECT slot, taken FROM group_buy_slots WHERE campaign = :campaign AND shop = :shop AND starts_at >= :since",
        {"campaign": campaign, "shop": shop, "since": to_text(since)},
    )
    return {row["slot"]: int(row["taken"]) for row in rows}


def picks(tx: Tx, order_id: str) -> list[Row]:
    """An order's picked times, whatever became of them, earliest first."""
    return tx.all("SELECT * FROM group_buy_picks WHERE order_id = :id ORDER BY starts_at", {"id": order_id})


def put_pick(
    tx: Tx, order_id: str, campaign: str, shop: str, slot: str, starts_at: datetime, passes_at: datetime
) -> None:
    """Hold a time for an order, also one that it had let go."""
    tx.run(
        "INSERT INTO group_buy_picks (order_id, slot, campaign, shop, starts_at, passes_at, state) "
        "VALUES (:id, :slot, :campaign, :shop, :starts, :passes, 'held') "
        "ON CONFLICT (order_id, slot) DO UPDATE SET state = 'held'",
        {
            "id": order_id,
            "slot": slot,
            "campaign": campaign,
            "shop": shop,
            "starts": to_text(starts_at),
            "passes": to_text(passes_at),
        },
    )


def move_pick(tx: Tx, order_id: str, slot: str, before: str, after: str) -> bool:
    """Whether the time stood as `before`, and now stands as `after`."""
    return bool(
        tx.run(
            "UPDATE group_buy_picks SET state = :after WHERE order_id = :id AND slot = :slot AND state = :before",
            {"id": order_id, "slot": slot, "before": before, "after": after},
        )
    )


def passed_picks(tx: Tx, campaign: str, now: datetime, most: int) -> list[Row]:
    """Held times that have passed."""
    return tx.all(
        "SELECT * FROM group_buy_picks WHERE campaign = :campaign AND state = 'held' AND passes_at <= :now "
        "ORDER BY passes_at, order_id LIMIT :most",
        {"campaign": campaign, "now": to_text(now), "most": most},
    )


def visits(tx: Tx, campaign: str, shop: str, since: datetime, until: datetime) -> list[Row]:
    """The visiting times of some days with how many hold or used them."""
    return tx.all(
        "SELECT slot, starts_at, sum(CASE WHEN state = 'held' THEN 1 ELSE 0 END) AS held, "
        "sum(CASE WHEN state = 'used' THEN 1 ELSE 0 END) AS used, "
        "sum(CASE WHEN state = 'passed' THEN 1 ELSE 0 END) AS passed FROM group_buy_picks "
        "WHERE campaign = :campaign AND shop = :shop AND starts_at >= :since AND starts_at < :until "
        "GROUP BY slot, starts_at ORDER BY starts_at",
        {"campaign": campaign, "shop": shop, "since": to_text(since), "until": to_text(until)},
    )


# -- reminders --------------------------------------------------------------------------------------------------------


def plan_push(tx: Tx, order_id: str, campaign: str, slot: str, at: datetime) -> None:
    """A reminder that is to come, once; one that fell silent when its time was let go speaks again."""
    tx.run(
        "INSERT INTO group_buy_pushes (order_id, slot, at, campaign, state) VALUES (:id, :slot, :at, :campaign, 'due') "
        "ON CONFLICT (order_id, slot, at) DO UPDATE SET state = 'due', settled_at = NULL "
        "WHERE group_buy_pushes.state = 'quiet'",
        {"id": order_id, "slot": slot, "at": to_text(at), "campaign": campaign},
    )


def pushes(tx: Tx, order_id: str) -> list[Row]:
    """An order's reminders in order of time."""
    return tx.all("SELECT * FROM group_buy_pushes WHERE order_id = :id ORDER BY at, slot", {"id": order_id})


def due_pushes(tx: Tx, campaign: str, now: datetime, most: int) -> list[Row]:
    """Reminders whose moment has come."""
    return tx.all(
        "SELECT * FROM group_buy_pushes WHERE campaign = :campaign AND state = 'due' AND at <= :now "
        "ORDER BY at, order_id, slot LIMIT :most",
        {"campaign": campaign, "now": to_text(now), "most": most},
    )


def settle_push(tx: Tx, push: Row, state: str, waiting: int | None, estimate_min: int | None, now: datetime) -> bool:
    """Whether this very call settled the reminder: of two workers one does."""
    return bool(
        tx.run(
            "UPDATE group_buy_pushes SET state = :state, waiting = :waiting, estimate_min = :estimate, "
            "settled_at = :now WHERE order_id = :id AND slot = :slot AND at = :at AND state = 'due'",
            {
                "state": state,
                "waiting": waiting,
                "estimate": estimate_min,
                "now": to_text(now),
                "id": push["order_id"],
                "slot": push["slot"],
                "at": push["at"],
            },
        )
    )


def quiet(tx: Tx, order_id: str, slot: str, now: datetime) -> None:
    """No more reminders of an order ("": of any of its times)."""
    tx.run(
        "UPDATE group_buy_pushes SET state = 'quiet', settled_at = :now "
        "WHERE order_id = :id AND state = 'due' AND (:slot = '' OR slot = :slot)",
        {"id": order_id, "slot": slot, "now": to_text(now)},
    )


def quiet_passed(tx: Tx, order_id: str, now: datetime) -> None:
    """No more reminders of times that have passed and are still to be told of."""
    tx.run(
        "UPDATE group_buy_pushes SET state = 'quiet', settled_at = :now WHERE order_id = :id AND state = 'due' "
        "AND at > :now AND slot IN (SELECT slot FROM group_buy_picks WHERE order_id = :id AND state = 'passed')",
        {"id": order_id, "now": to_text(now)},
    )


# -- the queue --------------------------------------------------------------------------------------------------------


def add_ticket(
    tx: Tx, id_: str, campaign: str, shop: str, day: str, number: int, person: str | None, now: datetime
) -> None:
    """A party that waits."""
    tx.run(
        "INSERT INTO group_buy_tickets (id, campaign, shop, day, number, person, state, taken_at) "
        "VALUES (:id, :campaign, :shop, :day, :number, :person, 'waiting', :now)",
        {
            "id": id_,
            "campaign": campaign,
            "shop": shop,
            "day": day,
            "number": number,
            "person": person,
            "now": to_text(now),
        },
    )


def tickets(tx: Tx, shop: str, day: str) -> list[Row]:
    """A shop's tickets of a business day, by number."""
    return tx.all(
        "SELECT * FROM group_buy_tickets WHERE shop = :shop AND day = :day ORDER BY number", {"shop": shop, "day": day}
    )


def last_number(tx: Tx, shop: str, day: str) -> int:
    """The last number that was handed out that day, 0 for none."""
    row = tx.one(
        "SELECT max(number) AS n FROM group_buy_tickets WHERE shop = :shop AND day = :day", {"shop": shop, "day": day}
    )
    return int(row["n"] or 0) if row is not None else 0


def ticket(tx: Tx, shop: str, id_: str) -> Row | None:
    """A ticket of a shop."""
    return tx.one("SELECT * FROM group_buy_tickets WHERE shop = :shop AND id = :id", {"shop": shop, "id": id_})


def move_ticket(tx: Tx, id_: str, froms: Sequence[str], to: str, **columns: str | int | None) -> bool:
    """Move a ticket that stands in one of `froms`; whether it stood there."""
    marks, params = listed("s", froms)
    more = "".join(f", {name} = :{name}" for name in columns)
    return bool(
        tx.run(
            f"UPDATE group_buy_tickets SET state = :to{more} WHERE id = :id AND state IN ({marks})",
            {**params, **columns, "to": to, "id": id_},
        )
    )


def last_call(tx: Tx, shop: str, day: str) -> str | None:
    """When a ticket of that day was called last."""
    row = tx.one(
        "SELECT max(called_at) AS at FROM group_buy_tickets WHERE shop = :shop AND day = :day",
        {"shop": shop, "day": day},
    )
    return row["at"] if row is not None else None


# -- videos -----------------------------------------------------------------------------------------------------------


def add_video(tx: Tx, id_: str, order_row: Row, size: int, now: datetime) -> None:
    """A place for a video of an order, its customer's consent given now."""
    tx.run(
        "INSERT INTO group_buy_videos "
        "(id, campaign, order_id, merchant, shop, person, state, size, consent_at, moved_at) "
        "VALUES (:id, :campaign, :order, :merchant, :shop, :person, 'uploading', :size, :now, :now)",
        {
            "id": id_,
            "campaign": order_row["campaign"],
            "order": order_row["id"],
            "merchant": order_row["merchant"],
            "shop": order_row["shop"],
            "person": order_row["person"],
            "size": size,
            "now": to_text(now),
        },
    )


def video(tx: Tx, id_: str) -> Row | None:
    """A video."""
    return tx.one("SELECT * FROM group_buy_videos WHERE id = :id", {"id": id_})


def video_of(tx: Tx, order_id: str) -> Row | None:
    """The video of an order that stands or is on its way."""
    return tx.one(
        "SELECT * FROM group_buy_videos WHERE order_id = :order AND state <> 'rejected' AND state <> 'removed'",
        {"order": order_id},
    )


def last_video(tx: Tx, order_id: str) -> Row | None:
    """The latest video of an order, whatever became of it."""
    return tx.one(
        "SELECT * FROM group_buy_videos WHERE order_id = :order ORDER BY id DESC LIMIT 1", {"order": order_id}
    )


def move_video(tx: Tx, id_: str, froms: Sequence[str], to: str, now: datetime, **columns: str | int | None) -> bool:
    """Move a video that stands in one of `froms`, and set some columns; whether it stood there."""
    marks, params = listed("s", froms)
    more = "".join(f", {name} = :{name}" for name in columns)
    return bool(
        tx.run(
            f"UPDATE group_buy_videos SET state = :to, moved_at = :now{more} WHERE id = :id AND state IN ({marks})",
            {**params, **columns, "to": to, "id": id_, "now": to_text(now)},
        )
    )


def explain_video(tx: Tx, id_: str, states: Sequence[str], reason: str) -> bool:
    """Why a video stays where it is."""
    marks, params = listed("s", states)
    return bool(
        tx.run(
            f"UPDATE group_buy_videos SET reason = :reason WHERE id = :id AND state IN ({marks})",
            {**params, "reason": reason, "id": id_},
        )
    )


def waiting_videos(tx: Tx, campaign: str, reason: str, most: int) -> list[Row]:
    """Uploads that wait for this."""
    return tx.all(
        "SELECT * FROM group_buy_videos WHERE campaign = :campaign AND state IN ('uploaded', 'processing') "
        "AND reason = :reason "
        "ORDER BY id LIMIT :most",
        {"campaign": campaign, "reason": reason, "most": most},
    )


def unfinished_videos(tx: Tx, campaign: str, before: datetime, most: int) -> list[Row]:
    """Uploads that were begun before this and never finished."""
    return tx.all(
        "SELECT * FROM group_buy_videos WHERE campaign = :campaign AND state = 'uploading' AND consent_at <= :before "
        "ORDER BY id LIMIT :most",
        {"campaign": campaign, "before": to_text(before), "most": most},
    )


def old_originals(tx: Tx, campaign: str, before: datetime, most: int) -> list[Row]:
    """Videos uploaded before this whose original is still there; what is still to be made of one waits."""
    return tx.all(
        "SELECT * FROM group_buy_videos WHERE campaign = :campaign AND has_original = 1 AND consent_at <= :before "
        "AND state <> 'processing' ORDER BY id LIMIT :most",
        {"campaign": campaign, "before": to_text(before), "most": most},
    )


def drop_original(tx: Tx, id_: str) -> bool:
    """Whether the original was still there; it is to go now."""
    return bool(tx.run("UPDATE group_buy_videos SET has_original = 0 WHERE id = :id AND has_original = 1", {"id": id_}))


def shop_videos(tx: Tx, shop: str, before: str, most: int) -> list[Row]:
    """A shop's published videos, newest first."""
    return tx.all(
        "SELECT * FROM group_buy_videos WHERE shop = :shop AND state = 'published' AND (:before = '' OR id < :before) "
        "ORDER BY id DESC LIMIT :most",
        {"shop": shop, "before": before, "most": most},
    )


def videos_in(tx: Tx, campaign: str, state: str, before: str, most: int) -> list[Row]:
    """A campaign's videos, newest first; of one state, or "" for all."""
    return tx.all(
        "SELECT * FROM group_buy_videos WHERE campaign = :campaign AND (:state = '' OR state = :state) "
        "AND (:before = '' OR id < :before) ORDER BY id DESC LIMIT :most",
        {"campaign": campaign, "state": state, "before": before, "most": most},
    )


def listed(prefix: str, values: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Placeholders for `IN (…)` and their parameters; for nothing, a list that holds nothing."""
    params = {f"{prefix}{number}": value for number, value in enumerate(values)}
    return ", ".join(f":{name}" for name in params) or "NULL", params
