"""A payment fires, or does not and it is written down why; a refund takes back what the payment had given.

All of it inside the core's transaction of that payment, so that both sides are credited or neither is (R162).
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import Any, Final

from campaigns.two_sided import money, people, quota
from campaigns.two_sided.money import Part
from campaigns.two_sided.rules import Facts, Firing, Terms, after_refund, firing, refusal
from campaigns.two_sided.settings import Settings
from campaigns.two_sided.tables import marks
from gateway.contract.account import clerk_rewards, merchant_rewards, person_rewards
from gateway.contract.campaign import CampaignView, PaymentReceived, RefundReceived, Verdict
from gateway.contract.clock import to_text
from gateway.contract.house import House
from gateway.contract.store import Row, Tx
from gateway.ledger import budget, limits
from gateway.ledger.budget import Budget
from gateway.ledger.limits import Limit

_NOTHING: Final = Firing(0, 0, 0)
_KEPT_TERMS: Final = ("user_fen", "user_bps", "merchant_fen", "merchant_bps", "clerk_bps", "min_amount_fen")


class _NoRoom(Exception):
    """A budget does not bear it; what was reserved beside it goes with the savepoint."""


def on_payment(tx: Tx, house: House, campaign: CampaignView, event: PaymentReceived, now: datetime) -> Verdict | None:
    """Fire, or note why not; once a payment, and the same word again if it is told twice."""
    if event.circle != campaign.circle or not campaign.includes(event.merchant):
        return None
    settings: Settings = campaign.settings
    early = refusal(settings.terms, _before_looking(event))
    if early == "not_in_group":
        # By far the most payments: they wait for nobody.
        return _noted(tx, house, campaign, event, early, now)
    tx.lock(f"two_sided:{campaign.slug}")
    known = _known(tx, campaign.slug, event.payment)
    if known is not None:
        return verdict_of(known)
    assert event.person is not None  # a tagged payer is a person
    group = house.group(tx, event.person) or (event.person,)
    zone = house.catalogue().zone(event.shop)
    pair = limits.windows(
        f"two_sided:{campaign.slug}:{min(group)}:{event.merchant}",
        event.paid_at,
        zone,
        per_day=settings.terms.per_pair_per_day,
    )
    # A payment may be told of days later: its day's count must not have been swept away by then.
    pair = [replace(one, expires_at=max(one.expires_at, to_text(now + timedelta(days=1)))) for one in pair]
    admitted = quota.admission(tx, campaign.slug, event.merchant) if settings.needs_code else None
    facts = replace(
        _before_looking(event),
        has_quota=not settings.needs_code or _has_place(tx, campaign.slug, event.merchant, admitted, group),
        pays_at_own_shop=people.is_own(tx, campaign, event.merchant, group),
        pair_today=settings.terms.per_pair_per_day if limits.reached(tx, pair) else 0,
        fired_in_period=_fired(tx, campaign.slug, group, event.paid_at, settings.terms),
    )
    code = admitted["code"] if admitted is not None else None
    reason = refusal(settings.terms, facts)
    if reason is not None:
        return _noted(tx, house, campaign, event, reason, now, code=code)
    clerk = settings.clerks.get(event.shop or "")
    return _fire(tx, house, campaign, event, clerk, code, pair, now)


def _fire(
    tx: Tx,
    house: House,
    campaign: CampaignView,
    event: PaymentReceived,
    clerk: str | None,
    code: str | None,
    pair: list[Limit],
    now: datetime,
) -> Verdict:
    settings: Settings = campaign.settings
    worth = firing(settings.terms, event.left_fen, has_clerk=clerk is not None)
    id_ = house.ids.new("ts", now)
    parts = _parts(event, clerk, worth)
    if not _reserved(tx, house, campaign, id_, parts, now):
        return _noted(tx, house, campaign, event, "budget", now, code=code)
    limits.take(tx, pair)
    _record(tx, id_, campaign, event, "fired", "", now, worth=worth, clerk=clerk, code=code, pair=pair)
    money.give(tx, house, campaign.slug, id_, parts, now)
    return Verdict("done", "fired")


def _parts(event: PaymentReceived, clerk: str | None, worth: Firing) -> list[Part]:
    parts = [
        Part("user", person_rewards(event.person or ""), worth.user_fen),
        Part("merchant", merchant_rewards(event.merchant), worth.merchant_fen),
        Part("clerk", clerk_rewards(clerk or ""), worth.clerk_fen),
    ]
    return [part for part in parts if part.fen > 0]


def _reserved(tx: Tx, house: House, campaign: CampaignView, firing_id: str, parts: list[Part], now: datetime) -> bool:
    """Whether every budget bears it: each side's own, the campaign's (R165). All of it, or nothing."""
    settings: Settings = campaign.settings
    sides = (
        ("user", settings.user_budget_fen, {"user"}),
        ("merchant", settings.merchant_budget_fen, {"merchant", "clerk"}),
    )

    def reserve() -> None:
        for side, total, names in sides:
            own = [(part.name, part.fen) for part in parts if part.name in names]
            bounds = [Budget(f"two_sided:{campaign.slug}:{side}", total)] if total else []
            if not budget.reserve(tx, bounds, firing_id, own):
                raise _NoRoom
        if not house.reserve(tx, campaign, firing_id, [(part.name, part.fen) for part in parts], now):
            raise _NoRoom

    try:
        with tx.savepoint():
            reserve()
    except _NoRoom:
        return False
    return True


def on_refund(tx: Tx, house: House, campaign: CampaignView, event: RefundReceived, now: datetime) -> Verdict | None:
    """Take back what the rest of the payment would not have given; None where there is nothing to take."""
    if _known(tx, campaign.slug, event.payment) is None:
        return None
    tx.lock(f"two_sided:{campaign.slug}")
    row = _known(tx, campaign.slug, event.payment)
    if row is None or row["state"] != "fired":
        return None
    terms = Terms(**json.loads(row["terms"]))
    keeps = after_refund(terms, event.left_fen, has_clerk=row["clerk"] is not None, withdrawn=event.withdrawn)
    wanted = {"user": keeps.user_fen, "merchant": keeps.merchant_fen, "clerk": keeps.clerk_fen}
    parts = [
        Part(name, money.account_of(name, row), row[f"{name}_fen"] - row[f"{name}_back_fen"] - wanted[name])
        for name in money.PARTS
        if row[f"{name}_fen"] - row[f"{name}_back_fen"] > wanted[name]
    ]
    is_over = keeps == _NOTHING
    if not parts and not is_over:
        return None
    money.take_back(tx, house, campaign.slug, row["id"], parts, event.refund, now)
    back = {part.name: part.fen for part in parts}
    tx.run(
        "UPDATE two_sided_firings SET user_back_fen = user_back_fen + :user, "
        "merchant_back_fen = merchant_back_fen + :merchant, clerk_back_fen = clerk_back_fen + :clerk, "
        "state = :state, reason = :reason, reversed_at = :at WHERE id = :id",
        {
            **{name: back.get(name, 0) for name in money.PARTS},
            "state": "reversed" if is_over else "fired",
            "reason": "refunded" if is_over else "reduced",
            "at": to_text(now) if is_over else None,
            "id": row["id"],
        },
    )
    if is_over:
        money.free_budget(tx, row["id"])
        if row["pair"]:
            limits.give_back(tx, [Limit(row["pair"], 1, limits.FOREVER, "limit_day")])
    return Verdict("done", "reversed" if is_over else "reduced")


def verdict_of(row: Row) -> Verdict:
    """What was made of a payment, as it was said then."""
    if row["state"] == "refused":
        return Verdict("refused", row["reason"])
    return Verdict("done", row["state"])


def _before_looking(event: PaymentReceived) -> Facts:
    """What the event alone says. `left_fen` is what counts: refunds told beforehand are off it already."""
    return Facts(
        amount_fen=event.left_fen,
        tag_before=event.tag.state if event.person else "untaggable",
        tag_source=event.tag.source_id,
        has_quota=True,
        pays_at_own_shop=False,
        pair_today=0,
        fired_in_period=0,
    )


def _has_place(tx: Tx, campaign: str, merchant: str, admitted: Row | None, group: tuple[str, ...]) -> bool:
    """Whether the merchant was admitted, and his code pays for this payer too."""
    if admitted is None or not admitted["users"]:
        return admitted is not None
    rows = tx.all(
        "SELECT DISTINCT person FROM two_sided_firings WHERE campaign = :campaign AND merchant = :merchant "
        "AND code = :code AND state = 'fired'",
        {"campaign": campaign, "merchant": merchant, "code": admitted["code"]},
    )
    payers = {row["person"] for row in rows}
    return bool(payers & set(group)) or len(payers) < admitted["users"]


def _fired(tx: Tx, campaign: str, group: tuple[str, ...], paid_at: datetime, terms: Terms) -> int:
    """How often this human has fired in the days before (R160 `times`, `period_days`)."""
    if not terms.times:
        return 0
    names, params = marks("p", group)
    row = tx.one(
        f"SELECT count(*) AS n FROM two_sided_firings WHERE campaign = :campaign AND person IN ({names}) "
        f"AND paid_at > :since AND state = 'fired'",
        {**params, "campaign": campaign, "since": to_text(paid_at - timedelta(days=terms.period_days))},
    )
    return int(row["n"]) if row is not None else 0


def _known(tx: Tx, campaign: str, payment: str) -> Row | None:
    return tx.one(
        "SELECT * FROM two_sided_firings WHERE campaign = :campaign AND payment = :payment",
        {"campaign": campaign, "payment": payment},
    )


def _noted(
    tx: Tx,
    house: House,
    campaign: CampaignView,
    event: PaymentReceived,
    reason: str,
    now: datetime,
    *,
    code: str | None = None,
) -> Verdict:
    known = _known(tx, campaign.slug, event.payment)
    if known is not None:
        return verdict_of(known)
    id_ = house.ids.new("ts", now)
    _record(tx, id_, campaign, event, "refused", reason, now, worth=_NOTHING, clerk=None, code=code, pair=[])
    return Verdict("refused", reason)


def _record(
    tx: Tx,
    id_: str,
    campaign: CampaignView,
    event: PaymentReceived,
    state: str,
    reason: str,
    now: datetime,
    *,
    worth: Firing,
    clerk: str | None,
    code: str | None,
    pair: list[Limit],
) -> None:
    kept: dict[str, Any] = {
        name: value for name, value in asdict(campaign.settings.terms).items() if name in _KEPT_TERMS
    }
    tx.run(
        "INSERT INTO two_sided_firings (id, campaign, payment, transaction_id, merchant, shop, person, code, state, "
        "reason, amount_fen, user_fen, merchant_fen, clerk, clerk_fen, terms, pair, paid_at, at) "
        "VALUES (:id, :campaign, :payment, :transaction, :merchant, :shop, :person, :code, :state, :reason, :amount, "
        ":user, :merchant_fen, :clerk, :clerk_fen, :terms, :pair, :paid_at, :now)",
        {
            "id": id_,
            "campaign": campaign.slug,
            "payment": event.payment,
            "transaction": event.transaction_id,
            "merchant": event.merchant,
            "shop": event.shop,
            "person": event.person,
            "code": code,
            "state": state,
            "reason": reason,
            "amount": event.left_fen,
            "user": worth.user_fen,
            "merchant_fen": worth.merchant_fen,
            "clerk": clerk,
            "clerk_fen": worth.clerk_fen,
            "terms": json.dumps(kept, sort_keys=True) if state == "fired" else "",
            "pair": pair[0].name if pair else "",
            "paid_at": to_text(event.paid_at),
            "now": to_text(now),
        },
    )


def forget_refused(tx: Tx, _house: House, campaign: CampaignView, now: datetime, most: int) -> int:
    """Sweep: what gave nothing is forgotten after half a year; firings stay with the ledger."""
    return tx.run(
        "DELETE FROM two_sided_firings WHERE id IN (SELECT id FROM two_sided_firings WHERE campaign = :campaign "
        "AND state = 'refused' AND at < :before LIMIT :most)",
        {"campaign": campaign.slug, "before": to_text(now - timedelta(days=180)), "most": most},
    )
