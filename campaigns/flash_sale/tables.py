"""What a flash sale keeps: the map it runs by, its shards, its reservations, and the journal of every change.

A shard is changed by `move` alone, which writes the change and its line of the journal together; so the sums of the
journal are the shards, always, and the shards can be made anew from it (R183).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from campaigns.flash_sale.rules import CENTRAL, ReservationState, Shard
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import StoreTrouble
from gateway.contract.ids import IdFactory
from gateway.contract.store import Row, Tx

MIGRATIONS: Final[Sequence[tuple[str, Sequence[str]]]] = (
    (
        "0001_flash_sale",
        (
            # One row a sale that has been loaded. `map` counts its splits; shards of an older map are gone.
            """CREATE TABLE flash_sale_sales (
                campaign TEXT PRIMARY KEY,
                map INTEGER NOT NULL,
                shards INTEGER NOT NULL,
                version INTEGER NOT NULL,
                loaded_at TEXT NOT NULL,
                told_at TEXT,
                looked_at TEXT NOT NULL
            ) STRICT""",
            """CREATE TABLE flash_sale_shards (
                campaign TEXT NOT NULL,
                map INTEGER NOT NULL,
                number INTEGER NOT NULL,
                units_left INTEGER NOT NULL CHECK (units_left >= 0),
                held INTEGER NOT NULL CHECK (held >= 0),
                sold INTEGER NOT NULL CHECK (sold >= 0),
                PRIMARY KEY (campaign, map, number)
            ) STRICT, WITHOUT ROWID""",
            # `counter` is the person whose limit it counts against. `units` is what was deducted for `quantity`
            # pieces; `back` how many of these went back again after they were paid.
            """CREATE TABLE flash_sale_reservations (
                id TEXT PRIMARY KEY,
                campaign TEXT NOT NULL,
                person TEXT NOT NULL,
                counter TEXT NOT NULL,
                request TEXT NOT NULL,
                quantity INTEGER NOT NULL,
                units INTEGER NOT NULL,
                amount_fen INTEGER NOT NULL,
                map INTEGER NOT NULL,
                shard INTEGER NOT NULL,
                state TEXT NOT NULL,
                back INTEGER NOT NULL DEFAULT 0,
                order_id TEXT NOT NULL,
                path TEXT NOT NULL,
                expires_at TEXT NOT NULL,
                created_at TEXT NOT NULL,
                settled_at TEXT
            ) STRICT, WITHOUT ROWID""",
            """CREATE UNIQUE INDEX flash_sale_requests ON flash_sale_reservations (campaign, request)""",
            """CREATE INDEX flash_sale_buyers ON flash_sale_reservations (campaign, person, id)""",
            """CREATE TABLE flash_sale_journal (
                campaign TEXT NOT NULL,
                id TEXT NOT NULL,
                map INTEGER NOT NULL,
                shard INTEGER NOT NULL,
                entry TEXT NOT NULL,
                reservation TEXT NOT NULL,
                units_left INTEGER NOT NULL,
                held INTEGER NOT NULL,
                sold INTEGER NOT NULL,
                at TEXT NOT NULL,
                PRIMARY KEY (campaign, id)
            ) STRICT, WITHOUT ROWID""",
        ),
    ),
)

Entry = Literal["load", "deduct", "sell", "give_back", "merge", "resplit", "refund"]


@dataclass(frozen=True, slots=True)
class Sale:
    """A loaded sale: `map` is the version of its shard map, `version` the campaign's version that loaded it."""

    campaign: str
    map: int
    shards: int
    version: int
    loaded_at: datetime
    told_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reservation:
    """Units taken for a person. `map`, `shard`: where from. `path` is the page on which he pays."""

    id: str
    campaign: str
    person: str
    counter: str
    request: str
    quantity: int
    units: int
    amount_fen: int
    map: int
    shard: int
    state: ReservationState
    back: int
    order_id: str
    path: str
    expires_at: datetime
    created_at: datetime

    def units_of(self, pieces: int) -> int:
        """The units that so many of its pieces are."""
        return self.units * pieces // self.quantity


@dataclass(frozen=True, slots=True)
class Change:
    """What a line of the journal did to a shard; the three sum to 0 but where the total itself changes."""

    left: int = 0
    held: int = 0
    sold: int = 0


# -- the sale and its shards ------------------------------------------------------------------------------------------


def sale_of(tx: Tx, campaign: str) -> Sale | None:
    """The sale as it was loaded; None for one that was not."""
    row = tx.one("SELECT * FROM flash_sale_sales WHERE campaign = :campaign", {"campaign": campaign})
    if row is None:
        return None
    told = from_text(row["told_at"]) if row["told_at"] else None
    return Sale(row["campaign"], row["map"], row["shards"], row["version"], from_text(row["loaded_at"]), told)


def begin(tx: Tx, campaign: str, shards: int, version: int, now: datetime) -> bool:
    """Note that a sale is loaded; False when it was before."""
    return bool(
        tx.run(
            "INSERT INTO flash_sale_sales (campaign, map, shards, version, loaded_at, looked_at) "
            "VALUES (:campaign, 1, :shards, :version, :now, :now) ON CONFLICT (campaign) DO NOTHING",
            {"campaign": campaign, "shards": shards, "version": version, "now": to_text(now)},
        )
    )


def next_map(tx: Tx, campaign: str, shards: int, version: int) -> int:
    """Go on to a new map of so many shards; its number."""
    row = tx.one(
        "UPDATE flash_sale_sales SET map = map + 1, shards = :shards, version = :version "
        "WHERE campaign = :campaign RETURNING map",
        {"campaign": campaign, "shards": shards, "version": version},
    )
    assert row is not None
    return int(row["map"])


def note_told(tx: Tx, campaign: str, now: datetime) -> None:
    """The event that a sale has been loaded was told."""
    tx.run(
        "UPDATE flash_sale_sales SET told_at = :now WHERE campaign = :campaign AND told_at IS NULL",
        {"campaign": campaign, "now": to_text(now)},
    )


def due_for_a_look(tx: Tx, campaign: str, before: datetime, now: datetime) -> bool:
    """Whether nobody looked after a sale since `before`; if so, this caller does now."""
    return bool(
        tx.run(
            "UPDATE flash_sale_sales SET looked_at = :now WHERE campaign = :campaign AND looked_at <= :before",
            {"campaign": campaign, "now": to_text(now), "before": to_text(before)},
        )
    )


def shards_of(tx: Tx, campaign: str, map_: int) -> tuple[Shard, ...]:
    """Every shard of a map, the central one first."""
    rows = tx.all(
        "SELECT number, units_left, held, sold FROM flash_sale_shards WHERE campaign = :campaign AND map = :map "
        "ORDER BY number",
        {"campaign": campaign, "map": map_},
    )
    return _shards(rows)


def live_shards(tx: Tx, campaign: str, map_: int, units: int) -> tuple[int, ...]:
    """The numbers of the shards that can give so many units."""
    rows = tx.all(
        "SELECT number FROM flash_sale_shards WHERE campaign = :campaign AND map = :map AND units_left >= :units "
        "ORDER BY number",
        {"campaign": campaign, "map": map_, "units": units},
    )
    return tuple(row["number"] for row in rows)


def hold_still(tx: Tx, campaign: str, map_: int) -> tuple[Shard, ...]:
    """Every shard as it stands, and nobody changes one until the transaction ends."""
    tx.lock(f"flash_sale:{campaign}:shards")
    rows = tx.all(
        "UPDATE flash_sale_shards SET held = held WHERE campaign = :campaign AND map = :map "
        "RETURNING number, units_left, held, sold",
        {"campaign": campaign, "map": map_},
    )
    return tuple(sorted(_shards(rows), key=lambda shard: shard.number))


def _shards(rows: Sequence[Row]) -> tuple[Shard, ...]:
    return tuple(Shard(row["number"], row["units_left"], row["held"], row["sold"]) for row in rows)


def new_shard(tx: Tx, campaign: str, map_: int, number: int) -> None:
    """An empty shard."""
    tx.run(
        "INSERT INTO flash_sale_shards (campaign, map, number, units_left, held, sold) "
        "VALUES (:campaign, :map, :number, 0, 0, 0)",
        {"campaign": campaign, "map": map_, "number": number},
    )


def drop_shards(tx: Tx, campaign: str, map_: int) -> None:
    """The shards of a map that is over."""
    tx.run(
        "DELETE FROM flash_sale_shards WHERE campaign = :campaign AND map = :map", {"campaign": campaign, "map": map_}
    )


@dataclass(frozen=True, slots=True)
class Line:
    """Where and why a shard is changed: what the journal says beside the change itself."""

    campaign: str
    map: int
    shard: int
    entry: Entry
    reservation: str = ""


def move(tx: Tx, ids: IdFactory, line: Line, change: Change, now: datetime) -> bool:
    """Change a shard, and write it down; False, and nothing done, where one of its numbers would go below zero.

    Also False for a shard of a map that is over.
    """
    where = {"campaign": line.campaign, "map": line.map}
    numbers = {"units_left": change.left, "held": change.held, "sold": change.sold}
    hit = tx.run(
        "UPDATE flash_sale_shards SET units_left = units_left + :units_left, held = held + :held, sold = sold + :sold "
        "WHERE campaign = :campaign AND map = :map AND number = :number AND units_left + :units_left >= 0 "
        "AND held + :held >= 0 AND sold + :sold >= 0",
        {**where, **numbers, "number": line.shard},
    )
    if not hit:
        return False
    tx.run(
        "INSERT INTO flash_sale_journal (campaign, id, map, shard, entry, reservation, units_left, held, sold, at) "
        "VALUES (:campaign, :id, :map, :shard, :entry, :reservation, :units_left, :held, :sold, :at)",
        {
            **where,
            **numbers,
            "id": ids.new("fj", now),
            "shard": line.shard,
            "entry": line.entry,
            "reservation": line.reservation,
            "at": to_text(now),
        },
    )
    return True


def must_move(tx: Tx, ids: IdFactory, line: Line, change: Change, now: datetime) -> None:
    """`move` of a shard that was held still. Raises StoreTrouble where it does not go: the sums would be wrong."""
    if not move(tx, ids, line, change, now):
        raise StoreTrouble(f"shard {line.shard} of {line.campaign} does not bear {line.entry}")


# -- reservations -----------------------------------------------------------------------------------------------------


def add(tx: Tx, reservation: Reservation) -> bool:
    """Write a reservation; False when its request has one already."""
    return bool(
        tx.run(
            "INSERT INTO flash_sale_reservations (id, campaign, person, counter, request, quantity, units, "
            "amount_fen, map, shard, state, order_id, path, expires_at, created_at) VALUES (:id, :campaign, :person, "
            ":counter, :request, :quantity, :units, :amount_fen, :map, :shard, :state, :order_id, :path, :expires_at, "
            ":created_at) ON CONFLICT DO NOTHING",
            {
                "id": reservation.id,
                "campaign": reservation.campaign,
                "person": reservation.person,
                "counter": reservation.counter,
                "request": reservation.request,
                "quantity": reservation.quantity,
                "units": reservation.units,
                "amount_fen": reservation.amount_fen,
                "map": reservation.map,
                "shard": reservation.shard,
                "state": reservation.state,
                "order_id": reservation.order_id,
                "path": reservation.path,
                "expires_at": to_text(reservation.expires_at),
                "created_at": to_text(reservation.created_at),
            },
        )
    )


def reservation_of(tx: Tx, campaign: str, id_: str) -> Reservation | None:
    """A reservation of this campaign."""
    return _reservation(
        tx.one(
            "SELECT * FROM flash_sale_reservations WHERE id = :id AND campaign = :campaign",
            {"id": id_, "campaign": campaign},
        )
    )


def by_request(tx: Tx, campaign: str, request: str) -> Reservation | None:
    """The reservation that a request made."""
    return _reservation(
        tx.one(
            "SELECT * FROM flash_sale_reservations WHERE campaign = :campaign AND request = :request",
            {"campaign": campaign, "request": request},
        )
    )


def reservations_of(tx: Tx, persons: Sequence[str]) -> list[dict[str, object]]:
    """What one human reserved in any sale, for his copy of what is kept."""
    names = {f"p{number}": person for number, person in enumerate(persons or ("",))}
    rows = tx.all(
        "SELECT campaign, quantity, back, amount_fen, state, created_at, expires_at, settled_at "
        f"FROM flash_sale_reservations WHERE person IN ({', '.join(f':{name}' for name in names)}) ORDER BY id",
        names,
    )
    return [dict(row) for row in rows]


def of_group(tx: Tx, campaign: str, group: Sequence[str], most: int = 20) -> list[Reservation]:
    """What one human reserved, newest first."""
    if not group:
        return []
    names = {f"g{number}": person for number, person in enumerate(group)}
    rows = tx.all(
        "SELECT * FROM flash_sale_reservations WHERE campaign = :campaign "
        f"AND person IN ({', '.join(f':{name}' for name in names)}) ORDER BY id DESC LIMIT :most",
        {"campaign": campaign, "most": most, **names},
    )
    return [found for row in rows if (found := _reservation(row)) is not None]


def how_many(tx: Tx, campaign: str, group: Sequence[str]) -> int:
    """How often one human reserved."""
    names = {f"g{number}": person for number, person in enumerate(group)}
    row = tx.one(
        "SELECT count(*) AS n FROM flash_sale_reservations WHERE campaign = :campaign "
        f"AND person IN ({', '.join(f':{name}' for name in names)})",
        {"campaign": campaign, **names},
    )
    return int(row["n"]) if row is not None else 0


def to_state(
    tx: Tx, reservation: str, before: Sequence[ReservationState], after: ReservationState, now: datetime
) -> Reservation | None:
    """Move a reservation on, once; as it is then, or None when it was in none of the states `before`."""
    names = {f"b{number}": state for number, state in enumerate(before)}
    return _reservation(
        tx.one(
            "UPDATE flash_sale_reservations SET state = :after, settled_at = :now "
            f"WHERE id = :id AND state IN ({', '.join(f':{name}' for name in names)}) RETURNING *",
            {"id": reservation, "after": after, "now": to_text(now), **names},
        )
    )


def place(tx: Tx, reservation: str, map_: int, shard: int) -> None:
    """Its units now come from another shard."""
    tx.run(
        "UPDATE flash_sale_reservations SET map = :map, shard = :shard WHERE id = :id",
        {"id": reservation, "map": map_, "shard": shard},
    )


def raise_back(tx: Tx, reservation: str, back: int) -> Reservation | None:
    """So many of its pieces have gone back in all; as it was before, or None when as many had by then."""
    row = tx.one("SELECT * FROM flash_sale_reservations WHERE id = :id", {"id": reservation})
    known = _reservation(row)
    changed = tx.run(
        "UPDATE flash_sale_reservations SET back = :back WHERE id = :id AND back = :known AND back < :back",
        {"id": reservation, "back": back, "known": known.back if known is not None else 0},
    )
    return known if changed else None


def held_and_sold(tx: Tx, campaign: str, after: str, most: int) -> list[Reservation]:
    """Reservations that hold units, a page a call, by id."""
    rows = tx.all(
        "SELECT * FROM flash_sale_reservations WHERE campaign = :campaign AND id > :after "
        "AND state IN ('held', 'sold') ORDER BY id LIMIT :most",
        {"campaign": campaign, "after": after, "most": most},
    )
    return [found for row in rows if (found := _reservation(row)) is not None]


def _reservation(row: Row | None) -> Reservation | None:
    if row is None:
        return None
    return Reservation(
        id=row["id"],
        campaign=row["campaign"],
        person=row["person"],
        counter=row["counter"],
        request=row["request"],
        quantity=row["quantity"],
        units=row["units"],
        amount_fen=row["amount_fen"],
        map=row["map"],
        shard=row["shard"],
        state=row["state"],
        back=row["back"],
        order_id=row["order_id"],
        path=row["path"],
        expires_at=from_text(row["expires_at"]),
        created_at=from_text(row["created_at"]),
    )


# -- the journal ------------------------------------------------------------------------------------------------------


def journal_sums(tx: Tx, campaign: str, map_: int) -> tuple[Shard, ...]:
    """The shards of a map as the journal makes them."""
    rows = tx.all(
        "SELECT shard, sum(units_left) AS units_left, sum(held) AS held, sum(sold) AS sold FROM flash_sale_journal "
        "WHERE campaign = :campaign AND map = :map GROUP BY shard ORDER BY shard",
        {"campaign": campaign, "map": map_},
    )
    return tuple(Shard(row["shard"], int(row["units_left"]), int(row["held"]), int(row["sold"])) for row in rows)


def reserved_sums(tx: Tx, campaign: str) -> tuple[int, int]:
    """(held, sold) units as the reservations make them."""
    row = tx.one(
        "SELECT coalesce(sum(CASE WHEN state = 'held' THEN units ELSE 0 END), 0) AS held, "
        "coalesce(sum(CASE WHEN state = 'sold' THEN units - units * back / quantity ELSE 0 END), 0) AS sold "
        "FROM flash_sale_reservations WHERE campaign = :campaign",
        {"campaign": campaign},
    )
    assert row is not None
    return int(row["held"]), int(row["sold"])


def journal_page(tx: Tx, campaign: str, before: str, most: int) -> list[Row]:
    """Lines of the journal, newest first; `before` is the id to go on from, "" for the newest."""
    return tx.all(
        "SELECT * FROM flash_sale_journal WHERE campaign = :campaign AND (:before = '' OR id < :before) "
        "ORDER BY id DESC LIMIT :most",
        {"campaign": campaign, "before": before, "most": most},
    )


def remake(tx: Tx, sale: Sale) -> None:
    """Make the shards of the map that is on anew from the journal (R183)."""
    made = {shard.number: shard for shard in journal_sums(tx, sale.campaign, sale.map)}
    # A shard that never held anything has no line; a sale of the central shard alone has no others.
    numbers = range(sale.shards + 1) if any(made) else (CENTRAL,)
    drop_shards(tx, sale.campaign, sale.map)
    for number in numbers:
        shard = made.get(number, Shard(number, 0))
        tx.run(
            "INSERT INTO flash_sale_shards (campaign, map, number, units_left, held, sold) "
            "VALUES (:campaign, :map, :number, :left, :held, :sold)",
            {
                "campaign": sale.campaign,
                "map": sale.map,
                "number": number,
                "left": shard.left,
                "held": shard.held,
                "sold": shard.sold,
            },
        )
