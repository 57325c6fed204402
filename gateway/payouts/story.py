"""The story of a payout inside the store: held, sent, settled, failed or unknown, and who hears of it.

The amount is held in the ledger before anything goes out; `settled` posts the hold, `failed` lets it go back. Every
move is one conditional update, so that of parallel movers one wins, and the one that wins tells: the campaign, the
receivers of webhooks, the audit log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from crypto.vault import Vault
from gateway.catalog.directory import Directory
from gateway.contract.account import Account
from gateway.contract.campaign import CampaignView, PayoutMoved
from gateway.contract.ids import IdFactory
from gateway.contract.payout import Payee, Payout
from gateway.contract.store import Tx

Hear = Callable[[Tx, PayoutMoved, datetime], None]
"""Tells the campaign, within the transaction of the move."""


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

        Raises Refused 409 `insufficient`, `payout_in_flight`, `no_way`, `below_least`; 422 for an amount of nothing.
        """
        raise NotImplementedError

    def approve_payout(self, tx: Tx, payout: str, who: str, now: datetime) -> Payout:
        """The second pair of eyes. Raises Refused 409 `not_waiting`, `same_person`, 404 `not_found`."""
        raise NotImplementedError

    def payout(self, tx: Tx, payout: str) -> Payout | None:
        """A payout of any campaign."""
        raise NotImplementedError

    def payouts_of(self, tx: Tx, account: Account, most: int = 50) -> Sequence[Payout]:
        """The payouts from an account, newest first."""
        raise NotImplementedError

    def bank_says(self, tx: Tx, payout: str, state: Literal["settled", "failed"], reason: str, now: datetime) -> Payout:
        """The bank's word on a payout of the bank file. Raises Refused 409 `bad_transition`, 404 `not_found`."""
        raise NotImplementedError
