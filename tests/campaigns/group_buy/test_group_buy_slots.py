"""Visiting times, selections, reminders and the estimated wait, pure."""

from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.group_buy.slots import clock_time, estimate_minutes, moments, named, picks_refusal, push_state, slots

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=SHANGHAI).astimezone(timezone.utc)
BEGINS = {"lunch": time(11, 30), "dinner": time(17, 0)}


def test_R220_meals_that_have_begun_are_left_out():
    found = [slot.id for slot in slots(NOON, SHANGHAI, 2, BEGINS)]
    assert found == ["2026-11-22-dinner", "2026-11-23-lunch", "2026-11-23-dinner"]


def test_R220_a_meal_that_begins_this_very_moment_has_begun():
    at = datetime(2026, 11, 22, 17, 0, tzinfo=SHANGHAI).astimezone(timezone.utc)
    assert slots(at, SHANGHAI, 1, BEGINS) == ()
    assert [slot.id for slot in slots(at - timedelta(seconds=1), SHANGHAI, 1, BEGINS)] == ["2026-11-22-dinner"]


def test_R220_the_day_is_the_shops():
    late = datetime(2026, 11, 22, 23, 0, tzinfo=SHANGHAI).astimezone(timezone.utc)
    assert [slot.id for slot in slots(late, timezone.utc, 1, BEGINS)] == ["2026-11-22-dinner"]
    assert [slot.id for slot in slots(late, SHANGHAI, 2, {"lunch": time(11, 30)})] == ["2026-11-23-lunch"]


@given(st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1), timezones=st.just(timezone.utc)), st.integers(1, 31))
def test_R220_all_are_ahead_in_order_and_within_the_days(now, days):
    found = slots(now, SHANGHAI, days, BEGINS)
    assert all(now < slot.starts_at <= now + timedelta(days=days) for slot in found)
    assert list(found) == sorted(found, key=lambda slot: slot.starts_at)
    assert len({slot.id for slot in found}) == len(found) >= 2 * (days - 1)


@pytest.mark.parametrize(
    ("picked", "word"),
    [
        (["2026-11-22-dinner"], ""),
        (["2026-11-22-dinner", "2026-11-23-lunch"], ""),
        ([], "limit"),
        (["2026-11-22-dinner", "2026-11-22-dinner"], "limit"),
        (["2026-11-22-dinner", "2026-11-23-lunch", "2026-11-23-dinner"], "limit"),
        (["2026-11-22-lunch"], "no_such_slot"),
        (["nonsense"], "no_such_slot"),
    ],
)
def test_R221_what_may_be_picked(picked, word):
    assert picks_refusal(picked, slots(NOON, SHANGHAI, 2, BEGINS), NOON, 2) == word


def test_R221_a_slot_that_began_while_the_page_lay_open():
    offered = slots(NOON, SHANGHAI, 1, BEGINS)
    assert picks_refusal(["2026-11-22-dinner"], offered, offered[0].starts_at, 3) == "slot_begun"


def test_R222_reminders_before_at_and_after_the_beginning():
    start = NOON
    assert moments(start, [60, -30, 0, 0]) == (start - timedelta(minutes=30), start, start + timedelta(minutes=60))


@pytest.mark.parametrize(
    ("late", "quiet", "state"),
    [
        (timedelta(minutes=-5), False, "due"),
        (timedelta(0), False, "due"),
        (timedelta(minutes=10), False, "due"),
        (timedelta(minutes=10, seconds=1), False, "skipped"),
        (timedelta(0), True, "quiet"),
        (timedelta(hours=1), True, "quiet"),
    ],
)
def test_R224_late_ones_are_skipped_and_some_stay_quiet(late, quiet, state):
    assert push_state(NOON, NOON + late, is_quiet=quiet) == state


@pytest.mark.parametrize(
    ("waiting", "seatings", "minutes"),
    [
        (None, [], None),
        (None, [5.0], None),
        (3, [], None),
        (0, [], 0),
        (0, [5.0], 0),
        (4, [5.0], 20),
        (3, [5.0, 6.0], 17),
        (1, [0.2], 1),
    ],
)
def test_R223_an_unknown_wait_is_no_short_one(waiting, seatings, minutes):
    assert estimate_minutes(waiting, seatings) == minutes


@pytest.mark.parametrize(
    ("text", "expected"),
    [("11:30", time(11, 30)), ("9:05", time(9, 5)), ("00:00", time(0)), ("24:00", None), ("11:60", None), ("11", None),
     ("11:3", None), ("11:30:00", None), ("", None), ("１１:30", None), ("-1:30", None), (" 9:05", None)],
)  # fmt: skip
def test_R220_a_time_of_day(text, expected):
    assert clock_time(text) == expected


def test_R221_a_name_stands_for_one_slot_whenever_it_was():
    found = named("2026-11-22-dinner", SHANGHAI, BEGINS)
    assert found is not None
    assert (found.id, found.starts_at.isoformat()) == ("2026-11-22-dinner", "2026-11-22T09:00:00+00:00")
    assert named("2020-01-01-lunch", SHANGHAI, BEGINS).starts_at < NOON


@pytest.mark.parametrize(
    "name",
    ["", "dinner", "-dinner", "2026-11-22", "2026-11-22-brunch", "20261122-dinner", "2026-11-31-lunch",
     "2026-W47-7-lunch", "0001-01-01-lunch-lunch", "２０２６-11-22-lunch", "2026-11-22-dinner "],
)  # fmt: skip
def test_R221_what_names_no_slot(name):
    assert named(name, SHANGHAI, BEGINS) is None


def test_R221_a_meal_that_is_not_offered_names_no_slot():
    assert named("2026-11-22-dinner", SHANGHAI, {"lunch": time(11, 30)}) is None
