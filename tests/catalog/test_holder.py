"""The directory of a running process: following the store, living without it, starting without it."""

from __future__ import annotations

import stat
import subprocess
import sys
import textwrap
import threading

import pytest

from crypto.vault import MasterKey
from gateway.catalog.holder import CatalogCache, DirectoryHolder
from gateway.contract.errors import StoreUnavailable
from gateway.contract.ids import system_random
from gateway.keyring import Keyring
from gateway.store import open_store


class Switch:
    """A store that can be taken away; counts how often it is asked."""

    def __init__(self, store):
        self.store = store
        self.there = True
        self.reads = 0

    def read(self, work):
        self.reads += 1
        if not self.there:
            raise StoreUnavailable("gone")
        return self.store.read(work)


@pytest.fixture
def switch(bench):
    return Switch(bench.store)


def holder_of(bench, store, **settings):
    keyring = Keyring(bench.master, store, system_random)
    cache = CatalogCache(bench.home / "catalog.cache", keyring.local)
    return DirectoryHolder(store, keyring.reload, bench.registry, sandbox_enabled=False, cache=cache, **settings)


def test_a_change_is_seen_after_the_interval_and_not_before(bench, small, switch):
    bench.apply(small)
    holder = holder_of(bench, switch)
    first = holder.current(100.0)
    bench.apply(small.replace("stock = 1000", "stock = 5"))
    assert holder.current(100.4) is first
    second = holder.current(100.5)
    assert second.item("bowl-5off").stock == 5
    assert holder.current(101.0) is second


def test_within_the_interval_the_store_is_not_asked(bench, small, switch):
    bench.apply(small)
    holder = holder_of(bench, switch)
    holder.current(100.0)
    asked = switch.reads
    for tenth in range(5):
        holder.current(100.0 + tenth / 10)
    assert switch.reads == asked
    holder.current(100.5)
    assert switch.reads == asked + 1


def test_a_store_that_fails_leaves_the_old_directory_and_is_asked_less_often(bench, small, switch):
    bench.apply(small)
    holder = holder_of(bench, switch)
    first = holder.current(100.0)
    bench.apply(small.replace("stock = 1000", "stock = 5"))
    switch.there = False
    assert holder.current(101.0) is first
    asked = switch.reads
    assert holder.current(102.9) is first
    assert switch.reads == asked
    switch.there = True
    assert holder.current(103.0).item("bowl-5off").stock == 5


def test_rows_that_do_not_open_leave_the_old_directory(bench, small, switch):
    bench.apply(small)
    holder = holder_of(bench, switch)
    first = holder.current(100.0)
    bench.store.write(lambda tx: tx.run("UPDATE catalog SET spec = 'x' WHERE kind = 'shop'"))
    bench.store.write(lambda tx: tx.run("UPDATE meta SET value = '9' WHERE name = 'catalog_version'"))
    assert holder.current(101.0) is first
    bench.store.write(lambda tx: tx.run("DELETE FROM catalog WHERE kind = 'shop'"))
    bench.store.write(lambda tx: tx.run("""UPDATE catalog SET spec = replace(spec, 'hotpot-1', '')"""))
    assert holder.current(104.0).version == 9


def test_a_rotated_data_key_is_taken_up(bench, small, switch):
    bench.apply(small)
    holder = holder_of(bench, switch)
    holder.current(100.0)
    bench.store.write(lambda tx: bench.keyring.rotate(tx, bench.now, "console"))
    bench.keyring.reload()
    bench.apply(small.replace("canary-key-1", "canary-key-2"))
    assert holder.current(101.0).channel("hotpot-pay").keys["secret"] == "canary-key-2"


def test_a_new_process_starts_from_the_copy_while_the_store_is_gone(bench, small, switch):
    bench.apply(small)
    holder_of(bench, switch).current(100.0)
    path = bench.home / "catalog.cache"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert b"canary" not in path.read_bytes()
    assert "老王".encode() not in path.read_bytes()
    switch.there = False
    holder = holder_of(bench, switch)
    assert holder.current(5.0).channel("hotpot-pay").keys["secret"] == "canary-key-1"
    bench.apply(small.replace("canary-key-1", "canary-key-2"))
    switch.there = True
    assert holder.current(7.0).channel("hotpot-pay").keys["secret"] == "canary-key-2"


def test_without_store_and_copy_there_is_no_directory_until_the_store_is_back(bench, small, switch):
    bench.apply(small)
    switch.there = False
    holder = holder_of(bench, switch)
    with pytest.raises(StoreUnavailable):
        holder.current(1.0)
    switch.there = True
    assert holder.current(1.1).version == 1


@pytest.mark.parametrize("content", [b"", b"\x01\x05local", b"x" * 100])
def test_a_damaged_copy_is_no_copy(bench, small, switch, content):
    bench.apply(small)
    (bench.home / "catalog.cache").write_bytes(content)
    switch.there = False
    with pytest.raises(StoreUnavailable):
        holder_of(bench, switch).current(1.0)


def test_a_copy_under_another_master_key_is_no_copy(bench, small, switch):
    bench.apply(small)
    holder_of(bench, switch).current(1.0)
    bench.master = MasterKey.new(system_random)
    switch.there = False
    with pytest.raises(StoreUnavailable):
        holder_of(bench, switch).current(1.0)


def test_another_master_key_than_the_stores_is_no_crash(bench, small, switch):
    bench.apply(small)
    bench.master = MasterKey.new(system_random)
    with pytest.raises(StoreUnavailable):
        holder_of(bench, switch).current(1.0)


def test_a_store_without_any_data_key_is_no_crash(bench, small, switch):
    bench.store.write(lambda tx: tx.run("DELETE FROM data_keys"))
    with pytest.raises(StoreUnavailable):
        holder_of(bench, switch).current(1.0)


def test_a_copy_that_cannot_be_written_stops_nothing(bench, small, switch):
    bench.apply(small)
    (bench.home / "catalog.cache").mkdir()
    assert holder_of(bench, switch).current(1.0).version == 1


def test_threads_that_begin_together_get_one_directory(bench, small, switch):
    bench.apply(small)
    holder = holder_of(bench, switch)
    found = []
    threads = [threading.Thread(target=lambda: found.append(holder.current(1.0))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({id(directory) for directory in found}) == 1


def test_what_another_process_applies_is_seen(bench, small):
    bench.apply(small)
    holder = holder_of(bench, open_store("sqlite:///drainage.db", bench.home))
    assert holder.current(1.0).version == 1
    program = """
        import sys
        from pathlib import Path
        from gateway.store import open_store
        store = open_store("sqlite:///drainage.db", Path(sys.argv[1]))
        def change(tx):
            tx.run("UPDATE catalog SET spec = replace(spec, '1000', '5') WHERE kind = 'item'")
            tx.run("UPDATE meta SET value = '2' WHERE name = 'catalog_version'")
        store.write(change)
        store.close()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(bench.home)], check=True)
    assert holder.current(2.0).item("bowl-5off").stock == 5
