"""What a campaign says to customers, held against the rule on words that pay for sharing (R078)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from gateway.catalog.specs import Campaign, Catalog, Wording
from gateway.contract.errors import Refused
from gateway.inducement import Finding, findings, texts_in


def rule_of(catalog: Catalog, campaign: Campaign) -> Wording:
    """The campaign's own switch, else its circle's."""
    if campaign.wording in get_args(Wording):
        return campaign.wording or "strict"
    circle = catalog.circles.get(campaign.circle)
    return circle.wording if circle is not None else "strict"


def texts_of(catalog: Catalog, campaign: Campaign) -> Mapping[str, str]:
    """Every text of its table by key, and the name of every item that the table names, as `<key> → item.<slug>.name`.

    A name of the catalogue's own (an item's, a shop's) is no text, since no customer reads it.
    """
    found = {}
    for key, text in texts_in(campaign.settings):
        item = catalog.items.get(text)
        if item is not None:
            found[f"{key} → item.{item.slug}.name"] = item.name
        elif text not in catalog.shops and text not in catalog.merchants:
            found[key] = text
    return found


def findings_of(catalog: Catalog, campaign: Campaign) -> list[Finding]:
    """The phrases that may not stand there, whatever its switch says but `off`."""
    return [] if rule_of(catalog, campaign) == "off" else findings(texts_of(catalog, campaign))


def refuse(catalog: Catalog, campaign: Campaign) -> None:
    """Raises Refused 409 `wording` with each phrase and neutral words, where the switch is `strict`."""
    found = findings_of(catalog, campaign) if rule_of(catalog, campaign) == "strict" else []
    if found:
        phrases = [{"key": one.key, "phrase": one.phrase, "neutral": one.neutral} for one in found]
        raise Refused("wording", 409, phrases=phrases)
