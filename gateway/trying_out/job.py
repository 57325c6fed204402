"""The trial itself: one or two drafts on their way through the days, and what came out for each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from gateway.catalog.campaign_states import budget_name, funding_origin
from gateway.catalog.specs import Campaign
from gateway.catalog.storage import Stored, load
from gateway.catalog.surroundings import Surroundings
from gateway.contract.campaign import PaymentReceived, Verdict
from gateway.contract.campaign_kind import Rehearsable
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.store import Store, Tx
from gateway.jobs import Progress
from gateway.runtime import Runtime
from gateway.trying_out import past
from gateway.trying_out.draft import Draft, days_of, draft_of
from gateway.trying_out.past import Happening
from gateway.trying_out.scratch import Rows, Scratch, stock_at

KIND: Final = "campaign_trial"
"""The job's kind."""
MOST_DRAFTS: Final = 2

_BATCH: Final = 50
_SAMPLES: Final = 5

Tell = Callable[[int, int], None]
"""Hears (done, in all) now and then."""


@dataclass(slots=True)
class Outcome:
    """What came out for one draft.

    `heard`: payments that it made something of. `verdicts`: `outcome:reason` → how often, of payments; `reversals` the
    same of refunds. `given`: what its reward accounts gave in the end, `receiver:unit` → amount.
    """

    payments: int = 0
    refunds: int = 0
    heard: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)
    reversals: dict[str, int] = field(default_factory=dict)
    budget_fen: int = 0
    reserved_fen: int = 0
    consumed_fen: int = 0
    given: dict[str, int] = field(default_factory=dict)
    links: int = 0
    items: int = 0
    stopped_at: str = ""
    samples: list[dict[str, Any]] = field(default_factory=list)

    @property
    def cost_fen(self) -> int:
        """What the draft would have promised and spent, in fen."""
        return self.reserved_fen + self.consumed_fen


def try_out(runtime: Runtime, params: Mapping[str, Any], progress: Progress | Tell) -> Mapping[str, Any]:
    """The job: `params` hold `campaign`, `from`, `to` and one or two `drafts`, each a TOML text or None.

    Raises Refused `not_found` for a campaign that is gone, BadConfig for days or drafts that do not hold.
    """
    stored = stored_now(runtime)
    campaign = stored.catalog.campaigns.get(params["campaign"])
    circle = stored.catalog.circles.get(campaign.circle) if campaign is not None else None
    if campaign is None or circle is None:
        raise Refused("not_found", 404)
    drafts = [
        draft_of(stored.catalog, surroundings_of(runtime), campaign, text) for text in params["drafts"][:MOST_DRAFTS]
    ]
    begin, end = days_of(params["from"], params["to"], runtime.directory().zone(None))
    total = runtime.store.read(lambda tx: past.count(tx, circle.slug, begin, end)) * len(drafts)
    outcomes: list[Outcome] = []
    done = 0

    def told(payments: int) -> None:
        nonlocal done
        done += payments
        progress(done, total)

    for draft in drafts:
        with Scratch(runtime, stored.catalog, draft) as scratch:
            stock = runtime.store.read(lambda tx: stock_at(tx, begin))
            scratch.begin(begin, stock, _prepared(runtime, scratch, campaign))
            outcome = Outcome(budget_fen=draft.campaign.budget_fen if draft.bounded else 0)
            happened = past.happenings(runtime.store, circle.slug, circle.min_amount_fen, begin, end)
            _feed(scratch, outcome, happened, begin, end, told)
            _add_up(scratch.store, draft, outcome)
            outcomes.append(outcome)
    return {
        "campaign": campaign.slug,
        "kind": campaign.kind,
        "from": params["from"],
        "to": params["to"],
        "real": past.verdicts(runtime.store, campaign.slug, circle.slug, begin, end),
        "drafts": [{**asdict(one), "cost_fen": one.cost_fen} for one in outcomes],
    }


def stored_now(runtime: Runtime) -> Stored:
    """The catalogue as it is stored at this moment. Raises StoreTrouble."""
    vault = runtime.keyring.reload()
    return runtime.store.read(lambda tx: load(tx, vault))


def surroundings_of(runtime: Runtime) -> Surroundings:
    """What drafts are held against beside the catalogue."""
    return Surroundings(runtime.registry, runtime.config.sandbox.enabled, runtime.campaigns.house.catalogue().refuses)


def _prepared(runtime: Runtime, scratch: Scratch, campaign: Campaign) -> Rows:
    """What staff have prepared in the campaign, where its kind can tell."""
    kind = scratch.kind
    if not isinstance(kind, Rehearsable):
        return {}

    def ask(tx: Tx) -> Rows:
        view = runtime.campaigns.find(tx, campaign.slug, runtime.clock())
        return kind.prepared(tx, view) if view is not None else {}

    return runtime.store.read(ask)


def _feed(
    scratch: Scratch,
    outcome: Outcome,
    happened: Iterator[Happening],
    begin: datetime,
    end: datetime,
    told: Callable[[int], None],
) -> None:
    """Everything that happened, in its order, and each midnight what the module ends by the clock."""
    midnight = begin + timedelta(days=1)
    batch: list[Happening] = []

    def tell() -> None:
        verdicts = scratch.hear(batch)
        for one, made in zip(batch, verdicts, strict=True):
            _note(outcome, one, made)
        told(sum(1 for one in batch if isinstance(one.event, PaymentReceived)))
        batch.clear()

    for one in happened:
        while one.at >= midnight and midnight < end:
            tell()
            scratch.sweep(midnight)
            midnight += timedelta(days=1)
        batch.append(one)
        if len(batch) >= _BATCH:
            tell()
    tell()
    while midnight <= end:
        scratch.sweep(midnight)
        midnight += timedelta(days=1)


def _note(outcome: Outcome, one: Happening, made: Sequence[Verdict]) -> None:
    event = one.event
    is_payment = isinstance(event, PaymentReceived)
    counts = outcome.verdicts if is_payment else outcome.reversals
    outcome.payments += is_payment
    outcome.refunds += not is_payment
    outcome.heard += bool(is_payment and made)
    for verdict in made:
        key = f"{verdict.outcome}:{verdict.reason}"
        counts[key] = counts.get(key, 0) + 1
        if verdict.reason == "budget" and not outcome.stopped_at:
            outcome.stopped_at = to_text(one.at)
        if isinstance(event, PaymentReceived) and counts[key] == 1 and len(outcome.samples) < _SAMPLES:
            outcome.samples.append(
                {
                    "at": to_text(one.at),
                    "merchant": event.merchant,
                    "person": event.person,
                    "amount_fen": event.amount_fen,
                    "tag": event.tag.state,
                    "outcome": verdict.outcome,
                    "reason": verdict.reason,
                }
            )


def _add_up(store: Store, draft: Draft, outcome: Outcome) -> None:
    slug = draft.campaign.slug
    for row in store.read(lambda tx: tx.all(_HELD, {"budget": budget_name(slug), "funding": funding_origin(slug)})):
        if row["state"] == "reserved":
            outcome.reserved_fen = int(row["fen"])
        elif row["state"] == "consumed":
            outcome.consumed_fen = int(row["fen"])
    for row in store.read(lambda tx: tx.all(_MOVED, {"own": f"campaign:{slug}:%"})):
        gave = row["debit"].startswith(f"campaign:{slug}:")
        receiver = (row["credit"] if gave else row["debit"]).partition(":")[0]
        key = f"{receiver}:{row['unit']}"
        outcome.given[key] = outcome.given.get(key, 0) + (int(row["n"]) if gave else -int(row["n"]))
    links = store.read(lambda tx: tx.all(_LINKS, {"campaign": slug}))
    outcome.links = len(links)
    outcome.items = sum(len(json.loads(row["items"])) for row in links)


_HELD: Final = (
    "SELECT state, sum(fen) AS fen FROM budget_holds WHERE budget = :budget AND origin <> :funding GROUP BY state"
)
_MOVED: Final = (
    "SELECT t.debit, t.credit, a.unit, sum(t.amount) AS n FROM transfers t JOIN accounts a ON a.id = t.debit "
    "WHERE t.state <> 'voided' AND (t.debit LIKE :own OR t.credit LIKE :own) GROUP BY t.debit, t.credit, a.unit"
)
_LINKS: Final = "SELECT items FROM links WHERE offer = :campaign AND state IN ('issued', 'opened', 'claimed')"
