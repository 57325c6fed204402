"""R063 budgets and R242 limits: taken and given back atomically, never beyond, whoever asks at the same moment."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract.clock import BEIJING
from gateway.ledger import budget, limits
from gateway.ledger.budget import Budget
from gateway.ledger.limits import FOREVER, Limit, windows
from tests.support.builders import START
from tests.support.crowd import in_processes, in_threads
from tests.support.databases import opened

WHOLE = Budget("offer:riverside", 1000)
DAY = Budget("offer:riverside:2026-11-22", 400)


def _state(store, name=WHOLE.name):
    row = store.read(lambda tx: tx.one("SELECT * FROM budgets WHERE name = :name", {"name": name}))
    return (row["reserved_fen"], row["consumed_fen"])


def _reserve(store, origin, *parts, budgets=(WHOLE,)):
    return store.write(lambda tx: budget.reserve(tx, budgets, origin, parts))


def test_R063_reserved_at_issue_consumed_at_redeem_returned_at_expiry(store):
    assert _reserve(store, "l_1", ("bowl", 500), ("soup", 300))
    assert _state(store) == (800, 0)
    store.write(lambda tx: budget.consume(tx, "l_1", "bowl"))
    assert _state(store) == (300, 500)
    store.write(lambda tx: budget.give_back(tx, "l_1", "soup"))
    assert _state(store) == (0, 500)
    store.write(lambda tx: budget.unspend(tx, "l_1", "bowl"))
    assert _state(store) == (500, 0)


@pytest.mark.parametrize("move", [budget.consume, budget.give_back, budget.unspend])
def test_R063_moves_that_do_not_apply_change_nothing(store, move):
    _reserve(store, "l_1", ("bowl", 500))
    store.write(lambda tx: move(tx, "l_1", "nothing"))
    store.write(lambda tx: move(tx, "l_2", "bowl"))
    assert _state(store) == (500, 0)
    store.write(lambda tx: budget.give_back(tx, "l_1", "bowl"))
    for _ in range(2):
        store.write(lambda tx: move(tx, "l_1", "bowl"))
    assert _state(store) == (0, 0)


def test_R063_to_the_last_fen_and_no_further(store):
    assert _reserve(store, "l_1", ("bowl", 999))
    assert not _reserve(store, "l_2", ("bowl", 2))
    assert _reserve(store, "l_3", ("bowl", 1))
    assert not _reserve(store, "l_4", ("bowl", 1))
    assert _reserve(store, "l_5", ("free", 0))
    assert _state(store) == (1000, 0)


def test_R063_what_one_of_several_budgets_cannot_bear_none_bears(store):
    assert _reserve(store, "l_1", ("bowl", 300), budgets=(WHOLE, DAY))
    assert not _reserve(store, "l_2", ("bowl", 300), budgets=(WHOLE, DAY))
    assert (_state(store), _state(store, DAY.name)) == ((300, 0), (300, 0))
    assert store.read(lambda tx: tx.all("SELECT 1 AS x FROM budget_holds WHERE origin = 'l_2'")) == []
    tomorrow = Budget("offer:riverside:2026-11-23", 400)
    assert _reserve(store, "l_3", ("bowl", 300), budgets=(WHOLE, tomorrow))
    store.write(lambda tx: budget.give_back(tx, "l_1", "bowl"))
    assert (_state(store), _state(store, DAY.name), _state(store, tomorrow.name)) == ((300, 0), (0, 0), (300, 0))


def test_R063_the_total_follows_the_catalogue(store):
    assert _reserve(store, "l_1", ("bowl", 900))
    assert _reserve(store, "l_2", ("bowl", 900), budgets=(Budget(WHOLE.name, 1800),))
    assert not _reserve(store, "l_3", ("bowl", 1), budgets=(Budget(WHOLE.name, 1800),))


_MOVES = {"consume": budget.consume, "give_back": budget.give_back, "unspend": budget.unspend}


@pytest.fixture(scope="module")
def module_store(sqlite_files, tmp_path_factory):
    made = opened(sqlite_files.new_database(tmp_path_factory.mktemp("budget")))
    yield made
    made.close()


class Undo(Exception):
    """Ends a property's transaction without a trace."""


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["reserve", *_MOVES]),
            st.integers(0, 6),
            st.sampled_from(["bowl", "soup"]),
            st.integers(0, 600),
        ),
        max_size=40,
    )
)
def test_R063_reserved_and_consumed_never_exceed_the_total(module_store, steps):
    def work(tx):
        known = set()
        for what, origin, item, fen in steps:
            if what != "reserve":
                _MOVES[what](tx, f"l_{origin}", item)
            elif origin not in known:
                known.add(origin)
                budget.reserve(tx, (WHOLE, DAY), f"l_{origin}", (("bowl", fen), ("soup", fen // 2)))
            for row in tx.all("SELECT * FROM budgets"):
                assert 0 <= row["reserved_fen"] + row["consumed_fen"] <= row["total_fen"]
                assert min(row["reserved_fen"], row["consumed_fen"]) >= 0
                held = tx.all(
                    "SELECT state, sum(fen) AS n FROM budget_holds WHERE budget = :b GROUP BY state", {"b": row["name"]}
                )
                sums = {one["state"]: one["n"] for one in held}
                assert sums.get("reserved", 0) == row["reserved_fen"]
                assert sums.get("consumed", 0) == row["consumed_fen"]
        raise Undo

    with pytest.raises(Undo):
        module_store.write(work)


def _reserve_many(gate, number, url, count):
    store = opened(url)
    gate.wait()
    done = in_threads(
        [lambda n=n: _reserve(store, f"l_{number}-{n}", ("bowl", 70), budgets=(WHOLE, DAY)) for n in range(count)]
    )
    store.close()
    return done


def test_R063_parallel_reservations_in_two_processes_never_exceed_the_budget(store, store_url):
    done = in_processes(2, _reserve_many, store_url, 25)
    assert sum(done) == 400 // 70
    assert (_state(store), _state(store, DAY.name)) == ((350, 0), (350, 0))


# -- limits -------------------------------------------------------------------------------------------------------------

THREE = Limit("link:riverside:p_1:t", 3, FOREVER, "limit_total")
ONE = Limit("link:riverside:p_1:d:2026-11-22", 1, FOREVER, "limit_day")


def _take(store, *wanted):
    hit = store.write(lambda tx: limits.take(tx, wanted))
    return hit.reason if hit is not None else None


def test_R242_a_limit_is_exact_and_says_its_reason(store):
    assert [_take(store, THREE) for _ in range(5)] == [None, None, None, "limit_total", "limit_total"]
    assert store.read(lambda tx: limits.reached(tx, [THREE])) == THREE
    assert store.read(lambda tx: limits.reached(tx, [ONE])) is None


def test_R242_what_one_of_several_limits_refuses_is_taken_from_none(store):
    assert _take(store, THREE, ONE) is None
    assert _take(store, THREE, ONE) == "limit_day"
    store.write(lambda tx: limits.give_back(tx, [ONE]))
    assert [_take(store, THREE, ONE), _take(store, THREE), _take(store, THREE)] == [None, None, "limit_total"]


def test_R242_giving_back_more_than_was_taken_gives_no_more(store):
    store.write(lambda tx: limits.give_back(tx, [ONE]))
    _take(store, ONE)
    for _ in range(3):
        store.write(lambda tx: limits.give_back(tx, [ONE]))
    assert [_take(store, ONE), _take(store, ONE)] == [None, "limit_day"]


def test_R242_counters_go_when_their_window_is_over_and_not_before(store):
    soon = Limit("a", 1, "2026-11-22T16:00:00.000Z", "limit_day")
    for limit in (soon, THREE):
        _take(store, limit)
    edge = datetime(2026, 11, 22, 16, tzinfo=timezone.utc)
    assert store.write(lambda tx: limits.sweep(tx, edge, 10)) == 0
    assert _take(store, soon) == "limit_day"
    assert store.write(lambda tx: limits.sweep(tx, edge + timedelta(milliseconds=1), 10)) == 1
    assert [_take(store, soon), _take(store, THREE)] == [None, None]


def test_R242_the_sweep_goes_in_batches(store):
    for number in range(5):
        _take(store, Limit(f"n{number}", 1, "2020-01-01T00:00:00.000Z", "limit_day"))
    assert [store.write(lambda tx: limits.sweep(tx, START, 2)) for _ in range(4)] == [2, 2, 1, 0]


@pytest.mark.parametrize(
    ("now", "zone", "day", "ends", "week"),
    [
        ("2026-11-22T15:59:59Z", BEIJING, "2026-11-22", "2026-11-22T16:00:00.000Z", "2026-47"),
        ("2026-11-22T16:00:00Z", BEIJING, "2026-11-23", "2026-11-23T16:00:00.000Z", "2026-48"),
        ("2027-01-01T00:00:00Z", BEIJING, "2027-01-01", "2027-01-01T16:00:00.000Z", "2026-53"),
        # A day of 23 hours and one of 25, where the shop's clocks change.
        ("2026-03-29T12:00:00Z", ZoneInfo("Europe/Berlin"), "2026-03-29", "2026-03-29T22:00:00.000Z", "2026-13"),
        ("2026-10-25T12:00:00Z", ZoneInfo("Europe/Berlin"), "2026-10-25", "2026-10-25T23:00:00.000Z", "2026-43"),
    ],
)
def test_R033_days_and_weeks_are_the_shops(now, zone, day, ends, week):
    made = windows("x", datetime.fromisoformat(now), zone, per_day=1, per_week=2, total=3)
    assert [limit.name for limit in made] == [f"x:d:{day}", f"x:w:{week}", "x:t"]
    assert made[0].expires_at == ends
    assert [limit.cap for limit in made] == [1, 2, 3]
    assert [limit.reason for limit in made] == ["limit_day", "limit_week", "limit_total"]


def test_R033_a_limit_of_zero_is_none():
    assert windows("x", START, BEIJING) == []


def _take_many(gate, number, url, count):
    store = opened(url)
    gate.wait()
    done = in_threads([lambda: _take(store, THREE) for _ in range(count)])
    store.close()
    return done


def test_R242_parallel_takers_in_two_processes_get_exactly_the_cap(store, store_url):
    assert in_processes(2, _take_many, store_url, 25).count(None) == 3
