"""The gateway as a campaign module sees it: the `House` of the seam, over the core's own parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from crypto.vault import Vault
from gateway import audit, coupons, incidents, links, outbox, people, tagging, webhooks
from gateway.campaigning import states
from gateway.catalog.campaign_states import budget_name
from gateway.catalog.campaign_views import Facts
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Item
from gateway.contract.account import Account
from gateway.contract.campaign import CampaignView, Tag
from gateway.contract.clock import from_text
from gateway.contract.errors import Refused, StoreUnavailable
from gateway.contract.house import IssuedLink, Sale, SaleOrder
from gateway.contract.ids import IdFactory, RandomBytes
from gateway.contract.payout import Payee, Payout
from gateway.contract.store import Store, Tx
from gateway.offer import Choice
from gateway.orders import Ordering
from gateway.payouts.story import PayingOut
from gateway.redeeming import Bill, Clerk, Redeeming
from gateway.wallets import payer_of
from gateway.webhooks.sending import HttpPost
from linkgen.urls import claim_url

TOPIC: Final = "campaign"
"""The outbox topic of everything that campaigns owe."""


@dataclass(slots=True)
class Parts:
    """What the house is made of. `known` gives the directory without a look at the store."""

    store: Store
    ids: IdFactory
    random: RandomBytes
    link_keys: links.LinkKeys
    known: Callable[[], Directory | None]
    vault: Callable[[], Vault]
    ordering: Ordering
    redeeming: Redeeming
    paying_out: PayingOut
    post: HttpPost
    check_url: Callable[[str], str | None]
    base_url: str
    sandbox: bool
    redis_url: str
    folder: Path
    views: Callable[[str], Sequence[CampaignView]] = field(default=lambda _kind: ())
    find: Callable[[Tx, str, datetime], CampaignView | None] = field(default=lambda _tx, _slug, _now: None)


class GatewayHouse:
    """The house that all campaigns of a process share."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.ids = parts.ids
        self.random = parts.random
        self.store = parts.store

    # -- what there is ----------------------------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """Where customers reach us, without a slash at its end."""
        return self._parts.base_url

    @property
    def sandbox(self) -> bool:
        """Whether the sandbox is enabled."""
        return self._parts.sandbox

    @property
    def redis_url(self) -> str:
        """Where Redis is, "" for nowhere."""
        return self._parts.redis_url

    def files(self, kind: str) -> Path:
        """A private folder of this machine's home, made at its first use."""
        folder = self._parts.folder / kind
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder

    def directory(self) -> Directory:
        """The directory of now, from memory. Raises StoreUnavailable where none was ever read."""
        found = self._parts.known()
        if found is None:
            raise StoreUnavailable("no catalogue")
        return found

    def catalogue(self) -> Facts:
        """The catalogue of now."""
        directory = self.directory()
        return Facts(directory.catalog, directory.zone, self._parts.check_url)

    def campaigns(self, kind: str) -> Sequence[CampaignView]:
        """Every campaign of a kind, whatever its state."""
        return self._parts.views(kind)

    def campaign(self, tx: Tx, slug: str, now: datetime) -> CampaignView | None:
        """The campaign of that name; None where the catalogue has it no more."""
        return self._parts.find(tx, slug, now)

    # -- people -----------------------------------------------------------------------------------------------------

    def group(self, tx: Tx, person: str) -> tuple[str, ...]:
        """All ids under which one human is known; () for nobody."""
        found = people.look_up(tx, person)
        return found.group if found is not None else ()

    def known_as(self, tx: Tx, circle: str, openid: str) -> tuple[str, ...]:
        """Every id of those whom this openid stands for at any channel of the circle; () for nobody yet."""
        vault, found = self._parts.vault(), set[str]()
        for channel in self.directory().channels():
            if channel.circle.slug != circle:
                continue
            try:
                payer = payer_of(channel, openid)
            except Refused:
                # Not an openid, or a channel without an app of its own.
                continue
            person = people.find(tx, vault, channel.provider, payer.app_id, payer.value)
            found.update(person.group if person is not None else ())
        return tuple(sorted(found))

    def tag(self, tx: Tx, circle: str, person: str, now: datetime) -> Tag:
        """How a person stands in a circle."""
        found = people.look_up(tx, person)
        return tag_of(tagging.standing(tx, circle, found, now) if found is not None else tagging.UNTAGGED)

    def alias(self, person: str) -> str:
        """What others may call him."""
        return person[-4:].upper()

    # -- links and coupons ------------------------------------------------------------------------------------------

    def issue_link(
        self,
        tx: Tx,
        campaign: CampaignView,
        person: str,
        merchant: str,
        items: Sequence[str],
        days: int,
        about: str,
        now: datetime,
    ) -> IssuedLink | None:
        """A claim link, once per (campaign, person, `about`); None: nothing in stock, or the budget is used up."""
        who = people.look_up(tx, person)
        if who is None:
            return None
        tx.lock(f"link:{campaign.slug}:{about}:{who.id}")
        known = tx.one(
            "SELECT * FROM links WHERE purpose = 'campaign' AND offer = :offer AND person = :person AND about = :about",
            {"offer": campaign.slug, "person": who.id, "about": about},
        )
        if known is not None:
            return self._issued(known)
        directory, gone = self.directory(), coupons.gone(tx)
        found = [item for slug in items if (item := directory.item(slug)) and not item.paused and slug not in gone]
        if not found:
            return None
        link = self.ids.new("l", now)
        if not states.reserve(tx, campaign, link, [(item.slug, _worth(item)) for item in found], now):
            return None
        choice = Choice(tuple(found), len(items), {}, about)
        new = links.NewLink(
            campaign.circle, merchant, None, who.id, "campaign", campaign.slug, choice, days, about=about
        )
        links.issue(tx, self.ids, self._parts.link_keys, now, new, id_=link)
        made = tx.one("SELECT * FROM links WHERE id = :id", {"id": link})
        assert made is not None  # written a moment ago in this transaction
        webhooks.issued_link(tx, now, directory.webhooks_for(campaign.circle, merchant), made)
        return self._issued(made)

    def _issued(self, link: Any) -> IssuedLink:
        token = self._parts.link_keys.token(link["id"], link["key_id"])
        return IssuedLink(link["id"], claim_url(self.base_url, token), from_text(link["expires_at"]))

    def withdraw_link(self, tx: Tx, link: str, reason: str, now: datetime) -> bool:
        """Revoke an unclaimed link, void unused coupons of a claimed one; whether anything was still there to take."""
        row = tx.one("SELECT * FROM links WHERE id = :id", {"id": link})
        if row is None:
            return False
        changed = links.close(tx, row, now, "revoked", reason)
        for coupon in links.claimed_coupons(tx, [link]):
            changed |= coupons.void(tx, coupon, now, reason)
        return changed

    def give_coupon(self, tx: Tx, campaign: CampaignView, person: str, item: str, origin: str, now: datetime) -> str:
        """A coupon for a person; its code, the same for the same `origin`. Raises Refused `sold_out`, `budget`."""
        tx.lock(f"origin:{origin}")
        known = tx.one(
            "SELECT code FROM coupons WHERE origin = :origin AND item = :item", {"origin": origin, "item": item}
        )
        if known is not None:
            return str(known["code"])
        found = self.directory().item(item)
        who = people.look_up(tx, person)
        if found is None or who is None:
            raise Refused("not_found", 404)
        if found.paused or not coupons.take_stock(tx, found):
            raise Refused("sold_out", 409)
        if not states.reserve(tx, campaign, origin, [(item, _worth(found))], now):
            coupons.return_stock(tx, item)
            raise Refused("budget", 409)
        return coupons.create(
            tx, self.random, now, found, origin=origin, unit=0, circle=campaign.circle, person=who.id, payment=None
        )

    def void_coupon(self, tx: Tx, code: str, reason: str, now: datetime) -> bool:
        """Make an unused coupon void; whether it was unused."""
        row = coupons.by_code(tx, code)
        return row is not None and coupons.void(tx, row, now, reason)

    def redeem(
        self,
        tx: Tx,
        code: str,
        by: str,
        key: str,
        shop: str | None,
        now: datetime,
        *,
        merchants: frozenset[str] | None,
        most_fen: int | None = None,
    ) -> Mapping[str, Any]:
        """Use a coupon by the core's engine, within what its caller may. Raises Refused as the API tells."""
        clerk = Clerk(by, merchants, most_fen=most_fen)
        return self._parts.redeeming.redeem_in(tx, code, clerk, key, Bill(shop=shop), now)

    # -- money ------------------------------------------------------------------------------------------------------

    def reserve(
        self, tx: Tx, campaign: CampaignView, origin: str, parts: Sequence[tuple[str, int]], now: datetime
    ) -> bool:
        """Reserve (name, fen) parts in the campaign's budget; False, nothing done: no room."""
        return states.reserve(tx, campaign, origin, parts, now)

    def sell(self, tx: Tx, campaign: CampaignView, sale: Sale, now: datetime) -> SaleOrder:
        """An order of the core at the campaign's price. Raises Refused `sold_out`, `not_for_sale`, `not_found`."""
        order = self._parts.ordering.make_for(tx, self.directory(), campaign.slug, sale, now)
        return SaleOrder(order["id"], f"/me/orders/{order['id']}")

    def unsell(self, tx: Tx, order: str, reason: str, now: datetime) -> bool:
        """Close an unpaid order of a campaign; whether it was open."""
        return self._parts.ordering.close(tx, order, reason, now)

    def refund_sale(self, tx: Tx, order: str, quantity: int, reason: str, now: datetime) -> bool:  # noqa: ARG002 - told by the campaign
        """Give money of so many unused units back; whether that many were unused."""
        try:
            self._parts.ordering.give_back_for(tx, order, quantity, now)
        except Refused:
            return False
        return True

    def mark_paid(self, tx: Tx, order: str, now: datetime) -> str:
        """The sandbox's payment of a campaign's order; the order's state then."""
        return self._parts.ordering.settle(tx, self.directory(), order, now).state

    def pay_out(
        self,
        tx: Tx,
        campaign: CampaignView,
        account: Account,
        payee: Payee,
        amount_fen: int,
        key: str,
        about: str,
        now: datetime,
        *,
        begun_by: str = "",
        second_approval: bool = False,
    ) -> Payout:
        """Begin a payout from a cash account; once per `key`. Raises Refused as the seam tells."""
        return self._parts.paying_out.pay_out(
            tx,
            campaign,
            account,
            payee,
            amount_fen,
            key,
            about,
            now,
            begun_by=begun_by,
            second_approval=second_approval,
        )

    def approve_payout(self, tx: Tx, payout: str, who: str, now: datetime) -> Payout:
        """The second pair of eyes. Raises Refused as the seam tells."""
        return self._parts.paying_out.approve_payout(tx, payout, who, now)

    def payout(self, tx: Tx, payout: str) -> Payout | None:
        """A payout of any campaign."""
        return self._parts.paying_out.payout(tx, payout)

    def payouts_of(self, tx: Tx, account: Account, most: int = 50) -> Sequence[Payout]:
        """The payouts from an account, newest first."""
        return self._parts.paying_out.payouts_of(tx, account, most)

    def bank_says(self, tx: Tx, payout: str, state: Literal["settled", "failed"], reason: str, now: datetime) -> Payout:
        """The bank's word on a payout. Raises Refused as the seam tells."""
        return self._parts.paying_out.bank_says(tx, payout, state, reason, now)

    # -- the outside ------------------------------------------------------------------------------------------------

    def post_json(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> tuple[int | None, str]:
        """POST to an address that the operator's rules allow; (status or None, what went wrong)."""
        sent = self._parts.post(url, [("Content-Type", "application/json"), *headers], body)
        return sent.status, sent.error

    def owe(
        self,
        tx: Tx,
        campaign: CampaignView,
        topic: str,
        about: str,
        payload: Mapping[str, Any],
        now: datetime,
        *,
        due_at: datetime | None = None,
        give_up_after: timedelta | None = None,
    ) -> None:
        """Put something for the worker: the kind's `deeds[topic]` is called with the payload, at least once."""
        envelope = {"campaign": campaign.slug, "deed": topic, "payload": dict(payload)}
        outbox.put(tx, self.ids, now, TOPIC, about, envelope, due_at=due_at, give_up_after=give_up_after)

    def audit(
        self, tx: Tx, who: str, action: str, about: str, before: str | None, after: str | None, now: datetime
    ) -> None:
        """Write who changed what."""
        audit.record(tx, now, who, action, about, before=_said(before), after=_said(after))

    def incident(self, tx: Tx, kind: str, subject: str, detail: str, now: datetime) -> None:
        """Tell an operator."""
        incidents.raise_(tx, self.ids, now, kind, subject, detail)

    def seal(self, text: str, context: str) -> bytes:
        """A personal text for the store; only `open` with the same context reads it."""
        return self._parts.vault().seal(text.encode(), f"campaign/{context}".encode())

    def open(self, sealed: bytes, context: str) -> str:
        """What was sealed."""
        return self._parts.vault().open(sealed, f"campaign/{context}".encode()).decode()

    def blind(self, text: str, context: str) -> bytes:
        """A keyed hash by which a sealed text can be found again."""
        return self._parts.vault().blind("campaign", context, text)

    def budget_of(self, tx: Tx, campaign: CampaignView) -> Mapping[str, int]:
        """What its whole budget is, what of it is promised and what is spent; 0 in all for one without."""
        row = tx.one(
            "SELECT reserved_fen, consumed_fen FROM budgets WHERE name = :name", {"name": budget_name(campaign.slug)}
        )
        reserved, consumed = (row["reserved_fen"], row["consumed_fen"]) if row is not None else (0, 0)
        return {"total_fen": campaign.budget_fen, "reserved_fen": reserved, "consumed_fen": consumed}


def tag_of(standing: tagging.Standing) -> Tag:
    """A standing as campaigns are told of it."""
    source = standing.source
    if source is None:
        return Tag(standing.state)
    return Tag(standing.state, source.type, source.id, source.mode)


def _worth(item: Item) -> int:
    return item.value_fen or item.cap_fen


def _said(word: str | None) -> Mapping[str, str] | None:
    return None if word is None else {"state": word}
