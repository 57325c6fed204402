"""Sending messages: signed, in order for each object, over addresses that were vetted, and no redirect followed.

The signature is that of Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body` under the secret's bytes, once for
each secret while one follows another.
"""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from crypto.mac import hmac_sha256
from gateway import incidents, outbox
from gateway.catalog.fields import SECRET_PREFIX
from gateway.catalog.specs import Webhook
from gateway.contract.clock import Clock, from_text, to_text
from gateway.contract.errors import DrainageError, StoreTrouble
from gateway.contract.ids import IdFactory
from gateway.contract.store import Row, Store, Tx
from gateway.relay.errors import RelayFailed
from gateway.relay.guard import Guard
from gateway.relay.headers import Hop, request_head
from gateway.relay.target import BadUpstream, parse_url
from gateway.relay.wire import Deadline, Wire

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

TIMEOUT_S: Final = 10.0
LEASE: Final = timedelta(seconds=120)
BATCH: Final = 20
AT_ONCE: Final = 8
IDLE_S: Final = 0.5
OFF_AFTER: Final = timedelta(days=3)
"""A receiver that has failed for so long is not called any more until somebody says so."""
REST_FROM: Final = 3
"""From so many failures on end the receiver is left alone for a while, whatever else is due for it."""
KEEP_DONE: Final = timedelta(days=30)
_MARGIN: Final = timedelta(seconds=TIMEOUT_S + 5)
_ANSWER_BYTES: Final = 65_536
_GONE: Final = 410
_OK: Final = range(200, 300)


@dataclass(frozen=True, slots=True)
class Sent:
    """What a receiver made of a message: its status, None when there was none; `error` "" when it took it."""

    status: int | None
    error: str = ""


class Post(Protocol):
    """Carries one message; tests have their own."""

    def __call__(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Sent:
        """Send it; never raises for what a receiver or the network does."""


class HttpPost:
    """Over the network: one request a connection, ten seconds for all of it, to a vetted address only."""

    def __init__(self, guard: Guard, tls: ssl.SSLContext | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._guard = guard
        self._tls = tls or ssl.create_default_context()
        self._timeout_s = timeout_s

    def __call__(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Sent:
        """Send it. A redirect is an answer like any other, and no success."""
        try:
            target = parse_url(url)
            path = (target.path or "/") + (f"?{target.query}" if target.query is not None else "")
            framing = ("Content-Length", str(len(body)))
            head = request_head("POST", path, target.host_header, tuple(headers), Hop(), framing)
            deadline = Deadline(self._timeout_s)
            addresses = self._guard.resolve(target, deadline)
            with Wire.connect(addresses, target.host, self._tls if target.secure else None, deadline) as wire:
                wire.send(head + body)
                answer = wire.head("POST")
                read = 0
                for piece in wire.body(answer):
                    read += len(piece)
                    if read > _ANSWER_BYTES:
                        break
        except RelayFailed as failed:
            return Sent(None, failed.kind)
        except (BadUpstream, DrainageError) as refused:
            return Sent(None, type(refused).__name__)
        return Sent(answer.status, "" if answer.status in _OK else f"status {answer.status}")


def signature(secret: str, message: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 of the HMAC over `message.timestamp.body`; `secret` as `whsec_…`."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    mac = hmac_sha256(key, f"{message}.{timestamp}.".encode() + body)
    return f"v1,{base64.b64encode(mac).decode()}"


def headers_of(hook: Webhook, message: str, now: datetime, body: bytes) -> list[tuple[str, str]]:
    """The headers of one try: a new timestamp each time, signed by every secret that is in use."""
    timestamp = int(now.timestamp())
    secrets = [secret for secret in (hook.secret, hook.previous_secret) if secret]
    return [
        ("Content-Type", "application/json"),
        ("User-Agent", "drainage-gateway"),
        ("webhook-id", message),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", " ".join(signature(secret, message, timestamp, body) for secret in secrets)),
    ]


class Courier:
    """Sends what is due. Any number may run on any machine; a message is leased, and one object's go one by one."""

    def __init__(
        self, store: Store, ids: IdFactory, clock: Clock, hooks: Callable[[], Mapping[str, Webhook]], post: Post
    ) -> None:
        self._store = store
        self._ids = ids
        self._clock = clock
        self._hooks = hooks
        self._post = post
        self._busy: set[str] = set()
        self._lock = threading.Lock()

    def run(self, stop: threading.Event) -> None:
        """Work until told to stop; each receiver has its own thread, so that a slow one holds up no other."""
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook") as pool:
            while not stop.is_set():
                try:
                    for hook in self._waiting():
                        with self._lock:
                            if hook.slug in self._busy:
                                continue
                            self._busy.add(hook.slug)
                        pool.submit(self._work_off, hook, stop)
                    self.sweep()
                except StoreTrouble as trouble:
                    log.warning("store_trouble", error=str(trouble))
                except Exception:
                    log.exception("courier_failed")
                stop.wait(IDLE_S)

    def do_due(self) -> int:
        """Everything that is due now, here and now; how many were sent or parked. Raises StoreTrouble."""
        did = 0
        for hook in self._waiting():
            while sent := self.one_batch(hook):
                did += sent
        return did + self.sweep()

    def one_batch(self, hook: Webhook) -> int:
        """Send up to BATCH messages of one receiver; how many were tried. Raises StoreTrouble."""
        begun = self._clock()
        until = to_text(begun + LEASE)
        rows = self._store.write(lambda tx: lease(tx, hook.slug, begun, until, BATCH))
        tried: list[tuple[Row, Sent]] = []
        for row in rows:
            now = self._clock()
            if now + _MARGIN > begun + LEASE:
                break
            body = str(row["body"]).encode()
            sent = self._post(hook.url, headers_of(hook, row["id"], now, body), body)
            tried.append((row, sent))
            if sent.error and (sent.status is None or sent.status == _GONE):
                # Nobody is there: the others would fare no better.
                break
        if rows:
            now = self._clock()
            self._store.write(lambda tx: self._settle(tx, hook, rows, tried, until, now))
        return len(tried)

    def sweep(self) -> int:
        """Park what waited too long, drop what is for nobody any more, forget what is long done; how many rows."""
        known, now = self._hooks(), self._clock()

        def work(tx: Tx) -> int:
            rows = tx.all("SELECT DISTINCT webhook FROM messages WHERE state = 'due'")
            did = 0
            for slug in [row["webhook"] for row in rows]:
                hook = known.get(slug)
                if hook is None:
                    did += tx.run(
                        "UPDATE messages SET state = 'dropped', done_at = :now, error = 'gone' "
                        "WHERE webhook = :webhook AND state = 'due'",
                        {"now": to_text(now), "webhook": slug},
                    )
                elif not hook.paused:
                    parked = tx.run(
                        "UPDATE messages SET state = 'parked', leased_until = NULL, error = coalesce(error, 'waited') "
                        "WHERE webhook = :webhook AND state = 'due' AND give_up_at <= :now AND (leased_until IS NULL "
                        "OR leased_until <= :now)",
                        {"now": to_text(now), "webhook": slug},
                    )
                    if parked:
                        incidents.raise_(tx, self._ids, now, "webhook_parked", slug, f"{parked} messages")
                    did += parked
            return did + tx.run(
                "DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE state IN ('done', 'dropped') "
                "AND done_at < :floor LIMIT 500)",
                {"floor": to_text(now - KEEP_DONE)},
            )

        return self._store.write(work) if self._store.read(lambda tx: _is_any(tx, now)) else 0

    def _waiting(self) -> list[Webhook]:
        """The receivers for whom something is due and who may be called now."""
        known, now = self._hooks(), to_text(self._clock())
        if not known:
            return []
        rows = self._store.read(
            lambda tx: tx.all(
                "SELECT DISTINCT m.webhook FROM messages m LEFT JOIN receivers r ON r.webhook = m.webhook "
                "WHERE m.state = 'due' AND m.due_at <= :now AND r.off_at IS NULL "
                "AND (r.next_at IS NULL OR r.next_at <= :now) ORDER BY m.webhook",
                {"now": now},
            )
        )
        return [hook for row in rows if (hook := known.get(row["webhook"])) is not None and not hook.paused]

    def _work_off(self, hook: Webhook, stop: threading.Event) -> None:
        try:
            while not stop.is_set() and self.one_batch(hook):
                # Paused or changed meanwhile, or resting: looked at anew.
                fresh = next((one for one in self._waiting() if one.slug == hook.slug), None)
                if fresh is None:
                    break
                hook = fresh
        except StoreTrouble as trouble:
            log.warning("store_trouble", error=str(trouble))
        except Exception:
            log.exception("webhook_failed", webhook=hook.slug)
        finally:
            with self._lock:
                self._busy.discard(hook.slug)

    def _settle(
        self, tx: Tx, hook: Webhook, rows: Sequence[Row], tried: Sequence[tuple[Row, Sent]], until: str, now: datetime
    ) -> None:
        """Write down what became of a batch. A lease that another has taken over is his to settle."""
        for row in rows[len(tried) :]:
            tx.run(
                "UPDATE messages SET leased_until = NULL, tries = tries - 1 WHERE id = :id AND leased_until = :until",
                {"id": row["id"], "until": until},
            )
        for row, sent in tried:
            due = now + outbox.backoff(int(row["tries"]))
            state = "done" if not sent.error else "parked" if to_text(due) > row["give_up_at"] else "due"
            tx.run(
                "UPDATE messages SET state = :state, leased_until = NULL, status = :status, error = :error, "
                "due_at = :due, done_at = :done WHERE id = :id AND leased_until = :until AND state = 'due'",
                {
                    "state": state,
                    "status": sent.status,
                    "error": sent.error or None,
                    "due": to_text(due) if sent.error else row["due_at"],
                    "done": to_text(now) if not sent.error else None,
                    "id": row["id"],
                    "until": until,
                },
            )
            if state == "parked":
                incidents.raise_(tx, self._ids, now, "webhook_parked", hook.slug, sent.error)
        self._note(tx, hook, [sent for _, sent in tried], now)

    def _note(self, tx: Tx, hook: Webhook, sent: Sequence[Sent], now: datetime) -> None:
        """How the receiver does: failures on end, a rest after some, and the end after three days of nothing else."""
        tx.run(
            "INSERT INTO receivers (webhook) VALUES (:webhook) ON CONFLICT (webhook) DO NOTHING", {"webhook": hook.slug}
        )
        row = tx.one("SELECT * FROM receivers WHERE webhook = :webhook", {"webhook": hook.slug})
        assert row is not None  # written a moment ago in this transaction
        failures, since, ok_at = int(row["failures"]), row["failing_since"], row["ok_at"]
        for one in sent:
            if one.error:
                failures, since = failures + 1, since or to_text(now)
            else:
                failures, since, ok_at = 0, None, to_text(now)
        off = ""
        if sent and sent[-1].status == _GONE:
            off = "gone"
        elif since is not None and now - from_text(since) >= OFF_AFTER:
            off = "failing"
        resting = to_text(now + outbox.backoff(failures)) if failures >= REST_FROM else None
        tx.run(
            "UPDATE receivers SET failures = :failures, failing_since = :since, ok_at = :ok, next_at = :next, "
            "off_at = CASE WHEN :off = '' THEN off_at ELSE :now END, "
            "off_why = CASE WHEN :off = '' THEN off_why ELSE :off END WHERE webhook = :webhook",
            {
                "failures": failures,
                "since": since,
                "ok": ok_at,
                "next": resting,
                "off": off,
                "now": to_text(now),
                "webhook": hook.slug,
            },
        )
        if off:
            incidents.raise_(tx, self._ids, now, "webhook_off", hook.slug, off)


def lease(tx: Tx, webhook: str, now: datetime, until: str, most: int) -> list[Row]:
    """Up to `most` due messages of one receiver, the first of each object, oldest first.

    An earlier message about the object that is due or parked holds the later ones back.
    """
    rows = tx.all(
        "SELECT id FROM messages m WHERE webhook = :webhook AND state = 'due' AND due_at <= :now "
        "AND (leased_until IS NULL OR leased_until <= :now) AND NOT EXISTS (SELECT 1 FROM messages e "
        "WHERE e.webhook = m.webhook AND e.object = m.object AND e.seq < m.seq AND e.state IN ('due', 'parked')) "
        "ORDER BY due_at, id LIMIT :most",
        {"webhook": webhook, "now": to_text(now), "most": most},
    )
    leased = []
    for row in rows:
        # The condition is asked again: another worker may have been quicker.
        got = tx.one(
            "UPDATE messages SET leased_until = :until, tries = tries + 1 WHERE id = :id AND state = 'due' "
            "AND (leased_until IS NULL OR leased_until <= :now) RETURNING *",
            {"until": until, "id": row["id"], "now": to_text(now)},
        )
        if got is not None:
            leased.append(got)
    return leased


def again(tx: Tx, now: datetime, webhook: str, *, id_: str | None = None, since: str = "", until: str = "~") -> int:
    """Send once more: one message, or all of a stretch of time, in their order; how many. Their ids stay."""
    n = tx.run(
        "UPDATE messages SET state = 'due', due_at = :now, give_up_at = :give_up, tries = 0, leased_until = NULL, "
        "error = NULL, done_at = NULL WHERE webhook = :webhook AND state IN ('done', 'parked', 'dropped') "
        + ("AND id = :id" if id_ is not None else "AND created_at >= :since AND created_at < :until"),
        {
            "now": to_text(now),
            "give_up": to_text(now + timedelta(hours=24)),
            "webhook": webhook,
            **({"id": id_} if id_ is not None else {"since": since, "until": until}),
        },
    )
    left = tx.one(
        "SELECT 1 AS one FROM messages WHERE webhook = :webhook AND state = 'parked' LIMIT 1", {"webhook": webhook}
    )
    if left is None:
        incidents.close(tx, now, "webhook_parked", webhook)
    return n


def switch_on(tx: Tx, now: datetime, webhook: str) -> bool:
    """Call a receiver again that was switched off, or is resting; whether it was."""
    incidents.close(tx, now, "webhook_off", webhook)
    return bool(
        tx.run(
            "UPDATE receivers SET failures = 0, failing_since = NULL, next_at = NULL, off_at = NULL, off_why = NULL "
            "WHERE webhook = :webhook AND (off_at IS NOT NULL OR next_at IS NOT NULL)",
            {"webhook": webhook},
        )
    )


def _is_any(tx: Tx, now: datetime) -> bool:
    row = tx.one(
        "SELECT 1 AS one FROM messages WHERE state = 'due' OR (state IN ('done', 'dropped') AND done_at < :floor) "
        "LIMIT 1",
        {"floor": to_text(now - KEEP_DONE)},
    )
    return row is not None
