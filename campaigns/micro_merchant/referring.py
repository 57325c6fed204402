"""Who sent a buyer, and what he pays for it (R104–R108, R116, R117).

Typed names are tries: a few a session, and the answer to a wrong one is that of no name at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from campaigns.micro_merchant import members, tables
from campaigns.micro_merchant.rules import Terms, attribution, normal_wechat_id, price_fen
from gateway.contract.campaign import CampaignView
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx
from gateway.ledger import limits
from gateway.ledger.limits import Limit
from linkgen.codes import normalise

MOST_TRIES: Final = 5
MOST_FROM_ADDRESS: Final = 30
"""Wrong names from one network address within an hour: people of one shop share an address, a guesser has many."""
FoundBy = Literal["code", "cookie", "wechat_id", ""]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a buyer comes with; each may be "". `kept`: the code his browser kept; `session`: whose tries are counted.

    `remembered`: a WeChat ID that he typed before, when it was counted. `address` is counted, too, where it is known.
    """

    code: str = ""
    kept: str = ""
    wechat_id: str = field(default="", repr=False)
    remembered: str = field(default="", repr=False)
    session: str = ""
    person: str = ""
    address: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Sent:
    """What was found: `member` None for nobody. `own`: it is the buyer's own code, which earns nothing (R117)."""

    member: str | None
    code: str | None
    found_by: FoundBy
    own: bool = False


NOBODY: Final = Sent(None, None, "")


def look(tx: Tx, house: House, campaign: CampaignView, asked: Asked, now: datetime) -> Sent:
    """Who sent this buyer: the code he came with, else the kept one, else the WeChat ID he typed (R116).

    Counts wrong names; call it in a transaction that is kept. Raises Refused 429 `too_many` (`retry_after_s`) when the
    session has none left, whether this one would have been right or not.
    """
    terms: Terms = campaign.settings.terms
    typed = asked.wechat_id if terms.ask_referrer else ""
    named_as = typed or (asked.remembered if terms.ask_referrer else "")
    if not (asked.code or asked.kept or named_as):
        return NOBODY
    counted = _limits(house, campaign, asked, now)
    full = limits.reached(tx, counted) if asked.code or typed else None
    if full is not None:
        raise Refused("too_many", 429, retry_after_s=_seconds_left(full, now))
    explicit = _by_code(tx, campaign, asked.code)
    kept = _by_code(tx, campaign, asked.kept)
    named = _by_wechat(tx, house, campaign, named_as) if explicit is None and kept is None else None
    if (asked.code and explicit is None) or (typed and (explicit or kept or named) is None):
        limits.take(tx, counted)
    found = {row["id"]: row for row in (explicit, kept, named) if row is not None}
    chosen = attribution(*(row["id"] if row is not None else None for row in (explicit, kept, named)))
    if chosen is None:
        return NOBODY
    row = found[chosen]
    by: FoundBy = "code" if explicit is not None else "cookie" if kept is not None else "wechat_id"
    own = bool(asked.person and row["person"] and row["person"] in house.group(tx, asked.person))
    return Sent(row["id"], row["code"], by, own)


def price(terms: Terms, original_fen: int, sent: Sent) -> int:
    """What the buyer pays (R105, R106); at one's own code the discount is the campaign's choice (R117)."""
    code = None if sent.own and not terms.own_discount else sent.code
    return price_fen(terms, original_fen, code)


def _by_code(tx: Tx, campaign: CampaignView, typed: str) -> Row | None:
    code = normalise(typed)
    return tables.member_by_code(tx, campaign.slug, code) if code else None


def _by_wechat(tx: Tx, house: House, campaign: CampaignView, typed: str) -> Row | None:
    known = normal_wechat_id(typed)
    if not known:
        return None
    return tables.member_by_wechat(tx, campaign.slug, members.wechat_blind(house, campaign, known))


def _limits(house: House, campaign: CampaignView, asked: Asked, now: datetime) -> list[Limit]:
    def counter(word: str, name: str) -> str:
        # Strangers' words don't go into names of counters as they are.
        return f"micro_merchant:{campaign.slug}:{word}:{house.blind(name, 'micro_merchant:tries').hex()[:32]}"

    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    found = [
        Limit(
            f"{counter('session', asked.session)}:{day:%Y%m%d}",
            MOST_TRIES,
            to_text(day + timedelta(days=1)),
            "too_many",
        )
    ]
    if asked.address:
        hour = now.replace(minute=0, second=0, microsecond=0)
        ends = to_text(hour + timedelta(hours=1))
        found.append(Limit(f"{counter('address', asked.address)}:{hour:%Y%m%d%H}", MOST_FROM_ADDRESS, ends, "too_many"))
    return found


def _seconds_left(full: Limit, now: datetime) -> int:
    return max(1, int((from_text(full.expires_at) - now).total_seconds()) + 1)
