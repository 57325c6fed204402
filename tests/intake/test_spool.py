"""R019: what the spool has taken is handed out, whatever dies in between."""

import fcntl
import os
import random
import resource
import stat
import subprocess
import sys
import threading
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crypto.vault import Vault
from gateway.contract import DrainageError, RawNotification
from gateway.intake.spool import Drained, Record, Spool, SpoolFailed, SpoolFull
from gateway.intake.spool_log import SpoolLog

WORKER = Path(__file__).with_name("spool_worker.py")
NOON = datetime(2026, 11, 22, 4, 5, 6, 123456, tzinfo=timezone.utc)
LIMIT = 1 << 18
START = 4096


def plain(data, associated):
    assert associated
    return data


def record(number, body=b"{}", **facts):
    raw = RawNotification("POST", facts.pop("tail", ""), facts.pop("headers", ()), body, NOON)
    return Record(f"d_{number}", "hotpot", raw, facts.pop("source", "203.0.113.9"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spool.bin"


@pytest.fixture
def spool(path):
    return Spool(path, LIMIT, plain, plain)


def drained(spool):
    records = []
    spool.drain(records.append)
    return [entry.delivery_id for entry in records]


def filled(path, count, body=b"b" * 100):
    spool = Spool(path, LIMIT, plain, plain)
    for number in range(count):
        spool.append(record(number, body))
    return spool


def test_R019_a_record_comes_back_exactly(spool):
    sent = record(
        1,
        bytes(range(256)) * 256,
        tail="/a%2Fb\xe9",
        headers=(("X-A", "1"), ("X-A", "\xff\x80"), ("x-b", "")),
        source=None,
    )
    spool.append(sent)
    records = []
    assert spool.drain(records.append) == Drained(1, 0)
    assert records == [sent]
    assert records[0].raw.body == sent.raw.body


def test_records_come_out_in_order_across_restarts_and_the_file_is_empty_after(path):
    filled(path, 50)
    again = Spool(path, LIMIT, plain, plain)
    assert not again.is_empty()
    assert again.bytes_used() > 50 * 100
    assert drained(again) == [f"d_{n}" for n in range(50)]
    assert again.is_empty()
    assert again.bytes_used() == 0
    assert drained(Spool(path, LIMIT, plain, plain)) == []


def test_an_empty_spool_drains_to_nothing(spool):
    assert spool.drain(lambda _: pytest.fail("nothing was appended")) == Drained(0, 0)
    assert spool.is_empty()


def test_R019_what_a_handler_refuses_stays_with_all_behind_it(path):
    spool = filled(path, 5)
    seen = []

    def third_fails(entry):
        if entry.delivery_id == "d_2":
            raise OSError("the store is still down")
        seen.append(entry.delivery_id)

    for _ in range(2):
        with pytest.raises(OSError, match="still down"):
            spool.drain(third_fails)
    assert seen == ["d_0", "d_1"]
    assert drained(Spool(path, LIMIT, plain, plain)) == ["d_2", "d_3", "d_4"]


def test_what_is_appended_during_a_drain_is_handed_out_by_it(spool):
    spool.append(record(0))
    seen = []

    def handle(entry):
        seen.append(entry.delivery_id)
        if len(seen) < 4:
            spool.append(record(len(seen)))

    assert spool.drain(handle) == Drained(4, 0)
    assert seen == ["d_0", "d_1", "d_2", "d_3"]


def test_a_second_drain_does_nothing_while_one_runs(path):
    spool = filled(path, 2)
    other = Spool(path, LIMIT, plain, plain)
    inner = []
    assert spool.drain(lambda _: inner.append(other.drain(lambda _: pytest.fail("handed out twice")))) == Drained(2, 0)
    assert inner == [Drained(0, 0)] * 2


def test_old_records_do_not_come_back_after_the_file_was_emptied(path):
    """A shorter record is written over longer ones, which still stand behind it byte for byte."""
    spool = filled(path, 100, b"")
    assert len(drained(spool)) == 100
    spool.append(record("new", b""))
    assert drained(Spool(path, LIMIT, plain, plain)) == ["d_new"]
    assert drained(spool) == []


def test_two_processes_views_follow_each_other_over_an_emptying(path):
    one, two = Spool(path, LIMIT, plain, plain), Spool(path, LIMIT, plain, plain)
    one.append(record(1, b"x" * 5000))
    two.append(record(2))
    assert drained(one) == ["d_1", "d_2"]
    two.append(record(3))
    one.append(record(4))
    assert drained(two) == ["d_3", "d_4"]


def test_R019_a_full_spool_says_so_and_keeps_what_it_has(path):
    spool = Spool(path, LIMIT, plain, plain)
    count = 0
    with pytest.raises(SpoolFull):
        for count in range(1000):
            spool.append(record(count, b"x" * 10_000))
    assert count == 25
    with pytest.raises(SpoolFull):
        spool.append(record("huge", b"x" * LIMIT))
    assert path.stat().st_size == LIMIT
    assert drained(spool) == [f"d_{n}" for n in range(count)]
    spool.append(record("after"))
    assert drained(spool) == ["d_after"]


def test_R019_the_room_is_taken_on_the_disk_from_the_start_and_is_nobody_elses_to_read(spool, path):
    facts = path.stat()
    assert facts.st_blocks * 512 >= LIMIT
    assert stat.S_IMODE(facts.st_mode) == 0o600


def test_what_lies_on_the_disk_is_sealed_and_only_its_key_opens_it(path):
    vault = Vault({"k1": os.urandom(32)}, "k1", os.urandom(32))
    Spool(path, LIMIT, vault.seal, vault.open).append(record(1, b"openid=oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"))
    for secret in (b"oUpF8uMuAJO", b"hotpot", b"203.0.113.9", b"d_1"):
        assert secret not in path.read_bytes()
    stranger = Vault({"k1": os.urandom(32)}, "k1", os.urandom(32))
    with pytest.raises(SpoolFailed):
        Spool(path, LIMIT, stranger.seal, stranger.open).drain(lambda _: pytest.fail("opened without its key"))
    assert drained(Spool(path, LIMIT, vault.seal, vault.open)) == ["d_1"]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_torn_last_record_costs_itself_alone_and_is_written_over(tmp_path, data):
    """Whatever part of the last write reached the disk."""
    path = tmp_path / f"{random.getrandbits(64):x}"
    spool = filled(path, 3)
    before = START + spool.bytes_used()
    spool.append(record("torn", b"t" * data.draw(st.integers(0, 2000))))
    after = START + spool.bytes_used()
    with path.open("r+b") as file:
        at = data.draw(st.integers(before, before + 15) | st.integers(before + 16, after - 17))
        file.seek(at)
        old = file.read(after - at)
        file.seek(at)
        # Zeros as on a fresh disk, or anything else; never what stood there, which would be no damage.
        file.write(bytes(len(old)) if any(old) and data.draw(st.booleans()) else bytes(byte ^ 0x5A for byte in old))
    survivor = Spool(path, LIMIT, plain, plain)
    survivor.append(record("next"))
    assert drained(survivor) == ["d_0", "d_1", "d_2", "d_next"]


def test_damage_in_the_middle_costs_the_damaged_records_alone(path):
    spool = filled(path, 5)
    one = spool.bytes_used() // 5
    with path.open("r+b") as file:
        file.seek(START + one + 40)
        file.write(b"\xff" * (one + 8))
    records = []
    result = Spool(path, LIMIT, plain, plain).drain(lambda entry: records.append(entry.delivery_id))
    assert records == ["d_0", "d_3", "d_4"]
    assert result == Drained(3, 2 * one)
    assert Spool(path, LIMIT, plain, plain).is_empty()


def test_a_search_over_damage_finds_the_next_record_wherever_it_begins(path):
    """The search reads in pieces of a mebibyte; the next record lies in another one."""
    log = SpoolLog(path, 4 << 20)
    log.append(b"a" * (1 << 20))
    log.append(b"b" * (1 << 20))
    log.append(b"c")
    with path.open("r+b") as file:
        file.seek(START)
        file.write(b"\xff" * 32)
    assert [entry.payload and entry.payload[:1] for entry in SpoolLog(path, 4 << 20).waiting(1 << 30)] == [
        None,
        b"b",
        b"c",
    ]


@pytest.mark.parametrize("slot", [0, 1])
def test_one_damaged_header_slot_is_survived(path, slot):
    spool = filled(path, 4)
    with pytest.raises(ZeroDivisionError):
        spool.drain(lambda entry: 1 / (entry.delivery_id != "d_2"))
    with path.open("r+b") as file:
        file.seek(slot * 512)
        file.write(b"\xff" * 40)
    # At worst the step that this slot noted is handed out once more.
    assert drained(Spool(path, LIMIT, plain, plain))[-2:] == ["d_2", "d_3"]


@pytest.mark.parametrize("content", [b"SQLite format 3\x00" * 500, b"x", b"\xff" * LIMIT])
def test_a_file_that_is_no_spool_is_refused_and_left_alone(path, content):
    path.write_bytes(content)
    with pytest.raises(SpoolFailed):
        Spool(path, LIMIT, plain, plain)
    assert path.read_bytes().startswith(content)


def test_a_spool_interrupted_while_it_was_made_is_finished(path):
    path.write_bytes(bytes(1000))
    spool = Spool(path, LIMIT, plain, plain)
    spool.append(record(1))
    assert drained(spool) == ["d_1"]


def test_a_larger_limit_makes_more_room_and_a_smaller_one_loses_nothing(path):
    filled(path, 3)
    large = Spool(path, LIMIT * 4, plain, plain)
    large.append(record("big", b"x" * LIMIT * 2))
    assert drained(Spool(path, LIMIT, plain, plain)) == ["d_0", "d_1", "d_2", "d_big"]


def test_errors_are_of_the_family(tmp_path, path, monkeypatch):
    with pytest.raises(DrainageError, match="preparing"):
        Spool(tmp_path / "absent" / "spool", LIMIT, plain, plain)
    with pytest.raises(SpoolFailed):
        Spool(tmp_path, LIMIT, plain, plain)
    assert issubclass(SpoolFull, DrainageError)


def test_no_room_on_the_disk_is_said_at_the_start(path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT // 2, hard))
    try:
        with pytest.raises(SpoolFailed, match="preparing"):
            Spool(path, LIMIT, plain, plain)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_failed_sync_is_a_failed_append(spool, monkeypatch):
    def fail(fd):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(SpoolFailed, match="appending"):
        spool.append(record(1))


def test_a_spool_tidied_away_under_us_is_made_anew(spool, path):
    spool.append(record(1))
    path.unlink()
    spool.append(record(2))
    assert drained(spool) == ["d_2"]


def test_a_lock_that_somebody_keeps_does_not_keep_us(path):
    log = SpoolLog(path, LIMIT, lock_wait_s=0)
    with path.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError):
            log.append(b"x")
    log.append(b"y")
    assert [entry.payload for entry in log.waiting(1)] == [b"y"]


def test_threads_append_side_by_side(spool):
    def run(name):
        for number in range(20):
            spool.append(record(f"{name}{number}"))

    threads = [threading.Thread(target=run, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = drained(spool)
    assert sorted(seen) == sorted(f"d_{name}{number}" for name in "abcdefgh" for number in range(20))
    for name in "abcdefgh":
        assert [entry for entry in seen if entry[2] == name] == [f"d_{name}{number}" for number in range(20)]


def start(deed, path, name, count=10_000):
    return subprocess.Popen([sys.executable, WORKER, deed, path, name, str(count)], stdout=subprocess.PIPE, text=True)


def lines_until_killed(process, after):
    """What the process said: it is killed once `after` lines are read, wherever it then is."""
    said = []
    for line in process.stdout:
        if not line.endswith("\n"):
            break
        said.append(line.strip())
        if len(said) == after:
            process.kill()
    process.stdout.close()
    process.wait()
    return said[1:]


def test_R019_processes_append_side_by_side(path):
    processes = [start("append", path, name, 60) for name in ("p", "q", "r")]
    said = [line for process in processes for line in lines_until_killed(process, 0)]
    assert len(said) == 180
    assert sorted(drained(Spool(path, 1 << 20, plain, plain))) == sorted(said)


def test_R019_kill_9_of_appenders_and_drainers_loses_no_record_that_was_confirmed(path):
    """Two appenders and a drainer killed at random moments, round after round; then everything confirmed is there."""
    chance = random.Random(20261122)
    confirmed, handed = [], []
    for number in range(8):
        processes = [
            (start("append", path, f"a{number}"), chance.randrange(1, 120), confirmed),
            (start("append", path, f"b{number}"), chance.randrange(1, 120), confirmed),
            (start("drain", path, "-"), chance.randrange(2, 80), handed),
        ]
        readers = [
            threading.Thread(target=lambda p, n, heard: heard.extend(lines_until_killed(p, n)), args=arguments)
            for arguments in processes
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    handed += drained(Spool(path, 1 << 20, plain, plain))
    assert len(confirmed) > 100
    assert set(confirmed) <= set(handed)
    for name in {entry.split("-")[0] for entry in handed}:
        first_times = list(dict.fromkeys(entry for entry in handed if entry.startswith(f"{name}-")))
        assert first_times == sorted(first_times, key=lambda entry: int(entry.split("-")[1]))


def test_a_fork_shares_the_spool_and_not_its_lock(spool):
    spool.append(record("parent"))
    child = os.fork()
    if not child:
        try:
            spool.append(record("child"))
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    spool.append(record("after"))
    assert drained(spool) == ["d_parent", "d_child", "d_after"]
