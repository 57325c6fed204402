"""What a payment of a tagged payer brings: his own link, and a reward to the payer who once brought him.

Reads and writes inside the payment's transaction; the choice itself is `gateway.offer`, pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo

from gateway import coupons, incidents, links, tagging
from gateway.catalog.specs import Item, Offer
from gateway.contract.ids import IdFactory
from gateway.contract.store import Row, Tx
from gateway.inbox import Decision, Place
from gateway.ledger import budget, limits
from gateway.offer import Choice, Eligible, choose
from gateway.people import Person, look_up


@dataclass(frozen=True, slots=True)
class Rules:
    """What the catalogue says for one payment's place."""

    offer: Offer
    eligible: Eligible
    welcome: Item | None
    source_item: Item | None
    zone: tzinfo
    min_amount_fen: int
    tag_days: int
    last_touch: bool


def payer_link(
    tx: Tx,
    ids: IdFactory,
    keys: links.LinkKeys,
    now: datetime,
    *,
    payment: str,
    place: Place,
    payer: Person,
    rules: Rules,
) -> Decision:
    """The link that a tagged payer gets (R030, R033, R039–R042)."""
    new = links.NewLink(
        place.circle,
        place.merchant,
        place.shop,
        payer.id,
        "payer",
        rules.offer.slug,
        _chosen(tx, payer, rules, payment, now),
        rules.offer.link_days,
        payment,
    )
    return _issue(
        tx, ids, keys, now, new, _caps(payer, now, rules), _budgets(rules.offer, now, rules.zone), "payer_link"
    )


def bought_link(
    tx: Tx,
    ids: IdFactory,
    keys: links.LinkKeys,
    now: datetime,
    *,
    order: str,
    place: Place,
    buyer: Person,
    rules: Rules,
) -> Decision:
    """The link for having bought more than the preset number (R045)."""
    new = links.NewLink(
        place.circle,
        place.merchant,
        place.shop,
        buyer.id,
        "order",
        rules.offer.slug,
        _chosen(tx, buyer, rules, order, now),
        rules.offer.link_days,
        source_order=order,
    )
    return _issue(tx, ids, keys, now, new, [], _budgets(rules.offer, now, rules.zone), "payer_link")


def _chosen(tx: Tx, person: Person, rules: Rules, seed: str, now: datetime) -> Choice:
    """The offer's choice for this person, by what is in stock and what he holds now."""
    return choose(
        rules.eligible,
        gone=coupons.gone(tx),
        held=coupons.held(tx, person, now),
        own=rules.offer.own,
        elsewhere=rules.offer.elsewhere,
        seed=seed,
    )


def welcome_link(
    tx: Tx,
    ids: IdFactory,
    keys: links.LinkKeys,
    now: datetime,
    *,
    payment: str,
    place: Place,
    payer: Person,
    rules: Rules,
) -> Decision:
    """The first, tagging payment gives none, unless the circle has a welcome item (R022)."""
    item = rules.welcome
    if item is None:
        return Decision("payer_link", "skipped", "first_payment")
    if item.paused or item.slug in coupons.gone(tx):
        return Decision("payer_link", "refused", "no_inventory")
    offer = rules.offer
    choice = Choice((item,), 1, {}, payment)
    new = links.NewLink(
        place.circle, place.merchant, place.shop, payer.id, "payer", offer.slug, choice, offer.link_days, payment
    )
    return _issue(tx, ids, keys, now, new, _caps(payer, now, rules), _budgets(offer, now, rules.zone), "payer_link")


def source_link(
    tx: Tx,
    ids: IdFactory,
    keys: links.LinkKeys,
    now: datetime,
    *,
    payment: str,
    place: Place,
    payer: Person,
    source: tagging.Source,
    rules: Rules,
) -> Decision:
    """The reward to the payer who brought this one (R034–R038); a merchant who brought him gets none (R036).

    Whoever joined by himself has a merchant for his source, though he did so actively.
    """
    if source.mode != "active" or source.type != "payer":
        return Decision("source_link", "skipped", "passive_source")
    bringer = look_up(tx, source.id)
    item = rules.source_item
    offer = rules.offer
    if bringer is None or item is None or item.paused or item.slug in coupons.gone(tx):
        return Decision("source_link", "refused", "no_inventory")
    if bringer.id == payer.id:
        return Decision("source_link", "refused", "self_referral")
    if tagging.is_ring(tx, place.circle, payer, bringer):
        incidents.raise_(tx, ids, now, "ring", f"{min(payer.id, bringer.id)}+{max(payer.id, bringer.id)}")
        return Decision("source_link", "refused", "ring")
    once = _once(offer.circle, bringer.id, payer.id, offer.source_first_payments)
    choice = Choice((item,), 1, {}, payment)
    new = links.NewLink(
        place.circle,
        place.merchant,
        place.shop,
        bringer.id,
        "source",
        offer.slug,
        choice,
        offer.link_days,
        payment,
        about=payer.id,
    )
    budgets = [budget.Budget(f"source:{offer.circle}", offer.source_budget_fen)] if offer.source_budget_fen else []
    return _issue(tx, ids, keys, now, new, [once], budgets, "source_link")


def forget_source(tx: Tx, link: Row) -> None:
    """A source's reward was withdrawn unused with its payment: the next payment may bring it (R035)."""
    limits.give_back(tx, [_once(link["circle"], link["person"], link["about"], 1)])


def _once(circle: str, bringer: str, payer: str, cap: int) -> limits.Limit:
    return limits.Limit(f"source:{circle}:{bringer}:{payer}", cap, limits.FOREVER, "already_rewarded")


def _caps(payer: Person, now: datetime, rules: Rules) -> list[limits.Limit]:
    """How many links a person may have (R033), the welcome link included."""
    return limits.windows(
        f"link:{rules.offer.circle}:{payer.id}",
        now,
        rules.zone,
        per_day=rules.offer.per_person_per_day,
        per_week=rules.offer.per_person_per_week,
        total=rules.offer.per_person,
    )


def _issue(
    tx: Tx,
    ids: IdFactory,
    keys: links.LinkKeys,
    now: datetime,
    new: links.NewLink,
    caps: list[limits.Limit],
    budgets: list[budget.Budget],
    rule: str,
) -> Decision:
    hit = limits.take(tx, caps)
    if hit is not None:
        return Decision(rule, "refused", hit.reason)
    if not new.choice.items:
        limits.give_back(tx, caps)
        return Decision(rule, "refused", "no_inventory")
    link = ids.new("l", now)
    parts = [(item.slug, item.value_fen or item.cap_fen) for item in new.choice.items]
    if not budget.reserve(tx, budgets, link, parts):
        limits.give_back(tx, caps)
        return Decision(rule, "refused", "budget")
    links.issue(tx, ids, keys, now, new, id_=link)
    return Decision(rule, "done", "issued")


def _budgets(offer: Offer, now: datetime, zone: tzinfo) -> list[budget.Budget]:
    found = []
    if offer.budget_fen:
        found.append(budget.Budget(f"offer:{offer.circle}", offer.budget_fen))
    if offer.budget_fen_per_day:
        found.append(budget.Budget(f"offer:{offer.circle}:{now.astimezone(zone):%Y-%m-%d}", offer.budget_fen_per_day))
    return found
