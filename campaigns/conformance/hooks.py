"""What a subclass of the conformance kit tells about its kind of campaign."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from gateway.contract.campaign_kind import CampaignKind

if TYPE_CHECKING:
    from campaigns.conformance.stage import Stage

Step = Callable[["Stage"], object]
"""One thing that happens: a payment, a refund, a call, time that passes. What it returns is not looked at.

In the order of the story a step may expect (`stage.call(…, wants=201)`); in any other order expectations are not
held, and what an earlier step would have left in `stage.memory` may be missing: read it by `stage.known(name)`.
"""

EMBEDDED = "sqlite:///drainage.db"


class CampaignHooks:
    """Inherit, name the subclass `Test…`, set `kind` and write the hooks.

    To write: `settings`, `bad_settings`, `rewarding_events`.
    To override where it applies: `shared`, `catalog`, `prepare`, `undoing_events`, `given`, `bodies`, `gives`,
    `worked_sum`, and the fixture `database` to run the stories on another store.

    The kit's own house: the circle `lane` with the merchants `noodles`, `books`, `cafe`, each with a shop (`noodles-1`,
    …), a channel (`noodles-pay`, …) and the items `side` (gift, of noodles), `book-5off` (coupon, of books) and
    `set-menu` (of cafe, priced 990 fen, stock 50); the circle `hill` with the merchant `tea`. The sandbox is enabled.
    The campaign under test is `trial`, of the circle `lane`.
    """

    kind: ClassVar[CampaignKind]
    gives: ClassVar[bool] = True
    """Whether its story gives something that `given` sees; False for a kind that only listens or sells."""
    worked_sum: ClassVar[Sequence[str]] = ()
    """Texts of the README's worked sum, as a test of the module computes them anew; each must stand there."""

    # -- to write ---------------------------------------------------------------------------------------------------

    def settings(self) -> Mapping[str, Any]:
        """The kind's own part of a right table of the apply file, which fits the kit's house."""
        raise NotImplementedError

    def bad_settings(self) -> Iterable[tuple[Mapping[str, Any], str]]:
        """(a table, the key that its refusal must name): by `load_settings`, or by `faults` beside the catalogue."""
        raise NotImplementedError

    def rewarding_events(self) -> Sequence[Step]:
        """One whole story, in its order, at the end of which something was given. The same at each call."""
        raise NotImplementedError

    # -- to override where it applies -------------------------------------------------------------------------------

    def shared(self) -> Mapping[str, Any]:
        """What every kind takes, of the campaign under test: `merchants`, `starts_at`, `budget_fen` and so on."""
        return {"budget_fen": 1_000_000}

    def catalog(self) -> str:
        """Further objects of an apply file, beside the kit's own."""
        return ""

    def prepare(self, stage: Stage) -> None:
        """What staff do beforehand, such as making codes; never done in another order."""

    def undoing_events(self) -> Sequence[Step]:
        """What takes back all that `rewarding_events` gave: refunds, a withdrawal."""
        return ()

    def given(self, stage: Stage) -> Mapping[str, int]:
        """What the campaign has given and not taken back, by name; whoever stands at nothing has all zeros.

        By default: what its reward accounts have given in each unit, its links that are not revoked, and its coupons
        that are not void.
        """
        return stage.given()

    def bodies(self) -> Mapping[str, Mapping[str, Any]]:
        """By `"POST /path"` as in `kind.routes`, a body of the right shape; spoiled bodies start from it."""
        return {}

    @pytest.fixture
    def database(self) -> str:
        """The store's URL, of an empty or migrated database; by default a file in the kit's home."""
        return EMBEDDED
