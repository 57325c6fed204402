"""`/healthz`, `/readyz`, `/metrics`: what a balancer and a monitor ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from flask import Blueprint, Flask, Response, abort, request
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from gateway import outbox
from gateway.auth import bearer_principal
from gateway.config import process_environ
from gateway.contract.errors import StoreTrouble
from gateway.contract.store import Tx
from gateway.heartbeat import is_draining, worker_state
from gateway.intake.spool import Spool
from gateway.runtime import Runtime
from gateway.web.environ import LOOPBACK, client_address, is_within

LINK_STATES: Final = ("issued", "opened", "claimed", "expired", "revoked", "superseded")


def register_health(app: Flask, runtime: Runtime, spool: Spool, breakers: Any) -> None:
    """Add the three addresses. `breakers(channel)` tells whether this process's breaker of a channel is open."""
    blueprint = Blueprint("health", __name__)

    @blueprint.get("/healthz")
    def healthz() -> Response:
        return Response("ok\n", mimetype="text/plain")

    @blueprint.get("/readyz")
    def readyz() -> tuple[dict[str, Any], int]:
        if is_draining(runtime.home.run_dir):
            return {"status": "draining"}, 503
        store, worker = _store_state(runtime), worker_state(runtime.home.run_dir, runtime.clock())
        spooled = spool.bytes_used()
        fine = store == "ok" and not spooled
        try:
            runtime.directory()
        except StoreTrouble:
            return {"status": "starting", "store": store, "worker": worker, "spool": spooled}, 503
        return {"status": "ready" if fine else "degraded", "store": store, "worker": worker, "spool": spooled}, 200

    @blueprint.get("/metrics")
    def metrics() -> Response:
        if not _may_see_metrics(runtime):
            abort(404)
        return Response(_metrics(runtime, spool, breakers), mimetype="text/plain; version=0.0.4; charset=utf-8")

    app.register_blueprint(blueprint)


def _store_state(runtime: Runtime) -> str:
    try:
        runtime.store.read(lambda tx: tx.one("SELECT 1 AS one"))
    except StoreTrouble:
        return "down"
    return "ok"


def _may_see_metrics(runtime: Runtime) -> bool:
    proxies = runtime.config.server.trusted_proxies
    source = client_address(request.environ, proxies)
    if is_within(source, (*LOOPBACK, *proxies)):
        return True
    principal = bearer_principal(runtime.accounts, request.headers.get("Authorization"), runtime.clock())
    return principal is not None and principal.may("operator")


def _metrics(runtime: Runtime, spool: Spool, breakers: Any) -> bytes:
    """The counters of every worker, then what is read from store and spool at this moment."""
    counters = CollectorRegistry()
    folder = process_environ().get("PROMETHEUS_MULTIPROC_DIR")
    if folder and Path(folder).is_dir():
        MultiProcessCollector(counters)  # type: ignore[no-untyped-call]
        text = generate_latest(counters)
    else:
        text = generate_latest()
    return text + generate_latest(_live(runtime, spool, breakers))


def _live(runtime: Runtime, spool: Spool, breakers: Any) -> CollectorRegistry:
    now = CollectorRegistry()
    Gauge("drainage_spool_bytes", "Bytes waiting in the spool.", registry=now).set(spool.bytes_used())
    is_open = Gauge("drainage_breaker_open", "1 while a channel's breaker is open.", ("channel",), registry=now)
    try:
        for channel in runtime.directory().channels():
            is_open.labels(channel.spec.slug).set(float(breakers(channel.spec.slug)))
        counts = runtime.store.read(_counts)
    except StoreTrouble:
        return now
    links = Gauge("drainage_links_total", "Claim links by state.", ("state",), registry=now)
    for state in LINK_STATES:
        # Each state is told from the start: an alarm on a series that is missing never fires.
        links.labels(state).set(counts["links"].get(state, 0))
    Gauge("drainage_outbox_depth", "Things owed to the outside.", registry=now).set(counts["outbox"])
    Gauge("drainage_parked", "Things that could not be delivered.", registry=now).set(counts["parked"])
    return now


def _counts(tx: Tx) -> dict[str, Any]:
    parked = tx.one("SELECT count(*) AS n FROM outbox WHERE state = 'parked'")
    return {
        "links": {row["state"]: row["n"] for row in tx.all("SELECT state, count(*) AS n FROM links GROUP BY state")},
        "outbox": outbox.depth(tx),
        "parked": parked["n"] if parked is not None else 0,
    }
