"""Many hands at once, and any order of events (R162, R163): real processes, both databases."""

import shutil

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from two_sided_hands import Hands, join_in_a_process, tell_in_a_process

from tests.support.crowd import in_processes


def test_R162_one_payment_told_many_times_at_once_fires_once(make_hands, database):
    hands = make_hands(None, database)
    hands.join()
    person = hands.known_guest()
    numbers = [f"T{number}" for number in range(5)]
    answered = in_processes(2, tell_in_a_process, str(hands.home.root), numbers, "guest-a", hands.now)
    assert sum(answered) == 20
    assert hands.balances(person) == (2500, 1750, 0, -4250)
    assert hands.call("GET", "").body["counts"]["fired"] == 5
    hands.holds()


def test_R163_one_code_admits_one_of_those_who_come_at_once(make_hands, database):
    hands = make_hands(None, database)
    (code,) = hands.codes(uses=3)
    merchants = [[f"m{number}" for number in range(4)], [f"n{number}" for number in range(4)]]
    answers = in_processes(2, join_in_a_process, str(hands.home.root), merchants, code, hands.now)
    assert sorted(answers) == ["bound"] * 3 + ["code_used_up"] * 5
    (row,) = hands.all("SELECT used, uses FROM two_sided_codes")
    assert (row["used"], row["uses"]) == (3, 3)
    assert hands.one("SELECT count(*) AS n FROM two_sided_merchants")["n"] == 3


steps = st.one_of(
    st.tuples(st.just("pay"), st.integers(0, 3), st.integers(0, 1), st.integers(1, 6000)),
    st.tuples(st.just("refund"), st.integers(0, 3), st.integers(0, 2), st.integers(1, 6000)),
    st.tuples(st.just("void"), st.just(0), st.just(0), st.just(0)),
    st.tuples(st.just("join"), st.just(0), st.just(0), st.just(0)),
    st.tuples(st.just("later"), st.just(0), st.just(0), st.integers(1, 30)),
)


def test_R162_any_order_of_events_keeps_the_sums(tmp_path_factory):
    """Hypothesis: payments, refunds before and after, twice the same, codes that end: never twice, Σ = 0."""
    limits = {"min_amount_fen": 500, "per_pair_per_day": 2, "clerk_bps": 3333, "clerks": {"noodles-1": "xiaozhou"}}

    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.lists(steps, max_size=14))
    def check(story):
        folder = tmp_path_factory.mktemp("story")
        hands = Hands(folder / "house", "sqlite:///drainage.db", limits, budget_fen=700)
        try:
            for openid in ("guest-0", "guest-1"):
                hands.known_guest(openid)
            hands.join()
            for word, number, which, fen in story:
                match word:
                    case "pay":
                        hands.pay(f"T{number}", f"guest-{which}", fen)
                    case "refund":
                        hands.refund(f"T{number}", fen, number=f"R{number}-{which}")
                    case "void":
                        for row in hands.all("SELECT code FROM two_sided_codes"):
                            hands.call("POST", f"/quota-codes/{row['code']}/void", wants=200)
                    case "join":
                        hands.join(wants=None)
                    case _:
                        hands.later(hours=fen)
                _invariants(hands)
        finally:
            hands.close()
            shutil.rmtree(folder)

    check()


def _invariants(hands):
    hands.holds()
    rows = hands.all("SELECT * FROM two_sided_firings")
    assert len({row["payment"] for row in rows}) == len(rows), "one word a payment"
    parts = ("user", "merchant", "clerk")
    given_now = sum(row[f"{part}_fen"] - row[f"{part}_back_fen"] for row in rows for part in parts)
    assert hands.given()["cash"] == given_now
    consumed = sum(row["consumed_fen"] for row in hands.all("SELECT consumed_fen FROM budgets"))
    assert given_now <= consumed <= 700
    for row in rows:
        left = [row[f"{part}_fen"] - row[f"{part}_back_fen"] for part in parts]
        assert min(left) >= 0
        gives = row["state"] == "fired"
        assert bool(left[0]) == bool(left[1] + left[2]) == gives, "both or neither"
