"""An offer rehearsed on a day that was: the day's stored payments met by other numbers. Sends and issues nothing.

The choice and the limits are the very code that decides about payments (`gateway.offer`, `ledger.limits`); what they
read of the store is worked out here as it was at each payment's moment: who was tagged, what he held, what was gone,
what was spent. What depends on people stays as it was: they claim what they really claimed. Rewards to bringers are
left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from typing import Any, Final

from gateway.catalog.directory import Directory
from gateway.catalog.fields import FIELDS, read_object
from gateway.catalog.specs import Offer
from gateway.contract.clock import from_text, to_text
from gateway.contract.errors import BadConfig, Refused
from gateway.contract.ids import floor_id
from gateway.contract.store import Row, Tx
from gateway.jobs import Progress
from gateway.ledger import limits
from gateway.offer import Choice, choose
from gateway.rewards import Rules
from gateway.rulebook import Rulebook
from gateway.runtime import Runtime

KIND: Final = "offer_rehearsal"
"""The job's kind."""
MOST_DRAFTS: Final = 2

_PAGE: Final = 500
_SAMPLES: Final = 5
_TELL_EVERY: Final = 20


@dataclass(frozen=True, slots=True)
class Draft:
    """Numbers to rehearse: an offer, and the smallest payment that counts."""

    offer: Offer
    min_amount_fen: int


@dataclass(slots=True)
class Outcome:
    """What came out for one draft, or what really came."""

    payments: int = 0
    tagged: int = 0
    links: int = 0
    items: int = 0
    cost_fen: int = 0
    stopped_at: str = ""
    reasons: dict[str, int] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)

    def count(self, reason: str) -> None:
        """One more payment that came out so."""
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


@dataclass(slots=True)
class Past:
    """What the store tells of the time before and during the day, for the persons and items of one circle."""

    links_of: Mapping[str, Sequence[datetime]]
    coupons_of: Mapping[str, Sequence[Row]]
    claimed_at: Mapping[str, Sequence[str]]
    stock: Mapping[str, tuple[int | None, int]]
    person_of: Mapping[str, str]
    spent_before: Mapping[str, int]
    given_back: Sequence[tuple[str, str, int]]

    def held(self, person: str, at: str) -> frozenset[str]:
        """What a link had given the person and he had not used at that moment."""
        return frozenset(
            row["item"]
            for row in self.coupons_of.get(person, ())
            if row["claimed_at"] < at < row["valid_to"]
            and (row["closed_at"] is None or row["closed_at"] > at)
            and (row["used_at"] is None or row["used_at"] > at)
        )

    def gone(self, at: str) -> frozenset[str]:
        """What had nothing left at that moment, by today's stock."""
        found = set()
        for item, (total, taken) in self.stock.items():
            later = sum(1 for claimed in self.claimed_at.get(item, ()) if claimed >= at)
            if total is not None and taken - later >= total:
                found.add(item)
        return frozenset(found)


def rehearse(runtime: Runtime, params: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
    """The job: `params` hold `circle`, `day` and one or two `drafts`, tables as an apply file's offer has them.

    Raises Refused `not_found` for a circle that is gone, BadConfig for numbers that an apply would refuse.
    """
    directory = runtime.directory()
    circle = directory.circle(params["circle"])
    if circle is None:
        raise Refused("not_found", 404)
    drafts = [draft_of(circle.slug, table) for table in params["drafts"][:MOST_DRAFTS]]
    begin, end = day_of(params["day"], directory.zone(None))
    total = runtime.store.read(lambda tx: _how_many(tx, circle.slug, begin, end))
    past = runtime.store.read(lambda tx: _past(tx, circle.slug, begin, end))
    runs = [_Run(directory, draft, past) for draft in drafts]
    real = Outcome()
    for done, row in enumerate(_payments(runtime, circle.slug, begin, end), start=1):
        _really(real, row, directory)
        for run in runs:
            run.meet(row)
        if done % _TELL_EVERY == 0 or done == total:
            progress(done, total)
    return {
        "day": params["day"],
        "real": asdict(real),
        "drafts": [{**asdict(run.outcome), "table": table} for run, table in zip(runs, params["drafts"], strict=False)],
    }


def draft_of(circle: str, table: Mapping[str, Any]) -> Draft:
    """The draft that a table describes. Raises BadConfig with the faults, paths as of `[offer.draft]`."""
    rest = {key: value for key, value in table.items() if key != "min_amount_fen"}
    faults: list[tuple[str, str]] = []
    offer = read_object("offer", "draft", {**rest, "circle": circle}, {}, faults)
    least = 0
    try:
        least = FIELDS["circle"]["min_amount_fen"](table.get("min_amount_fen", 0))
    except ValueError as error:
        faults.append(("offer.draft.min_amount_fen", str(error)))
    if faults or not isinstance(offer, Offer):
        raise BadConfig(faults)
    return Draft(offer, least)


def day_of(text: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """(midnight, the next midnight) of a day such as 2026-11-22. Raises BadConfig for what is no day."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone)
    except ValueError:
        raise BadConfig([("day", "is no day")]) from None
    return day, day + timedelta(days=1)


class _Run:
    """One draft on its way through the day."""

    def __init__(self, directory: Directory, draft: Draft, past: Past) -> None:
        self.outcome = Outcome()
        self._directory = directory
        self._draft = draft
        self._past = past
        self._rulebook = Rulebook()
        self._counters: Counter[str] = Counter()
        self._spent: Counter[str] = Counter(past.spent_before)
        self._backs = list(past.given_back)
        self._sampled: set[str] = set()

    def meet(self, row: Row) -> None:
        """One payment, in the order in which they came."""
        out = self.outcome
        out.payments += 1
        merchant = self._directory.merchant(row["merchant"])
        if merchant is None:
            self._note(row, "no_inventory", None)
            return
        rules = self._rulebook.rules(self._directory, merchant, row["shop"])
        rules = replace(rules, offer=self._draft.offer, min_amount_fen=self._draft.min_amount_fen)
        refused = _before_the_offer(row, rules)
        if refused is not None:
            self._note(row, refused, None)
            return
        if row["tag_before"] == "untagged":
            out.tagged += 1
            if rules.welcome is None:
                self._note(row, "first_payment", None)
                return
        self._link(row, rules)

    def _link(self, row: Row, rules: Rules) -> None:
        at = from_text(row["received_at"])
        choice = self._choice(row, rules)
        if row["tag_before"] == "untagged" and not choice.items:
            self._note(row, "no_inventory", choice)
            return
        caps = self._caps(row, rules, at)
        hit = next((cap for cap in caps if self._counters[cap.name] >= cap.cap), None)
        if hit is not None:
            self._note(row, hit.reason, choice)
            return
        if not choice.items:
            self._note(row, "no_inventory", choice)
            return
        fen = sum(item.value_fen or item.cap_fen for item in choice.items)
        budgets = _budgets(self._draft.offer, at, rules.zone)
        self._give_back(row["received_at"])
        if fen and any(self._spent[name] + fen > total for name, total in budgets):
            self.outcome.stopped_at = self.outcome.stopped_at or row["received_at"]
            self._note(row, "budget", choice)
            return
        for cap in caps:
            self._counters[cap.name] += 1
        for name, _ in budgets:
            self._spent[name] += fen
        self.outcome.links += 1
        self.outcome.items += len(choice.items)
        self.outcome.cost_fen += fen
        self._note(row, "issued", choice)

    def _choice(self, row: Row, rules: Rules) -> Choice:
        at, person = row["received_at"], self._person(row)
        if row["tag_before"] == "untagged":
            item = rules.welcome
            ok = item is not None and not item.paused and item.slug not in self._past.gone(at)
            return Choice((item,) if item is not None and ok else (), 1, {}, row["id"])
        return choose(
            rules.eligible,
            gone=self._past.gone(at),
            held=self._past.held(person, at),
            own=rules.offer.own,
            elsewhere=rules.offer.elsewhere,
            seed=row["id"],
        )

    def _caps(self, row: Row, rules: Rules, at: datetime) -> list[limits.Limit]:
        """The limits of this payer at this moment, their counters filled with the links of before the day."""
        offer, person = rules.offer, self._person(row)
        caps = limits.windows(
            person,
            at,
            rules.zone,
            per_day=offer.per_person_per_day,
            per_week=offer.per_person_per_week,
            total=offer.per_person,
        )
        for cap in caps:
            if cap.name not in self._counters:
                since = _window_begins(cap.reason, at, rules.zone)
                earlier = self._past.links_of.get(person, ())
                self._counters[cap.name] = sum(1 for one in earlier if since is None or one >= since)
        return caps

    def _give_back(self, now: str) -> None:
        """Budget of earlier links that was given back by now."""
        while self._backs and self._backs[0][0] <= now:
            _, name, fen = self._backs.pop(0)
            self._spent[name] -= fen

    def _person(self, row: Row) -> str:
        return self._past.person_of.get(row["person"] or "", row["person"] or "")

    def _note(self, row: Row, reason: str, choice: Choice | None) -> None:
        self.outcome.count(reason)
        if reason in self._sampled or len(self.outcome.samples) >= _SAMPLES:
            return
        self._sampled.add(reason)
        self.outcome.samples.append(
            {
                "at": row["received_at"],
                "merchant": row["merchant"],
                "person": row["person"],
                "amount_fen": row["amount_fen"],
                "reason": reason,
                "items": [item.slug for item in choice.items] if choice is not None and reason == "issued" else [],
                "considered": choice.considered if choice is not None else 0,
                "dropped": dict(choice.dropped) if choice is not None else {},
            }
        )


def _before_the_offer(row: Row, rules: Rules) -> str | None:
    """Why a payment never comes to the offer, in the order in which the intake looks; None when it does."""
    if row["person"] is None or row["tag_before"] == "untaggable":
        return "untaggable"
    if row["tag_before"] == "opted_out":
        return "opted_out"
    if row["amount_fen"] < rules.min_amount_fen:
        return "below_minimum"
    if any(one["reason"] == "refunded" and one["rule"] == "tag" for one in json.loads(row["decisions"])):
        return "refunded"
    return None


def _really(real: Outcome, row: Row, directory: Directory) -> None:
    """What was decided then."""
    decisions = json.loads(row["decisions"])
    real.payments += 1
    said = {one["rule"]: one for one in decisions}
    if said.get("tag", {}).get("outcome") == "done":
        real.tagged += 1
    final = said.get("payer_link") or said.get("tag") or {"reason": "untaggable", "outcome": "skipped"}
    real.count(final["reason"])
    if final["outcome"] == "done":
        real.links += 1
        slugs = json.loads(row["items"]) if row["items"] else []
        real.items += len(slugs)
        # Without a budget nothing was held: then by what the items are worth today.
        worth = sum(item.value_fen or item.cap_fen for item in map(directory.item, slugs) if item is not None)
        real.cost_fen += int(row["cost_fen"]) if row["cost_fen"] is not None else worth
    elif final["reason"] == "budget" and not real.stopped_at:
        real.stopped_at = row["received_at"]


def _window_begins(reason: str, at: datetime, zone: tzinfo) -> datetime | None:
    midnight = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if reason == "limit_day":
        return midnight
    return midnight - timedelta(days=midnight.weekday()) if reason == "limit_week" else None


def _budgets(offer: Offer, at: datetime, zone: tzinfo) -> list[tuple[str, int]]:
    """(name, total) of the budgets that a link would be taken from."""
    found = [("total", offer.budget_fen), (f"{at.astimezone(zone):%Y-%m-%d}", offer.budget_fen_per_day)]
    return [(name, total) for name, total in found if total]


def _how_many(tx: Tx, circle: str, begin: datetime, end: datetime) -> int:
    row = tx.one(
        "SELECT count(*) AS n FROM payments WHERE id >= :begin AND id < :end AND circle = :circle",
        {"begin": floor_id("pay", begin), "end": floor_id("pay", end), "circle": circle},
    )
    return int(row["n"]) if row is not None else 0


def _payments(runtime: Runtime, circle: str, begin: datetime, end: datetime) -> Iterator[Row]:
    """The day's payments as they came, each with what its link gave; read a page at a time."""
    after, last = floor_id("pay", begin), floor_id("pay", end)
    while rows := runtime.store.read(_page(circle, after, last)):
        yield from rows
        after = rows[-1]["id"] + "~"


def _page(circle: str, after: str, last: str) -> Callable[[Tx], list[Row]]:
    return lambda tx: tx.all(
        "SELECT p.id, p.merchant, p.shop, p.amount_fen, p.received_at, p.person, p.tag_before, p.decisions, l.items, "
        "(SELECT sum(h.fen) FROM (SELECT max(fen) AS fen FROM budget_holds WHERE origin = l.id GROUP BY item) h) "
        "AS cost_fen FROM payments p LEFT JOIN links l ON l.payment = p.id AND l.purpose = 'payer' "
        "WHERE p.id >= :after AND p.id < :last AND p.circle = :circle ORDER BY p.id LIMIT :most",
        {"after": after, "last": last, "circle": circle, "most": _PAGE},
    )


def _past(tx: Tx, circle: str, begin: datetime, end: datetime) -> Past:
    window = {"circle": circle, "begin": floor_id("pay", begin), "end": floor_id("pay", end)}
    persons = (
        "SELECT DISTINCT coalesce(q.merged_into, q.id) FROM payments p JOIN persons q ON q.id = p.person "
        "WHERE p.id >= :begin AND p.id < :end AND p.circle = :circle"
    )
    person_of = {
        row["id"]: row["winner"]
        for row in tx.all(
            "SELECT id, coalesce(merged_into, id) AS winner FROM persons "
            f"WHERE coalesce(merged_into, id) IN ({persons})",
            window,
        )
    }
    links_of: dict[str, list[datetime]] = {}
    for row in tx.all(
        "SELECT l.person, l.created_at FROM links l JOIN persons q ON q.id = l.person "
        "WHERE l.circle = :circle AND l.purpose = 'payer' AND l.created_at < :at "
        f"AND coalesce(q.merged_into, q.id) IN ({persons})",
        {**window, "at": to_text(begin)},
    ):
        links_of.setdefault(person_of.get(row["person"], row["person"]), []).append(from_text(row["created_at"]))
    coupons_of: dict[str, list[Row]] = {}
    for row in tx.all(
        "SELECT c.person, c.item, c.claimed_at, c.valid_to, "
        "CASE WHEN c.state IN ('void', 'expired') THEN c.closed_at END AS closed_at, "
        "(SELECT min(r.at) FROM redemptions r WHERE r.coupon = c.code AND r.reversed_at IS NULL) AS used_at "
        "FROM coupons c JOIN persons q ON q.id = c.person WHERE substr(c.origin, 1, 2) = 'l_' "
        f"AND coalesce(q.merged_into, q.id) IN ({persons})",
        window,
    ):
        coupons_of.setdefault(person_of.get(row["person"], row["person"]), []).append(row)
    claimed_at: dict[str, list[str]] = {}
    for row in tx.all("SELECT item, claimed_at FROM coupons WHERE claimed_at >= :at", {"at": to_text(begin)}):
        claimed_at.setdefault(row["item"], []).append(row["claimed_at"])
    stock = {row["item"]: (row["total"], int(row["taken"])) for row in tx.all("SELECT item, total, taken FROM stock")}
    spent, backs = _spent(tx, circle, begin, end)
    return Past(links_of, coupons_of, claimed_at, stock, person_of, spent, backs)


def _spent(tx: Tx, circle: str, begin: datetime, end: datetime) -> tuple[dict[str, int], list[tuple[str, str, int]]]:
    """(fen of the total budget that links of before the day held when it began, what of it came back in its course)."""
    back_at = "coalesce(c.closed_at, l.closed_at, l.claimed_at)"
    source = (
        "FROM budget_holds h JOIN links l ON l.id = h.origin "
        "LEFT JOIN coupons c ON c.origin = h.origin AND c.item = h.item AND c.unit = 1 "
        "WHERE h.budget = :budget AND l.created_at < :begin"
    )
    values = {"budget": f"offer:{circle}", "begin": to_text(begin), "end": to_text(end)}
    row = tx.one(
        f"SELECT sum(h.fen) AS fen {source} AND (h.state <> 'returned' OR {back_at} >= :begin)",
        {name: values[name] for name in ("budget", "begin")},
    )
    backs = tx.all(
        f"SELECT {back_at} AS at, h.fen {source} AND h.state = 'returned' AND {back_at} >= :begin "
        f"AND {back_at} < :end ORDER BY 1",
        values,
    )
    spent = {"total": int(row["fen"] or 0)} if row is not None else {}
    return spent, [(one["at"], "total", int(one["fen"])) for one in backs]
