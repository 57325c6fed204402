"""`POST /paid/<channel>`: a wallet's platform tells that an order of ours was paid, or that money went back.

These are not the shops' payments: nothing is relayed, nobody is tagged. Verified by the channel's own adapter, answered
in its platform's own words. A success is said only after what it promises is written down.
"""

from __future__ import annotations

import time
from typing import Final

import structlog
from flask import Blueprint, Flask, Response, request

from gateway import incidents
from gateway.buying import Buying
from gateway.catalog.directory import LiveChannel
from gateway.contract.adapter import Ack, Outcome, RawNotification
from gateway.contract.errors import BadNotification, StoreTrouble
from gateway.contract.events import Event
from gateway.intake.shared_bucket import TokenBuckets
from gateway.metrics import notified
from gateway.relay import from_environ
from gateway.runtime import Runtime
from gateway.web.environ import TooLarge, client_address, read_body

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

BODY_LIMIT: Final = 64 * 1024


class PaidPage:
    """The one view over one runtime."""

    def __init__(self, runtime: Runtime, buckets: TokenBuckets) -> None:
        self._runtime = runtime
        self._buckets = buckets
        self._buying = Buying(runtime)

    def told(self, channel: str) -> Response:
        """Take one notification in. 404 for a channel that is none; never more than the platform is owed."""
        runtime = self._runtime
        now = runtime.clock()
        try:
            live = runtime.directory().channel(channel)
        except StoreTrouble:
            return _plain(503, "not ready")
        if live is None:
            return _plain(404, "no such channel")
        try:
            body = read_body(request.environ, BODY_LIMIT)
        except TooLarge:
            if self._may_be_kept(live):
                runtime.store.write_later(
                    lambda tx: incidents.raise_(tx, runtime.ids, now, "body_too_large", live.spec.slug)
                )
            return _plain(413, "the body is too large", close=True)
        return self._take_in(live, RawNotification("POST", "", from_environ(request.environ), body, now))

    def _take_in(self, live: LiveChannel, raw: RawNotification) -> Response:
        now, slug = raw.received_at, live.spec.slug
        try:
            event = live.adapter.parse(raw, live.keys, now)
            self._buying.told(live, event, now)
        except BadNotification as why:
            return self._refuse(live, raw, why)
        except StoreTrouble as trouble:
            log.warning("order_notice_not_kept", channel=slug, trouble=type(trouble).__name__)
            return _acked(live, "try_later", status=503)
        except Exception:
            # Whatever it is, the platform sends again, and we ask by ourselves.
            log.exception("order_notice_failed", channel=slug)
            return _acked(live, "try_later", status=503)
        notified(slug, "order").inc()
        return _acked(live, "accepted", event)

    def _refuse(self, live: LiveChannel, raw: RawNotification, why: BadNotification) -> Response:
        """The platform's own failure; the bytes are kept for an operator as those of `/notify` are, under one quota."""
        runtime, slug = self._runtime, live.spec.slug
        if not self._may_be_kept(live):
            return _plain(429, "too many requests")
        notified(slug, "refused").inc()
        try:
            runtime.intake.quarantine(
                live, raw, why, raw.received_at, delivery_id=runtime.ids.new("d", raw.received_at)
            )
        except Exception as trouble:  # noqa: BLE001 - quarantine is a courtesy
            log.warning("quarantine_failed", channel=slug, trouble=type(trouble).__name__)
        return _acked(live, "refused")

    def _may_be_kept(self, live: LiveChannel) -> bool:
        source = client_address(request.environ, self._runtime.config.server.trusted_proxies)
        return self._buckets.take(source, live.spec.slug, time.monotonic())


def register_paid(app: Flask, runtime: Runtime, buckets: TokenBuckets) -> None:
    """Add the way by which platforms tell of our own orders."""
    blueprint = Blueprint("paid", __name__)
    blueprint.add_url_rule("/paid/<channel>", "told", PaidPage(runtime, buckets).told, methods=["POST"])
    app.register_blueprint(blueprint)


def _acked(live: LiveChannel, outcome: Outcome, event: Event | None = None, *, status: int | None = None) -> Response:
    ack: Ack = live.adapter.ack(outcome, event)
    return Response(ack.body, ack.status if status is None else status, list(ack.headers))


def _plain(status: int, words: str, *, close: bool = False) -> Response:
    headers = {"Connection": "close"} if close else {}
    return Response(words, status, headers, mimetype="text/plain")
