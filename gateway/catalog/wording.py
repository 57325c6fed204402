"""What a campaign says to customers, held against the rule on words that pay for sharing (R078)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from gateway.catalog.specs import Campaign, Catalog, Wording
from gateway.contract.errors import BadConfig, Refused
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


def refuse_edit(before: Campaign, after: Campaign, circles: str | None) -> None:
    """An edit of a campaign that is live: raises BadConfig for phrases that were not there before, where it is strict.

    `circles` is its circle's switch. Names of items are not looked at here: the console shows them.
    """
    if (after.wording or circles or "strict") != "strict":
        return
    known = {one.phrase for one in findings(dict(texts_in(before.settings)))}
    fresh = [one for one in findings(dict(texts_in(after.settings))) if one.phrase not in known]
    if fresh:
        raise BadConfig([(f"campaign.{after.slug}.{one.key}", fault_words(one)) for one in fresh])


def fault_words(one: Finding) -> str:
    """What an apply says of a phrase."""
    return f"pays for sharing with {one.phrase!r}, which WeChat forbids; say {one.neutral!r} or set `wording`"
