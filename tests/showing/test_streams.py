"""The stream to a screen: what it tells, when it ends, and that all streams of a process ask the store once (R260)."""

import itertools
import threading
from datetime import timedelta

import pytest

from gateway.contract.errors import StoreUnavailable
from gateway.delivery import till
from gateway.web.pages import streams
from gateway.web.pages.streams import Listener, Slots, Watch, events
from gateway.web.pages.till import Lately
from tests.showing.conftest import settled
from tests.support.browsing import Browser, link_token, pages_of

PLACE = till.Place("hotpot-1", "hotpot", alone=True)


class Hand:
    """One screen's side, with what it was asked for."""

    def __init__(self, tag=""):
        self.may, self.over, self.seen = True, False, 0
        self.listener = Listener(
            PLACE, tag, lambda showing: f"<p>{showing.state}</p>\n<b>2</b>", self._may, self._see, lambda: self.over
        )

    def _may(self):
        return self.may

    def _see(self):
        self.seen += 1


class Told:
    """A watch that says what a test wants, without a thread and without waiting."""

    def __init__(self, *showings):
        self._showings = itertools.chain(showings, itertools.repeat(showings[-1]))
        self.listening = 0

    def join(self, _place):
        self.listening += 1

    def leave(self, _place):
        self.listening -= 1

    def wait(self, _shop, _tag, _timeout):
        return next(self._showings)


@pytest.fixture
def ticks(monkeypatch):
    """Time on the machine's running clock, moved by the test: each look takes a second."""
    times = itertools.count(100.0)
    monkeypatch.setattr(streams.time, "monotonic", lambda: next(times))


IDLE = till.IDLE
SHOP = till.Showing("shop", None, None)
GONE = till.Showing("gone")


def test_R260_a_new_showing_bears_its_tag_and_every_line(ticks):
    hand = Hand()
    told = events(Told(IDLE, SHOP), hand.listener)
    assert next(told) == "retry: 1000\n\n"
    assert next(told) == f"id: {IDLE.tag}\nevent: show\ndata: <p>idle</p>\ndata: <b>2</b>\n\n"
    assert next(told) == f"id: {SHOP.tag}\nevent: show\ndata: <p>shop</p>\ndata: <b>2</b>\n\n"
    assert hand.seen == 2


def test_R260_who_comes_back_with_the_last_id_is_told_that_it_still_holds(ticks):
    told = events(Told(IDLE, SHOP, IDLE), Hand(IDLE.tag).listener)
    next(told)
    assert next(told) == f"id: {IDLE.tag}\nevent: same\ndata:\n\n"
    assert "event: show" in next(told)
    # Once something else was shown, what came before must be told anew.
    assert "event: show" in next(told)


def test_R260_keep_alive_each_fifteen_seconds_and_a_beat_each_five_while_a_code_shows(ticks):
    quiet = events(Told(IDLE), Hand().listener)
    assert [next(quiet) for _ in range(4)][2:] == [": still here\n\n"] * 2
    busy = events(Told(SHOP), Hand().listener)
    assert [next(busy) for _ in range(4)][2:] == ["event: beat\ndata:\n\n"] * 2


def test_R260_a_stream_ends_after_five_minutes_and_says_goodbye(ticks):
    told = Told(IDLE)
    said = list(events(told, Hand().listener))
    assert said[-1] == "event: bye\ndata:\n\n"
    assert len(said) == 2 + int(streams.LIVES_S / streams.KEEP_ALIVE_S) - 1 + 1
    assert told.listening == 0


def test_R260_a_server_that_stops_ends_its_streams(ticks):
    hand = Hand()
    told = events(Told(IDLE), hand.listener)
    next(told)
    next(told)
    hand.over = True
    assert list(told) == ["event: bye\ndata:\n\n"]


@pytest.mark.parametrize("showings", [(IDLE, SHOP), (SHOP, SHOP)])
def test_R260_a_screen_sent_away_gets_nothing_more(ticks, showings):
    hand = Hand()
    told = events(Told(*showings), hand.listener)
    next(told)
    next(told)
    hand.may = False
    assert list(told) == ["event: bye\ndata:\n\n"]


def test_R260_a_listener_who_leaves_is_forgotten(ticks):
    watch = Told(IDLE)
    told = events(watch, Hand().listener)
    next(told)
    assert watch.listening == 1
    told.close()
    assert watch.listening == 0


# -- the watch over a real store --------------------------------------------------------------------------------------


def until(watch, shop, state, tag=""):
    """The showing of this state, however many come before; the watch itself looks, nobody sleeps here."""
    for _ in range(100):
        showing = watch.wait(shop, tag, 0.5)
        if showing is not None and showing.state == state:
            return showing
        tag = showing.tag if showing is not None else tag
    raise AssertionError(f"{state} never came")


def test_R260_a_payment_of_another_process_comes_to_the_watch(open_world):
    watch = Watch(open_world.runtime)
    watch.join(PLACE)
    try:
        until(watch, "hotpot-1", "idle")
        elsewhere = open_world.another_runtime()
        directory = elsewhere.directory()
        from tests.support.plainpay import paid
        from tests.support.world import SECRET

        for number in ("1", "2"):
            raw = paid(SECRET, number, ("openid-a",), 2600, open_world.clock())
            elsewhere.intake.take_in(directory, directory.channel("hotpot-pay"), raw, open_world.clock())
        showing = until(watch, "hotpot-1", "link")
        assert showing.gift.amount_fen == 2600
        open_world.clock.move(seconds=60)
        until(watch, "hotpot-1", "idle")
    finally:
        watch.leave(PLACE)


def test_R260_without_the_store_no_code_stays(open_world, monkeypatch):
    link_token(open_world, "openid-a")
    watch = Watch(open_world.runtime)
    watch.join(PLACE)
    try:
        until(watch, "hotpot-1", "link")

        def gone(_self, _work):
            raise StoreUnavailable("gone")

        with monkeypatch.context() as broken:
            broken.setattr(type(open_world.store), "read", gone)
            until(watch, "hotpot-1", "gone")
        until(watch, "hotpot-1", "link")
    finally:
        watch.leave(PLACE)


def test_R260_many_streams_ask_the_store_once_and_none_asks_nothing(open_world, monkeypatch):
    asked = []
    real = till.look

    def counted(tx, places, now):
        asked.append((threading.get_ident(), len(list(places))))
        return real(tx, places, now)

    monkeypatch.setattr(till, "look", counted)
    watch = Watch(open_world.runtime)
    other = till.Place("sweets-1", "sweets", alone=True)
    for place in (PLACE, PLACE, PLACE, other):
        watch.join(place)
    until(watch, "hotpot-1", "idle")
    until(watch, "sweets-1", "idle")
    assert len({thread for thread, _ in asked}) == 1
    assert {number for _, number in asked} <= {1, 2}
    eye = watch._eye
    for place in (PLACE, PLACE, PLACE, other):
        watch.leave(place)
    eye.join(10)
    assert not eye.is_alive()
    watch.join(PLACE)
    until(watch, "hotpot-1", "idle")
    watch.leave(PLACE)


def test_R260_the_look_reads_the_last_minute_and_no_more(open_world):
    for number in range(30):
        open_world.pay(f"T{number}", f"openid-{number % 3}")
        open_world.clock.move(minutes=1)
    now = open_world.clock()
    plan = open_world.all(
        f"EXPLAIN QUERY PLAN {till._SELECT} WHERE l.id >= :since AND l.purpose = 'payer'",
        since=till.floor_id("l", now - timedelta(seconds=60)),
    )
    text = " ".join(str(row["detail"]) for row in plan)
    assert "SCAN" not in text
    assert len(open_world.store.read(lambda tx: till._gifts(tx, [PLACE], now))) <= 1


# -- slots, and the page around it ------------------------------------------------------------------------------------


def test_R260_slots_are_given_back_once():
    slots = Slots(2)
    first, second = slots.take(), slots.take()
    assert slots.take() is None
    first()
    first()
    assert slots.take() is not None
    assert slots.take() is None
    second()


def test_R260_no_slots_no_streams():
    assert Slots(0).take() is None


def test_R260_beyond_the_limit_503_and_the_page_can_still_ask(open_world):
    browser = Browser(pages_of(open_world))
    most = open_world.runtime.config.live.sse_max
    assert most == 8
    held = [browser.client.get("/till/hotpot-1/stream", buffered=False) for _ in range(most)]
    try:
        for answer in held:
            assert answer.status_code == 200
            assert answer.mimetype == "text/event-stream"
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["X-Accel-Buffering"] == "no"
        beyond = browser.get("/till/hotpot-1/stream")
        assert (beyond.status, beyond.response.headers["Retry-After"]) == (503, "2")
        assert browser.get("/till/hotpot-1/live").status == 200
        held.pop().close()
        again = browser.client.get("/till/hotpot-1/stream", buffered=False)
        assert again.status_code == 200
        held.append(again)
    finally:
        for answer in held:
            answer.close()


def test_R260_the_stream_tells_the_same_part_as_the_page(open_world):
    browser = Browser(pages_of(open_world))
    link_token(open_world, "openid-a", amount_fen=2600)
    with browser.client.get("/till/hotpot-1/stream", buffered=False) as answer:
        said = iter(answer.response)
        assert next(said) == b"retry: 1000\n\n"
        show = next(said).decode()
    assert show.startswith("id: ")
    html = "\n".join(line.removeprefix("data: ") for line in show.splitlines() if line.startswith("data: "))
    assert "谢谢惠顾！¥26.00" in html
    assert html.strip() == browser.get("/till/hotpot-1/live").html.strip()
    settled(open_world)


def test_lately_forgets_the_oldest_and_what_is_long_ago(monkeypatch):
    from gateway.web.pages import till as page

    moment = [0.0]
    monkeypatch.setattr(page.time, "monotonic", lambda: moment[0])
    lately = Lately(20)
    assert [lately.is_first("a"), lately.is_first("a"), lately.is_first("b")] == [True, False, True]
    moment[0] = 20.0
    assert lately.is_first("a")
    for number in range(page._MOST_KNOWN):
        lately.is_first(str(number))
    assert lately.is_first("a")
