"""`create_app`: the WSGI application of one process, every surface wired to one runtime."""

from __future__ import annotations

import atexit
from pathlib import Path
from typing import Literal

import structlog
from flask import Flask

from gateway import incidents, metrics
from gateway.config import process_environ
from gateway.contract.clock import to_text
from gateway.contract.errors import StoreTrouble
from gateway.contract.store import Tx
from gateway.intake.bucket import Buckets
from gateway.intake.proxy import Proxy
from gateway.intake.shared_bucket import SharedBuckets, TokenBuckets
from gateway.intake.spool import Spool
from gateway.logs import configure_logs
from gateway.relay import Guard, Relay, RelayLimits
from gateway.runtime import Runtime, create
from gateway.web.admin import register_admin
from gateway.web.api import register_api
from gateway.web.front import Front
from gateway.web.health import register_health
from gateway.web.notify import Notify
from gateway.web.pages import register_pages
from gateway.web.paid import register_paid
from gateway.web.sandbox import register_sandbox

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


def create_app(runtime: Runtime | None = None) -> Front:
    """The application over `runtime`, by default one over `DRAINAGE_HOME`. Raises BadConfig with every fault."""
    if runtime is None:
        runtime = create(Path(process_environ().get("DRAINAGE_HOME", "var")))
    configure_logs(runtime.config.log.level)
    guard = Guard(runtime.config.relay.allow)
    relay = build_relay(runtime, guard)
    spool = build_spool(runtime)
    buckets = build_buckets(runtime)
    pages = Flask("gateway.web", root_path=str(Path(__file__).parent / "web"))
    register_health(pages, runtime, spool, relay.breaker_is_open)
    register_api(pages, runtime)
    register_paid(pages, runtime, buckets)
    register_pages(pages, runtime)
    register_admin(pages, runtime)
    if runtime.config.sandbox.enabled:
        register_sandbox(pages, runtime)
    # What was queued (relay notes, first openings) is written before the process ends.
    atexit.register(runtime.store.close)
    return Front(runtime, Notify(runtime, relay, spool, buckets), Proxy(guard), pages.wsgi_app)


def build_buckets(runtime: Runtime) -> TokenBuckets:
    """What limits unverified traffic: this machine's own table, or with `redis.url` one for all machines."""
    security, url = runtime.config.security, runtime.config.redis.url.reveal()
    burst, per_second = security.unverified_burst, security.unverified_per_second
    alone = Buckets(runtime.home.run_dir / "buckets", burst, per_second)
    if not url:
        return alone
    try:
        return SharedBuckets(url, burst, per_second, alone)
    except ImportError:
        log.warning("shared_buckets_closed", error="the library redis is not installed")
        return alone


def build_spool(runtime: Runtime) -> Spool:
    """The spool of this home; its key is derived from the master key, so it works while the store is gone."""
    settings = runtime.config.spool
    vault = runtime.keyring.local
    return Spool(runtime.home.path(settings.path), settings.bytes, vault.seal, vault.open)


def build_relay(runtime: Runtime, guard: Guard) -> Relay:
    """The relay of this process, with its breakers' moves noted in the store and its times in the metrics."""

    def breaker_changed(channel: str, state: Literal["open", "closed"]) -> None:
        now = runtime.clock()

        def note(tx: Tx) -> None:
            tx.run(
                "INSERT INTO breakers (channel, state, since) VALUES (:channel, :state, :now) "
                "ON CONFLICT (channel) DO UPDATE SET state = :state, since = :now",
                {"channel": channel, "state": state, "now": to_text(now)},
            )
            if state == "open":
                incidents.raise_(tx, runtime.ids, now, "breaker_open", channel)
            else:
                incidents.close(tx, now, "breaker_open", channel)

        try:
            runtime.store.write_later(note)
        except StoreTrouble:
            return  # a note, and the store is gone: the breaker itself works on

    def finished(channel: str, outcome: str, seconds: float) -> None:
        metrics.RELAY_SECONDS.labels(channel, outcome).observe(seconds)

    return Relay(
        guard,
        limits=RelayLimits(slots=runtime.config.relay.upstream_concurrency),
        breaker_changed=breaker_changed,
        finished=finished,
    )
