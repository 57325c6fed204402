"""The data hub as the gateway finds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from campaigns.data_hub import archive, deliveries, tables
from campaigns.data_hub.api import KIND, ROUTES
from campaigns.data_hub.pages import PAGES
from campaigns.data_hub.settings import HubSettings, load_settings
from campaigns.data_hub.writers import has_redis, redis_refusal
from gateway.contract.campaign import CampaignView, CoreEvent, Verdict
from gateway.contract.campaign_kind import Deed, Pages, Route, Sweep
from gateway.contract.house import Catalogue, House
from gateway.contract.money import Fen
from gateway.contract.store import Tx


class DataHubKind:
    """See the README. It hears of no event: records come by the API."""

    slug: Final = KIND
    migrations: Final = tables.MIGRATIONS
    routes: Sequence[Route] = ROUTES
    deeds: Mapping[str, Deed] = {archive.DELIVER: deliveries.deliver}
    sweeps: Sequence[Sweep] = (archive.store_definitions, archive.forget_old)

    def load_settings(self, table: Mapping[str, Any]) -> HubSettings:
        """The kind's own part of its table → its settings. Raises BadConfig."""
        return load_settings(table)

    def faults(self, campaign: CampaignView, catalogue: Catalogue) -> Iterable[tuple[str, str]]:
        """Targets that may not or cannot be called."""
        settings: HubSettings = campaign.settings
        for name, target in settings.targets.items():
            refusal = None
            if target.kind == "redis" and not has_redis():
                yield f"targets.{name}.kind", "needs the Redis library: pip install 'drainage-gateway[redis]'"
            elif target.kind == "redis" and target.url:
                refusal = redis_refusal(catalogue, target.url)
            elif target.kind == "http":
                refusal = catalogue.refuses(target.url)
            if refusal is not None:
                yield f"targets.{name}.url", refusal

    def funding(self, _campaign: CampaignView) -> Fen:
        """Nothing: it gives nothing away."""
        return Fen(0)

    def take(self, _tx: Tx, _house: House, _campaign: CampaignView, _event: CoreEvent, _now: object) -> Verdict | None:
        """No event is its business."""
        return None

    def counts(self, tx: Tx, campaign: CampaignView) -> Mapping[str, int]:
        """Records by state, deliveries by state."""
        return tables.counts(tx, campaign.slug)

    @property
    def pages(self) -> Pages | None:
        """What operators see of it."""
        return PAGES


kind = DataHubKind()
