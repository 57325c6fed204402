"""`drainage migrate --to-postgres` (R244): the whole store moves, counted and compared, or nothing does."""

from __future__ import annotations

import pytest

from gateway.store import open_store
from gateway.transfer import TransferBroken, transfer

pytestmark = pytest.mark.postgres


@pytest.fixture
def moved(console, postgres_url):
    console.init()
    console.apply()
    return console, postgres_url


def counts(url, home, tables=("catalog", "data_keys", "users", "audit", "meta")):
    store = open_store(url, home)
    try:
        return store.read(lambda tx: {table: tx.one(f"SELECT count(*) AS n FROM {table}")["n"] for table in tables})
    finally:
        store.close()


def test_r244_every_row_moves_and_the_home_works_on(moved):
    console, url = moved
    before = console.ok("export").out
    done = console.ok("migrate", "--to-postgres", url)
    assert "counts and checksums are the same" in done.out
    assert url not in done.out
    assert counts(url, console.home) == counts("sqlite:///drainage.db", console.home)
    console.env["DRAINAGE_STORE_URL"] = url
    assert console.ok("export").out == before
    assert "unchanged" in console.apply().out
    assert "names PostgreSQL already" in console.run("migrate", "--to-postgres", url).err
    assert "pg_dump" in console.run("backup", "b.tar").err


def test_more_than_a_page_of_rows_moves_with_bytes_and_nulls(moved):
    console, url = moved
    source, target = open_store("sqlite:///drainage.db", console.home), open_store(url, console.home)
    rows = [
        {"id": f"d_{n:05}", "digest": bytes([n % 256, 0, 255]), "sealed": None if n % 2 else b"\x00x"}
        for n in range(1203)
    ]

    def fill(tx):
        for row in rows:
            tx.run(
                "INSERT INTO deliveries (id, channel, received_at, outcome, digest, sealed) "
                "VALUES (:id, '渠道', '2026', 'processed', :digest, :sealed)",
                row,
            )

    source.write(fill)
    copied = {one.table: one for one in transfer(source, target)}
    assert copied["deliveries"].rows == 1203
    found = target.read(lambda tx: tx.all("SELECT id, digest, sealed FROM deliveries ORDER BY id"))
    assert [(row["id"], bytes(row["digest"])) for row in found] == [(row["id"], row["digest"]) for row in rows]
    assert [row["sealed"] for row in found] == [row["sealed"] for row in rows]
    source.close()
    target.close()


def test_a_target_that_holds_rows_is_left_alone(moved):
    console, url = moved
    console.ok("migrate", "--to-postgres", url)
    before = counts(url, console.home)
    done = console.run("migrate", "--to-postgres", url)
    assert (done.code, "is not empty" in done.err) == (1, True)
    assert counts(url, console.home) == before


def test_a_copy_that_breaks_half_way_leaves_nothing_behind(moved):
    console, url = moved
    source, target = open_store("sqlite:///drainage.db", console.home), open_store(url, console.home)
    # PostgreSQL's text cannot hold a NUL, SQLite's can.
    source.write(lambda tx: tx.run("UPDATE users SET circle = 'a' || char(0) || 'b'"))
    with pytest.raises(Exception, match="NUL"):
        transfer(source, target)
    assert set(counts(url, console.home).values()) == {0}
    source.close()
    target.close()


def test_rows_that_arrive_changed_are_noticed(moved):
    console, url = moved
    source, target = open_store("sqlite:///drainage.db", console.home), open_store(url, console.home)
    target.write(
        lambda tx: tx.run(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.role := ''king''; RETURN NEW; END'"
        )
    )
    target.write(lambda tx: tx.run("CREATE TRIGGER spoil BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION spoil()"))
    try:
        with pytest.raises(TransferBroken, match="users"):
            transfer(source, target)
        assert set(counts(url, console.home).values()) == {0}
    finally:
        target.write(lambda tx: tx.run("DROP TRIGGER spoil ON users"))
        target.write(lambda tx: tx.run("DROP FUNCTION spoil()"))
        source.close()
        target.close()


def test_a_running_gateway_is_not_copied(moved):
    from gateway.contract.clock import system_clock
    from gateway.heartbeat import beat

    console, url = moved
    beat(console.home / "run", system_clock()())
    done = console.run("migrate", "--to-postgres", url)
    assert (done.code, "stop it first" in done.err) == (1, True)


@pytest.mark.parametrize("dsn", ["sqlite:///x.db", "mysql://x"])
def test_what_is_no_postgres_is_wrong_usage(moved, dsn):
    assert moved[0].run("migrate", "--to-postgres", dsn).code == 2


def test_a_server_that_is_not_there_is_told_without_the_password(moved):
    done = moved[0].run("migrate", "--to-postgres", "postgresql://u:hunter2@127.0.0.1:9/x?connect_timeout=2")
    assert done.code == 1
    assert "hunter2" not in done.err
    assert "Traceback" not in done.err
