"""The store gone, locked or full while payments come in: every relay goes out, and nothing that was answered is lost."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.square import Square, all_at_once, drained, ready, square
from tests.e2e.house import eventually
from tests.e2e.platforms import Sent, fresh_openid

LINES = ("v3", "v2", "ali")


@pytest.fixture(scope="module")
def here() -> Iterator[Square]:
    with square() as running:
        yield running


def _database(here: Square) -> Path:
    return here.house.home / "drainage.db"


@contextlib.contextmanager
def _moved_away(here: Square) -> Iterator[None]:
    """The database and its log are somewhere else, as on a disk that was unmounted."""
    aside = here.house.root / "aside"
    aside.mkdir()
    for path in here.house.home.glob("drainage.db*"):
        path.rename(aside / path.name)
    try:
        yield
    finally:
        for path in aside.iterdir():
            path.rename(here.house.home / path.name)
        aside.rmdir()


@contextlib.contextmanager
def _locked(here: Square) -> Iterator[None]:
    """Somebody else holds the write lock and does not let go."""
    other = sqlite3.connect(_database(here), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@contextlib.contextmanager
def _replaced(here: Square) -> Iterator[None]:
    """In the database's place lies a file that is none."""
    with _moved_away(here):
        _database(here).write_bytes(b"this is not a database at all" * 100)
        try:
            yield
        finally:
            for path in here.house.home.glob("drainage.db*"):
                path.unlink()


TROUBLES: list[Callable[[Square], contextlib.AbstractContextManager[None]]] = [_moved_away, _locked, _replaced]


@pytest.mark.parametrize("trouble", TROUBLES, ids=["moved away", "locked", "replaced"])
def test_r013_r019_a_store_in_trouble_stops_no_relay_and_loses_nothing(here: Square, trouble: Callable) -> None:
    known = fresh_openid()
    here.house.pay("v2", here.platforms["v2"], known)
    during: list[tuple[str, Sent]] = []
    with trouble(here):
        for line in LINES:
            during += [(line, here.platforms[line].payment(fresh_openid())) for _ in range(4)]
        # One of them is told twice, and one is the second payment of a person known before.
        during += [during[0], ("v2", here.platforms["v2"].payment(known))]
        answers = all_at_once([lambda at=line, one=one: here.house.notify(at, one) for line, one in during])
        assert {(answer.status, answer.body) for answer in answers} == {(200, b"till-says-ok")}
        for _, sent in during:
            assert here.till.find(sent.body)
        state = ready(here.house)
        assert state is not None
        assert (state["http"], state["status"]) == (200, "degraded")
        assert state["spool"] > 0
    drained(here.house)
    eventually(lambda: here.house.api("GET", "/summary").status == 200, "the store is back")
    for _, sent in during:
        paid = here.house.payment(sent.transaction)
        assert paid["deliveries"] == (2 if sent is during[0][1] else 1)
        assert paid["tag"]["after"] == "tagged"
        assert len(paid["links"]) == (1 if sent is during[-1][1] else 0)


def test_r013_r019_a_worker_born_while_the_store_is_gone_relays_too(here: Square) -> None:
    with _moved_away(here):
        _, workers = here.house.gunicorn()
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: len(set(here.house.gunicorn()[1]) - set(workers)) == len(workers), "new workers", 20)
        sent = here.platforms["v3"].payment(fresh_openid())

        def relayed() -> bool:
            with contextlib.suppress(OSError):
                return here.house.notify("v3", sent).status == 200
            return False

        eventually(relayed, "a new worker relays", 30)
    drained(here.house)
    assert here.house.payment(sent.transaction)["tag"]["after"] == "tagged"


def test_r013_r019_a_machine_that_restarts_while_its_store_is_gone_relays_too(here: Square) -> None:
    assert here.house.stop() == 0
    with _moved_away(here):
        here.house.start()
        sent = [(line, here.platforms[line].payment(fresh_openid())) for line in LINES]
        for line, one in sent:
            assert here.house.notify(line, one).body == b"till-says-ok"
    drained(here.house)
    for _, one in sent:
        assert here.house.payment(one.transaction)["tag"]["after"] == "tagged"


def test_r013_what_is_refused_is_relayed_while_the_store_is_gone(here: Square) -> None:
    with _moved_away(here):
        for sent in here.platforms["v2"].wrong(fresh_openid()).values():
            assert here.house.notify("v2", sent).status == 200
    drained(here.house)


def test_pages_and_api_say_so_while_the_store_is_gone(here: Square) -> None:
    link = here.house.link("v3", here.platforms["v3"])
    with _moved_away(here):
        answer = here.house.api("GET", "/summary")
        assert answer.status == 503
        assert {"code", "message", "request_id"} <= set(answer.json)
        assert here.house.customer().get(link["url"]).status == 503
        assert ready(here.house)["http"] == 200  # type: ignore[index]
    eventually(lambda: here.house.api("GET", "/summary").status == 200, "back")
    assert len(here.house.claim(link["url"])) == 2


def test_r019_with_store_and_spool_gone_the_relay_still_goes_out_and_the_loss_is_said() -> None:
    with square(SPOOL_BYTES=str(2**20)) as here:
        padding = "x" * 50_000
        sent = [here.platforms["ali"].payment(fresh_openid(), passback_params=padding) for _ in range(40)]
        with _moved_away(here):
            answers = [
                answer
                for n in range(0, 40, 10)
                for answer in all_at_once([lambda one=one: here.house.notify("ali", one) for one in sent[n : n + 10]])
            ]
            assert {(answer.status, answer.body) for answer in answers} == {(200, b"till-says-ok")}
        drained(here.house)
        kept = [one for one in sent if here.house.api("GET", f"/payments/{one.transaction}").status == 200]
        assert 0 < len(kept) < len(sent)
        said = here.house.log()
        for one in sent:
            if one not in kept:
                assert hashlib.sha256(one.body).hexdigest() in said
        assert padding[:100] not in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
def test_r019_a_full_disk_stops_no_relay_and_loses_nothing() -> None:
    disk = Path(tempfile.mkdtemp(prefix="disk-"))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)], check=False).returncode:
        disk.rmdir()
        pytest.skip("this machine lets nobody mount")
    try:
        with square(STORE_URL=f"sqlite:///{disk}/shop.db") as here:
            before = [here.platforms["v2"].payment(fresh_openid()) for _ in range(3)]
            for sent in before:
                assert here.house.notify("v2", sent).status == 200
            filler = disk / "filler"
            with filler.open("wb", buffering=0) as fill, contextlib.suppress(OSError):
                while fill.write(b"\0" * 4096):
                    pass
            during = [(line, here.platforms[line].payment(fresh_openid())) for line in LINES for _ in range(8)]
            for line, sent in during:
                answer = here.house.notify(line, sent)
                assert (answer.status, answer.body) == (200, b"till-says-ok")
            assert eventually(lambda: ready(here.house), "it answers")["spool"] > 0
            filler.unlink()
            drained(here.house, 40)
            for sent in (*before, *(one for _, one in during)):
                assert here.house.payment(sent.transaction)["deliveries"] == 1
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)
        shutil.rmtree(disk, ignore_errors=True)
