"""What buyers typed for their friends, and browsers' names: told, erased, kept no longer than needed (R016).

Erased are the account, its keyed hash and the browser of a row; the row itself stays, since prices and packets follow
from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from campaigns.help_cut import sessions, tables
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx

KEPT_FOR: Final = timedelta(days=180)
"""So long after a session's end it stays written whom its buyer had named."""


def copy_for(tx: Tx, persons: Sequence[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """All that is kept of one human, for himself. Whom he named, and who named him, is nobody in it."""
    names, params = tables.places("p", persons)
    begun = tx.all(
        f"SELECT campaign, state, price_fen, helps, created_at, deadline, ended_at FROM help_cut_sessions "
        f"WHERE buyer IN ({names}) ORDER BY id",
        params,
    )
    asked = tx.all(
        f"SELECT type, state, sent_at, viewed_at, closed_at FROM help_cut_invitations WHERE helper IN ({names}) "
        f"ORDER BY id",
        params,
    )
    given = tx.all(
        f"SELECT campaign, amount_fen, state, granted_at FROM help_cut_packets WHERE helper IN ({names}) "
        f"ORDER BY granted_at, session",
        params,
    )
    return {
        "help_cut_sessions": [dict(row) for row in begun],
        "help_cut_invitations": [dict(row) for row in asked],
        "help_cut_packets": [dict(row) for row in given],
    }


def forget(tx: Tx, house: House, persons: Sequence[str], now: datetime) -> int:
    """Erase what names him, as a buyer and as a friend; how many invitations and sessions changed.

    His open sessions end. What his friends were given stays theirs; what he was given and was not sent yet goes back
    when its time is over, as nobody can be paid any more.
    """
    names, params = tables.places("p", persons)
    changed = 0
    for session in tx.all(f"SELECT * FROM help_cut_sessions WHERE buyer IN ({names}) ORDER BY id", params):
        tables.lock_session(tx, session["id"])
        changed += _end(tx, house, session, now)
        changed += tx.run(
            "UPDATE help_cut_sessions SET device = '' WHERE id = :id AND device <> ''", {"id": session["id"]}
        )
        changed += _erase(tx, tables.invitations_of(tx, session["id"]), now)
    his = tx.all(f"SELECT * FROM help_cut_invitations WHERE helper IN ({names}) ORDER BY id", params)
    return changed + _erase(tx, [*his, *_named(tx, house, frozenset(persons), now)], now)


def forget_old(tx: Tx, house: House, campaign: CampaignView, now: datetime, most: int) -> int:
    """What was typed in sessions that ended long ago (a sweep)."""
    del house
    old = tx.all(
        "SELECT i.* FROM help_cut_invitations i JOIN help_cut_sessions s ON s.id = i.session "
        "WHERE s.campaign = :campaign AND s.ended_at <= :before AND length(i.account) > 0 ORDER BY i.id LIMIT :most",
        {"campaign": campaign.slug, "before": to_text(now - KEPT_FOR), "most": most},
    )
    return _erase(tx, old, now)


def _end(tx: Tx, house: House, session: Row, now: datetime) -> int:
    if session["state"] in sessions.OVER:
        return 0
    campaign = house.campaign(tx, session["campaign"], now)
    if campaign is None:
        return int(tables.move_session(tx, session, "cancelled", "cancelled", now))
    try:
        sessions.cancel(tx, house, campaign, session["id"], "gateway", now)
    except Refused:
        # Paid for or over this very moment: it stands as it is, under an id that leads to nobody.
        return 0
    return 1


def _named(tx: Tx, house: House, persons: frozenset[str], now: datetime) -> list[Row]:
    """Invitations to an openid of his that he never opened; no other kind of account can be told to be his."""
    found = []
    rows = tx.all(
        "SELECT i.*, s.campaign FROM help_cut_invitations i JOIN help_cut_sessions s ON s.id = i.session "
        "WHERE i.type = 'openid' AND i.helper IS NULL AND length(i.account) > 0 ORDER BY i.id"
    )
    circles: dict[str, str] = {}
    for row in rows:
        slug = row["campaign"]
        if slug not in circles:
            campaign = house.campaign(tx, slug, now)
            circles[slug] = campaign.circle if campaign is not None else ""
        account = sessions.account_of(house, row)
        if circles[slug] and not persons.isdisjoint(house.known_as(tx, circles[slug], account)):
            found.append(row)
    return found


def _erase(tx: Tx, invitations: Iterable[Row], now: datetime) -> int:
    """Nothing of whom they were for is left; one that is still open ends. How many had something to erase."""
    erased = 0
    for invitation in invitations:
        tables.move_invitation(tx, invitation, "revoked", now)
        erased += tables.erase_invitation(tx, invitation["id"])
    return erased
