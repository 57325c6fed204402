"""What an apply file says, as frozen values: circles, merchants, shops, channels, items, pairs, offers, campaigns.

Every field bears the name it has in the file. Amounts are fen, rates basis points, a limit of 0 means none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Binding = Literal["oauth", "bearer"]
Intake = Literal["relay", "copy", "poll"]
Answer = Literal["mirror", "ack"]
Kind = Literal["coupon", "points", "gift"]
Offered = Literal["own", "elsewhere", "both"]
Relation = Literal["allow", "prefer", "block"]
DEFAULT_ZONE: Final = "Asia/Shanghai"
StartState = Literal["draft", "scheduled", "live"]
Wording = Literal["strict", "warn", "off"]
KindName = Literal["circle", "merchant", "shop", "channel", "item", "pair", "offer", "campaign", "webhook"]


@dataclass(frozen=True, slots=True)
class Circle:
    """商圈: merchants that share tags; the unit of tenancy.

    `wording`: what becomes of its campaigns whose words pay for sharing (R078).
    """

    slug: str
    name: str
    min_amount_fen: int = 0
    tag_days: int = 180
    last_touch: bool = False
    binding: Binding = "oauth"
    welcome_item: str = ""
    wording: Wording = "strict"


@dataclass(frozen=True, slots=True)
class Merchant:
    """A payee (收款端) and owner of items. `confirm_first`: his tills show a coupon before they use it."""

    slug: str
    circle: str
    name: str
    paused: bool = False
    confirm_first: bool = False


@dataclass(frozen=True, slots=True)
class Shop:
    """A place where a merchant sells; its zone is the one times are shown in."""

    slug: str
    merchant: str
    name: str
    timezone: str = DEFAULT_ZONE


@dataclass(frozen=True, slots=True)
class Channel:
    """One stream of a platform's notifications for one merchant.

    `keys` and `wallet` hold secrets in clear once opened from the vault; neither is shown by repr.
    `sub_merchants` maps a partner's SUB_MCHID to the merchant it is.
    """

    slug: str
    merchant: str
    adapter: str
    shop: str = ""
    intake: Intake = "relay"
    upstream: str = ""
    answer: Answer = "mirror"
    timeout_ms: int = 3500
    paused: bool = False
    sandbox: bool = False
    hosts: tuple[str, ...] = ()
    hosts_default: bool = False
    notify_paths: tuple[str, ...] = ()
    sub_merchants: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, Any] = field(default_factory=dict, repr=False)
    wallet: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Item:
    """虚拟物品: what a link gives. `stock` None is without end; `weight` 0 is never chosen as a gift."""

    slug: str
    merchant: str
    name: str
    kind: Kind = "coupon"
    value_fen: int = 0
    percent_off: int = 0
    cap_fen: int = 0
    min_spend_fen: int = 0
    stock: int | None = None
    valid_days: int = 14
    offer: Offered = "own"
    price_fen: int = 0
    exclusive_group: str = ""
    stackable: bool = False
    transferable: bool = False
    weight: int = 1
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Pair:
    """How `giver` treats `taker`: at a payment at `giver`, may an item of `taker` be given (R040)."""

    slug: str
    giver: str
    taker: str
    both: bool = False
    relation: Relation = "allow"


@dataclass(frozen=True, slots=True)
class Offer:
    """The core rule's numbers for one circle."""

    slug: str
    circle: str
    own: int = 1
    elsewhere: int = 2
    link_days: int = 7
    per_person_per_day: int = 0
    per_person_per_week: int = 0
    per_person: int = 0
    bought_threshold: int = 0
    bought_days: int = 90
    bought_repeat: bool = False
    source_item: str = ""
    source_first_payments: int = 1
    budget_fen: int = 0
    budget_fen_per_day: int = 0
    source_budget_fen: int = 0


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign: what every kind takes, and `settings`, the kind's own part, validated by its module.

    `merchants` () means all of the circle; `state` is where it starts and counts only when it is made; `starts_at`
    and `ends_at` are times as the store keeps them, "" for none; `wording` "" is as its circle; `settings` holds what
    JSON can hold.
    """

    slug: str
    kind: str
    circle: str
    merchants: tuple[str, ...] = ()
    state: StartState = "draft"
    starts_at: str = ""
    ends_at: str = ""
    budget_fen: int = 0
    budget_fen_per_day: int = 0
    wording: Wording | Literal[""] = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a circle or one merchant is told of events. `events` () means all of them.

    `secret` signs; `previous_secret`, "" for none, signs beside it while the receiver changes over. Both are in clear
    once opened from the vault, and neither is shown by repr.
    """

    slug: str
    url: str
    secret: str = field(repr=False)
    circle: str = ""
    merchant: str = ""
    events: tuple[str, ...] = ()
    previous_secret: str = field(default="", repr=False)
    paused: bool = False


Spec = Circle | Merchant | Shop | Channel | Item | Pair | Offer | Campaign | Webhook
"""Any object of the catalogue."""

KINDS: Final[Mapping[KindName, type[Spec]]] = {
    "circle": Circle,
    "merchant": Merchant,
    "shop": Shop,
    "channel": Channel,
    "item": Item,
    "pair": Pair,
    "offer": Offer,
    "campaign": Campaign,
    "webhook": Webhook,
}
"""Kind, as the apply file and the store name it, → its class; in the order in which people read them."""


@dataclass(frozen=True, slots=True)
class Catalog:
    """All objects of one apply file, or of the store; each mapping is by slug."""

    circles: Mapping[str, Circle] = field(default_factory=dict)
    merchants: Mapping[str, Merchant] = field(default_factory=dict)
    shops: Mapping[str, Shop] = field(default_factory=dict)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    items: Mapping[str, Item] = field(default_factory=dict)
    pairs: Mapping[str, Pair] = field(default_factory=dict)
    offers: Mapping[str, Offer] = field(default_factory=dict)
    campaigns: Mapping[str, Campaign] = field(default_factory=dict)
    webhooks: Mapping[str, Webhook] = field(default_factory=dict)

    @classmethod
    def of(cls, specs: Iterable[Spec]) -> Catalog:
        """The catalogue of these objects; of two with one kind and slug the later stays."""
        grouped: dict[type[Spec], dict[str, Any]] = {kind: {} for kind in KINDS.values()}
        for spec in specs:
            grouped[type(spec)][spec.slug] = spec
        return cls(*grouped.values())

    def specs(self) -> Iterator[tuple[KindName, Spec]]:
        """Every object with its kind, in the kinds' order, then as they came."""
        groups: tuple[Mapping[str, Spec], ...] = (
            self.circles,
            self.merchants,
            self.shops,
            self.channels,
            self.items,
            self.pairs,
            self.offers,
            self.campaigns,
            self.webhooks,
        )
        for kind, group in zip(KINDS, groups, strict=True):
            for spec in group.values():
                yield kind, spec
