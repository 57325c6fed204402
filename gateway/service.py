"""The line, read from top to bottom: a request comes in, is verified, written down, and its payer served.

`TakeIn.take_in` is the whole story of one notification up to the store; the relay to the POS is the caller's next
step and happens whatever came out here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from crypto.vault import Vault
from gateway import inbox, incidents, links, people, refunds, rewards, tagging, webhooks
from gateway.catalog.directory import Directory, LiveChannel
from gateway.contract.adapter import RawNotification
from gateway.contract.campaign import Hear, PaymentReceived, Tag, nobody_hears
from gateway.contract.errors import BadNotification, Undecryptable
from gateway.contract.events import Event, Ignored, PaymentEvent, RefundEvent
from gateway.contract.ids import IdFactory
from gateway.contract.money import Fen
from gateway.contract.store import Row, Store, Tx
from gateway.inbox import Decision, Delivery, Place
from gateway.rewards import Rules
from gateway.rulebook import Rulebook

Outcome = Literal["processed", "seen", "ignored", "refused"]


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one notification. `payment` is the store's id of the payment it told about, where it did."""

    outcome: Outcome
    delivery: str
    event: Event | None = None
    reason: str | None = None
    payment: str | None = None


@dataclass(frozen=True, slots=True)
class TakeIn:
    """The use case; its parts are shared by all threads of a process."""

    store: Store
    vault: Callable[[], Vault]
    link_keys: links.LinkKeys
    ids: IdFactory
    rulebook: Rulebook
    hear: Hear = nobody_hears

    def take_in(
        self,
        directory: Directory,
        channel: LiveChannel,
        raw: RawNotification,
        now: datetime,
        *,
        delivery_id: str | None = None,
        query: str | None = None,
        timeout: float | None = None,
        on_event: Callable[[Tx, Taken], None] | None = None,
    ) -> Taken:
        """Verify, decrypt, write down, tag, link: durable when this returns.

        `on_event` joins the same transaction (the outbox of a channel that answers by itself). Raises
        BadNotification after nothing at all was written: what happens to refused bytes is `quarantine`'s business.
        Raises StoreTrouble when the store failed or took longer than `timeout` seconds.
        """
        event = channel.adapter.parse(raw, channel.keys, raw.received_at)
        delivery = self._delivery(channel, raw, now, delivery_id, query)
        identities = (
            people.identities(self.vault(), event.provider, event.payers) if isinstance(event, PaymentEvent) else ()
        )

        def effects(tx: Tx) -> Taken:
            if isinstance(event, PaymentEvent):
                taken = self._payment(tx, directory, channel, event, delivery, identities, now)
            elif isinstance(event, RefundEvent):
                taken = self._refund(tx, directory, channel, event, delivery, now)
            else:
                taken = self._ignored(tx, channel, event, delivery, now)
            if on_event is not None:
                on_event(tx, taken)
            return taken

        return self.store.write(effects, timeout=timeout)

    def quarantine(
        self,
        channel: LiveChannel,
        raw: RawNotification,
        why: BadNotification,
        now: datetime,
        *,
        delivery_id: str | None = None,
        query: str | None = None,
        timeout: float | None = None,
        on_event: Callable[[Tx, Taken], None] | None = None,
    ) -> Taken:
        """Write down that bytes were refused, and keep them sealed for a while. Tags nobody (R003).

        Raises StoreTrouble.
        """
        delivery = self._delivery(channel, raw, now, delivery_id, query)

        def effects(tx: Tx) -> Taken:
            inbox.record_delivery(tx, delivery, "refused", reason=why.reason)
            if isinstance(why, Undecryptable):
                # A good signature around bytes we can't open: the merchant's key was reset (R004).
                incidents.raise_(tx, self.ids, now, "undecryptable", channel.spec.slug, why.detail)
            taken = Taken("refused", delivery.id, None, why.reason)
            if on_event is not None:
                on_event(tx, taken)
            return taken

        return self.store.write(effects, timeout=timeout)

    # -- one event's effects, inside the transaction ----------------------------------------------------------------

    def _payment(
        self,
        tx: Tx,
        directory: Directory,
        channel: LiveChannel,
        event: PaymentEvent,
        delivery: Delivery,
        identities: tuple[people.Identity, ...],
        now: datetime,
    ) -> Taken:
        inbox.lock_transaction(tx, event.transaction_id)
        met = inbox.met(tx, event)
        if met.payment is not None:
            inbox.record_delivery(tx, delivery, "seen", payment=met.payment)
            return Taken("seen", delivery.id, event, None, met.payment)
        merchant = directory.merchant_for(channel, event.sub_mch_id)
        if merchant is None:
            return self._ignored(tx, channel, Ignored("payment", "foreign_merchant", event.event_id), delivery, now)
        id_ = self.ids.new("pay", now)
        place = Place(channel.spec.slug, merchant.circle, merchant.slug, channel.spec.shop or None)
        person = people.recognise(tx, self.ids, now, identities) if identities else None
        rules = self.rulebook.rules(directory, merchant, place.shop)
        waiting = inbox.waiting_refunds(tx, event) if met.refunds_wait else []
        left_fen = refunds.left_after(event.amount_fen, waiting)
        before, after, decisions = self._decide(tx, event, left_fen, id_, place, person, rules, now)
        received = PaymentReceived(
            id_,
            event.provider,
            event.transaction_id,
            place.circle,
            place.merchant,
            place.shop,
            person.id if person is not None else None,
            _tag(before),
            event.amount_fen,
            Fen(left_fen),
            event.paid_at,
        )
        decisions += [inbox.of_campaign(slug, verdict) for slug, verdict in self.hear(tx, received, now)]
        inbox.record_delivery(tx, delivery, "processed", payment=id_)
        inbox.record_payment(
            tx,
            id_,
            event,
            place,
            received_at=delivery.received_at,
            person=person.id if person is not None else None,
            before=before,
            after=after,
            decisions=decisions,
        )
        hooks = directory.webhooks_for(place.circle, place.merchant)
        if hooks:
            webhooks.issued(tx, now, hooks, id_)
        self._meet_refunds(tx, waiting, event, rules.min_amount_fen, now)
        if met.redemptions_wait:
            inbox.link_redemptions(tx, id_, event.transaction_id, place.merchant)
        return Taken("processed", delivery.id, event, None, id_)

    def _decide(
        self,
        tx: Tx,
        event: PaymentEvent,
        left_fen: int,
        payment: str,
        place: Place,
        person: people.Person | None,
        rules: Rules,
        now: datetime,
    ) -> tuple[tagging.Standing, tagging.Standing, list[Decision]]:
        """Tag or link; how the payer stood before and stands after, and every decision with its reason."""
        if person is None:
            return tagging.UNTAGGABLE, tagging.UNTAGGABLE, [Decision("tag", "skipped", "untaggable")]
        tx.lock(f"person:{person.id}")
        before = tagging.standing(tx, place.circle, person, now)
        if before.state == "opted_out":
            return before, before, [Decision("tag", "skipped", "opted_out")]
        if event.amount_fen < rules.min_amount_fen:
            return before, before, [Decision("tag", "skipped", "below_minimum")]
        if left_fen < max(rules.min_amount_fen, 1) and left_fen != event.amount_fen:
            return before, before, [Decision("tag", "skipped", "refunded")]
        if before.state == "untagged":
            source = tagging.payee(place.merchant)
            tagging.tag(
                tx,
                self.ids,
                now,
                circle=place.circle,
                person=person,
                source=source,
                origin=payment,
                days=rules.tag_days,
            )
            first = rewards.welcome_link(
                tx, self.ids, self.link_keys, now, payment=payment, place=place, payer=person, rules=rules
            )
            after = tagging.Standing("tagged", None, source)
            return before, after, [Decision("tag", "done", "first_payment"), first]
        assert before.source is not None  # a live tag has a source
        decisions = [
            Decision("tag", "skipped", "already_tagged"),
            rewards.payer_link(
                tx, self.ids, self.link_keys, now, payment=payment, place=place, payer=person, rules=rules
            ),
            rewards.source_link(
                tx,
                self.ids,
                self.link_keys,
                now,
                payment=payment,
                place=place,
                payer=person,
                source=before.source,
                rules=rules,
            ),
        ]
        return before, before, decisions

    def _meet_refunds(
        self, tx: Tx, waiting: list[Row], event: PaymentEvent, min_amount_fen: int, now: datetime
    ) -> None:
        """Apply the refunds that were told before their payment (R015)."""
        for refund in waiting:
            payment = inbox.find_payment(tx, event.provider, event.mch_id, event.transaction_id)
            assert payment is not None  # written a moment ago in this transaction
            state = refunds.apply(
                tx,
                self.ids,
                now,
                payment,
                refund["refund_fen"],
                refund["refunded_total_fen"],
                min_amount_fen,
                refund=refund["id"],
                hear=self.hear,
            )
            inbox.settle_refund(tx, refund["id"], payment["id"], state)

    def _refund(
        self,
        tx: Tx,
        directory: Directory,
        channel: LiveChannel,
        event: RefundEvent,
        delivery: Delivery,
        now: datetime,
    ) -> Taken:
        inbox.lock_transaction(tx, event.transaction_id)
        payment = inbox.find_payment(tx, event.provider, event.mch_id, event.transaction_id)
        payment_id = payment["id"] if payment is not None else None
        if inbox.find_refund(tx, event) is not None:
            inbox.record_delivery(tx, delivery, "seen", payment=payment_id)
            return Taken("seen", delivery.id, event, None, payment_id)
        if payment is None and directory.merchant_for(channel, event.sub_mch_id) is None:
            return self._ignored(tx, channel, Ignored("refund", "foreign_merchant", event.event_id), delivery, now)
        circle = directory.circle(payment["circle"]) if payment is not None else None
        least = circle.min_amount_fen if circle is not None else 0
        refunds.take_in(tx, self.ids, now, event, payment, least, self.hear)
        inbox.record_delivery(tx, delivery, "processed", payment=payment_id)
        return Taken("processed", delivery.id, event, None, payment_id)

    def _ignored(self, tx: Tx, channel: LiveChannel, event: Ignored, delivery: Delivery, now: datetime) -> Taken:
        inbox.record_delivery(tx, delivery, "ignored", reason=event.reason)
        if event.reason == "foreign_merchant":
            incidents.raise_(tx, self.ids, now, "foreign_merchant", channel.spec.slug, event.event_type)
        return Taken("ignored", delivery.id, event, event.reason)

    def _delivery(
        self, channel: LiveChannel, raw: RawNotification, now: datetime, delivery_id: str | None, query: str | None
    ) -> Delivery:
        id_ = delivery_id or self.ids.new("d", now)
        sealed = self.vault().seal(inbox.pack(raw, query), id_.encode())
        return Delivery(id_, channel.spec.slug, raw.received_at, inbox.digest_of(raw.body), sealed)


def _tag(standing: tagging.Standing) -> Tag:
    source = standing.source
    return Tag(standing.state) if source is None else Tag(standing.state, source.type, source.id, source.mode)
