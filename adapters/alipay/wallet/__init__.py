"""Alipay's wallet: signing in to an app, trades, refunds, transfers (see `gateway.contract.wallet`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from adapters.alipay.wallet import keys as _keys
from adapters.alipay.wallet import refunds, signin, trades, transfers
from adapters.alipay.wallet.keys import WalletKeys
from gateway.contract.events import Payer
from gateway.contract.money import Fen
from gateway.contract.wallet import (
    Call,
    GiveBack,
    Platform,
    Purchase,
    RefundState,
    Reply,
    Trade,
    TradeState,
    Transfer,
    TransferStanding,
)


class AlipayWallet:
    """The wallet. It holds nothing; each member is told in the rooms beside this one.

    No call of Alipay's has a nonce, so the one that is given is not used.
    """

    slug: Final[Platform] = "alipay"

    def load(self, wallet: Mapping[str, Any], keys: Mapping[str, Any]) -> WalletKeys:
        """The tables → keys. Raises BadConfig with every fault."""
        return _keys.load(wallet, keys)

    def can_pay(self, keys: WalletKeys) -> bool:
        """Whether the channel takes in what Alipay tells of the app's trades: its own app's, that is."""
        return keys.own_channel

    def authorize_url(self, keys: WalletKeys, redirect_uri: str, state: str) -> str:
        """Where the browser is sent."""
        return signin.authorize_url(keys, redirect_uri, state)

    def code_of(self, keys: WalletKeys, query: Mapping[str, str]) -> str:
        """The code it came back with. Raises SignInFailed."""
        return signin.code_of(keys, query)

    def exchange(self, keys: WalletKeys, code: str, now: datetime, nonce: str) -> Call:  # noqa: ARG002
        """Ask who the code stands for."""
        return signin.exchange(keys, code, now)

    def identity(self, keys: WalletKeys, reply: Reply) -> tuple[Payer, ...]:
        """Who it is. Raises SignInFailed."""
        return signin.identity(keys, reply)

    def prepay(self, keys: WalletKeys, purchase: Purchase, now: datetime, nonce: str) -> Call:  # noqa: ARG002
        """Announce an order. Raises CallFailed `unfit`."""
        return trades.prepay(keys, purchase, now)

    def prepaid(self, keys: WalletKeys, reply: Reply, now: datetime) -> str:  # noqa: ARG002 - answers bear no time
        """Its `trade_no`."""
        return trades.prepaid(keys, reply)

    def bridge(self, keys: WalletKeys, handle: str, now: datetime, nonce: str) -> Mapping[str, str]:  # noqa: ARG002
        """What `tradePay` is given."""
        return {"tradeNO": handle}

    def query(self, keys: WalletKeys, out_trade_no: str, now: datetime, nonce: str) -> Call:  # noqa: ARG002
        """Ask how an order stands."""
        return trades.query(keys, out_trade_no, now)

    def queried(self, keys: WalletKeys, reply: Reply, now: datetime) -> Trade:  # noqa: ARG002
        """How it stands."""
        return trades.queried(keys, reply)

    def close(self, keys: WalletKeys, out_trade_no: str, now: datetime, nonce: str) -> Call:  # noqa: ARG002
        """Close an unpaid order."""
        return trades.close(keys, out_trade_no, now)

    def closed(self, keys: WalletKeys, reply: Reply, now: datetime) -> TradeState:  # noqa: ARG002
        """`closed` or `not_found`. An order in another state is CallUnknown: asking tells which."""
        return trades.closed(keys, reply)

    def refund(self, keys: WalletKeys, give_back: GiveBack, now: datetime, nonce: str) -> Call:  # noqa: ARG002
        """Give money back. Raises CallFailed `unfit`."""
        return refunds.refund(keys, give_back, now)

    def refunded(self, keys: WalletKeys, reply: Reply, now: datetime) -> RefundState:  # noqa: ARG002
        """`pending` or `done`."""
        return refunds.refunded(keys, reply)

    def query_refund(self, keys: WalletKeys, give_back: GiveBack, now: datetime, nonce: str) -> Call:  # noqa: ARG002
        """Ask how a refund stands."""
        return refunds.query_refund(keys, give_back, now)

    def refund_queried(self, keys: WalletKeys, reply: Reply, now: datetime) -> RefundState:  # noqa: ARG002
        """How it stands."""
        return refunds.refund_queried(keys, reply)

    def can_transfer(self, keys: WalletKeys) -> bool:
        """Whether the app is in certificate mode, which Alipay wants for sending money."""
        return bool(keys.certificate_params)

    def least_fen(self, keys: WalletKeys) -> Fen:  # noqa: ARG002 - the same for all
        """Ten fen."""
        return transfers.LEAST_FEN

    def most_fen(self, keys: WalletKeys) -> Fen:  # noqa: ARG002 - the same for all
        """50,000 yuan."""
        return transfers.MOST_FEN

    def transfer(self, keys: WalletKeys, transfer: Transfer, now: datetime, nonce: str) -> Call:  # noqa: ARG002
        """Send money to a customer. Raises CallFailed `unfit`."""
        return transfers.transfer(keys, transfer, now)

    def transferred(self, keys: WalletKeys, reply: Reply, now: datetime) -> TransferStanding:  # noqa: ARG002
        """What became of it."""
        return transfers.transferred(keys, reply)

    def query_transfer(self, keys: WalletKeys, number: str, now: datetime, nonce: str) -> Call:  # noqa: ARG002
        """Ask how a transfer stands."""
        return transfers.query_transfer(keys, number, now)

    def transfer_queried(self, keys: WalletKeys, reply: Reply, now: datetime) -> TransferStanding:  # noqa: ARG002
        """How it stands."""
        return transfers.transfer_queried(keys, reply)

    def confirm(self, keys: WalletKeys, handle: str) -> Mapping[str, str]:  # noqa: ARG002 - nobody has to tap
        """Nothing: the money is there at once."""
        return {}


wallet = AlipayWallet()
