"""The hop itself, without pages: states are random, used once, bound to their browser, on both databases (R053)."""

import random
import threading
from collections import Counter
from datetime import datetime, timedelta, timezone

import pytest

from crypto.vault import Vault
from gateway import people
from gateway.catalog.directory import LiveWallet
from gateway.contract.errors import Refused
from gateway.contract.events import Payer
from gateway.contract.ids import IdFactory
from gateway.contract.wallet import Call, CallUnknown, Reply, SignInFailed
from gateway.signin import LASTS, TWICE_WITHIN, Hop, SignIn, once_more

NOW = datetime(2026, 11, 22, 4, 5, 6, tzinfo=timezone.utc)
HOP = Hop("noodles", "wechat", "wutong", "/c?n=2", makes=True)
BROWSER = "canary-browser-secret"


class Door:
    """A wallet's plug-in whose platform is a dictionary: code → openid, or an exception to raise."""

    slug = "wechat"

    def __init__(self):
        self.told = {}

    def authorize_url(self, keys, redirect_uri, state):
        return f"https://platform.example/authorize?back={redirect_uri}&state={state}"

    def code_of(self, keys, query):
        if "code" not in query:
            raise SignInFailed("declined")
        return query["code"]

    def exchange(self, keys, code, now, nonce):
        return Call("GET", f"https://platform.example/token?code={code}")

    def identity(self, keys, reply):
        found = self.told[reply.body.decode()]
        if isinstance(found, Exception):
            raise found
        return tuple(Payer("wx1", "openid", openid) for openid in found)


class Streets:
    """As much of a directory as a hop looks at."""

    def __init__(self, door):
        self.wallet = LiveWallet("wechat", "noodles", {"appid": "wx1"}, door)

    def wallet_of(self, circle, channel):
        return self.wallet if (circle, channel) == ("wutong", "noodles") else None


class Bench:
    def __init__(self, store):
        self.store = store
        self.door = Door()
        self.directory = Streets(self.door)
        self.asked = []
        self.vault = Vault({"k1": b"k" * 32}, "k1", b"i" * 32)
        self.chance = random.Random(7)
        self.before_answer = lambda: None
        self.signing_in = SignIn(
            store, lambda: self.vault, IdFactory(self.chance.randbytes), self.chance.randbytes, self._carry, self._pause
        )
        self.pauses = 0
        self.during_pause = lambda: None

    def _carry(self, call):
        code = call.url.rpartition("=")[2]
        self.asked.append(code)
        self.before_answer()
        return Reply(200, (), code.encode())

    def _pause(self, _seconds):
        self.pauses += 1
        self.during_pause()

    def begin(self, hop=HOP, browser=BROWSER, now=NOW):
        url = self.signing_in.begin(self.directory.wallet, hop, browser, "https://us.example/back", now)
        return url.rpartition("state=")[2]

    def finish(self, state, browser=BROWSER, now=NOW, platform="wechat", **query):
        return self.signing_in.finish(self.directory, platform, {"state": state, **query}, browser, now)

    def rows(self, what):
        return self.store.read(lambda tx: tx.all(f"SELECT * FROM {what}"))


@pytest.fixture
def bench(store):
    return Bench(store)


def test_R053_a_state_is_32_letters_and_digits_and_never_the_same(bench):
    states = {bench.begin() for _ in range(50)}
    assert len(states) == 50
    assert all(len(state) == 32 and state.isascii() and state.isalnum() for state in states)


def test_R053_the_store_holds_neither_state_nor_browser_nor_the_way_back(bench):
    state = bench.begin()
    (row,) = bench.rows("sign_ins")
    shown = repr({name: bytes(value) if isinstance(value, memoryview) else value for name, value in dict(row).items()})
    for secret in (state, BROWSER, "/c?n=2"):
        assert secret not in shown


def test_R052_the_first_one_back_is_the_person_and_comes_home(bench):
    bench.door.told["C1"] = ["o-anna"]
    arrival = bench.finish(bench.begin(), code="C1")
    assert (arrival.hop, arrival.failed, arrival.again) == (HOP, "", False)
    kept = bench.store.read(lambda tx: people.find(tx, bench.vault, "wechat", "wx1", "o-anna"))
    assert arrival.person == kept.id


def test_R053_another_browser_gets_nothing_and_uses_nothing_up(bench):
    bench.door.told["C1"] = ["o-anna"]
    state = bench.begin()
    with pytest.raises(Refused) as refused:
        bench.finish(state, browser="another", code="C1")
    assert refused.value.status == 404
    assert bench.asked == []
    assert bench.finish(state, code="C1").person


@pytest.mark.parametrize("state", ["", "0" * 32, "x" * 10_000, "%00", "ä"])
def test_R053_a_state_that_nobody_began(bench, state):
    bench.begin()
    with pytest.raises(Refused) as refused:
        bench.finish(state, code="C1")
    assert refused.value.status == 404
    assert bench.asked == []


def test_R053_a_state_of_one_wallet_is_none_of_the_others(bench):
    state = bench.begin()
    with pytest.raises(Refused):
        bench.finish(state, platform="alipay", code="C1")
    assert bench.asked == []


def test_R053_ten_minutes_and_not_a_moment_more(bench):
    bench.door.told["C1"] = bench.door.told["C2"] = ["o-anna"]
    early, late = bench.begin(), bench.begin()
    assert bench.finish(early, now=NOW + LASTS - timedelta(milliseconds=1), code="C1").person
    arrival = bench.finish(late, now=NOW + LASTS, code="C2")
    assert (arrival.failed, arrival.person, arrival.hop.target) == ("expired", "", "/c?n=2")
    assert bench.asked == ["C1"]


def test_R053_a_reload_reads_what_the_first_was_told_and_asks_nobody(bench):
    bench.door.told["C1"] = ["o-anna"]
    state = bench.begin()
    first = bench.finish(state, code="C1")
    again = bench.finish(state, code="C1")
    assert again == first
    assert bench.asked == ["C1"]
    assert bench.pauses == 0


def test_R053_a_state_replayed_later_is_worth_nothing(bench):
    bench.door.told["C1"] = ["o-anna"]
    state = bench.begin()
    bench.finish(state, code="C1")
    arrival = bench.finish(state, now=NOW + TWICE_WITHIN, code="C1")
    assert (arrival.person, arrival.failed) == ("", "expired")
    assert bench.asked == ["C1"]


def test_R053_the_second_waits_for_the_first(bench):
    state = bench.begin()
    bench.door.told["C1"] = ["o-anna"]
    seen = []

    def second_meanwhile():
        bench.before_answer = lambda: None
        # The first is at the platform now. The second must not ask; when it has waited a while, the first is told.
        bench.during_pause = lambda: seen.append(bench.pauses)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("gateway.signin._WAITS", 3)
            seen.append(bench.finish(state, code="C1").failed)

    bench.before_answer = second_meanwhile
    assert bench.finish(state, code="C1").person
    assert seen == [1, 2, 3, "no_answer"]
    assert bench.asked == ["C1"]


def test_R053_ten_at_once_ask_the_platform_once_and_are_all_the_same_person(bench):
    bench.door.told["C1"] = ["o-anna"]
    state = bench.begin()
    gate = threading.Barrier(10)
    done = threading.Event()
    bench.before_answer = lambda: None
    bench.during_pause = lambda: done.wait(0.05)
    persons, troubles = [], []

    def back():
        gate.wait()
        try:
            persons.append(bench.finish(state, code="C1").person)
        except Exception as error:
            troubles.append(error)

    threads = [threading.Thread(target=back) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []
    assert len(persons) == 10
    assert len(set(persons)) == 1
    assert persons[0]
    assert Counter(bench.asked) == {"C1": 1}
    assert len(bench.rows("persons")) == 1


@pytest.mark.parametrize(
    ("told", "failed", "again"),
    [
        (SignInFailed("code_spent", again=True), "code_spent", True),
        (SignInFailed("snapshot_user"), "snapshot_user", False),
        (CallUnknown("not_reached"), "no_answer", False),
        ([], "nobody", False),
    ],
)
def test_R052_what_the_platform_says_instead(bench, told, failed, again):
    bench.door.told["C1"] = told
    state = bench.begin()
    arrival = bench.finish(state, code="C1")
    assert (arrival.person, arrival.failed, arrival.again) == ("", failed, again)
    # Whoever comes second is told the same, and starts nothing of his own.
    second = bench.finish(state, code="C1")
    assert (second.failed, second.again) == (failed, False)
    assert bench.rows("persons") == []


def test_R052_a_fresh_start_is_made_by_itself_once(bench):
    bench.door.told["C1"] = SignInFailed("code_spent", again=True)
    arrival = bench.finish(bench.begin(once_more(HOP)), code="C1")
    assert (arrival.failed, arrival.again) == ("code_spent", False)


def test_R052_one_who_declined_was_not_asked_about(bench):
    arrival = bench.finish(bench.begin())
    assert arrival.failed == "declined"
    assert bench.asked == []


def test_R052_a_wallet_that_left_the_catalogue_meanwhile(bench):
    state = bench.begin()
    bench.directory.wallet = LiveWallet("wechat", "noodles", {"appid": "wx1"}, None)
    assert bench.finish(state, code="C1").failed == "no_wallet"
    with pytest.raises(Refused) as refused:
        bench.begin()
    assert refused.value.status == 503


def test_R007_a_stranger_becomes_a_person_only_where_that_is_needed(bench):
    bench.door.told["C1"] = ["o-stranger"]
    looking = Hop("noodles", "wechat", "wutong", "/c", makes=False)
    assert bench.finish(bench.begin(looking), code="C1").person == ""
    assert bench.rows("persons") == bench.rows("identities") == []
    made = bench.finish(bench.begin(), code="C1").person
    assert made
    assert bench.finish(bench.begin(looking), code="C1").person == made


def test_R016_two_identities_of_one_answer_are_one_person(bench):
    bench.door.told["C1"], bench.door.told["C2"], bench.door.told["C3"] = ["o-1"], ["o-2"], ["o-1", "o-2"]
    one = bench.finish(bench.begin(), code="C1").person
    other = bench.finish(bench.begin(), code="C2").person
    both = bench.finish(bench.begin(), code="C3").person
    assert one != other
    assert both in {one, other}


def test_a_store_without_its_answer_is_told_by_nobody(bench):
    # The first died between the platform's answer and its note: the second gives up and the customer taps.
    state = bench.begin()

    def die():
        raise KeyboardInterrupt

    bench.before_answer = die
    with pytest.raises(KeyboardInterrupt):
        bench.finish(state, code="C1")
    arrival = bench.finish(state, code="C1")
    assert (arrival.person, arrival.failed) == ("", "no_answer")
    assert bench.pauses > 10


def test_hops_that_are_over_are_swept_a_batch_at_a_time(bench):
    for _ in range(3):
        bench.begin()
    live = bench.begin(now=NOW + timedelta(minutes=1))
    assert bench.signing_in.sweep(NOW, 10) == 0
    assert bench.signing_in.sweep(NOW + LASTS, 2) == 2
    assert bench.signing_in.sweep(NOW + LASTS, 2) == 1
    assert bench.signing_in.sweep(NOW + LASTS, 2) == 0
    bench.door.told["C1"] = ["o-anna"]
    assert bench.finish(live, now=NOW + LASTS, code="C1").person
