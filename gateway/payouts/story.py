"""The story of a payout inside the store: held, sent, settled, failed or unknown, and who hears of it.

The amount is held in the ledger before anything goes out; `settled` posts the hold, `failed` lets it go back. Every
move is one conditional update, so that of parallel movers one wins, and the one that wins tells: the campaign, the
receivers of webhooks, the audit log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, get_args

from crypto.vault import Vault
from gateway import audit, outbox
from gateway.catalog.directory import Directory
from gateway.contract.account import PAID_OUT, Account
from gateway.contract.campaign import CampaignView, PayoutMoved
from gateway.contract.errors import Refused
from gateway.contract.ids import IdFactory
from gateway.contract.money import MAX_FEN, Fen
from gateway.contract.payout import Payee, Payout, PayoutState
from gateway.contract.store import Row, Tx
from gateway.contract.wallet import Platform, Transfers
from gateway.ledger import book
from gateway.payouts import rows
from gateway.payouts.rows import WAITING, Destination
from gateway.tills import Till, payer_at, tills_of
from gateway.webhooks import events

Hear = Callable[[Tx, PayoutMoved, datetime], None]
"""Tells the campaign, within the transaction of the move."""

SEND: Final = "payout"
BANK: Final = "bank"
_LEGAL: Final[Mapping[str, frozenset[str]]] = {
    "held": frozenset({"sent", "unknown", "failed"}),
    "sent": frozenset({"settled", "failed", "unknown"}),
    "unknown": frozenset({"sent", "settled", "failed"}),
    "settled": frozenset(),
    "failed": frozenset(),
}
_WALLET_NAMES: Final = {"wechat": "微信", "alipay": "支付宝"}
_LAST: Final = 4


class PayingOut:
    """The use case; shared by all threads of a process.

    `directory` and `vault` are asked inside transactions: they answer from memory and never look at the store.
    """

    def __init__(
        self, ids: IdFactory, directory: Callable[[], Directory], vault: Callable[[], Vault], hear: Hear
    ) -> None:
        self._ids = ids
        self._directory = directory
        self._vault = vault
        self._hear = hear

    # -- what campaigns ask for -------------------------------------------------------------------------------------

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
        """Begin a payout: the amount is held, the worker sends it; once per (campaign, `key`).

        The campaign is not told of its own beginning, it has it as the answer. Raises Refused 409 `insufficient`,
        `payout_in_flight`, `no_way`, `below_least`, `above_most`, `idempotency_key_reused`; 422 for an amount that is
        none; ValueError for an account of another unit than cash.
        """
        if account.unit != "cash":
            raise ValueError("payouts are made in cash")
        if type(amount_fen) is not int or not 0 < amount_fen <= MAX_FEN:
            raise Refused("invalid", 422, fields={"amount_fen": "a whole number of fen above 0"})
        tx.lock(f"payout-key:{campaign.slug}:{key}")
        tx.lock(f"payouts:{account.id}")
        known = rows.of_key(tx, campaign.slug, key)
        if known is not None:
            if (known["account"], known["amount_fen"]) != (account.id, amount_fen):
                raise Refused("idempotency_key_reused", 409)
            return rows.view(known)
        open_one = rows.in_flight(tx, account.id)
        if open_one is not None:
            raise Refused("payout_in_flight", 409, payout=open_one["id"])
        to = self._destination(tx, campaign, payee, amount_fen)
        id_ = self._ids.new(rows.PREFIX, now)
        try:
            book.hold(tx, self._ids.new("t", now), rows.ledger_key(id_), account, PAID_OUT, amount_fen, "payout", now)
        except book.Overdrawn:
            raise Refused("insufficient", 409, balance_fen=book.balance(tx, account)) from None
        facts = {
            "id": id_,
            "campaign": campaign.slug,
            "key": key,
            "circle": campaign.circle,
            "account": account.id,
            "about": about,
            "person": payee.person,
            "amount_fen": amount_fen,
            "reason": WAITING if second_approval else "",
            "begun_by": begun_by,
        }
        rows.keep(tx, self._vault(), facts, to, now)
        if not second_approval and to.way != BANK:
            look_later(tx, self._ids, id_, 0, now, now)
        made = self._row(tx, id_)
        self._tell(tx, made, begun_by or f"campaign:{campaign.slug}", None, now)
        return rows.view(made)

    def approve_payout(self, tx: Tx, payout: str, who: str, now: datetime) -> Payout:
        """The second pair of eyes. Raises Refused 409 `not_waiting`, `same_person`, 404 `not_found`."""
        row = self._locked(tx, payout)
        if row["state"] != "held" or row["reason"] != WAITING:
            raise Refused("not_waiting", 409)
        if not who or who == row["begun_by"]:
            raise Refused("same_person", 409)
        if not rows.approved(tx, payout, who):
            raise Refused("not_waiting", 409)
        if row["way"] != BANK:
            look_later(tx, self._ids, payout, 0, now, now)
        audit.record(tx, now, who, "payout.approve", payout, after={"amount_fen": row["amount_fen"]})
        return rows.view(self._row(tx, payout))

    def payout(self, tx: Tx, payout: str) -> Payout | None:
        """A payout of any campaign."""
        row = rows.payout(tx, payout)
        return rows.view(row) if row is not None else None

    def payouts_of(self, tx: Tx, account: Account, most: int = 50) -> Sequence[Payout]:
        """The payouts from an account, newest first."""
        return [rows.view(row) for row in rows.of_account(tx, account.id, most)]

    def bank_says(
        self,
        tx: Tx,
        payout: str,
        state: Literal["settled", "failed"],
        reason: str,
        now: datetime,
        *,
        who: str = BANK,
    ) -> Payout:
        """The bank's word on a payout into a bank account; `who` brings it. Twice the same changes nothing.

        Raises Refused 409 `bad_transition` (ended otherwise, not approved, or a wallet's payout, which its platform
        alone speaks of), 404 `not_found`.
        """
        row = self._locked(tx, payout)
        if row["way"] == BANK and row["state"] == state:
            return rows.view(row)
        if row["way"] != BANK or row["reason"] == WAITING or state not in {"settled", "failed"}:
            raise Refused("bad_transition", 409, state=row["state"])
        self.move(tx, row, state, now, reason="" if state == "settled" else reason or "declined", who=who)
        return rows.view(self._row(tx, payout))

    # -- what the sender and the bank file do -----------------------------------------------------------------------

    def move(
        self,
        tx: Tx,
        row: Row,
        to: PayoutState,
        now: datetime,
        *,
        reason: str = "",
        detail: str = "",
        handle: str = "",
        batch: str | None = None,
        who: str = "gateway",
    ) -> bool:
        """Bring a payout to another state, its money with it, and tell; False when another was quicker.

        A held one that is settled is sent first. Raises Refused `bad_transition` for a way that does not exist.
        """
        if row["state"] == "held" and to == "settled":
            if not self.move(tx, row, "sent", now, batch=batch, who=who):
                return False
            row = self._row(tx, row["id"])
        if to not in _LEGAL[row["state"]]:
            raise Refused("bad_transition", 409, state=row["state"])
        if not rows.move(tx, row, to, now, reason=reason, detail=detail, handle=handle, batch=batch):
            return False
        if to == "settled":
            book.post(tx, rows.ledger_key(row["id"]), now)
        elif to == "failed":
            book.void(tx, rows.ledger_key(row["id"]), now)
        moved = self._row(tx, row["id"])
        self._tell(tx, moved, who, row, now)
        self._hear(
            tx,
            PayoutMoved(
                payout=moved["id"],
                campaign=moved["campaign"],
                about=moved["about"],
                state=moved["state"],
                amount_fen=Fen(moved["amount_fen"]),
                reason=moved["reason"],
            ),
            now,
        )
        return True

    # -- small things -----------------------------------------------------------------------------------------------

    def _destination(self, tx: Tx, campaign: CampaignView, payee: Payee, amount_fen: int) -> Destination:
        """Where it goes. Raises Refused `no_way`, `below_least`, `above_most`."""
        if payee.bank_account:
            number = "".join(payee.bank_account.split())
            return Destination(BANK, "", "", f"•••• {number[-_LAST:]}", {"bank_account": number, "name": payee.name})
        directory = self._directory()
        circle = directory.circle(campaign.circle)
        least: list[int] = []
        most: list[int] = []
        for till in self._tills(directory, campaign):
            # `_tills` has asked whether it can.
            seam: Any = till.wallet
            payee_there = payer_at(tx, self._vault(), till, payee.person) if payee.person else None
            if payee_there is None:
                continue
            least.append(seam.least_fen(till.keys))
            most.append(seam.most_fen(till.keys))
            if not least[-1] <= amount_fen <= most[-1]:
                continue
            request = {
                "payee": {
                    "app_id": payee_there.app_id,
                    "id_type": payee_there.id_type,
                    "value": payee_there.value,
                },
                "title": circle.name if circle is not None else campaign.slug,
                "remark": "活动奖励",
            }
            platform = till.wallet.slug
            return Destination(platform, till.channel.merchant.slug, till.slug, _WALLET_NAMES[platform], request)
        if least and amount_fen < min(least):
            raise Refused("below_least", 409, least_fen=min(least))
        if most:
            raise Refused("above_most", 409, most_fen=max(most))
        raise Refused("no_way", 409)

    @staticmethod
    def _tills(directory: Directory, campaign: CampaignView) -> list[Till]:
        """The channels that may pay for a campaign: of its merchants, whose wallets can send money."""
        merchants = sorted(
            slug
            for slug, merchant in directory.catalog.merchants.items()
            if merchant.circle == campaign.circle and campaign.includes(slug)
        )
        return [
            till
            for platform in get_args(Platform)
            for merchant in merchants
            for till in tills_of(directory, merchant, platform)
            if can_send(till)
        ]

    def _tell(self, tx: Tx, row: Row, who: str, before: Row | None, now: datetime) -> None:
        hooks = self._directory().webhooks_for(row["circle"], row["merchant"])
        data = {
            "circle": row["circle"],
            "merchant": row["merchant"],
            "payout": row["id"],
            "campaign": row["campaign"],
            "about": row["about"],
            "person": row["person"],
            "way": row["way"],
            "amount_fen": row["amount_fen"],
            "state": row["state"],
            "reason": row["reason"],
        }
        events.tell(tx, now, hooks, f"payout.{row['state']}", row["id"], data)
        audit.record(
            tx,
            now,
            who,
            f"payout.{row['state']}",
            row["id"],
            before={"state": before["state"]} if before is not None else None,
            after={"state": row["state"], "amount_fen": row["amount_fen"], "way": row["way"], "reason": row["reason"]},
        )

    @staticmethod
    def _locked(tx: Tx, payout: str) -> Row:
        tx.lock(f"payout:{payout}")
        return PayingOut._row(tx, payout)

    @staticmethod
    def _row(tx: Tx, payout: str) -> Row:
        row = rows.payout(tx, payout)
        if row is None:
            raise Refused("not_found", 404)
        return row


def can_send(till: Till) -> bool:
    """Whether the till's wallet sends money; one of an older plug-in may not know how."""
    return isinstance(till.wallet, Transfers) and till.wallet.can_transfer(till.keys)


def look_later(tx: Tx, ids: IdFactory, payout: str, asked: int, now: datetime, due: datetime) -> None:
    """Owe the next look at a payout."""
    outbox.put(tx, ids, now, SEND, payout, {"payout": payout, "asked": asked}, due_at=due)
