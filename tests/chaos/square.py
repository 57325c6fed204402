"""One merchant per platform, and as many hands as wanted: what the chaos tests load a running house with."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from tests.e2e.house import House, channel, eventually, running
from tests.e2e.platforms import Alipay, Platform, WeChatV2, WeChatV3
from tests.e2e.till import Till

T = TypeVar("T")

_SHOPS = """
[circle.square]
name = "广场"
binding = "bearer"
[merchant.north]
circle = "square"
name = "北店"
[merchant.south]
circle = "square"
name = "南店"
[item.north-cup]
merchant = "north"
name = "北店一杯"
value_fen = 100
stock = 1000000
offer = "both"
[item.south-cup]
merchant = "south"
name = "南店一杯"
value_fen = 200
stock = 1000000
offer = "both"
[item.rare]
merchant = "north"
name = "限量"
kind = "gift"
stock = 5
offer = "elsewhere"
weight = 0
price_fen = 100
[offer.default]
circle = "square"
own = 1
elsewhere = 1
"""


@dataclass
class Square:
    """A running house; `till` is the north's, `other_till` the south's. Channels: v3, v2, ali, south."""

    house: House
    till: Till
    other_till: Till
    platforms: dict[str, Platform]


def shops(people: dict[str, Platform], till: str, other: str) -> tuple[str, dict[str, str]]:
    """The apply file and its key files."""
    parts, files = [_SHOPS], {}
    for slug, platform in people.items():
        south = slug == "south"
        url = f"{other if south else till}/pay/{slug}"
        text, needed = channel(slug, "south" if south else "north", platform, upstream=url, timeout_ms="1000")
        parts.append(text)
        files |= needed
    return "\n".join(parts), files


def cast() -> dict[str, Platform]:
    """Who pays where."""
    return {"v3": WeChatV3(), "v2": WeChatV2(), "ali": Alipay(), "south": WeChatV2(mchid="1230000777")}


@contextmanager
def square(**settings: str) -> Iterator[Square]:
    """The square, up and serving; `settings` are DRAINAGE_ variables without their prefix."""
    house = House(config='[relay]\nallow = ["127.0.0.0/8"]\n[sandbox]\nenabled = true\n')
    house.settings = {f"DRAINAGE_{name}": value for name, value in settings.items()}
    people = cast()
    with Till() as till, Till() as other:
        with running(house, *shops(people, till.url, other.url)):
            house.token("operator")
            yield Square(house, till, other, people)


def all_at_once(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """The jobs' results, every job let go at the same moment."""
    gate = threading.Barrier(len(jobs))

    def run(job: Callable[[], T]) -> T:
        gate.wait(30)
        return job()

    with ThreadPoolExecutor(len(jobs)) as hands:
        return list(hands.map(run, jobs))


def ready(house: House) -> dict[str, Any] | None:
    """What /readyz says, or None while nobody answers."""
    from tests.e2e.house import call

    try:
        answer = call(house.port, "GET", "/readyz", timeout=5)
    except (OSError, http.client.HTTPException):
        return None
    return {"http": answer.status, **answer.json}


def drained(house: House, seconds: float = 30) -> None:
    """Wait until the store is fine and nothing waits in the spool."""
    eventually(
        lambda: (state := ready(house)) and state["store"] == "ok" and state["spool"] == 0,
        "the spool is empty",
        seconds,
    )
