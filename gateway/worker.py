"""The background worker: what is owed, what has run out, what waits in the spool. State is in the store alone.

Any number may run on any machine; each takes leases. `pass_once` does everything that is due now.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import structlog

from gateway import campaigning, coupons, handover, incidents, jobs, links, offline, orders, outbox, retention
from gateway.buying import Buying
from gateway.chores import export, kinds
from gateway.chores.runner import Runner
from gateway.contract.errors import BadNotification, StoreTrouble
from gateway.contract.store import Row, Tx
from gateway.delivery import slip
from gateway.heartbeat import beat
from gateway.intake.spool import Record, Spool
from gateway.ledger import limits
from gateway.overview import rates
from gateway.payouts.sender import Sender
from gateway.payouts.story import SEND
from gateway.relay import Guard, Relay
from gateway.replay import hand_over
from gateway.runtime import Runtime
from gateway.setup import checks
from gateway.store import sqlite_path
from gateway.store.sqlite import checkpoint
from gateway.tills import Line
from gateway.webhooks.sending import Courier, HttpPost

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

BATCH: Final = 200
LEASE_S: Final = 60
ENOUGH_S: Final = 40
"""No leased row is begun later: what began in time ends within the lease, so that no other worker does it again."""
IDLE_S: Final = 0.5
KEEP_HOUSE_EVERY: Final = timedelta(seconds=30)

Deed = Callable[[Mapping[str, Any], datetime], str | None]
"""Does what an outbox row of one topic owes, given its payload and the time; None when done, else what went wrong."""


class Worker:
    """One worker of one process."""

    def __init__(self, runtime: Runtime, relay: Relay, spool: Spool) -> None:
        self._runtime = runtime
        self._relay = relay
        self._spool = spool
        self._jobs = Runner(runtime, kinds(relay))
        self._last_keeping = runtime.clock() - KEEP_HOUSE_EVERY
        self._added_up = ""
        self.courier = Courier(
            runtime.store,
            runtime.ids,
            runtime.clock,
            lambda: runtime.directory().catalog.webhooks,
            HttpPost(Guard(runtime.config.relay.allow)),
        )
        buying = Buying(runtime)
        self._deeds: Mapping[str, Deed] = {
            "relay": self._relay_again,
            "order": buying.look,
            "order_refund": buying.returning.look,
            orders.PAY_BACK: buying.owe_back,
            campaigning.TOPIC: runtime.campaigns.do,
            SEND: Sender(
                runtime.store,
                runtime.ids,
                runtime.paying_out,
                Line(runtime.carrier, runtime.random),
                runtime.directory,
                runtime.vault,
            ).look,
        }

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop. A store in trouble is waited for."""
        # Beside the passes, which must not wait for an export.
        long_work = threading.Thread(target=self._jobs.run, args=(stop,), name="jobs")
        long_work.start()
        told = threading.Thread(target=self.courier.run, args=(stop,), name="webhooks")
        told.start()
        try:
            self._pass_until(stop)
        finally:
            long_work.join()
            told.join()

    def _pass_until(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                did = self.pass_once()
            except StoreTrouble as trouble:
                log.warning("store_trouble", error=str(trouble))
                did = 0
            except Exception:
                log.exception("worker_pass_failed")
                did = 0
            if not did:
                stop.wait(IDLE_S)

    def finish_due(self) -> int:
        """Passes and jobs until nothing due is left; how much was done. Raises StoreTrouble."""
        total = 0
        while did := self.pass_once() + self._jobs.do_one() + self.courier.do_due():
            total += did
        return total

    def pass_once(self) -> int:
        """Everything that is due now, a batch of each kind; how much was done. Raises StoreTrouble."""
        beat(self._runtime.home.run_dir, self._runtime.clock())
        did = self._drain_spool()
        did += self._do_outbox()
        for sweep in (
            # First: a campaign may give money back for a coupon that nobody used in its time.
            self._sweep_campaigns,
            self._expire_links,
            self._expire_coupons,
            self._lapse_gifts,
            self._close_orders,
            self._drop_counters,
            self._settle_slips,
            self._drop_sign_ins,
            self._drop_jobs,
            self._drop_checks,
            self._settle_scans,
            self._add_up,
        ):
            did += sweep()
        self._alarm()
        return did + self._keep_house()

    # -- the spool --------------------------------------------------------------------------------------------------

    def _drain_spool(self) -> int:
        if self._spool.is_empty():
            return 0
        runtime = self._runtime
        # Looked at first: records must not be taken out while the store can't take them in.
        runtime.store.write(lambda tx: tx.one("SELECT 1 AS one"))
        drained = self._spool.drain(self._take_in_again)
        if drained.damaged_bytes:
            now = runtime.clock()
            runtime.store.write(
                lambda tx: incidents.raise_(
                    tx, runtime.ids, now, "spool_damaged", "spool", f"{drained.damaged_bytes} bytes"
                )
            )
        return drained.handed

    def _take_in_again(self, record: Record) -> None:
        """One spooled notification, as if it came now, by the clock of when it came. The relay has been done."""
        runtime = self._runtime
        now = runtime.clock()
        directory = runtime.directory()
        channel = directory.channel(record.channel)
        if channel is None:
            log.warning("spooled_channel_gone", channel=record.channel, delivery=record.delivery_id)
            return
        try:
            runtime.intake.take_in(directory, channel, record.raw, now, delivery_id=record.delivery_id)
        except BadNotification as why:
            runtime.intake.quarantine(channel, record.raw, why, now, delivery_id=record.delivery_id)
        except StoreTrouble:
            raise
        except Exception as error:
            # A bug of ours must not hold up all that waits behind it: the bytes are kept, an operator is told.
            log.exception("spooled_intake_failed", delivery=record.delivery_id)
            runtime.intake.quarantine(
                channel, record.raw, BadNotification(type(error).__name__), now, delivery_id=record.delivery_id
            )
            runtime.store.write(lambda tx: incidents.raise_(tx, runtime.ids, now, "intake_failed", channel.spec.slug))

    # -- the outbox -------------------------------------------------------------------------------------------------

    def _do_outbox(self) -> int:
        now = self._runtime.clock()
        rows = self._runtime.store.write(lambda tx: outbox.lease(tx, now, LEASE_S, BATCH))
        for place, row in enumerate(rows):
            if self._runtime.clock() - now >= timedelta(seconds=ENOUGH_S):
                self._sweep(partial(outbox.give_back, rows=rows[place:]))
                return place
            self._do(row)
        return len(rows)

    def _do(self, row: Row) -> None:
        runtime = self._runtime
        payload = json.loads(row["payload"])
        deed = self._deeds.get(row["topic"])
        try:
            error = deed(payload, runtime.clock()) if deed is not None else f"nobody does {row['topic']}"
        except StoreTrouble:
            raise
        except Exception as failure:
            # A sender that raises is a failed try like any other; its row must not be lost with it.
            log.exception("outbox_failed", row=row["id"], topic=row["topic"])
            error = type(failure).__name__
        now = runtime.clock()

        def settle(tx: Tx) -> None:
            if error is None:
                outbox.done(tx, now, row["id"])
            elif payload.get("once"):
                outbox.drop(tx, now, row["id"], error)
            elif outbox.failed(tx, now, row, error) == "parked":
                incidents.raise_(tx, runtime.ids, now, "parked", row["object"], error)

        runtime.store.write(settle)

    def _relay_again(self, payload: Mapping[str, Any], now: datetime) -> str | None:
        tried = hand_over(self._runtime, self._relay, payload["delivery"], now, replay=False)
        return None if tried.verdict == "accepted" else f"{tried.verdict}: {tried.detail}"

    # -- what runs out ----------------------------------------------------------------------------------------------

    def _expire_links(self) -> int:
        now = self._runtime.clock()

        def expire(tx: Tx) -> int:
            return sum(links.close(tx, link, now, "expired", "expired") for link in links.overdue(tx, now, BATCH))

        return self._sweep(expire)

    def _expire_coupons(self) -> int:
        now = self._runtime.clock()
        return self._sweep(lambda tx: sum(coupons.expire(tx, row, now) for row in coupons.overdue(tx, now, BATCH)))

    def _lapse_gifts(self) -> int:
        now = self._runtime.clock()
        return self._sweep(lambda tx: handover.lapse(tx, now, BATCH))

    def _close_orders(self) -> int:
        now = self._runtime.clock()
        return self._sweep(lambda tx: self._runtime.ordering.close_overdue(tx, now, BATCH))

    def _sweep_campaigns(self) -> int:
        runtime = self._runtime
        now = runtime.clock()
        # The directory follows the store only when it is asked for: the worker is the one who looks for campaigns.
        runtime.directory()
        if not runtime.campaigns.slugs():
            return 0
        return self._sweep(lambda tx: runtime.campaigns.sweep(tx, now, BATCH))

    def _drop_sign_ins(self) -> int:
        return self._runtime.signing_in.sweep(self._runtime.clock(), BATCH)

    def _settle_slips(self) -> int:
        now = self._runtime.clock()
        # Looked at first: most of the time there is none, and a write costs a sync.
        if self._runtime.store.read(slip.nobody_asked):
            return 0
        return self._sweep(lambda tx: slip.settle_asks(tx, now, BATCH))

    def _drop_counters(self) -> int:
        now = self._runtime.clock()
        return self._sweep(lambda tx: limits.sweep(tx, now, BATCH))

    def _drop_jobs(self) -> int:
        now = self._runtime.clock()
        return self._sweep(lambda tx: jobs.sweep(tx, now, BATCH))

    def _settle_scans(self) -> int:
        now = self._runtime.clock()
        return self._sweep(lambda tx: offline.release_held(tx, now, BATCH) + offline.forget(tx, now, BATCH))

    def _add_up(self) -> int:
        """Once a minute, what the status page shows in few rows; more at once only while it is behind."""
        now = self._runtime.clock()
        minute = rates.minute_text(now)
        if minute == self._added_up:
            return 0
        if self._runtime.store.write(lambda tx: rates.roll(tx, now)):
            return 1
        self._added_up = minute
        return 0

    def _drop_checks(self) -> int:
        now = self._runtime.clock()
        return self._sweep(lambda tx: checks.drop_old(tx, now, BATCH))

    def _sweep(self, work: Callable[[Tx], int]) -> int:
        return self._runtime.store.write(work)

    # -- the house --------------------------------------------------------------------------------------------------

    def _alarm(self) -> None:
        """Spool and parked rows are alarms while they last."""
        runtime = self._runtime
        now = runtime.clock()
        waits = not self._spool.is_empty()

        def note(tx: Tx) -> None:
            if waits:
                incidents.raise_(tx, runtime.ids, now, "spool_not_empty", "spool")
            else:
                incidents.close(tx, now, "spool_not_empty", "spool")

        if waits or runtime.store.read(lambda tx: tx.one(_SPOOL_ALARM)) is not None:
            runtime.store.write(note)

    def _keep_house(self) -> int:
        """Twice a minute: retention, and the write-ahead log into the database."""
        runtime = self._runtime
        now = runtime.clock()
        if abs(now - self._last_keeping) < KEEP_HOUSE_EVERY:
            return 0
        did = runtime.store.write(lambda tx: retention.sweep(tx, runtime.config.retention, now, BATCH))
        if not did:
            self._last_keeping = now
            export.drop_old(runtime, now)
            path = sqlite_path(runtime.config.store.url.reveal(), runtime.home.root)
            if path is not None:
                checkpoint(path)
        return did


_SPOOL_ALARM: Final = "SELECT id FROM incidents WHERE kind = 'spool_not_empty' AND closed_at IS NULL LIMIT 1"
