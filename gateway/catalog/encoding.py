"""An object of the catalogue ↔ the JSON that is stored, with a channel's secrets set apart."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.catalog.references import hide_secrets, show_secrets
from gateway.catalog.specs import KINDS, Channel, KindName, Spec, Webhook

SecretId = Callable[[str, str], str]
"""(channel's slug, secret) → the short id that stands for it: equal for equal secrets of one channel only."""

_SECRET_FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "channel": ("keys", "wallet"),
    "webhook": ("secret", "previous_secret"),
}


def owner_of(kind: str, slug: str) -> str:
    """Whose secrets these are, as ids and look-ups name it: a channel's slug, `webhook.<slug>` for a webhook."""
    return slug if kind == "channel" else f"{kind}.{slug}"


def encode(spec: Spec, secret_id: SecretId) -> tuple[dict[str, Any], dict[str, str]]:
    """(the object's fields but the slug, as JSON has them and with `{"stored": id}` for secrets; secrets by id)."""
    values = {part.name: _listed(getattr(spec, part.name)) for part in dataclasses.fields(spec) if part.name != "slug"}
    secrets: dict[str, str] = {}
    if isinstance(spec, Channel):
        for name in _SECRET_FIELDS["channel"]:
            values[name], found = hide_secrets(values[name], lambda secret: secret_id(spec.slug, secret))
            secrets |= found
    elif isinstance(spec, Webhook):
        held = {name: values[name] for name in _SECRET_FIELDS["webhook"]}
        shown, secrets = hide_secrets(held, lambda secret: secret_id(owner_of("webhook", spec.slug), secret))
        values |= shown
    return values, secrets


def decode(kind: KindName, slug: str, values: Mapping[str, Any], secrets: Mapping[str, str]) -> Spec:
    """The inverse of `encode`. Raises KeyError when a secret that is named is not among `secrets`.

    Fields that this version does not know are left out: a newer version wrote them, and a process of the old one must
    go on serving while the new one is rolled out.
    """
    known = {part.name for part in dataclasses.fields(KINDS[kind])}
    fields = {name: value for name, value in values.items() if name in known}
    for name in _SECRET_FIELDS.get(kind, ()):
        fields[name] = show_secrets(fields.get(name, {} if kind == "channel" else ""), secrets)
    # Of a spec's own fields only tuples are lists in JSON; the lists of `keys` and `settings` lie one level deeper.
    tupled: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()
    }
    return KINDS[kind](slug=slug, **tupled)


def to_json(values: Mapping[str, Any]) -> str:
    """The one spelling that is stored: sorted keys, no spaces, UTF-8 as it is."""
    return json.dumps(values, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _listed(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
