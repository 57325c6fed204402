"""What the second screen shows, as a pure rule: every state, and that nothing stale is ever chosen (R260)."""

from datetime import datetime, timedelta, timezone

import pytest

from gateway.delivery.till import APART, IDLE, LATE, SHOP_CODE, SHOWN_FOR, Gift, Till, decide

NOW = datetime(2026, 11, 22, 4, 5, 6, tzinfo=timezone.utc)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def gift(age_s: float, person: str = "", state: str = "issued", **more) -> Gift:
    """A gift of so many seconds ago; each of a person of its own unless named."""
    at = ago(age_s)
    values = {
        "link": f"l_{100_000 - age_s:09.1f}",
        "key_id": "k",
        "merchant": "m",
        "person": person or f"p-{age_s}",
        "state": state,
        "issued_at": at,
        "expires_at": NOW + timedelta(days=7),
        "amount_fen": 100,
        "paid_at": at,
    }
    return Gift(**{**values, **more})


def shown(*gifts, till=Till(), picked=None):
    return decide(till, gifts, picked, NOW)


def test_R260_nothing_paid_nothing_shown():
    assert shown() == IDLE


@pytest.mark.parametrize(("age", "state"), [(0, "link"), (59.9, "link"), (60, "idle"), (61, "idle")])
def test_R260_a_minute_and_not_longer(age, state):
    showing = shown(gift(age))
    assert showing.state == state
    if state == "link":
        assert showing.until == ago(age) + SHOWN_FOR


@pytest.mark.parametrize("state", ["claimed", "revoked", "expired", "superseded"])
def test_R260_a_link_that_is_over_is_not_shown(state):
    assert shown(gift(5, state=state)) == IDLE


def test_R260_a_link_past_its_time_is_not_shown_though_its_row_says_issued():
    assert shown(gift(5, expires_at=ago(1))) == IDLE


def test_R260_opened_on_the_phone_hides_the_code():
    assert shown(gift(5, state="opened")).state == "opened"


def test_R260_the_newest_wins_over_an_older_one():
    assert shown(gift(30), gift(5)).gift == gift(5)


@pytest.mark.parametrize(("apart", "state"), [(0.1, "choose"), (9.9, "choose"), (10, "link"), (30, "link")])
def test_R260_two_gifts_within_ten_seconds_show_none(apart, state):
    showing = shown(gift(5), gift(5 + apart))
    assert showing.state == state
    assert showing.gift == (gift(5) if state == "link" else None)


def test_R260_of_two_at_once_both_are_named_so_that_the_clerk_can_pick():
    assert {one.link for one in shown(gift(5), gift(8)).rivals} == {gift(5).link, gift(8).link}


@pytest.mark.parametrize("other", ["opened", "claimed", "revoked"])
def test_R260_one_who_has_no_need_of_the_screen_is_nobodys_rival(other):
    assert shown(gift(5), gift(8, state=other)).state == "link"


def test_R260_two_payments_of_one_person_show_the_newest():
    assert shown(gift(5, "p"), gift(8, "p")).gift == gift(5, "p")


def test_R260_a_payment_told_late_is_not_shown_to_whoever_stands_there_now():
    late = LATE.total_seconds() + 1
    assert shown(gift(1, paid_at=ago(1 + late))) == IDLE
    assert shown(gift(1, paid_at=ago(late - 2))).state == "link"


def test_R260_automatic_off_shows_nothing_by_itself():
    assert shown(gift(5), till=Till(auto=False)) == IDLE


def test_R260_what_was_hidden_stays_hidden_and_what_comes_after_is_shown():
    till = Till(hidden_at=ago(4))
    assert shown(gift(5), till=till) == IDLE
    assert shown(gift(5), gift(3), till=till).gift == gift(3)


# -- picked by the clerk ----------------------------------------------------------------------------------------------


def picked_at(age: float, what: str, **more) -> Till:
    return Till(pick=what, picked_at=ago(age), **more)


@pytest.mark.parametrize("auto", [True, False])
def test_R260_the_clerks_pick_is_shown_for_a_minute_however_old_the_link(auto):
    old = gift(3000)
    for age, state in ((0, "link"), (59, "link"), (60, "idle")):
        assert shown(till=picked_at(age, old.link, auto=auto), picked=old).state == state


def test_R260_a_pick_settles_two_at_once():
    one, two = gift(5), gift(8)
    assert shown(one, two, till=picked_at(1, two.link), picked=two).gift == two


@pytest.mark.parametrize("state", ["revoked", "expired", "superseded"])
def test_R260_a_pick_that_is_over_is_said_to_be_and_never_shown(state):
    old = gift(300, state=state)
    showing = shown(till=picked_at(5, old.link), picked=old)
    assert (showing.state, showing.gift) == ("gone", None)


def test_R260_a_pick_that_is_nowhere_to_be_found_is_gone():
    assert shown(till=picked_at(5, "l_x")).state == "gone"


def test_R260_a_pick_that_was_claimed_goes_to_the_welcome():
    old = gift(300, state="claimed")
    assert shown(till=picked_at(5, old.link), picked=old) == IDLE


def test_R260_a_pick_hidden_again_is_hidden():
    old = gift(300)
    assert shown(till=Till(pick=old.link, picked_at=ago(5), hidden_at=ago(4)), picked=old) == IDLE


@pytest.mark.parametrize(("after", "newest"), [(5, False), (APART.total_seconds(), True), (30, True)])
def test_R260_the_next_customers_gift_follows_a_pick_unless_both_stand_there(after, newest):
    old = gift(300)
    fresh = gift(1)
    showing = shown(fresh, till=picked_at(1 + after, old.link), picked=old)
    assert showing.gift == (fresh if newest else old)


def test_R261_the_shops_own_code_can_be_shown():
    assert shown(till=picked_at(5, SHOP_CODE)).state == "shop"
    assert shown(till=picked_at(61, SHOP_CODE)) == IDLE


def test_R260_a_pick_of_the_far_future_does_not_stay_for_ever():
    assert shown(till=picked_at(-3600, SHOP_CODE)) == IDLE


def test_R260_tags_tell_showings_apart():
    showings = [
        IDLE,
        shown(gift(5)),
        shown(gift(6)),
        shown(gift(5, state="opened")),
        shown(till=picked_at(5, SHOP_CODE)),
        shown(till=picked_at(6, SHOP_CODE)),
    ]
    assert len({one.tag for one in showings}) == len(showings)
    assert shown(gift(5)).tag == shown(gift(5)).tag
