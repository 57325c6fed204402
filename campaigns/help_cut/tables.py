"""What the store keeps of help-to-cut: sessions, invitations, packets; reading and writing their rows.

Every change of state is one conditional update, so that of two who move a row one wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from campaigns.help_cut.rules import OPEN_SESSIONS, Times
from gateway.contract.clock import from_text, to_text
from gateway.contract.store import Row, Tx

MIGRATIONS: Final[Sequence[tuple[str, Sequence[str]]]] = (
    (
        "0001_sessions",
        (
            # One buyer's try at one price. state: draft | inviting | settling | won | lost | expired | cancelled.
            # `next_packet` counts the packets handed out. `price_fen` is what the helps so far make of the price;
            # `sale` the core's order while one is open or paid, `sales` how many there have been. `seed` and `salt`
            # (hex) are told when it is over.
            # `pay_until` and `reached_at` are set when it comes to `settling`.
            """CREATE TABLE help_cut_sessions (
                id TEXT PRIMARY KEY,
                campaign TEXT NOT NULL,
                buyer TEXT NOT NULL,
                device TEXT NOT NULL,
                state TEXT NOT NULL,
                reason TEXT NOT NULL,
                price_fen INTEGER NOT NULL,
                helps INTEGER NOT NULL,
                packets INTEGER NOT NULL,
                next_packet INTEGER NOT NULL,
                seed TEXT NOT NULL,
                salt TEXT NOT NULL,
                commitment TEXT NOT NULL,
                terms TEXT NOT NULL,
                created_at TEXT NOT NULL,
                designate_until TEXT NOT NULL,
                deadline TEXT NOT NULL,
                reached_at TEXT,
                pay_until TEXT,
                sale TEXT,
                sale_path TEXT NOT NULL,
                sales INTEGER NOT NULL,
                paid_by TEXT NOT NULL,
                ended_at TEXT
            ) STRICT""",
            """CREATE INDEX help_cut_sessions_campaign ON help_cut_sessions (campaign, id)""",
            """CREATE INDEX help_cut_sessions_buyer ON help_cut_sessions (buyer, campaign, id)""",
            """CREATE INDEX help_cut_sessions_open ON help_cut_sessions (campaign, state)
                WHERE state IN ('draft', 'inviting', 'settling')""",
            # state: sent | viewed | agreed | declined | timed_out | revoked. `account` is sealed, `account_key` its
            # keyed hash. The token is sealed too, since the buyer is shown the link again; looked up by its digest.
            # `result`: granted | none_left, "" before he agreed.
            """CREATE TABLE help_cut_invitations (
                id TEXT PRIMARY KEY,
                session TEXT NOT NULL,
                type TEXT NOT NULL,
                account BLOB NOT NULL,
                account_key BLOB NOT NULL,
                token BLOB NOT NULL,
                token_digest BLOB NOT NULL UNIQUE,
                state TEXT NOT NULL,
                helper TEXT,
                device TEXT NOT NULL,
                result TEXT NOT NULL,
                sent_at TEXT NOT NULL,
                expires_at TEXT NOT NULL,
                viewed_at TEXT,
                closed_at TEXT
            ) STRICT""",
            # One living invitation an account, and one counted help a person, in each session.
            """CREATE UNIQUE INDEX help_cut_invitations_account ON help_cut_invitations (session, account_key)
                WHERE state IN ('sent', 'viewed', 'agreed')""",
            """CREATE UNIQUE INDEX help_cut_invitations_helper ON help_cut_invitations (session, helper)
                WHERE state = 'agreed'""",
            """CREATE INDEX help_cut_invitations_session ON help_cut_invitations (session, id)""",
            """CREATE INDEX help_cut_invitations_open ON help_cut_invitations (expires_at)
                WHERE state IN ('sent', 'viewed')""",
            # state: reserved | granted | paid | expired | failed; `place` from 1 in the order of the split. `payout`
            # is the one it goes out with; `obstacle` why it has not gone yet; `tries` counts failed payouts.
            """CREATE TABLE help_cut_packets (
                session TEXT NOT NULL,
                place INTEGER NOT NULL,
                campaign TEXT NOT NULL,
                amount_fen INTEGER NOT NULL,
                state TEXT NOT NULL,
                helper TEXT,
                invitation TEXT,
                payout TEXT,
                obstacle TEXT NOT NULL,
                tries INTEGER NOT NULL,
                next_try_at TEXT,
                granted_at TEXT,
                moved_at TEXT NOT NULL,
                PRIMARY KEY (session, place)
            ) STRICT""",
            """CREATE UNIQUE INDEX help_cut_packets_invitation ON help_cut_packets (invitation)""",
            """CREATE INDEX help_cut_packets_payout ON help_cut_packets (payout) WHERE payout IS NOT NULL""",
            """CREATE INDEX help_cut_packets_waiting ON help_cut_packets (campaign, next_try_at)
                WHERE state IN ('granted', 'failed') AND payout IS NULL""",
            """CREATE INDEX help_cut_packets_helper ON help_cut_packets (campaign, helper)""",
        ),
    ),
)

_OPEN: Final = "('" + "', '".join(sorted(OPEN_SESSIONS)) + "')"


# -- sessions ---------------------------------------------------------------------------------------------------------


def add_session(tx: Tx, values: dict[str, Any]) -> None:
    """A new row, in `draft`."""
    tx.run(
        "INSERT INTO help_cut_sessions (id, campaign, buyer, device, state, reason, price_fen, helps, packets, "
        "next_packet, seed, salt, commitment, terms, created_at, designate_until, deadline, sale_path, sales, paid_by) "
        "VALUES (:id, :campaign, :buyer, :device, 'draft', '', :price, 0, :packets, 0, :seed, :salt, :commitment, "
        ":terms, :now, :designate_until, :deadline, '', 0, '')",
        values,
    )


def session_of(tx: Tx, id_: str) -> Row | None:
    """A session by its id."""
    return tx.one("SELECT * FROM help_cut_sessions WHERE id = :id", {"id": id_})


def lock_session(tx: Tx, id_: str) -> None:
    """Hold a session, so that two deciders about it follow each other."""
    tx.lock(f"help_cut:session:{id_}")


def times_of(session: Row) -> Times:
    """When the session's steps end."""
    until = session["pay_until"]
    return Times(
        from_text(session["designate_until"]),
        from_text(session["deadline"]),
        from_text(until) if until is not None else None,
    )


def move_session(tx: Tx, session: Row, state: str, reason: str, now: datetime) -> bool:
    """Bring it to a closed state or to `inviting`; False when it does not stand any more as it was read."""
    return bool(
        tx.run(
            "UPDATE help_cut_sessions SET state = :state, reason = :reason, ended_at = :ended "
            "WHERE id = :id AND state = :before",
            {
                "id": session["id"],
                "before": session["state"],
                "state": state,
                "reason": reason,
                "ended": None if state in OPEN_SESSIONS else to_text(now),
            },
        )
    )


def settle_session(tx: Tx, session: Row, reason: str, reached_at: datetime, until: datetime) -> bool:
    """Bring it to `settling`: its price stands and can be paid for."""
    return bool(
        tx.run(
            "UPDATE help_cut_sessions SET state = 'settling', reason = :reason, reached_at = :reached, "
            "pay_until = :until WHERE id = :id AND state = :before",
            {
                "id": session["id"],
                "before": session["state"],
                "reason": reason,
                "reached": to_text(reached_at),
                "until": to_text(until),
            },
        )
    )


def count_help(tx: Tx, session: str, price_fen: int) -> None:
    """One more agreed help, and what it makes of the price."""
    tx.run(
        "UPDATE help_cut_sessions SET helps = helps + 1, price_fen = :price WHERE id = :id",
        {"id": session, "price": price_fen},
    )


def set_sale(tx: Tx, session: str, sale: str, path: str, paid_by: str) -> bool:
    """Note the core's order of a session and the page on which it is paid; False when another stands there."""
    return bool(
        tx.run(
            "UPDATE help_cut_sessions SET sale = :sale, sale_path = :path, paid_by = :paid_by, sales = sales + 1 "
            "WHERE id = :id AND state = 'settling' AND sale IS NULL",
            {"id": session, "sale": sale, "path": path, "paid_by": paid_by},
        )
    )


def drop_sale(tx: Tx, session: str, sale: str) -> bool:
    """The session has this order no more; False when it had not."""
    return bool(
        tx.run(
            "UPDATE help_cut_sessions SET sale = NULL, sale_path = '', paid_by = '' WHERE id = :id AND sale = :sale",
            {"id": session, "sale": sale},
        )
    )


def note_refunded(tx: Tx, session: str) -> None:
    """What was won has been given back since."""
    tx.run("UPDATE help_cut_sessions SET reason = 'refunded' WHERE id = :id AND state = 'won'", {"id": session})


def paying(tx: Tx, campaign: str) -> int:
    """How many sessions of the campaign have an order that waits for its money."""
    row = tx.one(
        "SELECT count(*) AS n FROM help_cut_sessions "
        "WHERE campaign = :campaign AND state = 'settling' AND sale IS NOT NULL",
        {"campaign": campaign},
    )
    return int(row["n"]) if row is not None else 0


def open_sessions_of(tx: Tx, campaign: str, buyers: Sequence[str]) -> list[Row]:
    """The sessions in this campaign that a buyer, under any of his ids, has not ended; newest first."""
    names, params = places("b", buyers)
    return tx.all(
        f"SELECT * FROM help_cut_sessions WHERE buyer IN ({names}) AND campaign = :campaign AND state IN {_OPEN} "
        "ORDER BY id DESC",
        {**params, "campaign": campaign},
    )


def sessions_of(tx: Tx, campaign: str, state: str, before: str, most: int) -> list[Row]:
    """The campaign's sessions, newest first: those in `state` ("" for any), older than `before` ("" for all)."""
    return tx.all(
        "SELECT * FROM help_cut_sessions WHERE campaign = :campaign AND (:state = '' OR state = :state) "
        "AND (:before = '' OR id < :before) ORDER BY id DESC LIMIT :most",
        {"campaign": campaign, "state": state, "before": before, "most": most},
    )


def overdue_sessions(tx: Tx, campaign: str, now: datetime, most: int) -> list[str]:
    """Sessions that time has something to do with, by id."""
    rows = tx.all(
        "SELECT id FROM help_cut_sessions WHERE campaign = :campaign AND ("
        "(state = 'draft' AND designate_until <= :now) OR (state = 'inviting' AND deadline <= :now) "
        "OR (state = 'settling' AND pay_until <= :now AND sale IS NULL)) ORDER BY id LIMIT :most",
        {"campaign": campaign, "now": to_text(now), "most": most},
    )
    return [row["id"] for row in rows]


# -- invitations ------------------------------------------------------------------------------------------------------


def add_invitation(tx: Tx, values: dict[str, Any]) -> None:
    """A new row, in `sent`."""
    tx.run(
        "INSERT INTO help_cut_invitations (id, session, type, account, account_key, token, token_digest, state, "
        "device, result, sent_at, expires_at) VALUES (:id, :session, :type, :account, :account_key, :token, :digest, "
        "'sent', '', '', :now, :expires)",
        values,
    )


def invitation_of(tx: Tx, id_: str) -> Row | None:
    """An invitation by its id."""
    return tx.one("SELECT * FROM help_cut_invitations WHERE id = :id", {"id": id_})


def invitation_by_token(tx: Tx, digest: bytes) -> Row | None:
    """An invitation by the digest of its token."""
    return tx.one("SELECT * FROM help_cut_invitations WHERE token_digest = :digest", {"digest": digest})


def invitations_of(tx: Tx, session: str) -> list[Row]:
    """A session's invitations in the order in which they were sent."""
    return tx.all("SELECT * FROM help_cut_invitations WHERE session = :session ORDER BY id", {"session": session})


def move_invitation(tx: Tx, invitation: Row, state: str, now: datetime) -> bool:
    """Bring an open invitation to `state`; False when it is not open any more."""
    return bool(
        tx.run(
            "UPDATE help_cut_invitations SET state = :state, closed_at = :now "
            "WHERE id = :id AND state IN ('sent', 'viewed')",
            {"id": invitation["id"], "state": state, "now": to_text(now)},
        )
    )


def erase_invitation(tx: Tx, id_: str) -> int:
    """Nothing is left of whom it was for; whether something was there. Its own id stands where the hash was."""
    return tx.run(
        "UPDATE help_cut_invitations SET account = :nothing, account_key = :own, device = '' "
        "WHERE id = :id AND (length(account) > 0 OR device <> '')",
        {"nothing": b"", "own": id_.encode(), "id": id_},
    )


def bind_invitation(tx: Tx, invitation: Row, helper: str, now: datetime) -> bool:
    """It has been seen by this person, and is his from now on; False when somebody was first."""
    return bool(
        tx.run(
            "UPDATE help_cut_invitations SET helper = :helper, viewed_at = coalesce(viewed_at, :now), "
            "state = CASE WHEN state = 'sent' THEN 'viewed' ELSE state END "
            "WHERE id = :id AND coalesce(helper, :helper) = :helper",
            {"id": invitation["id"], "helper": helper, "now": to_text(now)},
        )
    )


def note_agreed(tx: Tx, invitation: Row, helper: str, device: str, result: str, now: datetime) -> bool:
    """He has agreed, and what kind of result he is told; False when the invitation is not open any more."""
    return bool(
        tx.run(
            "UPDATE help_cut_invitations SET state = 'agreed', helper = :helper, device = :device, result = :result, "
            "viewed_at = coalesce(viewed_at, :now), closed_at = :now WHERE id = :id AND state IN ('sent', 'viewed')",
            {
                "id": invitation["id"],
                "helper": helper,
                "device": device,
                "result": result,
                "now": to_text(now),
            },
        )
    )


def agreed_by(tx: Tx, session: str, persons: Sequence[str]) -> bool:
    """Whether this human, under any of his ids, has helped in this session."""
    names, params = places("p", persons)
    row = tx.one(
        "SELECT id FROM help_cut_invitations WHERE session = :session AND state = 'agreed' "
        f"AND helper IN ({names}) LIMIT 1",
        {**params, "session": session},
    )
    return row is not None


def agreed_on(tx: Tx, session: str, device: str) -> bool:
    """Whether somebody has helped in this session with this device; never for an unknown one."""
    if not device:
        return False
    row = tx.one(
        "SELECT id FROM help_cut_invitations WHERE session = :session AND state = 'agreed' AND device = :device "
        "LIMIT 1",
        {"session": session, "device": device},
    )
    return row is not None


def time_out(tx: Tx, campaign: str, now: datetime, most: int) -> int:
    """Close up to so many open invitations of a campaign whose time is over; how many."""
    return tx.run(
        "UPDATE help_cut_invitations SET state = 'timed_out', closed_at = :now WHERE state IN ('sent', 'viewed') "
        "AND id IN (SELECT i.id FROM help_cut_invitations i JOIN help_cut_sessions s ON s.id = i.session "
        "WHERE s.campaign = :campaign AND i.state IN ('sent', 'viewed') AND i.expires_at <= :now "
        "ORDER BY i.id LIMIT :most)",
        {"campaign": campaign, "now": to_text(now), "most": most},
    )


# -- packets ----------------------------------------------------------------------------------------------------------


def add_packets(tx: Tx, session: str, campaign: str, amounts: Sequence[int], now: datetime) -> None:
    """All packets of a session, in the order in which they will be given out."""
    for place, amount in enumerate(amounts, start=1):
        tx.run(
            "INSERT INTO help_cut_packets (session, place, campaign, amount_fen, state, obstacle, tries, moved_at) "
            "VALUES (:session, :place, :campaign, :amount, 'reserved', '', 0, :now)",
            {"session": session, "place": place, "campaign": campaign, "amount": amount, "now": to_text(now)},
        )


def next_packet(tx: Tx, session: str) -> int | None:
    """Take the next place, from 1; None when none is left. One update, whoever asks at the same moment (R141)."""
    row = tx.one(
        "UPDATE help_cut_sessions SET next_packet = next_packet + 1 WHERE id = :id AND next_packet < packets "
        "RETURNING next_packet",
        {"id": session},
    )
    return int(row["next_packet"]) if row is not None else None


def grant_packet(tx: Tx, session: str, place: int, helper: str, invitation: str, now: datetime) -> int:
    """The packet at this place is his; its amount in fen."""
    row = tx.one(
        "UPDATE help_cut_packets SET state = 'granted', helper = :helper, invitation = :invitation, "
        "granted_at = :now, next_try_at = :now, moved_at = :now "
        "WHERE session = :session AND place = :place AND state = 'reserved' RETURNING amount_fen",
        {"session": session, "place": place, "helper": helper, "invitation": invitation, "now": to_text(now)},
    )
    assert row is not None  # the counter gives each place once
    return int(row["amount_fen"])


def packet_of(tx: Tx, invitation: str) -> Row | None:
    """The packet that an agreed invitation brought."""
    return tx.one("SELECT * FROM help_cut_packets WHERE invitation = :invitation", {"invitation": invitation})


def packets_of(tx: Tx, session: str) -> list[Row]:
    """A session's packets by place."""
    return tx.all("SELECT * FROM help_cut_packets WHERE session = :session ORDER BY place", {"session": session})


def waiting_packets(tx: Tx, campaign: str, helper: str) -> list[Row]:
    """What a helper was given in a campaign and has not been sent yet, oldest first."""
    return tx.all(
        "SELECT * FROM help_cut_packets WHERE campaign = :campaign AND helper = :helper "
        "AND state IN ('granted', 'failed') AND payout IS NULL ORDER BY granted_at, session",
        {"campaign": campaign, "helper": helper},
    )


def waiting_helpers(tx: Tx, campaign: str, now: datetime, most: int) -> list[str]:
    """Helpers of a campaign with a packet whose next try is due."""
    rows = tx.all(
        "SELECT DISTINCT helper FROM help_cut_packets WHERE campaign = :campaign "
        "AND state IN ('granted', 'failed') AND payout IS NULL AND next_try_at <= :now ORDER BY helper LIMIT :most",
        {"campaign": campaign, "now": to_text(now), "most": most},
    )
    return [row["helper"] for row in rows]


def send_packets(tx: Tx, packets: Sequence[Row], payout: str, now: datetime) -> None:
    """These go out with one payout."""
    for packet in packets:
        tx.run(
            "UPDATE help_cut_packets SET payout = :payout, state = 'granted', obstacle = '', moved_at = :now "
            "WHERE session = :session AND place = :place",
            {"payout": payout, "session": packet["session"], "place": packet["place"], "now": to_text(now)},
        )


def hold_back(tx: Tx, packets: Sequence[Row], obstacle: str, next_try_at: datetime) -> None:
    """These can't go out yet, and why."""
    for packet in packets:
        tx.run(
            "UPDATE help_cut_packets SET obstacle = :obstacle, next_try_at = :next "
            "WHERE session = :session AND place = :place",
            {
                "obstacle": obstacle,
                "next": to_text(next_try_at),
                "session": packet["session"],
                "place": packet["place"],
            },
        )


def packets_sent_with(tx: Tx, payout: str) -> list[Row]:
    """The packets of one payout that it has not settled yet."""
    return tx.all(
        "SELECT * FROM help_cut_packets WHERE payout = :payout AND state = 'granted' ORDER BY session, place",
        {"payout": payout},
    )


def close_packets(tx: Tx, payout: str, now: datetime) -> int:
    """The payout has arrived: its packets are paid; how many there were."""
    return tx.run(
        "UPDATE help_cut_packets SET state = 'paid', moved_at = :now WHERE payout = :payout AND state = 'granted'",
        {"payout": payout, "now": to_text(now)},
    )


def fail_packet(tx: Tx, packet: Row, obstacle: str, next_try_at: datetime, now: datetime) -> None:
    """Its payout came to nothing; it waits for another."""
    tx.run(
        "UPDATE help_cut_packets SET state = 'failed', payout = NULL, tries = tries + 1, obstacle = :obstacle, "
        "next_try_at = :next, moved_at = :now WHERE session = :session AND place = :place",
        {
            "obstacle": obstacle,
            "next": to_text(next_try_at),
            "session": packet["session"],
            "place": packet["place"],
            "now": to_text(now),
        },
    )


def expire_packet(tx: Tx, packet: Row, now: datetime) -> bool:
    """It goes back; False when it has gone out or back already."""
    return bool(
        tx.run(
            "UPDATE help_cut_packets SET state = 'expired', moved_at = :now WHERE session = :session "
            "AND place = :place AND state IN ('reserved', 'granted', 'failed') AND payout IS NULL",
            {"session": packet["session"], "place": packet["place"], "now": to_text(now)},
        )
    )


# -- figures ----------------------------------------------------------------------------------------------------------


def figures(tx: Tx, campaign: str) -> dict[str, int]:
    """Sessions by state, and packets by state with their sums."""
    found: dict[str, int] = {}
    for row in tx.all(
        "SELECT state, count(*) AS n FROM help_cut_sessions WHERE campaign = :campaign GROUP BY state",
        {"campaign": campaign},
    ):
        found[f"sessions_{row['state']}"] = int(row["n"])
    for row in tx.all(
        "SELECT state, helper IS NULL AS unused, count(*) AS n, sum(amount_fen) AS fen FROM help_cut_packets "
        "WHERE campaign = :campaign GROUP BY state, helper IS NULL",
        {"campaign": campaign},
    ):
        # A packet that nobody came for ends like one that nobody claimed, but was never given.
        word = "unused" if row["state"] == "expired" and row["unused"] else row["state"]
        found[f"packets_{word}"] = found.get(f"packets_{word}", 0) + int(row["n"])
        found[f"packets_{word}_fen"] = found.get(f"packets_{word}_fen", 0) + int(row["fen"])
    return found


def places(letter: str, values: Sequence[str]) -> tuple[str, dict[str, str]]:
    """`(":p0, :p1", {"p0": …})`, to write `person IN (…)` with named parameters."""
    params = {f"{letter}{place}": value for place, value in enumerate(values)}
    return ", ".join(f":{name}" for name in params) or "''", params
