"""WeChat's wallet: signing in, JSAPI orders, refunds, transfers (see `gateway.contract.wallet`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from adapters.wechat_v3.wallet import keys as _keys
from adapters.wechat_v3.wallet import orders, refunds, signin, transfers
from adapters.wechat_v3.wallet.keys import WalletKeys
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


class WechatWallet:
    """The wallet. It holds nothing; each member is told in the rooms beside this one."""

    slug: Final[Platform] = "wechat"

    def load(self, wallet: Mapping[str, Any], keys: Mapping[str, Any]) -> WalletKeys:
        """The tables → keys. Raises BadConfig with every fault."""
        return _keys.load(wallet, keys)

    def can_pay(self, keys: WalletKeys) -> bool:
        """Whether there is a key to sign with and somebody to pay."""
        return keys.signer is not None and (not keys.partner or bool(keys.sub_mch_id))

    def authorize_url(self, keys: WalletKeys, redirect_uri: str, state: str) -> str:
        """Where the browser is sent."""
        return signin.authorize_url(keys, redirect_uri, state)

    def code_of(self, keys: WalletKeys, query: Mapping[str, str]) -> str:  # noqa: ARG002 - WeChat names no app here
        """The code it came back with. Raises SignInFailed."""
        return signin.code_of(query)

    def exchange(self, keys: WalletKeys, code: str, now: datetime, nonce: str) -> Call:  # noqa: ARG002 - not signed
        """Ask who the code stands for."""
        return signin.exchange(keys, code)

    def identity(self, keys: WalletKeys, reply: Reply) -> tuple[Payer, ...]:
        """Who it is. Raises SignInFailed."""
        return signin.identity(keys, reply)

    def prepay(self, keys: WalletKeys, purchase: Purchase, now: datetime, nonce: str) -> Call:
        """Announce an order. Raises CallFailed `unfit`."""
        return orders.prepay(keys, purchase, now, nonce)

    def prepaid(self, keys: WalletKeys, reply: Reply, now: datetime) -> str:
        """Its `prepay_id`."""
        return orders.prepaid(keys, reply, now)

    def bridge(self, keys: WalletKeys, handle: str, now: datetime, nonce: str) -> Mapping[str, str]:
        """What `getBrandWCPayRequest` is given."""
        return orders.bridge(keys, handle, now, nonce)

    def query(self, keys: WalletKeys, out_trade_no: str, now: datetime, nonce: str) -> Call:
        """Ask how an order stands."""
        return orders.query(keys, out_trade_no, now, nonce)

    def queried(self, keys: WalletKeys, reply: Reply, now: datetime) -> Trade:
        """How it stands."""
        return orders.queried(keys, reply, now)

    def close(self, keys: WalletKeys, out_trade_no: str, now: datetime, nonce: str) -> Call:
        """Close an unpaid order."""
        return orders.close(keys, out_trade_no, now, nonce)

    def closed(self, keys: WalletKeys, reply: Reply, now: datetime) -> TradeState:
        """`closed`, `paid` or `not_found`."""
        return orders.closed(keys, reply, now)

    def refund(self, keys: WalletKeys, give_back: GiveBack, now: datetime, nonce: str) -> Call:
        """Give money back. Raises CallFailed `unfit`."""
        return refunds.refund(keys, give_back, now, nonce)

    def refunded(self, keys: WalletKeys, reply: Reply, now: datetime) -> RefundState:
        """`pending` or `done`."""
        return refunds.refunded(keys, reply, now)

    def query_refund(self, keys: WalletKeys, give_back: GiveBack, now: datetime, nonce: str) -> Call:
        """Ask how a refund stands."""
        return refunds.query_refund(keys, give_back, now, nonce)

    def refund_queried(self, keys: WalletKeys, reply: Reply, now: datetime) -> RefundState:
        """How it stands."""
        return refunds.refund_queried(keys, reply, now)

    def can_transfer(self, keys: WalletKeys) -> bool:
        """Whether there is a key to sign with and a scene to name; a service provider sends nothing."""
        return keys.signer is not None and not keys.partner and bool(keys.transfer_scene)

    def least_fen(self, keys: WalletKeys) -> Fen:  # noqa: ARG002 - the same for all
        """Ten fen."""
        return transfers.LEAST_FEN

    def most_fen(self, keys: WalletKeys) -> Fen:  # noqa: ARG002 - the same for all
        """As much as goes without the payee's real name."""
        return transfers.MOST_FEN

    def transfer(self, keys: WalletKeys, transfer: Transfer, now: datetime, nonce: str) -> Call:
        """Send money to a customer. Raises CallFailed `unfit`."""
        return transfers.transfer(keys, transfer, now, nonce)

    def transferred(self, keys: WalletKeys, reply: Reply, now: datetime) -> TransferStanding:
        """What became of it."""
        return transfers.transferred(keys, reply, now)

    def query_transfer(self, keys: WalletKeys, number: str, now: datetime, nonce: str) -> Call:
        """Ask how a transfer stands."""
        return transfers.query_transfer(keys, number, now, nonce)

    def transfer_queried(self, keys: WalletKeys, reply: Reply, now: datetime) -> TransferStanding:
        """How it stands."""
        return transfers.transfer_queried(keys, reply, now)

    def confirm(self, keys: WalletKeys, handle: str) -> Mapping[str, str]:
        """What `requestMerchantTransfer` is given."""
        return transfers.confirm(keys, handle)


wallet = WechatWallet()
