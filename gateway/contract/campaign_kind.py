"""The seam that a campaign module fills. Found under the entry point group `drainage.campaigns`.

A campaign hears of what happens in the core, inside the transaction in which it happens, and answers with a `Verdict`.
Its own tables are named `<slug>_…`; it moves value only through `gateway.ledger`, and takes links, coupons, orders,
payouts and the outbox only from its `House`. Each module keeps its rule apart, pure: read, decide, write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from gateway.contract.campaign import CampaignView, CoreEvent, Verdict
from gateway.contract.errors import DrainageError
from gateway.contract.house import Catalogue, House
from gateway.contract.money import Fen
from gateway.contract.store import Tx

Role = Literal["clerk", "manager", "operator", "admin"]
Method = Literal["GET", "POST", "PUT", "PATCH", "HEAD"]
Headers = Mapping[str, str]

# -- the API's side ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: `name` for audit rows (a user's or a token's); `merchants` in his scope, None for all.

    `most_fen`: what he may move without having given his password just now (R205); None for any sum.
    """

    name: str
    role: str
    merchants: frozenset[str] | None
    most_fen: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the API, checked: who, about whom, with what. `person` "" where the call names none.

    `body` is the JSON object less what named the person; of a `raw` route it is empty and `data` holds the bytes.
    `headers` have lower-case names, only those that a module may care for (`upload-…`, `content-type`, `tus-…`).
    """

    campaign: CampaignView
    caller: Caller
    person: str
    values: Mapping[str, str]
    query: Mapping[str, str]
    body: Mapping[str, Any]
    now: datetime
    data: bytes = field(default=b"", repr=False)
    headers: Headers = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer of the API: a JSON object (or list), None for no body at all."""

    status: int
    body: Any
    headers: Headers = field(default_factory=dict)


Handler = Callable[[Tx, House, Request], Reply]
"""Answers one call inside its transaction. Raises Refused; nothing is written then."""


@dataclass(frozen=True, slots=True)
class Route:
    """A call under `/api/v1/campaigns/<id>`. `path` such as `/orders/<order>/paid`.

    `person`: whether the body names a customer (by `person`, or in the sandbox by `openid` and `channel`).
    `sandbox`: 404 where the sandbox is not enabled. `raw`: the body is bytes, up to `most_bytes`.
    A POST wants an Idempotency-Key, which the host keeps; PUT and PATCH say themselves what they leave behind.
    `outside`: the handler gets no transaction (`tx` is None) and uses `house.store` itself; for calls that touch
    files or other machines.
    """

    method: Method
    path: str
    handler: Callable[..., Reply]
    role: Role = "manager"
    person: Literal["needed", "optional", "no"] = "no"
    sandbox: bool = False
    raw: bool = False
    outside: bool = False
    most_bytes: int = 64 * 1024


# -- what people see --------------------------------------------------------------------------------------------------


class SignInFirst(DrainageError):
    """Raised by a customer's page that must know who looks: off to the wallet of that circle, and back.

    A form of somebody who is not known there gets a page with a way to sign in, and is not sent again by itself.
    """

    def __init__(self, circle: str) -> None:
        self.circle = circle
        super().__init__(circle)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request to a page. `person` "" for nobody signed in; `device` an opaque name of this browser, or "".

    `circle` is the one that he signed in for, "" for nobody: a page of a campaign takes `known_in(campaign.circle)`.

    `mount` stands before every path of the customers' pages ("" or the sandbox phone's); `kept` is what this kind has
    had this browser keep. `caller` is the member of staff, on the console's pages alone. `files` of a form, by field;
    `data` is the body of a PATCH.
    """

    method: Method
    person: str
    device: str
    mount: str
    address: str
    values: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    kept: Mapping[str, str]
    now: datetime
    data: bytes = field(default=b"", repr=False)
    headers: Headers = field(default_factory=dict)
    caller: Caller | None = None
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    circle: str = ""

    def known_in(self, circle: str) -> str:
        """The person who looks, "" for nobody. Raises SignInFirst where he signed in for another circle than this.

        The host then finds out whether he is known here by the same app; it has him sign in, or asks the page again.
        """
        if self.person and self.circle != circle:
            raise SignInFirst(circle)
        return self.person


@dataclass(frozen=True, slots=True)
class Show:
    """A page: a template of the kind's own folder and what it is given. `keep`: what this browser keeps from now on.

    `plays`: it holds a video of ours (`media-src 'self'`).
    """

    template: str
    values: Mapping[str, Any]
    status: int = 200
    keep: Mapping[str, str] | None = None
    plays: bool = False


@dataclass(frozen=True, slots=True)
class GoTo:
    """303 to a path of ours (`mount` is put before one of the customers' pages). `notice`: shown there once."""

    path: str
    notice: str = ""
    keep: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """Bytes or JSON for a script or an image; `body` of a str or bytes goes as it is, else as JSON."""

    body: Any
    content_type: str = "application/json"
    status: int = 200
    headers: Headers = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileOf:
    """A file of `House.files`, sent with ranges and conditions (a video is watched in pieces); 404 when it is gone.

    `content_type` as it was found out by the module, never what a stranger said. Shown on our pages, never downloaded
    as something else: the host adds `nosniff` and lets nothing be embedded elsewhere.
    """

    path: Path
    content_type: str
    headers: Headers = field(default_factory=dict)


Seen = Show | GoTo | Data | FileOf
View = Callable[[House, Visit], Seen]
"""Makes a customer's page; opens its own transactions. Raises Refused, SignInFirst."""

ConsoleView = Callable[[House, CampaignView, Visit], Seen]
"""Makes a page of the console about one campaign that the caller may see."""


@dataclass(frozen=True, slots=True)
class Page:
    """A customer's page at `path` as it stands, such as `/campaigns/help_cut/s/<session>` or `/h/<token>`.

    A form's POST is checked for its token (CSRF) before; PATCH and HEAD need the header `X-CSRFToken`.
    """

    path: str
    view: View
    methods: tuple[Method, ...] = ("GET",)
    most_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class ConsolePage:
    """A page of the console at `/admin/campaigns/<campaign>` + `path`; `label` (zh-CN) where the menu shows it."""

    path: str
    view: ConsoleView
    role: Role = "manager"
    methods: tuple[Method, ...] = ("GET",)
    label: str = ""


@dataclass(frozen=True, slots=True)
class Pages:
    """A kind's pages. `title` is its name in zh-CN, translated like every text.

    `folder` holds `templates/<slug>/…`, `static/…` (templates name a file by `campaign_asset(slug, file)`) and
    `translations/`. A template `_figures.html` shows `counts` in the console in words; without one the names stand.
    `entry`: where a customer begins with a campaign, for the list `/campaigns`; None for one that has no such place.
    `label`: what that list calls it, where its name is none for customers; `item`: of which item it is.
    """

    title: str
    folder: Path
    customer: Sequence[Page] = ()
    console: Sequence[ConsolePage] = ()
    entry: Callable[[CampaignView], str | None] = lambda _campaign: None
    label: str = ""
    item: Callable[[CampaignView], str] = lambda _campaign: ""


# -- the worker's side ------------------------------------------------------------------------------------------------

Deed = Callable[[House, CampaignView, Mapping[str, Any], datetime], str | None]
"""Does what is owed; None when done, else what went wrong. Outside a transaction; at least once."""

Sweep = Callable[[Tx, House, CampaignView, datetime, int], int]
"""Ends what has run out, at most so many rows; how many."""


@runtime_checkable
class CampaignKind(Protocol):
    """One kind of campaign: a module under `campaigns/`, or a third party's."""

    @property
    def slug(self) -> str:
        """The name that `kind` has in the apply file, and the beginning of its tables' names."""

    @property
    def migrations(self) -> Sequence[tuple[str, Sequence[str]]]:
        """(name, statements) in order; a released one is never edited."""

    def load_settings(self, table: Mapping[str, Any]) -> Any:
        """The kind's own part of its table → its settings. Raises BadConfig with every fault, paths relative to it."""

    def faults(self, campaign: CampaignView, catalogue: Catalogue) -> Iterable[tuple[str, str]]:
        """What is wrong beside the catalogue: (key, words); items and shops it names that are not there, and so on."""

    def funding(self, campaign: CampaignView) -> Fen:
        """What must be reserved of its budget before it may go live; 0 for nothing."""

    def take(self, tx: Tx, house: House, campaign: CampaignView, event: CoreEvent, now: datetime) -> Verdict | None:
        """Hear of an event at an open campaign; None for one that is not its business. Twice must change nothing.

        Refunds, claims and redemptions are heard of in every state, since they undo or finish what was given.
        """

    @property
    def routes(self) -> Sequence[Route]:
        """Its calls of the API."""

    @property
    def deeds(self) -> Mapping[str, Deed]:
        """What the worker does for it, by topic."""

    @property
    def sweeps(self) -> Sequence[Sweep]:
        """What the worker ends for it."""

    def counts(self, tx: Tx, campaign: CampaignView) -> Mapping[str, int]:
        """Figures for `GET /api/v1/campaigns/<id>`."""

    @property
    def pages(self) -> Pages | None:
        """What people see of it; None for a kind without pages."""


@runtime_checkable
class Rehearsable(Protocol):
    """What a kind may be beside a `CampaignKind`, to be tried out on past days with what staff had prepared for it."""

    def prepared(self, past: Tx, campaign: CampaignView) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """Rows of its own tables, by table, that staff (not customers) have made: codes, who takes part.

        They are put as they are into the empty tables of a store that is thrown away.
        """


@runtime_checkable
class KeepsPeople(Protocol):
    """A kind whose tables hold more of a person than his id: what he typed, his browsers, his films (R016).

    Beside `CampaignKind`; a kind without it keeps nothing but ids and figures.
    """

    def copy_for(self, tx: Tx, house: House, persons: Sequence[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """All that is kept of one human under these ids, for himself: table by table, with nobody else in it."""

    def forget(self, tx: Tx, house: House, persons: Sequence[str], now: datetime) -> int:
        """Erase what names him; how many rows. Figures of money stay, under ids that lead to nobody."""
