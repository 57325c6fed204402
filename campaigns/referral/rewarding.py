"""From the friend's payment to the rewards, and back: qualified, held, given to each side (R190, R194)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from campaigns.referral import binding
from campaigns.referral.rules import Terms, qualifies, reward_due, still_counts
from campaigns.referral.settings import Settings
from gateway.contract.campaign import CampaignView, PaymentReceived, RefundReceived, Verdict
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import Refused
from gateway.contract.house import House
from gateway.contract.store import Row, Tx
from gateway.ledger import limits
from gateway.ledger.limits import Limit

Side = Literal["referrer", "referred"]
SIDES: Final[tuple[Side, ...]] = ("referrer", "referred")
MOST_TRIES: Final = 7
"""How often, a day apart, a reward is tried whose item is sold out or whose budget is used up."""

_CAPPED: Final = frozenset({"limit_day", "limit_total"})
_OVER: Final = frozenset({"ended", "archived"})


def on_payment(tx: Tx, house: House, campaign: CampaignView, event: PaymentReceived, now: datetime) -> Verdict | None:
    """The friend's first good payment qualifies him; None for one that is nobody's friend, or does not count."""
    if event.person is None or event.circle != campaign.circle or not campaign.includes(event.merchant):
        return None
    if event.tag.state == "opted_out":
        # He has left the circle: his payments are not followed.
        return None
    found = binding.of_friend(tx, campaign.slug, house.group(tx, event.person) or (event.person,))
    if found is None or found["state"] not in {"bound", "review"}:
        return None
    row = _held_still(tx, campaign, found["id"])
    terms = _terms(campaign)
    # One under review is measured as if it were bound: the decision must not cost him his payment.
    stands = row["state"] == "bound" or (row["state"] == "review" and row["payment"] is None)
    if not stands or not qualifies(terms, "bound", from_text(row["bound_at"]), event.paid_at, event.left_fen):
        return None
    facts = {"payment": event.payment, "merchant": event.merchant, "qualified_at": to_text(now)}
    if row["state"] == "review":
        binding.move(tx, row, "review", row["reason"], now, **facts)
        return Verdict("skipped", "review")
    return Verdict("done", _qualify(tx, house, campaign, row, facts, now))


def _qualify(tx: Tx, house: House, campaign: CampaignView, row: Row, facts: dict[str, str], now: datetime) -> str:
    """From bound to qualified, and on to the rewards where nothing has to be waited for; the state then."""
    due = reward_due(_terms(campaign), from_text(facts["qualified_at"]))
    binding.move(tx, row, "qualified", "", now, due_at=to_text(due), **facts)
    if due > now:
        return "qualified"
    return reward(tx, house, campaign, row["id"], now)


@dataclass(frozen=True, slots=True)
class _Given:
    """How far the rewards of one referral have come."""

    links: dict[Side, str | None]
    owed: frozenset[Side]

    @property
    def missing(self) -> frozenset[Side]:
        return frozenset(side for side in self.owed if self.links[side] is None)


def reward(tx: Tx, house: House, campaign: CampaignView, id_: str, now: datetime) -> str:
    """Give each side its claim link, once; the state then. What can't be had now is tried again a day later."""
    row = _held_still(tx, campaign, id_)
    if row["state"] != "qualified":
        return str(row["state"])
    groups = {side: house.group(tx, row[side]) for side in SIDES}
    if set(groups["referrer"]) & set(groups["referred"]):
        # Two who turned out to be one since they were bound.
        return _end(tx, house, row, "rejected", "self_referral", now)
    terms = _terms(campaign)
    capped = row["reason"] if row["reason"] in _CAPPED else ""
    counted = json.loads(row["counted"]) if row["counted"] else []
    if terms.referrer_item and not capped and not counted:
        caps = limits.windows(
            f"referral:{campaign.slug}:{min(groups['referrer'], default=row['referrer'])}",
            now,
            house.catalogue().zone(None),
            per_day=terms.per_day,
            total=terms.total,
        )
        hit = limits.take(tx, caps)
        capped = hit.reason if hit is not None else ""
        counted = [] if hit is not None else [cap.name for cap in caps]
    items = {"referrer": "" if capped else terms.referrer_item, "referred": terms.referred_item}
    given = _issue(tx, house, campaign, row, items, now)
    kept = {f"{side}_link": given.links[side] for side in SIDES} | {"counted": json.dumps(counted) if counted else ""}
    if not given.missing:
        ends: Literal["rewarded", "rejected"] = "rewarded" if given.owed else "rejected"
        binding.move(tx, row, ends, capped, now, rewarded_at=to_text(now) if given.owed else None, **kept)
        return ends
    if row["tries"] + 1 < MOST_TRIES:
        later = to_text(now + timedelta(days=1))
        binding.move(tx, row, "qualified", capped, now, due_at=later, tries=row["tries"] + 1, **kept)
        return "qualified"
    if "referrer" in given.missing:
        limits.give_back(tx, _caps(kept["counted"]))
        kept["counted"] = ""
    any_given = given.missing != given.owed
    ends = "rewarded" if any_given else "rejected"
    binding.move(tx, row, ends, "none_left", now, rewarded_at=to_text(now) if any_given else None, **kept)
    return ends


def about(row: Row, side: Side) -> str:
    """What a side's link is issued for."""
    return f"{row['id']}:{side}"


def _issue(tx: Tx, house: House, campaign: CampaignView, row: Row, items: dict[str, str], now: datetime) -> _Given:
    links: dict[Side, str | None] = {side: row[f"{side}_link"] for side in SIDES}
    for side in SIDES:
        if items[side] and links[side] is None:
            issued = house.issue_link(
                tx,
                campaign,
                row[side],
                row["merchant"],
                [items[side]],
                _terms(campaign).link_days,
                about(row, side),
                now,
            )
            links[side] = issued.id if issued is not None else None
    return _Given(links, frozenset(side for side in SIDES if items[side]))


def on_refund(tx: Tx, house: House, campaign: CampaignView, event: RefundReceived, now: datetime) -> Verdict | None:
    """The payment that qualified a friend went back: what it brought is withdrawn (R194)."""
    if not event.withdrawn and still_counts(_terms(campaign), event.left_fen):
        return None
    found = tx.one(
        "SELECT id FROM referral_bindings WHERE campaign = :campaign AND payment = :payment",
        {"campaign": campaign.slug, "payment": event.payment},
    )
    if found is None:
        return None
    row = _held_still(tx, campaign, found["id"])
    if row["state"] == "review":
        binding.move(tx, row, "review", row["reason"], now, payment=None, merchant=None, qualified_at=None)
        return Verdict("done", "reversed")
    if row["state"] not in {"qualified", "rewarded"}:
        return None
    _end(tx, house, row, "rejected", "refunded", now)
    return Verdict("done", "reversed")


def _end(tx: Tx, house: House, row: Row, to: Literal["rejected", "expired"], reason: str, now: datetime) -> str:
    """No reward, or no longer: links withdrawn, the referrer's caps given back."""
    for side in SIDES:
        if row[f"{side}_link"] is not None:
            house.withdraw_link(tx, row[f"{side}_link"], reason, now)
    if row["counted"]:
        limits.give_back(tx, _caps(row["counted"]))
    binding.move(tx, row, to, reason, now, counted="")
    return to


def decide(tx: Tx, house: House, campaign: CampaignView, id_: str, who: str, now: datetime, *, approve: bool) -> str:
    """A person's eye on one under review (R195); its state then.

    Raises Refused 404 `not_found`, 409 `bad_transition` for one that waits for nobody.
    """
    binding.by_id(tx, campaign.slug, id_)
    row = _held_still(tx, campaign, id_)
    if row["state"] != "review":
        raise Refused("bad_transition", 409, state=row["state"])
    house.audit(tx, who, "referral.approve" if approve else "referral.reject", id_, "review", row["reason"], now)
    if not approve:
        binding.move(tx, row, "rejected", row["reason"], now, decided_by=who)
        return "rejected"
    binding.move(tx, row, "bound", "", now, decided_by=who)
    if row["payment"] is None:
        return "bound"
    facts = {"payment": row["payment"], "merchant": row["merchant"], "qualified_at": row["qualified_at"]}
    return _qualify(tx, house, campaign, binding.by_id(tx, campaign.slug, id_), facts, now)


# -- what the worker does ---------------------------------------------------------------------------------------------


def give_due(tx: Tx, house: House, campaign: CampaignView, now: datetime, most: int) -> int:
    """Sweep: rewards whose hold is over. A paused campaign's wait; an ended one's are given, for they were promised."""
    if campaign.state == "paused":
        return 0
    rows = tx.all(
        "SELECT id FROM referral_bindings WHERE campaign = :campaign AND state = 'qualified' AND due_at <= :now "
        "ORDER BY id LIMIT :most",
        {"campaign": campaign.slug, "now": to_text(now), "most": most},
    )
    for row in rows:
        reward(tx, house, campaign, row["id"], now)
    return len(rows)


def expire(tx: Tx, house: House, campaign: CampaignView, now: datetime, most: int) -> int:
    """Sweep: scans whose invitation is over, and friends who did not come in time."""
    del house
    settings: Settings = campaign.settings
    ended = campaign.state in _OVER or (campaign.ends_at is not None and campaign.ends_at <= now)
    before = to_text(now - timedelta(days=settings.qualify_days)) if settings.qualify_days else ""
    rows = tx.all(
        "SELECT b.id, b.state FROM referral_bindings b JOIN referral_invitations i ON i.id = b.invitation "
        "WHERE b.campaign = :campaign AND b.payment IS NULL AND ("
        " (b.state = 'scanned' AND (:ended = 1 OR i.revoked_at IS NOT NULL OR i.expires_at <= :now))"
        " OR (b.state IN ('bound', 'review') AND (:ended = 1 OR b.bound_at < :before))) "
        "ORDER BY b.id LIMIT :most",
        {
            "campaign": campaign.slug,
            "ended": int(ended),
            "now": to_text(now),
            "before": before,
            "most": most,
        },
    )
    return sum(binding.move(tx, row, "expired", "", now) for row in rows)


def _held_still(tx: Tx, campaign: CampaignView, id_: str) -> Row:
    """The row as it stands when nobody else can decide about it."""
    tx.lock(f"referral_binding:{id_}")
    return binding.by_id(tx, campaign.slug, id_)


def _caps(counted: str | None) -> list[Limit]:
    return [Limit(name, 1, limits.FOREVER, "") for name in (json.loads(counted) if counted else [])]


def _terms(campaign: CampaignView) -> Terms:
    settings: Settings = campaign.settings
    return settings.terms
