"""Streams to screens: what a shop's screen shows, told the moment it changes, whichever process took the payment in.

One thread of the process asks the store for all listening shops together, a few times a second, and only while there
are any. Each stream holds a thread of the server, so there is a limit; who comes beyond it asks again by himself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import structlog

from gateway.contract.errors import StoreTrouble
from gateway.delivery import till
from gateway.delivery.till import Place, Showing
from gateway.runtime import Runtime

LOOK_EVERY_S: Final = 0.25
WAKE_EVERY_S: Final = 1.0
KEEP_ALIVE_S: Final = 15.0
BEAT_S: Final = 5.0
"""While a code is on the screen the screen hears from us this often, and takes the code away when it does not."""

LIVES_S: Final = 300.0

GONE: Final = Showing("gone")
"""What is shown while the store does not answer: never what it said before."""

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Watch:
    """One process's eye on the shops whose screens listen. Safe between threads."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._changed = threading.Condition()
        self._places: dict[str, tuple[Place, int]] = {}
        self._showing: dict[str, Showing] = {}
        self._eye: threading.Thread | None = None
        self._rest = threading.Event()

    def join(self, place: Place) -> None:
        """Listen to a shop; `leave` as often."""
        with self._changed:
            _, listeners = self._places.get(place.shop, (place, 0))
            self._places[place.shop] = (place, listeners + 1)
            if self._eye is None:
                self._eye = threading.Thread(target=self._look, name="till-watch", daemon=True)
                self._eye.start()

    def leave(self, place: Place) -> None:
        """Listen no more."""
        with self._changed:
            known, listeners = self._places[place.shop]
            if listeners > 1:
                self._places[place.shop] = (known, listeners - 1)
            else:
                del self._places[place.shop]
                self._showing.pop(place.shop, None)

    def wait(self, shop: str, tag: str, timeout_s: float) -> Showing | None:
        """What the shop's screen shows, once it is not `tag` or the time is over; None while nothing is known."""
        with self._changed:
            self._changed.wait_for(lambda: self._differs(shop, tag), timeout_s)
            return self._showing.get(shop)

    def _differs(self, shop: str, tag: str) -> bool:
        showing = self._showing.get(shop)
        return showing is not None and showing.tag != tag

    def _look(self) -> None:
        while True:
            with self._changed:
                places = [place for place, _ in self._places.values()]
                if not places:
                    self._eye = None
                    return
            found = self._read(places)
            with self._changed:
                for place in places:
                    if place.shop in self._places:
                        self._showing[place.shop] = found.get(place.shop, GONE)
                self._changed.notify_all()
            self._rest.wait(LOOK_EVERY_S)

    def _read(self, places: list[Place]) -> dict[str, Showing]:
        now = self._runtime.clock()
        try:
            return self._runtime.store.read(lambda tx: till.look(tx, places, now))
        except StoreTrouble:
            return {}
        except Exception:
            # The thread must live as long as somebody listens; what it could not read is shown as nothing.
            log.exception("till_look_failed")
            return {}


class Slots:
    """How many streams a process keeps open at once."""

    def __init__(self, most: int) -> None:
        self._lock = threading.Lock()
        self._free = most

    def take(self) -> Callable[[], None] | None:
        """A way to give the slot back, good once however often it is called; None when there is no slot."""
        with self._lock:
            if self._free <= 0:
                return None
            self._free -= 1
        done = threading.Event()

        def give_back() -> None:
            with self._lock:
                if not done.is_set():
                    done.set()
                    self._free += 1

        return give_back


@dataclass(frozen=True, slots=True)
class Listener:
    """One screen's side of a stream.

    `render` makes the screen's part, `may` says whether the screen is still welcome, `seen` notes that it is there,
    `is_over` whether the server is about to stop.
    """

    place: Place
    tag: str
    render: Callable[[Showing], str]
    may: Callable[[], bool]
    seen: Callable[[], None]
    is_over: Callable[[], bool]


def events(watch: Watch, listener: Listener) -> Iterator[str]:
    """The stream's text (https://html.spec.whatwg.org/multipage/server-sent-events.html), for at most five minutes.

    `show` bears a new part and its tag as the event's id; `same` says that the part of `Last-Event-ID` still holds,
    `beat` that we are there, `bye` that the stream ends on purpose.
    """
    place = listener.place
    began = last = time.monotonic()
    tag = ""
    watch.join(place)
    try:
        yield "retry: 1000\n\n"
        while True:
            showing = watch.wait(place.shop, tag, WAKE_EVERY_S)
            now = time.monotonic()
            if listener.is_over() or now - began >= LIVES_S:
                yield "event: bye\ndata:\n\n"
                return
            listener.seen()
            if showing is None:
                continue
            is_new = showing.tag != tag
            has_code = showing.state in {"link", "shop"}
            if not is_new and now - last < (BEAT_S if has_code else KEEP_ALIVE_S):
                continue
            if (is_new or has_code) and not listener.may():
                yield "event: bye\ndata:\n\n"
                return
            last = now
            if not is_new:
                yield "event: beat\ndata:\n\n" if has_code else ": still here\n\n"
                continue
            known, tag = tag or listener.tag, showing.tag
            yield f"id: {tag}\nevent: same\ndata:\n\n" if tag == known else _show(tag, listener.render(showing))
    finally:
        watch.leave(place)


def _show(tag: str, html: str) -> str:
    lines = "\n".join(f"data: {line}" for line in html.splitlines())
    return f"id: {tag}\nevent: show\n{lines}\n\n"
