"""The seam that a wallet fills: signing a customer in, and being paid and giving back, as its platform wants them.

A wallet is pure like an adapter: it makes the request (`Call`) and reads the answer (`Reply`); the gateway carries
them. Found under the entry point group `drainage.wallets`; its sandbox twin under `drainage.wallet_twins`.

A call about money has three ends: done, `CallFailed` (the platform says no, for good), `CallUnknown` (anything else).
After an unknown end the same merchant number is asked about and the identical call sent again; a new number is taken
only after a failed one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol, runtime_checkable
from urllib.parse import urlsplit

from gateway.contract.adapter import Headers
from gateway.contract.errors import DrainageError
from gateway.contract.events import Payer
from gateway.contract.money import Fen

Platform = Literal["wechat", "alipay"]
NOTHING: Final = Fen(0)
TradeState = Literal["unpaid", "paid", "closed", "not_found"]
RefundState = Literal["pending", "done", "closed", "abnormal", "not_found"]
TransferState = Literal["accepted", "confirms", "done", "failed", "not_found"]
TransferFault = Literal["expired", "cancelled", "balance", "account", "name", "limit", "risk", "permission", "declined"]
"""Why a transfer failed, in the words of every platform alike; `declined` for what has no word of its own."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a platform, ready to be sent as it stands. Its query and body may hold secrets."""

    method: Literal["GET", "POST"]
    url: str
    headers: Headers = ()
    body: bytes = b""

    def __repr__(self) -> str:
        parts = urlsplit(self.url)
        return f"Call({self.method} {parts.scheme}://{parts.netloc}{parts.path}, <{len(self.body)} bytes>)"


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, untouched."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header, letter case ignored."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def __repr__(self) -> str:
        return f"Reply({self.status}, <{len(self.body)} bytes>)"


class SignInFailed(DrainageError):
    """The platform did not tell who the customer is.

    `code` is a stable word; `again`: a fresh start may work (the code was used or is too old), so try that once;
    `detail` is the platform's own code, for an operator.
    """

    def __init__(self, code: str, *, again: bool = False, detail: str = "") -> None:
        self.code = code
        self.again = again
        self.detail = detail
        super().__init__(code)


class CallFailed(DrainageError):
    """The platform declined, and will not do it under this number. `code` is the platform's own word."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.detail = detail
        super().__init__(f"{code} {detail}".strip())


class CallUnknown(DrainageError):
    """Nobody knows whether it was done: no answer, a server's error, an unsigned or unknown word."""

    def __init__(self, code: str, detail: str = "") -> None:
        self.code = code
        self.detail = detail
        super().__init__(f"{code} {detail}".strip())


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order that the customer is to pay. `out_trade_no` is 6 to 32 of `0-9A-Za-z_`; times aware UTC."""

    out_trade_no: str
    amount_fen: Fen
    description: str
    payer: Payer
    notify_url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Trade:
    """How an order stands at its platform. The last four only when `state` is paid (refunded ones are paid, too)."""

    state: TradeState
    transaction_id: str = ""
    amount_fen: Fen = NOTHING
    paid_at: datetime | None = None
    payers: tuple[Payer, ...] = ()


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Money to return for a paid order. `total_fen` is what was paid, `out_refund_no` ours and used once."""

    out_trade_no: str
    out_refund_no: str
    refund_fen: Fen
    total_fen: Fen
    reason: str


@dataclass(frozen=True, slots=True)
class Transfer:
    """Money to send to a customer. `number` is ours, letters and digits, 32 at most, and used once.

    `title` is what it is for (the payee reads it in his bill), `remark` a word about it.
    """

    number: str
    amount_fen: Fen
    payee: Payer
    title: str
    remark: str


@dataclass(frozen=True, slots=True)
class TransferStanding:
    """How a transfer stands. `accepted`: the platform is at it; `confirms`: the payee has to tap within a day.

    `handle` is what his phone needs for that tap; `fault` says why it failed, `detail` in the platform's own word.
    """

    state: TransferState
    handle: str = ""
    fault: TransferFault | Literal[""] = ""
    detail: str = ""


def is_endpoint(text: str) -> bool:
    """Whether `text` may be a wallet table's `endpoint`: an http(s) address without user, query and fragment."""
    if not text.isascii() or not text.isprintable() or any(sign in text for sign in ' "<>\\^`{|}@?#'):
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0


@runtime_checkable
class Wallet(Protocol):
    """One platform's wallet. `keys` is what `load` gave; `now` is aware UTC, `nonce` fresh random letters and digits.

    Readers of replies check the platform's signature wherever the platform signs. They raise CallFailed or
    CallUnknown and nothing else; the readers of sign-in answers raise SignInFailed. A reply of the status 0 is none:
    the connection ended without an answer. What no platform could ever take (a number out of bounds, a payer of
    another app) is not even asked: the call's maker raises CallFailed `unfit`.
    """

    @property
    def slug(self) -> Platform:
        """The platform."""

    def load(self, wallet: Mapping[str, Any], keys: Mapping[str, Any]) -> Any:
        """The channel's `wallet` and `keys` tables → keys; a name in both is the wallet's.

        `endpoint`, where the wallet table has it, is the origin of the platform's twin. Raises BadConfig with every
        fault, paths relative to the wallet table.
        """

    def can_pay(self, keys: Any) -> bool:
        """Whether the keys suffice for orders, and not for signing in alone."""

    def authorize_url(self, keys: Any, redirect_uri: str, state: str) -> str:
        """Where the browser is sent to sign in silently; it comes back to `redirect_uri` with `state`."""

    def code_of(self, keys: Any, query: Mapping[str, str]) -> str:
        """The code that the platform sent the browser back with."""

    def exchange(self, keys: Any, code: str, now: datetime, nonce: str) -> Call:
        """Ask who the code stands for."""

    def identity(self, keys: Any, reply: Reply) -> tuple[Payer, ...]:
        """Who it is: the identities that a payment of his would name."""

    def prepay(self, keys: Any, purchase: Purchase, now: datetime, nonce: str) -> Call:
        """Announce an order."""

    def prepaid(self, keys: Any, reply: Reply, now: datetime) -> str:
        """The platform's handle of the announced order (`prepay_id`, `trade_no`)."""

    def bridge(self, keys: Any, handle: str, now: datetime, nonce: str) -> Mapping[str, str]:
        """What the wallet's own browser needs to ask its owner for the money."""

    def query(self, keys: Any, out_trade_no: str, now: datetime, nonce: str) -> Call:
        """Ask how an order stands."""

    def queried(self, keys: Any, reply: Reply, now: datetime) -> Trade:
        """How it stands. Just after `prepay`, `not_found` proves nothing."""

    def close(self, keys: Any, out_trade_no: str, now: datetime, nonce: str) -> Call:
        """Close an unpaid order; may be sent again."""

    def closed(self, keys: Any, reply: Reply, now: datetime) -> TradeState:
        """`closed`, or `paid` when the customer was quicker, or `not_found`."""

    def refund(self, keys: Any, give_back: GiveBack, now: datetime, nonce: str) -> Call:
        """Give money back."""

    def refunded(self, keys: Any, reply: Reply, now: datetime) -> RefundState:
        """`pending` (accepted) or `done`."""

    def query_refund(self, keys: Any, give_back: GiveBack, now: datetime, nonce: str) -> Call:
        """Ask how a refund stands."""

    def refund_queried(self, keys: Any, reply: Reply, now: datetime) -> RefundState:
        """How it stands."""


@runtime_checkable
class Transfers(Protocol):
    """What a wallet has besides if it can send money to customers; a wallet without it is a whole wallet.

    Makers raise CallFailed `unfit`, readers CallUnknown and nothing else: a no that the platform has a word for is a
    standing, `failed`, which holds once the platform also says that it knows no transfer of this number.
    The same transfer always makes the same body, so it may be sent again under its number and no money goes twice.
    """

    def can_transfer(self, keys: Any) -> bool:
        """Whether the keys suffice for sending money."""

    def least_fen(self, keys: Any) -> Fen:
        """The smallest amount that the platform sends."""

    def most_fen(self, keys: Any) -> Fen:
        """The largest amount that it sends at a time."""

    def transfer(self, keys: Any, transfer: Transfer, now: datetime, nonce: str) -> Call:
        """Send money to a customer."""

    def transferred(self, keys: Any, reply: Reply, now: datetime) -> TransferStanding:
        """What became of it: `accepted`, `confirms`, `done` or `failed`."""

    def query_transfer(self, keys: Any, number: str, now: datetime, nonce: str) -> Call:
        """Ask how a transfer stands."""

    def transfer_queried(self, keys: Any, reply: Reply, now: datetime) -> TransferStanding:
        """How it stands. Just after `transfer`, `not_found` proves nothing."""

    def confirm(self, keys: Any, handle: str) -> Mapping[str, str]:
        """What the wallet's own browser needs to ask the payee for his tap; empty where no tap is needed."""


@dataclass(frozen=True, slots=True)
class TwinRequest:
    """A request that reached the sandbox twin. `path` begins after the twin's own origin and prefix, as it came."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes = field(repr=False, default=b"")

    def header(self, name: str) -> str | None:
        """The first value of a header, letter case ignored."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


class TwinState(Protocol):
    """What the twin remembers between requests, across processes: JSON objects by kind and key."""

    def get(self, kind: str, key: str) -> Mapping[str, Any] | None:
        """What is kept, or None."""

    def put(self, kind: str, key: str, value: Mapping[str, Any]) -> None:
        """Keep, over what was there."""

    def add(self, kind: str, key: str, value: Mapping[str, Any]) -> bool:
        """Keep if nothing is there; whether it was kept."""


@dataclass(frozen=True, slots=True)
class TwinEvent:
    """A payment or refund that the twin's customer has made, to be told to `notify_url` by the channel's platform."""

    kind: Literal["payment", "refund"]
    out_trade_no: str
    transaction_id: str
    openid: str
    amount_fen: Fen
    notify_url: str
    refund_no: str = ""
    refund_fen: Fen = NOTHING
    refunded_total_fen: Fen = NOTHING


@dataclass(frozen=True, slots=True)
class TwinAnswer:
    """What the twin answers, and what it then would tell the merchant."""

    reply: Reply
    events: tuple[TwinEvent, ...] = ()


@runtime_checkable
class Twin(Protocol):
    """A wallet platform's own side for the sandbox: it answers as documented, its errors included.

    It checks our signatures, remembers numbers and declines a used one with other facts. Which fault it plays next is
    kept in the state under kind `fault`, key the call's name; each is played once.
    """

    @property
    def slug(self) -> Platform:
        """The platform it stands for."""

    def new_keys(self, keys: Mapping[str, Any]) -> tuple[Mapping[str, str], Mapping[str, Any]]:
        """For a channel with these `keys`: (the platform's private side, the `wallet` table without its endpoint)."""

    def answer(
        self,
        private: Mapping[str, str],
        wallet: Mapping[str, Any],
        request: TwinRequest,
        state: TwinState,
        now: datetime,
    ) -> TwinAnswer:
        """Answer one server-side request."""

    def authorize(
        self,
        wallet: Mapping[str, Any],
        query: Mapping[str, str],
        openid: str,
        state: TwinState,
        now: datetime,
        code: str,
    ) -> str:
        """The browser at the sign-in page, its owner being `openid`: the address it is sent back to.

        `code` is fresh and random. Raises SignInFailed for a page that the platform would show instead.
        """

    def pay(self, private: Mapping[str, str], handle: str, openid: str, state: TwinState, now: datetime) -> TwinAnswer:
        """The owner taps "pay" for an announced order; the reply's body is what the page's bridge is told (JSON)."""
