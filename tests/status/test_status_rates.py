"""Minutes, hours and tallies: each row counts once, and the page tells the same from them as from the rows (R070)."""

from datetime import timedelta
from threading import Thread

import pytest

from gateway import outbox, overview
from gateway.contract.clock import to_text
from gateway.contract.errors import Malformed
from gateway.overview import Scope, rates
from gateway.overview.rates import percentile, rounded_ms, time_percentile
from tests.support.plainpay import paid
from tests.support.world import SECRET


def look(world, **scope):
    directory, now = world.runtime.directory(), world.clock()
    return world.store.read(lambda tx: overview.read(tx, directory, Scope(**scope), now))


def roll(world):
    while world.store.write(lambda tx: rates.roll(tx, world.clock())):
        pass


def channel(shown, slug="hotpot-pay"):
    return next(one for one in shown.channels if one.slug == slug)


def attempt(world, outcome, ms, slug="hotpot-pay"):
    now = world.clock()

    def write(tx):
        tx.run(
            "INSERT INTO relay_attempts (id, delivery, channel, at, outcome, ms, replay) "
            "VALUES (:id, 'd_1', :channel, :at, :outcome, :ms, 0)",
            {"id": world.runtime.ids.new("ra", now), "channel": slug, "at": to_text(now), "outcome": outcome, "ms": ms},
        )

    world.store.write(write)


def quarantine(world, reason="malformed"):
    live = world.runtime.directory().channel("hotpot-pay")
    raw = paid(SECRET, "bad", ("o",), 100, world.clock())
    world.runtime.intake.quarantine(live, raw, Malformed(reason), world.clock())


def traffic(world, minutes=130):
    """Two hours and more: payments, claims, tries and refusals spread over them."""
    for number in range(minutes // 10):
        world.pay(f"t-{number}-a", f"payer-{number % 4}")
        attempt(world, "answered" if number % 5 else "timeout", 100 + number)
        if number % 4 == 0:
            quarantine(world)
        world.clock.move(minutes=10)
    world.claimed("somebody")


def told(shown):
    return (
        shown.funnel,
        [(one.last_at, one.per_minute, one.refused, one.relay, one.state, one.cause) for one in shown.channels],
    )


def test_R070_the_page_tells_the_same_before_and_after_adding_up(world):
    traffic(world)
    before = told(look(world))
    roll(world)
    assert told(look(world)) == before
    assert before[0].payments == 15
    world.clock.move(seconds=50)
    world.pay("late", "payer-1")
    roll(world)
    assert look(world).funnel.payments == 16


def test_R070_rolled_twice_and_by_many_at_once_nothing_counts_twice(world):
    traffic(world, 60)
    world.clock.move(minutes=5)
    others = [world.another_runtime() for _ in range(3)]
    threads = [
        Thread(target=lambda runtime=runtime: runtime.store.write(lambda tx: rates.roll(tx, world.clock())))
        for runtime in others * 2
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    roll(world)
    paid_rows = world.one("SELECT count(*) AS n FROM payments")["n"]
    assert world.one("SELECT sum(payments) AS n FROM tallies")["n"] == paid_rows
    genuine = world.one("SELECT count(*) AS n FROM deliveries WHERE outcome <> 'refused'")["n"]
    assert world.one("SELECT sum(events) AS n FROM hours")["n"] == genuine
    assert world.one("SELECT sum(refused) AS n FROM hours")["n"] == 2


def test_R070_rebuilt_they_are_what_they_were(world):
    traffic(world)
    world.clock.move(minutes=5)
    roll(world)
    before = [dict(row) for row in world.all("SELECT * FROM hours ORDER BY channel, hour")]
    world.store.write(rates.rebuild)
    assert world.all("SELECT * FROM hours") == []
    roll(world)
    assert [dict(row) for row in world.all("SELECT * FROM hours ORDER BY channel, hour")] == before


def test_R070_a_minute_in_the_air_is_not_added_up_yet(world):
    world.pay("P1", "a")
    world.clock.move(seconds=20)
    roll(world)
    mark = world.store.read(rates.mark_of)
    assert mark <= world.clock() - rates.SETTLED_AFTER
    assert channel(look(world)).per_minute == 0.2


def test_R070_silence_goes_on_over_hours_and_an_hour_without_events_has_its_row(world):
    world.pay("P1", "a")
    world.clock.move(hours=5)
    roll(world)
    hours = world.all("SELECT hour, silence_s FROM hours WHERE channel = 'hotpot-pay' ORDER BY hour")
    assert [row["silence_s"] for row in hours[:4]] == [3294, 6894, 10494, 14094]


def weeks_of_noon(world, days=10, gap=timedelta(minutes=40)):
    """Each day one payment an hour, `gap` before the clock's minute."""
    for day in range(days):
        world.pay(f"noon-{day}", "a")
        world.clock.move(days=1)
    world.clock.now -= timedelta(days=1)
    world.clock.now += gap


def test_R070_quiet_is_judged_by_what_is_usual_at_this_hour(world):
    """A shop that sells once a day at this hour is not quiet after half an hour, nor cut off after one."""
    weeks_of_noon(world)
    roll(world)
    shown = channel(look(world))
    assert shown.usual is not None
    assert shown.usual > timedelta(hours=23)
    assert shown.state == "ok"
    world.clock.move(days=1)
    assert channel(look(world)).state == "quiet"
    world.clock.move(days=2, hours=2)
    down = channel(look(world))
    assert (down.state, down.cause, down.since) == ("down", "silent", down.last_at)


def test_R070_a_house_of_a_few_days_calls_no_silence_a_fault(world):
    weeks_of_noon(world, days=4)
    roll(world)
    world.clock.move(days=3)
    shown = channel(look(world))
    assert shown.usual is None
    assert shown.state == "quiet"


def test_R070_the_curve_has_a_gap_before_the_first_event_and_zeros_after_it(world):
    world.clock.move(seconds=30)
    world.pay("P1", "a")
    world.clock.move(minutes=31)
    points = channel(look(world)).points
    assert [point.per_minute for point in points[:5]] == [None] * 5
    assert [point.per_minute for point in points[5:]] == [0.2, 0, 0, 0, 0, 0, 0]
    assert points[-1].per_minute == 0
    assert len(points) == 12
    assert channel(look(world), "sweets-pay").points == []


def test_R070_a_manager_is_told_his_merchant_alone_also_of_what_waits(world):
    traffic(world, 30)
    roll(world)

    def owe(tx):
        outbox.put(tx, world.runtime.ids, world.clock(), "relay", "hotpot-pay", {})

    world.store.write(owe)
    hotpot = look(world, merchants=frozenset({"hotpot"}), circles=frozenset({"riverside"}))
    sweets = look(world, merchants=frozenset({"sweets"}), circles=frozenset({"riverside"}))
    assert (hotpot.funnel.payments, hotpot.waiting) == (5, 1)
    assert (sweets.funnel.payments, sweets.waiting) == (0, 0)


def test_R070_what_is_looked_at_again_later_is_no_debt(world):
    """An order that waits for its customer is asked about from time to time; that delays nothing."""

    def owe(tx):
        outbox.put(tx, world.runtime.ids, world.clock(), "order", "o_1", {}, due_at=world.clock() + timedelta(hours=1))

    world.store.write(owe)
    world.clock.move(minutes=10)
    shown = look(world)
    assert (shown.waiting, shown.waiting_since) == (0, None)


@pytest.mark.parametrize(
    ("ms", "kept"), [(0, 0), (45, 45), (99, 99), (100, 100), (182, 180), (2001, 2000), (2100, 2100)]
)
def test_R070_times_keep_two_digits(ms, kept):
    assert rounded_ms(ms) == kept


def test_R070_percentiles():
    assert percentile([7], 95) == 7
    assert percentile(list(range(1, 101)), 95) == 95
    assert time_percentile({10: 95, 500: 5}, 95) == 10
    assert time_percentile({10: 94, 500: 6}, 95) == 500
    assert time_percentile({}, 95) is None


def test_R070_every_question_of_the_page_goes_by_an_index(closed_world):
    """EXPLAIN of what the page asks: no table that grows is read from end to end."""
    world = closed_world
    traffic(world, 60)
    roll(world)
    asked = []
    directory, now = world.runtime.directory(), world.clock()

    class Watching:
        def __init__(self, tx):
            self._tx = tx

        def one(self, sql, params=None):
            asked.append((sql, params))
            return self._tx.one(sql, params)

        def all(self, sql, params=None):
            asked.append((sql, params))
            return self._tx.all(sql, params)

    world.store.read(lambda tx: overview.read(Watching(tx), directory, Scope(), now))
    big = ("deliveries", "payments", "links", "coupons", "relay_attempts", "hours", "rates", "incident_notes")
    assert len(asked) > 20
    for sql, params in asked:
        plan = world.store.read(lambda tx, sql=sql, params=params: tx.all(f"EXPLAIN QUERY PLAN {sql}", params or {}))
        for row in plan:
            words = row["detail"]
            if words.startswith("SCAN") and not words.startswith("SCAN l ") and "VIRTUAL" not in words:
                assert not any(words.split()[1] == table for table in big), (sql, words)
