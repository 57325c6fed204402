"""Copy mode: a program that got a platform's notification hands us a copy (an integrator's call)."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

from flask import Blueprint

from gateway.catalog.directory import LiveChannel
from gateway.contract.adapter import RawNotification
from gateway.contract.errors import BadNotification, Refused
from gateway.metrics import NOTIFICATIONS
from gateway.web.api.guard import BODY_LIMIT, principal
from gateway.web.api.models import CopiedNotification, TakenIn
from gateway.web.api.surface import Surface

_ENVELOPE_LIMIT: Final = 2 * BODY_LIMIT
"""A body at its own limit, in base64, with its headers."""


def notifications_blueprint(surface: Surface) -> Blueprint:
    """`/notifications`."""
    blueprint = Blueprint("notifications", __name__)
    runtime = surface.runtime

    @blueprint.post("/notifications")
    @surface.operation("integrator", "notifications", TakenIn, refusals=(404,), body_limit=_ENVELOPE_LIMIT)
    def notification(json: CopiedNotification) -> dict[str, Any]:
        """Take in a notification that the till received: every header and the exact bytes of the body."""
        channel = own_channel(json.channel)
        now = runtime.clock()
        headers = tuple((name, value) for name, value in json.headers)
        raw = RawNotification("POST", "", headers, _decoded(json.body_base64), now)
        if channel.spec.paused:
            NOTIFICATIONS.labels(channel.spec.slug, "paused").inc()
            return {"outcome": "ignored"}
        try:
            taken = runtime.intake.take_in(runtime.directory(), channel, raw, now)
        except BadNotification as why:
            runtime.intake.quarantine(channel, raw, why, now)
            NOTIFICATIONS.labels(channel.spec.slug, "refused").inc()
            raise Refused("refused", 422, reason=why.reason) from None
        NOTIFICATIONS.labels(channel.spec.slug, taken.outcome).inc()
        return {"outcome": taken.outcome}

    def own_channel(slug: str) -> LiveChannel:
        """Raises Refused: `not_found` for none of his, `refused` for one whose notifications come another way."""
        channel = runtime.directory().channel(slug)
        if channel is None or not principal().sees(channel.circle.slug, channel.merchant.slug):
            raise Refused("not_found", 404)
        if channel.spec.intake != "copy":
            raise Refused("refused", 422, reason="not_a_copy_channel")
        return channel

    return blueprint


def _decoded(text: str) -> bytes:
    """Raises Refused: `invalid` for what is no base64, `too_large` beyond what a notification may have."""
    try:
        body = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("invalid", 422, fields={"body_base64": "must be base64 (RFC 4648 section 4)"}) from None
    if len(body) > BODY_LIMIT:
        raise Refused("too_large", 413)
    return body
