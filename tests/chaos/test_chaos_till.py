"""A till that is dead, hangs or talks nonsense: told as the contract says, healed soon, and felt by nobody else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.square import Square, all_at_once, square
from tests.e2e.house import eventually
from tests.e2e.platforms import fresh_openid
from tests.e2e.till import Mode


@pytest.fixture(scope="module")
def here() -> Iterator[Square]:
    """A square with the limits that a deployment has."""
    with square() as running:
        yield running


@pytest.fixture
def dead(here: Square) -> object:
    """Lets a test break the north's till, and mends it afterwards, breaker included."""

    def kill(kind: str) -> None:
        if kind == "refuse":
            here.till.die()
        else:
            here.till.mode = Mode(kind)

    yield kill
    here.till.come_back()
    for line in ("v3", "v2", "ali"):
        eventually(lambda line=line: _pay(here, line) == 200, "the till is reached again", 10, 0.2)
        for _ in range(12):
            eventually(lambda line=line: _pay(here, line) == 200, "in every worker", 10, 0.2)


@pytest.mark.parametrize(
    ("kind", "status"), [("refuse", 502), ("reset", 502), ("garbage", 502), ("hang", 504), ("trickle", 504)]
)
def test_r013_a_broken_till_is_told_and_our_part_is_done_once(
    here: Square, dead: object, kind: str, status: int
) -> None:
    dead(kind)  # type: ignore[operator]
    sent = here.platforms["v3"].payment(fresh_openid())
    assert here.house.notify("v3", sent).status == status
    paid = here.house.payment(sent.transaction)
    assert paid["tag"]["after"] == "tagged"
    relay = here.house.relayed(sent.transaction)
    assert relay["state"] == "failed"
    assert paid["deliveries"] == 1


def test_r010_r013_the_next_delivery_heals_within_ten_seconds_of_the_tills_return(here: Square, dead: object) -> None:
    dead("refuse")  # type: ignore[operator]
    sent = here.platforms["v2"].payment(fresh_openid())
    told = [here.house.notify("v2", sent).status for _ in range(60)]
    assert set(told) == {502, 503}
    assert told[-1] == 503, "the breaker is open"
    here.till.come_back()
    eventually(lambda: here.house.notify("v2", sent).status == 200, "healed", 10, 0.25)
    paid = here.house.payment(sent.transaction)
    assert len([one for one in paid["decisions"] if one["rule"] == "tag"]) == 1
    assert here.house.relayed(sent.transaction)["attempts"] >= 2
    assert here.house.payment(sent.transaction)["relay"]["state"] == "answered"


def test_r013_a_hanging_till_holds_nobody_elses_payments(here: Square, dead: object) -> None:
    dead("hang")  # type: ignore[operator]
    south = here.platforms["south"]
    # More than all threads of the house: were there no bulkhead, nobody would be left for the south.
    jobs = [lambda: _pay(here, "v3") for _ in range(40)]
    jobs += [lambda: here.house.notify("south", south.payment(fresh_openid())).status for _ in range(8)]
    told = all_at_once(jobs)
    assert set(told[:40]) <= {503, 504}
    assert set(told[40:]) == {200}


@pytest.mark.parametrize(("size", "status"), [(2**20, 200), (2**20 + 1, 502), (5 * 2**20, 502)])
def test_r012_an_answer_over_one_mib_is_a_broken_one(here: Square, size: int, status: int) -> None:
    here.till.answers[f"/pay/v2/{size}"] = Mode(body=b"x" * size)
    sent = here.platforms["v2"].payment(fresh_openid())
    answer = here.house.notify("v2", sent, f"/{size}")
    assert answer.status == status
    assert (len(answer.body) == size) == (status == 200)
    assert here.house.payment(sent.transaction)["tag"]["after"] == "tagged"


def test_r013_refused_bytes_have_a_breaker_of_no_ones(here: Square) -> None:
    """A stranger's nonsense must not close the door that a platform's payments go through."""
    wrong = here.platforms["ali"].wrong(fresh_openid())["a field more"]
    here.till.answers["/pay/ali/nonsense"] = Mode("reset")
    assert {here.house.notify("ali", wrong, "/nonsense").status for _ in range(40)} <= {502, 503}
    assert _pay(here, "ali") == 200


def _pay(here: Square, line: str) -> int:
    return here.house.notify(line, here.platforms[line].payment(fresh_openid())).status
