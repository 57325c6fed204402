"""What child processes of the store tests do; importable, so that they can be started from nothing."""

from __future__ import annotations

import sys

from tests.support.crowd import in_threads
from tests.support.databases import opened

PUT = "INSERT INTO meta (name, value) VALUES (:name, :value)"


def add_up(gate, number, url, threads, turns):
    """`threads` × `turns` increments of one row, every fifth work failing; how many were acknowledged."""
    store = opened(url)

    def caller(thread):
        acknowledged = 0
        for turn in range(turns):
            name = f"{number}-{thread}-{turn}"

            def work(tx, name=name, turn=turn):
                tx.run("UPDATE meta SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT) WHERE name = 'sum'")
                tx.run(PUT, {"name": name, "value": "x"})
                if turn % 5 == 4:
                    raise KeyError(name)

            try:
                store.write(work)
            except KeyError:
                continue
            acknowledged += 1
        return acknowledged

    gate.wait()
    done = in_threads([lambda thread=thread: caller(thread) for thread in range(threads)])
    store.close()
    return [sum(done)]


def migrate_at_once(gate, number, url):
    """Bring the schema up to date together with others; the steps that this one applied."""
    from pathlib import Path

    from gateway.store import migrate_store

    gate.wait()
    return [migrate_store(url, Path("/"))]


def write_until_killed(url: str) -> None:
    """Write rows from four threads and say each number on stdout after its write was acknowledged."""
    store = opened(url)
    out = sys.stdout.buffer

    def caller(thread):
        for turn in range(1_000_000):
            name = f"{thread}-{turn}"
            store.write(lambda tx, name=name: tx.run(PUT, {"name": name, "value": "x"}))
            out.write(f"{name}\n".encode())
            out.flush()

    in_threads([lambda thread=thread: caller(thread) for thread in range(4)])


if __name__ == "__main__":
    write_until_killed(sys.argv[1])
