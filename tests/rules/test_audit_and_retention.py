"""R246 the audit chain shows tampering; what is kept no longer than it must be; keys that rotate."""

from __future__ import annotations

from datetime import timedelta

import pytest

from crypto.errors import DecryptFailed
from crypto.vault import MasterKey
from gateway import audit, retention
from gateway.contract import BadNotification, Undecryptable
from gateway.contract.clock import to_text
from gateway.contract.ids import system_random
from gateway.keyring import Keyring
from gateway.settings import Retention
from tests.support.builders import START, House, payment, raw_of
from tests.support.crowd import in_processes, in_threads
from tests.support.databases import opened


def _note(store, action="coupon.redeem", **more):
    store.write(lambda tx: audit.record(tx, START, "clerk", action, "H7KQ", **more))


def _broken(store):
    return store.read(audit.first_broken)


def test_R246_who_when_what_before_after_and_the_request(store):
    _note(store, before={"state": "claimed"}, after={"state": "redeemed", "名": "店"}, request_id="r-1")
    row = store.read(lambda tx: tx.one("SELECT * FROM audit"))
    assert (row["seq"], row["at"], row["who"], row["action"], row["object"], row["request_id"]) == (
        1, to_text(START), "clerk", "coupon.redeem", "H7KQ", "r-1",
    )  # fmt: skip
    assert (row["before"], row["after"]) == ('{"state":"claimed"}', '{"state":"redeemed","名":"店"}')
    assert _broken(store) is None


def test_R246_an_empty_chain_holds(store):
    assert _broken(store) is None


@pytest.mark.parametrize("column", ["at", "who", "action", "object", "before", "after", "request_id", "hash"])
@pytest.mark.parametrize("seq", [1, 2, 4])
def test_R246_any_column_of_any_row_that_was_changed_shows(store, column, seq):
    for number in range(4):
        _note(store, before={"n": number}, after={"n": number + 1}, request_id=f"r-{number}")
    assert _broken(store) is None
    store.write(lambda tx: tx.run(f"UPDATE audit SET {column} = {column} || 'x' WHERE seq = :seq", {"seq": seq}))
    assert _broken(store) == seq


@pytest.mark.parametrize(
    ("sql", "shows_at"),
    [
        ("DELETE FROM audit WHERE seq = 2", 3),
        ("DELETE FROM audit WHERE seq = 1", 2),
        ("UPDATE audit SET seq = 9 WHERE seq = 2", 3),
        ("UPDATE audit SET seq = 0 WHERE seq = 1", 0),
    ],
)
def test_R246_a_row_taken_out_or_moved_shows(store, sql, shows_at):
    for _ in range(3):
        _note(store)
    store.write(lambda tx: tx.run(sql))
    assert _broken(store) == shows_at


def _at(store, days, action="a"):
    store.write(lambda tx: audit.record(tx, START + timedelta(days=days), "clerk", action, "o"))


def test_R246_rows_past_their_time_go_from_the_front_and_the_chain_still_holds(store):
    for days in range(6):
        _at(store, days)
    trim = lambda most: store.write(lambda tx: audit.trim(tx, START + timedelta(days=4), most))
    assert [trim(3), trim(3), trim(3)] == [3, 1, 0]
    assert _broken(store) is None
    _at(store, 7)
    assert _broken(store) is None
    store.write(lambda tx: tx.run("DELETE FROM audit WHERE seq = 5"))
    assert _broken(store) == 6


def test_R246_the_newest_row_stays_however_old_it_is(store):
    _at(store, 0)
    assert store.write(lambda tx: audit.trim(tx, START + timedelta(days=9999), 100)) == 0
    _at(store, 1)
    assert store.write(lambda tx: audit.trim(tx, START + timedelta(days=9999), 100)) == 0
    assert _broken(store) is None


def test_R246_the_sweep_trims_after_the_days_that_are_set(store):
    _at(store, 0)
    _at(store, 1)
    keep = Retention(audit_days=30)
    sweep = lambda days: store.write(lambda tx: retention.sweep(tx, keep, START + timedelta(days=days), 100))
    assert sweep(29) == 0
    assert store.write(lambda tx: audit.trim(tx, START, 100)) == 0
    _at(store, 30)
    assert sweep(30.5) == 1
    assert _broken(store) is None


def test_R246_two_rows_that_changed_places_show(store):
    for number in range(3):
        _note(store, action=f"a{number}")
    for before, after in ((2, 9), (3, 2), (9, 3)):
        store.write(lambda tx, b=before, a=after: tx.run("UPDATE audit SET seq = :a WHERE seq = :b", {"a": a, "b": b}))
    assert _broken(store) == 2


def _note_many(gate, number, url):
    store = opened(url)
    gate.wait()
    in_threads([lambda n=n: _note(store, after={"n": n}) for n in range(12)])
    store.close()
    return [12]


def test_R246_parallel_writers_in_two_processes_make_one_chain(store, store_url):
    assert sum(in_processes(2, _note_many, store_url)) == 24
    assert store.read(lambda tx: tx.one("SELECT count(*) AS n, max(seq) AS m FROM audit"))["m"] == 24
    assert _broken(store) is None


# -- retention ----------------------------------------------------------------------------------------------------------

KEEP = Retention(raw_days=30, quarantine_days=3, quarantine_bytes=1024 * 1024)


@pytest.fixture
def house(store_url):
    made = House(store_url)
    yield made
    made.close()


def _refuse(house, body=b"forged"):
    channel = house.directory.channel("hotpot")
    raw = raw_of(payment("T"), house.now)
    raw = type(raw)(raw.method, raw.path_tail, raw.headers, body, raw.received_at)
    return house.intake.quarantine(channel, raw, BadNotification("x"), house.now).delivery


def _kept(house):
    return {row["id"] for row in house.all("SELECT id FROM deliveries WHERE sealed IS NOT NULL")}


def _sweep(house, keep=KEEP, most=100):
    return house.write(lambda tx: retention.sweep(tx, keep, house.now, most))


def test_raw_payloads_go_after_their_days_and_the_rest_of_the_row_stays(house):
    old = house.pay("T1", "a").delivery
    house.later(days=20)
    young = house.pay("T2", "a").delivery
    house.later(days=9, hours=23)
    assert _sweep(house) == 0
    house.later(hours=2)
    assert _sweep(house) == 1
    assert _kept(house) == {young}
    assert house.one("SELECT outcome FROM deliveries WHERE id = :id", id=old)["outcome"] == "processed"
    assert _sweep(house) == 0
    house.later(days=20)
    assert _sweep(house) == 1
    assert _kept(house) == set()
    assert house.count("payments") == 2


def test_quarantine_goes_sooner(house):
    refused, good = _refuse(house), house.pay("T1", "a").delivery
    house.later(days=3, minutes=1)
    assert _kept(house) == {refused, good}
    assert _sweep(house) == 1
    assert _kept(house) == {good}


def test_beyond_the_quota_the_oldest_refused_bytes_go_and_no_more_than_needed(house):
    refused = [_refuse(house, bytes(300 * 1024)) for _ in range(5)]
    good = house.pay("T1", "a").delivery
    _sweep(house)
    assert _kept(house) == {good, *refused[2:]}
    assert _sweep(house) == 0


def test_retention_goes_in_batches(house):
    for number in range(5):
        house.pay(f"T{number}", "a")
    house.later(days=31)
    assert [_sweep(house, most=2) for _ in range(4)] == [2, 2, 1, 0]
    assert _kept(house) == set()


def test_a_clock_that_jumps_a_day_ahead_and_back_loses_nothing(house):
    first = house.pay("T1", "a").delivery
    house.later(days=1)
    _sweep(house)
    house.later(days=-1)
    second = house.pay("T2", "a").delivery
    assert _sweep(house) == 0
    assert _kept(house) == {first, second}
    house.later(days=31)
    assert _sweep(house) == 2


def test_answers_to_old_requests_go_after_thirty_days(house):
    house.write(
        lambda tx: tx.run(
            "INSERT INTO idempotency (scope, key, digest, status, answer, created_at) "
            "VALUES ('redeem:clerk', 'k', :digest, 200, '{}', :now)",
            {"digest": b"x", "now": to_text(house.now)},
        )
    )
    house.later(days=29)
    assert _sweep(house) == 0
    house.later(days=2)
    assert _sweep(house) == 1
    assert house.count("idempotency") == 0


def test_R004_bytes_that_do_not_open_alarm_the_operator_others_do_not(house):
    channel, raw = house.directory.channel("hotpot"), raw_of(payment("T"), house.now)
    house.intake.quarantine(channel, raw, BadNotification("x"), house.now)
    assert house.count("incidents") == 0
    house.intake.quarantine(channel, raw, Undecryptable("wrong key"), house.now)
    assert house.one("SELECT * FROM incidents")["kind"] == "undecryptable"


# -- keys ---------------------------------------------------------------------------------------------------------------


def test_data_keys_rotate_and_what_older_ones_sealed_stays_readable(store):
    master = MasterKey.new(system_random)
    one, other = (Keyring(master, store, system_random) for _ in range(2))
    assert store.write(lambda tx: one.make_first(tx, START))
    assert not store.write(lambda tx: other.make_first(tx, START))
    old = one.vault().seal(b"openid", b"row")
    assert other.open(old, b"row") == b"openid"
    assert store.write(lambda tx: other.rotate(tx, START + timedelta(days=1), "admin")) == "k2"
    new = other.reload().seal(b"unionid", b"row")
    assert (other.vault().key_id_of(new), one.vault().key_id_of(old)) == ("k2", "k1")
    # The first process has not heard of the new key; it learns of it from the bytes.
    assert one.open(new, b"row") == b"unionid"
    assert one.open(old, b"row") == b"openid"
    assert one.vault().blind("wechat", "app", "x") == other.vault().blind("wechat", "app", "x")
    with pytest.raises(DecryptFailed):
        one.open(new, b"another row")
    assert store.read(lambda tx: tx.one("SELECT * FROM audit"))["action"] == "keys.rotate"


def test_a_store_without_a_data_key_says_so(store):
    with pytest.raises(LookupError, match="no data key"):
        Keyring(MasterKey.new(system_random), store, system_random).vault()


def test_another_master_key_opens_nothing(store):
    keyring = Keyring(MasterKey.new(system_random), store, system_random)
    store.write(lambda tx: keyring.make_first(tx, START))
    with pytest.raises(DecryptFailed):
        Keyring(MasterKey.new(system_random), store, system_random).vault()


def test_the_link_keys_are_there_without_a_store():
    master = MasterKey.new(system_random)
    keys = [Keyring(master, None, system_random).link_keys() for _ in range(2)]
    assert keys[0].token("l_1") == keys[1].token("l_1") != keys[0].token("l_2")
    assert "=" not in keys[0].token("l_1")
    assert len(keys[0].token("l_1")) == 22
    assert keys[0].keys["1"].hex() not in repr(keys[0])
