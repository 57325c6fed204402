"""R007, R008: who a payer is. Several identities are one person; merging moves nothing and can be undone."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import people, tagging
from gateway.contract import Payer
from gateway.contract.errors import Refused
from tests.support.builders import START, House, payment


@pytest.fixture
def house(store_url):
    made = House(store_url)
    yield made
    made.close()


def _meet(house, *payers, at=START):
    known_by = people.identities(house.vault, "open", payers)
    return house.write(lambda tx: people.recognise(tx, house.ids, at, known_by))


def _id(value, app="app-1", kind="openid"):
    return Payer(app, kind, value)


def _merge(house, winner, loser, at=START):
    return house.write(
        lambda tx: people.merge(tx, house.ids, at, winner=winner, loser=loser, by="staff", reason="same phone")
    )


def _unmerge(house, merge, at=START):
    house.write(lambda tx: people.unmerge(tx, at, merge, "staff"))


def _tag(house, person, circle="riverside", at=START, days=180, merchant="hotpot"):
    def work(tx):
        who = people.look_up(tx, person)
        return tagging.tag(
            tx, house.ids, at, circle=circle, person=who, source=tagging.payee(merchant), origin="pay_x", days=days
        )

    return house.write(work)


def _standing(house, person, circle="riverside", at=START):
    def work(tx):
        return tagging.standing(tx, circle, people.look_up(tx, person), at)

    return house.store.read(work)


def test_R007_an_identity_is_provider_app_and_value(house):
    first = _meet(house, _id("a"))
    assert _meet(house, _id("a")) == first
    assert _meet(house, _id("a", kind="unionid")) == first  # the kind is only noted
    others = [_meet(house, _id("a", app="app-2")), _meet(house, _id("A")), _meet(house, _id("a "))]
    assert len({first.id, *(other.id for other in others)}) == 4
    assert house.write(lambda tx: people.find(tx, house.vault, "alipay", "app-1", "a")) is None


def test_R007_several_identities_of_one_event_are_one_person(house):
    both = _meet(house, _id("sp"), _id("sub", app="app-2"), _id("union", kind="unionid"))
    assert _meet(house, _id("sub", app="app-2")) == _meet(house, _id("union")) == both
    assert both.group == (both.id,)
    again = _meet(house, _id("sp"), _id("sp"))
    assert again == both


def test_R008_an_event_that_names_two_persons_makes_them_one(house):
    older, younger = _meet(house, _id("a")), _meet(house, _id("b", app="app-2"))
    met = _meet(house, _id("b", app="app-2"), _id("a"))
    assert (met.id, set(met.group)) == (older.id, {older.id, younger.id})
    for value, app in (("a", "app-1"), ("b", "app-2")):
        assert _meet(house, _id(value, app=app)) == met
    assert house.one("SELECT * FROM merges")["winner"] == older.id
    assert house.one("SELECT * FROM audit WHERE action = 'person.merge'")["who"] == "gateway"


def test_R008_three_at_once_and_chains(house):
    persons = [_meet(house, _id(name)) for name in "abcd"]
    met = _meet(house, _id("b"), _id("c"), _id("d"))
    assert met.id == persons[1].id
    met = _meet(house, _id("d"), _id("a"))
    assert (met.id, set(met.group)) == (persons[0].id, {person.id for person in persons})


@pytest.mark.parametrize("name", ["unknown", "same", "loser", "merged winner"])
def test_R008_what_cannot_be_merged(house, name):
    a, b, c = (_meet(house, _id(value)).id for value in "abc")
    _merge(house, a, b)
    winner, loser = {"unknown": (a, "p_nobody"), "same": (c, c), "loser": (c, b), "merged winner": (b, c)}[name]
    with pytest.raises(Refused) as refused:
        _merge(house, winner, loser)
    assert refused.value.code == "not_mergeable"
    assert house.count("merges") == 1


def test_R008_undoing_a_merge_gives_each_his_own_back(house):
    a, b = (_meet(house, _id(value)).id for value in "ab")
    _tag(house, a, at=START)
    _tag(house, b, at=START + timedelta(minutes=1), merchant="sweets")
    merge = _merge(house, a, b)
    assert {_standing(house, person).source.id for person in (a, b)} == {"hotpot"}
    assert house.count("tags WHERE state = 'active'") == 1
    _unmerge(house, merge)
    assert [_standing(house, person).source.id for person in (a, b)] == ["hotpot", "sweets"]
    assert _meet(house, _id("b")).group == (b,)
    assert _meet(house, _id("a")).group == (a,)


@pytest.mark.parametrize(("merge", "code"), [("mrg_nothing", "not_found"), (None, "already_undone")])
def test_R008_what_cannot_be_undone(house, merge, code):
    a, b = (_meet(house, _id(value)).id for value in "ab")
    done = _merge(house, a, b)
    _unmerge(house, done)
    with pytest.raises(Refused) as refused:
        _unmerge(house, merge or done)
    assert refused.value.code == code


def test_R008_the_later_merge_is_undone_first(house):
    a, b, c = (_meet(house, _id(value)).id for value in "abc")
    inner = _merge(house, b, c)
    outer = _merge(house, a, b)
    with pytest.raises(Refused) as refused:
        _unmerge(house, inner)
    assert refused.value.code == "merged_since"
    _unmerge(house, outer)
    assert set(_meet(house, _id("c")).group) == {b, c}
    _unmerge(house, inner)
    assert _meet(house, _id("c")).group == (c,)


def test_R008_two_merges_into_one_person_are_undone_last_first(house):
    """The third's tag was the oldest: undoing the first merge alone would leave two living tags."""
    c, b, a = (_meet(house, _id(value)).id for value in "cba")
    _tag(house, a, at=START, merchant="barber")
    _tag(house, b, at=START + timedelta(minutes=1), merchant="sweets")
    _tag(house, c, at=START + timedelta(minutes=2))
    first, second = _merge(house, c, b), _merge(house, c, a)
    with pytest.raises(Refused) as refused:
        _unmerge(house, first)
    assert refused.value.code == "merged_since"
    _unmerge(house, second)
    _unmerge(house, first)
    assert [_standing(house, person).source.id for person in (a, b, c)] == ["barber", "sweets", "hotpot"]


def test_R008_whole_chains_go_back_to_whom_they_came_with(house):
    """d joined c, c joined b, b joined a: undoing the last leaves b with both of the others."""
    a, b, c, d = (_meet(house, _id(value)).id for value in "abcd")
    _merge(house, c, d)
    _merge(house, b, c)
    last = _merge(house, a, b)
    assert set(_meet(house, _id("d")).group) == {a, b, c, d}
    _unmerge(house, last)
    assert set(_meet(house, _id("d")).group) == {b, c, d}
    assert _meet(house, _id("a")).group == (a,)


def test_R008_a_tag_that_has_run_out_does_not_send_a_living_one_to_rest(house):
    a, b = (_meet(house, _id(value)).id for value in "ab")
    _tag(house, a, days=1)
    later = START + timedelta(days=2)
    _tag(house, b, at=later, merchant="sweets")
    _merge(house, a, b, at=later)
    assert _standing(house, a, at=later).source.id == "sweets"


def test_R008_undoing_finds_the_person_tagged_anew_meanwhile(house):
    """The loser's older tag held, the winner's rested; the older ran out, a payment tagged anew; then all is undone."""
    a, b = (_meet(house, _id(value)).id for value in "ab")
    _tag(house, b, days=1, merchant="sweets")
    _tag(house, a, at=START + timedelta(minutes=1))
    merge = _merge(house, a, b, at=START + timedelta(minutes=2))
    later = START + timedelta(days=3)
    assert _tag(house, b, at=later, merchant="barber") is not None
    _unmerge(house, merge, at=later)
    assert _standing(house, a, at=later).source.id == "barber"
    assert _standing(house, b, at=later).state == "untagged"
    assert house.count("tags WHERE state = 'active' AND person = :p", p=a) == 1


def test_R008_an_opt_out_of_one_holds_for_the_merged_person(house):
    a, b = (_meet(house, _id(value)).id for value in "ab")
    house.write(lambda tx: tagging.opt_out(tx, "riverside", people.look_up(tx, b), START))
    merge = _merge(house, a, b)
    assert [_standing(house, person).state for person in (a, b)] == ["opted_out", "opted_out"]
    _unmerge(house, merge)
    assert [_standing(house, person).state for person in (a, b)] == ["untagged", "opted_out"]


_PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=6)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=_PAIRS, tagged=st.sets(st.integers(0, 4)), left=st.sets(st.integers(0, 4)))
def test_R008_merges_undone_in_turn_give_back_the_same_standings(sqlite_url, pairs, tagged, left):
    house = House(sqlite_url)
    try:
        names = [f"{house.ids.new('x', START)}-{number}" for number in range(5)]
        persons = [_meet(house, _id(name)).id for name in names]
        for number in sorted(tagged):
            _tag(house, persons[number], at=START + timedelta(minutes=(number * 7) % 5), merchant=f"m{number}")
        for number in sorted(left - tagged):
            house.write(lambda tx, n=number: tagging.opt_out(tx, "riverside", people.look_up(tx, persons[n]), START))
        before = [_standing(house, person) for person in persons]
        done = []
        for one, other in pairs:
            try:
                done.append(_merge(house, persons[one], persons[other]))
            except Refused as refused:
                assert refused.code == "not_mergeable"
            assert (
                house.count(
                    "(SELECT 1 AS x FROM tags t JOIN persons p ON p.id = t.person WHERE t.state = 'active' "
                    "GROUP BY coalesce(p.merged_into, p.id), t.circle HAVING count(*) > 1) twice"
                )
                == 0
            )
        for merge in reversed(done):
            _unmerge(house, merge)
        assert [_standing(house, person) for person in persons] == before
        assert [_meet(house, _id(name)).group for name in names] == [(person,) for person in persons]
    finally:
        house.close()


def test_R016_the_openid_lies_nowhere_in_clear(house):
    house.pay("T1", "canary-openid-of-a-customer")
    house.pay("T2", "canary-openid-of-a-customer")
    tables = ["persons", "identities", "tags", "payments", "links", "deliveries", "audit", "incidents", "merges"]
    for table in tables:
        for row in house.all(f"SELECT * FROM {table}"):
            assert not any(b"canary" in _octets(row[column]) for column in row.keys())
    assert house.person("canary-openid-of-a-customer")


def _octets(value):
    return value.encode() if isinstance(value, str) else bytes(value) if isinstance(value, bytes | memoryview) else b""


def test_R008_a_merge_and_payments_of_both_at_the_same_moment_leave_one_tag(house):
    """Staff merge two persons while each of them pays for the first time."""
    for turn in range(6):
        a, b = (_meet(house, _id(f"{value}{turn}")).id for value in "ab")
        gate = threading.Barrier(3)

        def run(work, gate=gate):
            gate.wait(10)
            work()

        jobs = [
            lambda a=a, b=b: _merge(house, a, b),
            lambda turn=turn: house.take_in(payment(f"A{turn}", f"a{turn}")),
            lambda turn=turn: house.take_in(payment(f"B{turn}", f"b{turn}")),
        ]
        threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert house.count("tags WHERE state = 'active' AND person IN (:a, :b)", a=a, b=b) == 1
        assert house.count("payments") == 2 * (turn + 1)
