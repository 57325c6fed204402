"""The module as the gateway finds it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from campaigns.help_cut import packets, personal, sale, sessions, tables
from campaigns.help_cut.api import ROUTES
from campaigns.help_cut.pages import PAGES
from campaigns.help_cut.settings import Settings, load_settings
from gateway.contract.campaign import (
    CampaignView,
    CoreEvent,
    OrderEnded,
    OrderLate,
    OrderPaid,
    PayoutMoved,
    Verdict,
)
from gateway.contract.campaign_kind import Deed, Pages, Route, Sweep
from gateway.contract.house import Catalogue, House
from gateway.contract.money import Fen
from gateway.contract.store import Tx


class HelpCutKind:
    """Friends help to cut a price, and each who helps may find a red packet (R130–R149)."""

    @property
    def slug(self) -> str:
        """The name in the apply file."""
        return "help_cut"

    @property
    def migrations(self) -> Sequence[tuple[str, Sequence[str]]]:
        """Its tables."""
        return tables.MIGRATIONS

    def load_settings(self, table: Mapping[str, Any]) -> Settings:
        """The table's own part → settings. Raises BadConfig."""
        return load_settings(table)

    def faults(self, campaign: CampaignView, catalogue: Catalogue) -> Iterable[tuple[str, str]]:
        """The item has to be there, sold by a merchant of the campaign."""
        settings: Settings = campaign.settings
        item = catalogue.item(settings.item)
        if item is None:
            yield "item", "is not there"
            return
        merchant = catalogue.merchant(item.merchant)
        if merchant is None or merchant.circle != campaign.circle:
            yield "item", "belongs to a merchant of another circle"
        elif not campaign.includes(merchant.slug):
            yield "item", "belongs to a merchant that the campaign does not name"

    def funding(self, campaign: CampaignView) -> Fen:
        """What all its sessions may cost in packets (R148)."""
        settings: Settings = campaign.settings
        return Fen(settings.funding_fen)

    def take(self, tx: Tx, house: House, campaign: CampaignView, event: CoreEvent, now: datetime) -> Verdict | None:
        """Hear of its own orders and payouts."""
        if isinstance(event, OrderPaid) and event.campaign == campaign.slug:
            return sale.paid(tx, house, campaign, event, now)
        if isinstance(event, OrderLate):
            return sale.late(tx, campaign, event, now)
        if isinstance(event, OrderEnded):
            return sale.ended(tx, campaign, event)
        if isinstance(event, PayoutMoved):
            return packets.moved(tx, event, now)
        return None

    @property
    def routes(self) -> Sequence[Route]:
        """Its calls of the API."""
        return ROUTES

    @property
    def deeds(self) -> Mapping[str, Deed]:
        """None: payouts and orders are the core's to carry out."""
        return {}

    @property
    def sweeps(self) -> Sequence[Sweep]:
        """Ends sessions and invitations by time; sends and takes back packets; erases what was typed long ago."""
        return (sessions.sweep, packets.sweep, personal.forget_old)

    def copy_for(self, tx: Tx, house: House, persons: Sequence[str]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """His sessions, the invitations he answered, his packets; his friends are nobody in it."""
        del house
        return personal.copy_for(tx, persons)

    def forget(self, tx: Tx, house: House, persons: Sequence[str], now: datetime) -> int:
        """His sessions end; what he typed for friends, and what others typed for him, is erased."""
        return personal.forget(tx, house, persons, now)

    def counts(self, tx: Tx, campaign: CampaignView) -> Mapping[str, int]:
        """Sessions and packets by state, and what the packets of each state come to."""
        return tables.figures(tx, campaign.slug)

    @property
    def pages(self) -> Pages | None:
        """What people see of it."""
        return PAGES


kind = HelpCutKind()
