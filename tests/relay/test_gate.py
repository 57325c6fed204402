"""R013: breaker and bulkhead, with time and threads in the test's hand."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.relay import RelayFailed
from gateway.relay.breaker import Breaker
from gateway.relay.gate import Gate


def opened(at=0.0):
    breaker = Breaker()
    for _ in range(5):
        breaker.failed(at, verified=True)
    return breaker


def test_R013_five_failures_in_a_row_open_it_and_four_do_not():
    breaker = Breaker()
    for _ in range(4):
        breaker.failed(0, verified=True)
    assert not breaker.is_open
    breaker.succeeded(verified=True)
    for _ in range(4):
        breaker.failed(0, verified=True)
    assert breaker.admit(0, verified=True)
    breaker.failed(0, verified=True)
    assert breaker.is_open
    assert not breaker.admit(0, verified=True)


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans(), st.sampled_from(["hangs", "fails"])), max_size=60))
def test_R013_while_open_somebody_asking_is_let_through_at_least_every_five_seconds(asks):
    breaker, now, last_trial = opened(), 0.0, 0.0
    for wait, verified, how in [*asks, (5, True, "fails")]:
        now += wait
        if breaker.admit(now, verified=verified):
            last_trial = now if verified else last_trial
            if how == "fails":
                breaker.failed(now, verified=verified)
        assert not verified or now - last_trial < 5
    assert breaker.is_open


def test_a_trial_that_never_reports_back_holds_up_nothing():
    breaker = opened()
    assert breaker.admit(3, verified=True)
    assert not breaker.admit(5.9, verified=True)
    assert breaker.admit(6, verified=True)


@given(st.lists(st.sampled_from(["fail", "succeed"]), max_size=50))
def test_strangers_cannot_open_it(deeds):
    breaker = Breaker()
    for deed in deeds:
        assert breaker.admit(0, verified=False)
        breaker.failed(0, verified=False) if deed == "fail" else breaker.succeeded(verified=False)
    assert not breaker.is_open
    assert breaker.failures == 0


def test_strangers_cannot_use_up_the_trials_of_genuine_traffic():
    breaker = opened()
    assert breaker.admit(3, verified=False)
    assert not breaker.admit(3, verified=False)
    assert breaker.admit(3, verified=True)


def test_a_strangers_success_closes_it_on_probation():
    breaker = opened()
    breaker.succeeded(verified=False)
    assert not breaker.is_open
    breaker.failed(1, verified=True)
    assert breaker.is_open
    breaker.succeeded(verified=True)
    breaker.failed(2, verified=True)
    assert not breaker.is_open


def test_a_strangers_success_does_not_wipe_out_genuine_failures():
    breaker = Breaker()
    for _ in range(4):
        breaker.failed(0, verified=True)
    breaker.succeeded(verified=False)
    breaker.failed(0, verified=True)
    assert breaker.is_open


class Inside:
    """Threads that are inside a gate until told to leave."""

    def __init__(self, gate):
        self.gate = gate
        self.leave = threading.Event()
        self.entered = threading.Semaphore(0)
        self.refused = []
        self._threads = []

    def enter(self, verified=True, fault=None):
        thread = threading.Thread(target=self._run, args=(verified, fault))
        self._threads.append(thread)
        thread.start()

    def _run(self, verified, fault):
        try:
            with self.gate.passage(verified=verified):
                self.entered.release()
                self.leave.wait()
                if fault:
                    raise fault
        except RelayFailed as failed:
            self.refused.append(failed.kind)

    def end(self):
        self.leave.set()
        for thread in self._threads:
            thread.join()


@pytest.fixture
def inside():
    made = []

    def make(gate, count=0, **options):
        group = Inside(gate)
        made.append(group)
        for _ in range(count):
            group.enter(**options)
        for _ in range(count):
            assert group.entered.acquire(timeout=30)
        return group

    yield make
    for group in made:
        group.end()


def turned_away(gate, verified=True):
    with pytest.raises(RelayFailed) as caught, gate.passage(verified=verified):
        pass
    return caught.value.kind


def test_R013_no_more_are_inside_than_there_are_slots(inside):
    gate = Gate(Breaker(), slots=8, patience_s=0)
    group = inside(gate, 8)
    assert turned_away(gate) == "bulkhead_full"
    group.end()
    with gate.passage(verified=True):
        pass


def test_strangers_get_half_the_slots_and_leave_the_rest_to_genuine_traffic(inside):
    gate = Gate(Breaker(), slots=8, patience_s=0)
    inside(gate, 4, verified=False)
    assert turned_away(gate, verified=False) == "bulkhead_full"
    inside(gate, 4, verified=True)
    assert turned_away(gate, verified=True) == "bulkhead_full"


def test_a_burst_at_a_healthy_pos_waits_for_its_turn(inside):
    gate = Gate(Breaker(), slots=1, patience_s=60)
    first = inside(gate, 1)
    second = inside(gate)
    second.enter()
    first.end()
    assert second.entered.acquire(timeout=30)
    second.end()
    assert second.refused == []


def test_who_waits_is_served_before_who_comes_later(inside):
    """One slot, passed on twenty times among threads that come back at once: everybody gets a turn."""
    gate = Gate(Breaker(), slots=1, patience_s=60)
    first = inside(gate, 1)
    order, started = [], threading.Semaphore(0)

    def run(name):
        started.release()
        for _ in range(5):
            with gate.passage(verified=True):
                order.append(name)

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert started.acquire(timeout=30)
    while len(gate._queue[True]) < 4:
        threading.Event().wait(0.001)
    first.end()
    for thread in threads:
        thread.join()
    assert [set(order[turn : turn + 4]) for turn in range(0, 20, 4)] == [set("abcd")] * 5


def test_genuine_traffic_goes_before_strangers_that_wait(inside):
    gate = Gate(Breaker(), slots=1, patience_s=60)
    first = inside(gate, 1)
    stranger, genuine = inside(gate), inside(gate)
    stranger.enter(verified=False)
    while not gate._queue[False]:
        threading.Event().wait(0.001)
    genuine.enter(verified=True)
    while not gate._queue[True]:
        threading.Event().wait(0.001)
    first.end()
    assert genuine.entered.acquire(timeout=30)
    assert not stranger.entered.acquire(blocking=False)
    genuine.end()
    assert stranger.entered.acquire(timeout=30)


def test_nobody_waits_longer_than_his_own_time(inside):
    gate = Gate(Breaker(), slots=1, patience_s=3600)
    inside(gate, 1)
    with pytest.raises(RelayFailed, match="bulkhead_full"), gate.passage(verified=True, at_most_s=0.02):
        pass


def test_nobody_waits_for_a_pos_that_has_begun_to_fail(inside):
    breaker = Breaker()
    breaker.failed(0, verified=True)
    gate = Gate(breaker, slots=1, patience_s=60)
    inside(gate, 1)
    assert turned_away(gate) == "bulkhead_full"


def test_who_waited_meets_a_breaker_that_opened_meanwhile(inside):
    gate = Gate(Breaker(failures_to_open=1), slots=1, patience_s=60)
    first = inside(gate, 1, fault=RelayFailed("timeout"))
    second = inside(gate)
    second.enter()
    first.end()
    second.end()
    assert second.refused == ["breaker_open"]


@pytest.mark.parametrize("fault", [KeyError("bug"), RelayFailed("forbidden_address")])
def test_what_is_not_the_poses_fault_frees_the_slot_and_counts_for_nothing(fault):
    breaker = Breaker(failures_to_open=1)
    gate = Gate(breaker, slots=1, patience_s=0)
    for _ in range(3):
        with pytest.raises(type(fault)), gate.passage(verified=True):
            raise fault
    assert (breaker.is_open, breaker.failures) == (False, 0)


def test_a_change_of_state_is_told_once_and_outside_the_lock():
    told = []

    def changed(state):
        told.append(state)
        # Asking the gate from here would hang if its lock were held.
        if state == "open":
            assert turned_away(gate) == "breaker_open"
        else:
            with gate.passage(verified=True):
                pass

    now = [0.0]
    gate = Gate(Breaker(failures_to_open=2), changed=changed, monotonic=lambda: now[0])
    for _ in range(2):
        with pytest.raises(RelayFailed), gate.passage(verified=True):
            raise RelayFailed("refused")
    assert told == ["open"]
    now[0] = 10.0
    with gate.passage(verified=True):
        pass
    assert told == ["open", "closed"]
