"""`POST /notify/<channel>`: the platform's request in, our part done, the POS's own answer out.

A WSGI callable of its own, in front of Flask: this is the path that must stay lean and must never depend on a page.
Whatever goes wrong on our side, the relay still happens (R013).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from gateway import inbox, incidents, outbox
from gateway.catalog.directory import LiveChannel
from gateway.contract.adapter import Ack, Outcome, RawNotification
from gateway.contract.clock import to_text
from gateway.contract.errors import BadNotification, Refused, StoreTrouble
from gateway.contract.store import Tx
from gateway.intake.shared_bucket import TokenBuckets
from gateway.intake.spool import Record, Spool
from gateway.metrics import notified
from gateway.relay import Hop, Relay, RelayFailed, Upstream, WsgiParts, answer_parts, failure_parts, from_environ
from gateway.relay.answer import status_line
from gateway.runtime import Runtime
from gateway.service import Taken
from gateway.setup import checks, selftest
from gateway.web.environ import TooLarge, client_address, read_body

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

BODY_LIMIT: Final = 64 * 1024
STORE_SECONDS: Final = 0.8
"""Our own write may take this long before the relay starts without it (R019)."""

StartResponse = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Request:
    """One request on its way through; `query` is None without a `?`."""

    channel: LiveChannel
    raw: RawNotification
    query: str | None
    source: str
    scheme: str
    now: datetime
    delivery: str
    whole_path: bool


@dataclass(frozen=True, slots=True)
class _Result:
    """What our part came to. `outcome` also counts in the metrics; `kept` is False where nothing was written."""

    outcome: str
    taken: Taken | None = None
    verified: bool = False

    @property
    def payment(self) -> str | None:
        return self.taken.payment if self.taken is not None else None


class Notify:
    """The intake of one process. Safe between threads."""

    def __init__(self, runtime: Runtime, relay: Relay, spool: Spool, buckets: TokenBuckets) -> None:
        self._runtime = runtime
        self._relay = relay
        self._spool = spool
        self._buckets = buckets

    def __call__(
        self,
        environ: dict[str, Any],
        start_response: StartResponse,
        channel: LiveChannel,
        tail: str,
        query: str | None,
        *,
        whole_path: bool = False,
    ) -> Iterable[bytes]:
        """Answer one request for a channel; `tail` is the rest of its path, as it came.

        In transparent mode (`whole_path`) it is all of the path, which goes to the upstream's origin.
        """
        parts = self._answer(environ, channel, tail, query, whole_path=whole_path)
        start_response(parts.status, parts.headers)
        return [parts.body]

    def _answer(
        self, environ: dict[str, Any], channel: LiveChannel, tail: str, query: str | None, *, whole_path: bool
    ) -> WsgiParts:
        now = self._runtime.clock()
        source = client_address(environ, self._runtime.config.server.trusted_proxies)
        try:
            body = read_body(environ, BODY_LIMIT)
        except TooLarge:
            self._too_large(channel, source, now)
            return _plain(413, "the body is too large", close=True)
        raw = RawNotification(environ["REQUEST_METHOD"], tail, from_environ(environ), body, now)
        delivery = self._runtime.ids.new("d", now)
        request = Request(
            channel, raw, query, source, environ.get("wsgi.url_scheme", "http"), now, delivery, whole_path
        )
        try:
            return self._handle(request)
        except Refused as refused:
            # A path, method or header that no request may carry on; the platforms send none such.
            return _plain(refused.status, refused.code)

    def _handle(self, request: Request) -> WsgiParts:
        channel = request.channel
        relays = bool(channel.upstream)
        if self._is_test(request):
            return self._answer_test(request)
        if request.raw.method != "POST":
            return self._mirror(request, _Result("method"), note=False) if relays else _plain(405, "POST only")
        if channel.spec.paused:
            notified(channel.spec.slug, "paused").inc()
            return self._mirror(request, _Result("paused"), note=False) if relays else _acked(channel, "accepted")
        owns_retries = relays and channel.spec.answer == "ack"
        result = self._take_in(request, owns_retries=owns_retries)
        notified(channel.spec.slug, result.outcome).inc()
        if owns_retries:
            return self._answer_ourselves(request, result)
        if relays:
            return self._mirror(request, result, note=result.outcome != "unkept")
        return _own_answer(channel, result)

    # -- a test of our own -------------------------------------------------------------------------------------------

    def _is_test(self, request: Request) -> bool:
        """Whether this is a test that was sent from the console and is awaited: then it changes no number."""
        channel, raw = request.channel.spec.slug, request.raw
        if all(name != checks.HEADER for name, _ in raw.headers):
            return False
        id_ = checks.marked(self._runtime.keyring.test_key(), raw, channel)
        if id_ is None:
            return False
        digest = inbox.digest_of(raw.body)
        try:
            return self._runtime.store.write(
                lambda tx: checks.arrive(tx, id_, channel, digest, request.now), timeout=STORE_SECONDS
            )
        except StoreTrouble:
            return False

    def _answer_test(self, request: Request) -> WsgiParts:
        channel, raw = request.channel, request.raw
        id_ = checks.marked(self._runtime.keyring.test_key(), raw, channel.spec.slug)
        assert id_ is not None
        if not channel.upstream:
            self._settle_test(id_, "answered", {})
            return _acked(channel, "refused")
        try:
            answer = selftest.forward(self._relay, channel, raw, Hop(request.source, request.scheme))
        except RelayFailed as failed:
            self._settle_test(id_, "failed", selftest.failure_facts(failed))
            return failure_parts(failed)
        self._settle_test(id_, "answered", selftest.answer_facts(answer, raw, request.now))
        return answer_parts(answer, raw.method)

    def _settle_test(self, id_: str, state: str, facts: Mapping[str, Any]) -> None:
        try:
            self._runtime.store.write(lambda tx: checks.settle(tx, id_, state, **facts), timeout=STORE_SECONDS)
        except StoreTrouble as trouble:
            log.warning("store_trouble", channel="test", error=str(trouble))

    # -- our part ---------------------------------------------------------------------------------------------------

    def _take_in(self, request: Request, *, owns_retries: bool) -> _Result:
        """Verify and write down. Never raises: a failure of ours is a spooled request and a relay (R013, R019)."""
        runtime = self._runtime
        try:
            taken = runtime.intake.take_in(
                runtime.directory(),
                request.channel,
                request.raw,
                request.now,
                delivery_id=request.delivery,
                query=request.query,
                timeout=STORE_SECONDS,
                on_event=self._enqueue(request) if owns_retries else None,
            )
        except BadNotification as why:
            return self._refuse(request, why, owns_retries=owns_retries)
        except StoreTrouble as trouble:
            log.warning("store_trouble", channel=request.channel.spec.slug, error=str(trouble))
            return self._spool_it(request, owns_retries=owns_retries)
        except Exception:
            log.exception("intake_failed", channel=request.channel.spec.slug)
            return self._spool_it(request, owns_retries=owns_retries)
        return _Result(taken.outcome, taken, verified=True)

    def _refuse(self, request: Request, why: BadNotification, *, owns_retries: bool) -> _Result:
        channel = request.channel.spec.slug
        if not self._buckets.take(request.source, channel, time.monotonic()):
            return _Result("unkept")
        try:
            taken = self._runtime.intake.quarantine(
                request.channel,
                request.raw,
                why,
                request.now,
                delivery_id=request.delivery,
                query=request.query,
                timeout=STORE_SECONDS,
                on_event=self._enqueue(request, once=True) if owns_retries else None,
            )
        except Exception as error:  # noqa: BLE001 - quarantine is a courtesy; the relay is the duty
            log.warning("quarantine_failed", channel=channel, error=str(error))
            return _Result("refused")
        return _Result("refused", taken)

    def _spool_it(self, request: Request, *, owns_retries: bool) -> _Result:
        if owns_retries:
            # We answer 503 and the platform sends again; a copy in the spool would reach the POS twice.
            return _Result("unanswered", verified=True)
        try:
            self._spool.append(Record(request.delivery, request.channel.spec.slug, request.raw, request.source))
        except Exception:
            # Both are gone: the one case in which an answered event may be missing (R019). Say so, with the digest.
            log.exception(
                "spool_failed", channel=request.channel.spec.slug, digest=inbox.digest_of(request.raw.body).hex()
            )
            return _Result("lost", verified=True)
        return _Result("spooled", verified=True)

    def _enqueue(self, request: Request, *, once: bool = False) -> Callable[[Tx, Taken], None]:
        """A channel that answers by itself owes the POS the notification: it joins the event's own transaction."""

        def enqueue(tx: Tx, taken: Taken) -> None:
            if taken.outcome != "seen":
                outbox.owe_relay(
                    tx, self._runtime.ids, request.now, taken.delivery, request.channel.spec.slug, once=once
                )

        return enqueue

    # -- the POS's part ---------------------------------------------------------------------------------------------

    def _mirror(self, request: Request, result: _Result, *, note: bool = True) -> WsgiParts:
        try:
            answer = self._forward(request, verified=result.verified)
        except RelayFailed as failed:
            if note:
                self._note(request, result, failed.kind, None, 0)
            return failure_parts(failed)
        if note:
            self._note(request, result, "answered", answer.status, answer.ms)
        return answer_parts(answer, request.raw.method)

    def _answer_ourselves(self, request: Request, result: _Result) -> WsgiParts:
        if result.outcome == "unkept":
            return _plain(429, "too many requests")
        if result.outcome == "unanswered":
            try:
                self._forward(request, verified=True)
            except RelayFailed as failed:
                log.warning("relay_failed", channel=request.channel.spec.slug, kind=failed.kind)
            return _acked(request.channel, "try_later", status=503)
        return _own_answer(request.channel, result)

    def _forward(self, request: Request, *, verified: bool) -> Any:
        channel = request.channel
        upstream = Upstream.of(channel.spec.slug, channel.upstream, channel.spec.timeout_ms)
        if request.whole_path:
            upstream = upstream.origin
        hop = Hop(request.source, request.scheme)
        return self._relay.forward(upstream, request.raw, query=request.query, hop=hop, verified=verified)

    def _note(self, request: Request, result: _Result, outcome: str, status: int | None, ms: int) -> None:
        row = {
            "id": self._runtime.ids.new("ra", request.now),
            "delivery": request.delivery,
            "payment": result.payment,
            "channel": request.channel.spec.slug,
            "at": to_text(request.now),
            "outcome": outcome,
            "status": status,
            "ms": ms,
            "replay": 0,
        }
        self._runtime.store.write_later(lambda tx: inbox.record_relay(tx, row))

    def _too_large(self, channel: LiveChannel, source: str, now: datetime) -> None:
        notified(channel.spec.slug, "too_large").inc()
        if self._buckets.take(source, channel.spec.slug, time.monotonic()):
            self._runtime.store.write_later(
                lambda tx: incidents.raise_(tx, self._runtime.ids, now, "body_too_large", channel.spec.slug)
            )


def _own_answer(channel: LiveChannel, result: _Result) -> WsgiParts:
    """Our own answer where no POS gives one (contract section 5, last column)."""
    if result.outcome == "unkept":
        return _plain(429, "too many requests")
    if result.outcome in {"spooled", "lost", "unanswered"}:
        return _acked(channel, "try_later", status=503)
    event = result.taken.event if result.taken is not None else None
    return _parts(channel.adapter.ack("refused" if result.outcome == "refused" else "accepted", event))


def _acked(channel: LiveChannel, outcome: Outcome, *, status: int | None = None) -> WsgiParts:
    ack = channel.adapter.ack(outcome)
    return _parts(ack if status is None else Ack(status, ack.headers, ack.body))


def _parts(ack: Ack) -> WsgiParts:
    headers = [*ack.headers, ("Content-Length", str(len(ack.body)))]
    return WsgiParts(status_line(ack.status), headers, ack.body)


def _plain(status: int, words: str, *, close: bool = False) -> WsgiParts:
    body = words.encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    if close:
        # The rest of the body stays unread; this connection can't be used again.
        headers.append(("Connection", "close"))
    return WsgiParts(status_line(status), headers, body)
