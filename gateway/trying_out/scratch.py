"""A house that is thrown away: a fresh SQLite store in a folder of its own, with one campaign that is live in it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from gateway.campaigning import CampaignHost, GatewayHouse
from gateway.campaigning.house import Parts
from gateway.catalog import campaign_states
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Catalog
from gateway.contract.campaign import Heard, PayoutMoved, Verdict
from gateway.contract.clock import to_text
from gateway.contract.errors import Refused
from gateway.contract.ids import IdFactory
from gateway.contract.store import Row, Tx
from gateway.orders import Ordering
from gateway.payouts.story import PayingOut
from gateway.redeeming import Redeeming
from gateway.relay import Guard
from gateway.rulebook import Rulebook
from gateway.runtime import Runtime
from gateway.store import migrate_store, open_store
from gateway.trying_out.draft import Draft, only
from gateway.trying_out.past import Happening
from gateway.webhooks import Hooks
from gateway.webhooks.sending import HttpPost, Sent

_SWEPT: Final = 200
_MOST_SWEEPS: Final = 200

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Table → rows to be put into it."""


class _Nowhere(HttpPost):
    """Posts nothing."""

    def __init__(self) -> None:
        super().__init__(Guard(()))

    def __call__(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Sent:
        """As if nobody could be reached."""
        del url, headers, body
        return Sent(None, "trial")


class Scratch(AbstractContextManager["Scratch"]):
    """The draft's own little house, gone when the context ends. Nothing of it reaches the outside."""

    def __init__(self, runtime: Runtime, catalog: Catalog, draft: Draft) -> None:
        self._runtime = runtime
        self._draft = draft
        self._folder = tempfile.TemporaryDirectory(prefix="drainage-trial-")
        self._now = runtime.clock()
        kind = runtime.registry.campaigns.get(draft.campaign.kind)
        if kind is None:
            raise Refused("not_found", 404)
        self.kind = kind
        url, home = "sqlite:///trial.db", Path(self._folder.name)
        migrate_store(url, home, {kind.slug: kind.migrations})
        self.store = open_store(url, home)
        directory = Directory(
            1,
            only(catalog, draft),
            runtime.registry,
            sandbox_enabled=runtime.config.sandbox.enabled,
            base_url=runtime.base_url,
        )
        self.directory = directory
        self.host = CampaignHost(runtime.registry, lambda: directory, lambda: self._now, lambda: self._house)
        self._house = self._build(directory, home)

    def _build(self, directory: Directory, home: Path) -> GatewayHouse:
        runtime, store = self._runtime, self.store
        ids = IdFactory(runtime.random)

        def tell(tx: Tx, moved: PayoutMoved, now: datetime) -> None:
            self.host.hear(tx, moved, now)

        return GatewayHouse(
            Parts(
                store=store,
                ids=ids,
                random=runtime.random,
                link_keys=runtime.link_keys,
                known=lambda: directory,
                vault=runtime.vault,
                ordering=Ordering(store, ids, runtime.random, runtime.link_keys, Rulebook(), self.host.hear),
                redeeming=Redeeming(store, ids, Hooks(lambda: directory, lambda: directory), self.host.hear),
                paying_out=PayingOut(ids, lambda: directory, runtime.vault, tell),
                post=_Nowhere(),
                check_url=lambda _url: "a trial calls nobody",
                base_url=runtime.base_url,
                sandbox=runtime.config.sandbox.enabled,
                redis_url="",
                folder=home / "files",
                views=self.host.of_kind,
                find=self.host.find,
            )
        )

    def begin(self, now: datetime, stock: Sequence[Row], prepared: Rows) -> None:
        """Open the campaign, and put in what was there when the days began."""
        self._now = now
        campaign = self._draft.campaign

        def write(tx: Tx) -> None:
            campaign_states.put(tx, None, campaign, now)
            for row in stock:
                tx.run(
                    "INSERT INTO stock (item, total, taken) VALUES (:item, :total, :taken)",
                    {name: row[name] for name in ("item", "total", "taken")},
                )
            for table, rows in prepared.items():
                if not table.startswith(f"{self.kind.slug}_"):
                    raise ValueError(f"{self.kind.slug} prepares {table}, which is not its own")
                for one in rows:
                    _insert(tx, table, one)

        self.store.write(write)

    def hear(self, happenings: Sequence[Happening]) -> list[list[Verdict]]:
        """Tell the draft of each; what it made of each, [] where it was none of its business."""

        def write(tx: Tx) -> list[list[Verdict]]:
            found = []
            for one in happenings:
                self._now = one.at
                _as_they_were(tx, one)
                heard: Heard = self.host.hear(tx, one.event, one.at)
                found.append([verdict for _, verdict in heard])
            return found

        return self.store.write(write)

    def sweep(self, now: datetime) -> None:
        """What the module ends by the clock, all of it."""
        self._now = now
        for _ in range(_MOST_SWEEPS):
            if not self.store.write(lambda tx: self.host.sweep(tx, now, _SWEPT)):
                return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the store go, and the folder with it."""
        del kind, error, trace
        self.store.close()
        self._folder.cleanup()


def _as_they_were(tx: Tx, one: Happening) -> None:
    """The payer's rows as they were at this moment, instead of those of an earlier one."""
    for row in one.people:
        tx.run("DELETE FROM persons WHERE id = :id", {"id": row["id"]})
        tx.run("DELETE FROM tags WHERE person = :id", {"id": row["id"]})
        tx.run("DELETE FROM suppressions WHERE person = :id", {"id": row["id"]})
        _insert(tx, "persons", row)
    for row in one.tags:
        _insert(tx, "tags", row)
    for row in one.suppressions:
        _insert(tx, "suppressions", row)


def _insert(tx: Tx, table: str, row: Mapping[str, Any]) -> None:
    columns = list(row)
    tx.run(
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)})",
        {name: bytes(value) if isinstance(value, memoryview) else value for name, value in row.items()},
    )


def stock_at(tx: Tx, begin: datetime) -> list[Row]:
    """How much of each item was gone when the days began, by today's totals."""
    return tx.all(
        "SELECT s.item, s.total, CASE WHEN s.taken > c.later THEN s.taken - c.later ELSE 0 END AS taken FROM stock s "
        "JOIN (SELECT s2.item, (SELECT count(*) FROM coupons k WHERE k.item = s2.item AND k.claimed_at >= :begin "
        "AND k.state <> 'void') AS later FROM stock s2) c ON c.item = s.item",
        {"begin": to_text(begin)},
    )
