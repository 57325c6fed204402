"""Several machines in miniature: gateways with homes of their own, one master key, one PostgreSQL between them.

What a second machine needs is what docs/deploy/several-machines.md says: the settings and `secret.key` of the first.
"""

from __future__ import annotations

import base64
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeVar

from gateway.contract.store import Tx
from tests.chaos.square import ready
from tests.e2e.house import House, channel, eventually
from tests.e2e.platforms import Alipay, Platform, WeChatV2, WeChatV3
from tests.e2e.till import Mode, Till
from tests.support.databases import opened
from tests.support.invariants import broken

T = TypeVar("T")

MACHINES = 3
SCARCE = 3
"""How many of the south's cups there are; more links than that hold one."""

_SHOPS = """
[circle.alley]
name = "梧桐里"
binding = "bearer"
[merchant.north]
circle = "alley"
name = "老陈面馆"
[merchant.south]
circle = "alley"
name = "半日咖啡"
[item.north-cup]
merchant = "north"
name = "面馆立减1元"
value_fen = 100
stock = 100000
offer = "own"
[item.south-cup]
merchant = "south"
name = "咖啡立减2元"
value_fen = 200
stock = 3
offer = "elsewhere"
[item.rare]
merchant = "north"
name = "限量碗"
kind = "gift"
stock = 5
offer = "elsewhere"
weight = 0
price_fen = 100
[offer.alley]
circle = "alley"
own = 1
elsewhere = 1
budget_fen = 1000000
"""


@dataclass
class Fleet:
    """Running gateways. Channels: `v3` and `v2` mirror the till's answer, `ack` owes the till its notifications."""

    houses: list[House]
    url: str
    till: Till
    ack_till: Till
    hook: Till
    platforms: dict[str, Platform]

    @property
    def first(self) -> House:
        return self.houses[0]

    def settled(self) -> None:
        """Wait until nothing waits anywhere: no spool, no outbox."""
        for house in self.houses:
            eventually(
                lambda one=house: (state := ready(one)) and state["store"] == "ok" and state["spool"] == 0,
                "the spool is empty",
                40,
            )
        eventually(lambda: self.first.summary()["outbox_depth"] == 0, "the outbox is empty", 40)

    def read(self, work: Callable[[Tx], T]) -> T:
        store = opened(self.url)
        try:
            return store.read(work)
        finally:
            store.close()

    def all(self, sql: str) -> list[Any]:
        return self.read(lambda tx: tx.all(sql))

    def broken(self) -> list[str]:
        """Every promise that does not hold."""
        return self.read(lambda tx: broken(tx, datetime.now(timezone.utc)))


@contextmanager
def fleet(url: str, **settings: str) -> Iterator[Fleet]:
    """Three gateways, each with its worker, up and serving on the database at `url`."""
    people: dict[str, Platform] = {"v3": WeChatV3(), "v2": WeChatV2(), "ack": Alipay()}
    secret = "whsec_" + base64.b64encode(os.urandom(24)).decode()
    with ExitStack() as open_:
        till, hook = open_.enter_context(Till()), open_.enter_context(Till())
        # Alipay wants this very word; anything else counts as not taken.
        ack_till = open_.enter_context(Till(Mode(body=b"success")))
        houses = [open_.enter_context(House(workers=1)) for _ in range(MACHINES)]
        first = houses[0]
        common = {
            "DRAINAGE_STORE_URL": url,
            "DRAINAGE_SANDBOX_ENABLED": "true",
            "DRAINAGE_RELAY_ALLOW": '["127.0.0.0/8"]',
            "DRAINAGE_RELAY_UPSTREAM_CONCURRENCY": "64",
            **{f"DRAINAGE_{name}": value for name, value in settings.items()},
        }
        for house in houses:
            house.settings = dict(common)
            house._tokens = first._tokens
        first.init()
        parts, files = [_SHOPS], {}
        for slug, platform in people.items():
            more = {"answer": '"ack"'} if slug == "ack" else {}
            upstream = f"{ack_till.url if slug == 'ack' else till.url}/pay/{slug}"
            text, needed = channel(slug, "north", platform, upstream=upstream, timeout_ms="3000", **more)
            parts.append(text)
            files |= needed
        parts.append(f'[webhook.erp]\ncircle = "alley"\nurl = "{hook.url}/hook"\nsecret = "{secret}"\n')
        first.apply("\n".join(parts), files)
        for house in houses[1:]:
            house.home.mkdir(mode=0o700, parents=True)
            for name in ("config.toml", "secret.key"):
                shutil.copy2(first.home / name, house.home / name)
        with ThreadPoolExecutor(MACHINES) as hands:
            list(hands.map(House.start, houses))
        first.token("operator")
        yield Fleet(houses, url, till, ack_till, hook, people)


def at_once(jobs: Sequence[Callable[[], T]], hands: int = 24) -> list[T]:
    """Every job's result in order, so many of them under way at a time."""
    with ThreadPoolExecutor(hands) as pool:
        return list(pool.map(lambda job: job(), jobs))
