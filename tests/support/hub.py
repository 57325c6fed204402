"""A bench for the hub: a store of each kind with its tables, an outbox that is worked off by hand, targets of tests."""

from __future__ import annotations

import json
import threading
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from campaigns.data_hub.kind import kind
from gateway import audit, outbox
from gateway.app import build_relay, build_spool
from gateway.contract.campaign import CampaignView
from gateway.contract.campaign_kind import Caller, Request
from gateway.contract.errors import Refused
from gateway.contract.ids import IdFactory, system_random
from gateway.contract.money import Fen
from gateway.relay import Guard
from gateway.worker import Worker
from tests.support.world import CATALOG

START = datetime(2026, 11, 22, 4, 5, 6, tzinfo=timezone.utc)

HUB = """
[models.visit]
version = 1
grants = ["crm token"]
chain = [
  { handler = "rename", from = "amt", to = "amount_fen" },
  { handler = "to_int", field = "amount_fen" },
  { handler = "drop_if", field = "amount_fen", equals = 0 },
]
targets = ["crm", "lake"]
key_as = { crm = "visit_id" }
[models.visit.fields.amount_fen]
module = "payment"
type = "int"
required = true
map = { crm = "amount", lake = "amount_fen" }
rule = { min = 0 }
[models.visit.fields.way]
module = "payment"
type = "text"
map = { crm = "way" }
[models.secret]
grants = ["another token"]
[models.secret.fields.a]
type = "int"
[targets.crm]
kind = "http"
url = "http://127.0.0.1:9100/in"
[targets.lake]
kind = "sqlite"
file = "visits.db"
"""
SPRING = """
[select.visit]
version = 1
fields = ["amount_fen"]
grants = ["spring token"]
"""


class Facts:
    """A catalogue that allows 127.0.0.1 alone."""

    def refuses(self, url):
        return None if "//127.0.0.1" in url else "must not be called"

    def zone(self, _shop):
        return timezone.utc


class Bench:
    """The hub's house, and the few moves that its tests make."""

    redis_url = ""

    def __init__(self, store, folder: Path) -> None:
        self.store = store
        self.ids = IdFactory()
        self.random = system_random
        self.now = START
        self.folder = folder
        self.answers: list[tuple[int | None, str]] = []
        self.posted: list[tuple[str, dict[str, str], bytes]] = []
        self.views: dict[str, CampaignView] = {}
        self.campaign("hub", HUB)

    # -- the house ----------------------------------------------------------------------------------------------------

    def files(self, name: str) -> Path:
        made = self.folder / name
        made.mkdir(mode=0o700, parents=True, exist_ok=True)
        return made

    def catalogue(self):
        return Facts()

    def campaigns(self, _kind: str):
        return list(self.views.values())

    def blind(self, text: str, context: str) -> bytes:
        return f"{context}:{text}".encode().ljust(32, b".")[-32:]

    def post_json(self, url, headers, body):
        self.posted.append((url, dict(headers), body))
        return self.answers.pop(0) if self.answers else (200, "")

    def owe(self, tx, campaign, topic, about, payload, now, *, due_at=None, give_up_after=None):
        envelope = {"campaign": campaign.slug, "deed": topic, "payload": dict(payload)}
        outbox.put(tx, self.ids, now, "campaign", about, envelope, due_at=due_at, give_up_after=give_up_after)

    def audit(self, tx, who, action, about, before, after, now):
        audit.record(tx, now, who, action, about, before={"state": before}, after={"state": after})

    # -- moves --------------------------------------------------------------------------------------------------------

    def campaign(self, slug: str, text: str, **more) -> CampaignView:
        """Put a campaign in place, or change it."""
        known = {
            "slug": slug, "kind": "data_hub", "circle": "riverside", "merchants": frozenset(), "state": "live", "version": 1,
            "starts_at": None, "ends_at": None, "budget_fen": Fen(0), "budget_fen_per_day": Fen(0),
            "settings": kind.load_settings(tomllib.loads(text)),
        }  # fmt: skip
        self.views[slug] = CampaignView(**{**known, **more})
        return self.views[slug]

    def change(self, slug: str = "hub", **more) -> None:
        self.views[slug] = replace(self.views[slug], **more)

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping | None = None,
        *,
        who: str = "crm token",
        query: Mapping | None = None,
        **more,
    ):
        """A call as the host makes it: (status, body), a refusal's facts with its code. `more` joins the query."""
        for route in kind.routes:
            values = _match(route.path, path)
            if route.method == method and values is not None:
                break
        else:
            raise AssertionError(f"no route {method} {path}")
        asked = {name: str(value) for name, value in {**(query or {}), **more}.items()}
        view = self.views["hub"]
        request = Request(view, Caller(who, "operator", None), "", values, asked, dict(body or {}), self.now)
        try:
            if route.outside:
                reply = route.handler(None, self, request)
            else:
                reply = self.store.write(lambda tx: route.handler(tx, self, request))
        except Refused as refused:
            return refused.status, {"code": refused.code, **refused.facts}
        return reply.status, reply.body

    def put(self, key="v-1", version=1, data=None, *, who="crm token", model="visit", **more):
        """Post a record."""
        body = {"key": key, "version": version, "data": {"amt": 8800} if data is None else data, **more}
        return self.ask("POST", f"/models/{model}/records", body, who=who)

    def work(self) -> list[str]:
        """What the worker does: all that is due; what went wrong, "" for what was done."""
        became = []
        while rows := self.store.write(lambda tx: outbox.lease(tx, self.now, 60, 20)):
            for row in rows:
                envelope = json.loads(row["payload"])
                view = self.views[envelope["campaign"]]
                error = kind.deeds[envelope["deed"]](self, view, envelope["payload"], self.now)
                self.store.write(
                    lambda tx, row=row, error=error: (
                        outbox.done(tx, self.now, row["id"])
                        if error is None
                        else outbox.failed(tx, self.now, row, error)
                    )
                )
                became.append(error or "")
        return became

    def sweep(self, most: int = 100) -> int:
        view = self.views["hub"]
        return sum(self.store.write(lambda tx, one=one: one(tx, self, view, self.now, most)) for one in kind.sweeps)

    def later(self, **parts: float) -> None:
        self.now += timedelta(**parts)

    def all(self, sql: str, **params):
        return self.store.read(lambda tx: tx.all(sql, params))

    def states(self) -> dict[str, str]:
        """Each target's delivery of the only record, by target."""
        return {row["target"]: row["state"] for row in self.all("SELECT target, state FROM data_hub_deliveries")}


def _match(pattern: str, path: str) -> dict[str, str] | None:
    wanted, given = pattern.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    values = {}
    for part, there in zip(wanted, given, strict=True):
        if part.startswith("<"):
            values[part[1:-1]] = there
        elif part != there:
            return None
    return values


# -- the hub in a whole small installation ----------------------------------------------------------------------------


class Receiver:
    """A receiver of tests on a free port: what it was sent, and what it answers."""

    def __init__(self):
        receiver = self
        self.got, self.statuses = [], []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers), json.loads(body)))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/in"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def catalog(url="http://127.0.0.1:9/in", more=""):
    def nested(slug, text):
        head = f'[campaign.{slug}]\nkind = "data_hub"\ncircle = "riverside"\nstate = "live"\n'
        for table in ("models", "targets", "select"):
            text = text.replace(f"[{table}.", f"[campaign.{slug}.{table}.")
        return head + text

    hub = HUB.replace("http://127.0.0.1:9100/in", url)
    return "\n".join([CATALOG, nested("hub", hub), nested("spring", SPRING), more])


class Program:
    """A program that calls the hub with a token of this name."""

    def __init__(self, world, name="crm token", role="operator", **scope):
        self.client = world.client(role, name=name, **scope)
        self.number = 0

    def post(self, path, body, key=None):
        self.number += 1
        answer = self.client.post(
            f"/api/v1/campaigns/hub{path}", json=body, headers={"Idempotency-Key": key or f"k-{self.number}"}
        )
        return answer.status_code, answer.get_json()

    def get(self, path, **query):
        answer = self.client.get(f"/api/v1/campaigns/hub{path}", query_string=query)
        return answer.status_code, answer.get_json()

    def push(self, key="v-1", version=1, **data):
        return self.post("/models/visit/records", {"key": key, "version": version, "data": data or {"amt": 8800}})


def work(world):
    runtime = world.runtime
    return Worker(runtime, build_relay(runtime, Guard(runtime.config.relay.allow)), build_spool(runtime)).finish_due()
