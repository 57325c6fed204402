"""One object changed by the rules of an apply file: faults, conflicts, secrets, and what an apply file sees of it."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.catalog.edit import Edit, Moved, edit, fresh_slug, stamp_of
from gateway.catalog.export import export
from gateway.catalog.storage import load, secret_id
from gateway.contract.errors import BadConfig
from gateway.setup.bench import workshop
from tests.support.world import SECRET, World


class Bench:
    def __init__(self, world):
        self.world = world

    @property
    def stored(self):
        vault = self.world.runtime.keyring.reload()
        return self.world.store.read(lambda tx: load(tx, vault))

    @property
    def name(self):
        return secret_id(self.world.runtime.keyring.reload())

    def stamp(self, kind, slug):
        return stamp_of(getattr(self.stored.catalog, f"{kind}s")[slug], self.name)

    def edit(self, *edits, who="小周"):
        return edit(list(edits), workshop(self.world.runtime, who, "rq_1"), self.world.clock())

    def export(self):
        return export(self.stored.catalog, self.name)


@pytest.fixture
def bench(world):
    return Bench(world)


def test_a_changed_key_leaves_the_others_and_writes_one_audit_row_with_before_and_after(bench, world):
    """R246."""
    bench.edit(Edit("item", "soup", {"value_fen": 450}, bench.stamp("item", "soup")))
    after = bench.stored.catalog.items["soup"]
    assert (after.value_fen, after.name, after.kind) == (450, "例汤一份", "gift")
    row = world.all("SELECT * FROM audit ORDER BY seq DESC LIMIT 1")[0]
    assert (row["who"], row["action"], row["object"], row["request_id"]) == (
        "小周",
        "catalog.changed",
        "item.soup",
        "rq_1",
    )
    assert json.loads(row["before"])["value_fen"] == 300
    assert json.loads(row["after"])["value_fen"] == 450


def test_none_takes_a_key_back_to_its_default(bench):
    bench.edit(Edit("item", "bowl-5off", {"stock": None}, bench.stamp("item", "bowl-5off")))
    assert bench.stored.catalog.items["bowl-5off"].stock is None


def test_every_fault_at_once_and_nothing_written(bench):
    before = bench.export()
    with pytest.raises(BadConfig) as refused:
        bench.edit(
            Edit("item", "soup", {"value_fen": -1, "kind": "cake", "stock": 10**12}, bench.stamp("item", "soup")),
            Edit("merchant", "fresh", {"circle": "nowhere", "name": ""}),
        )
    paths = {path for path, _ in refused.value.faults}
    assert {"item.soup.value_fen", "item.soup.kind", "item.soup.stock", "merchant.fresh.name"} <= paths
    assert bench.export() == before


@pytest.mark.parametrize(
    "values",
    [
        {"offer": "everywhere"},
        {"name": "x" * 101},
        {"name": "a\nb"},
        {"percent_off": 101},
        {"percent_off": 10, "value_fen": 100},
        {"cap_fen": 100},
        {"merchant": "nobody"},
        {"price_fen": True},
        {"unknown_key": 1},
        {"valid_days": 0},
    ],
)
def test_what_an_apply_file_refuses_an_edit_refuses(bench, values):
    with pytest.raises(BadConfig):
        bench.edit(Edit("item", "soup", values, bench.stamp("item", "soup")))


def test_an_object_that_moved_is_not_overwritten(bench):
    stamp = bench.stamp("item", "soup")
    bench.edit(Edit("item", "soup", {"value_fen": 400}, stamp))
    with pytest.raises(Moved) as moved:
        bench.edit(Edit("item", "soup", {"value_fen": 500}, stamp))
    assert (moved.value.status, moved.value.now.value_fen) == (409, 400)
    assert bench.stored.catalog.items["soup"].value_fen == 400


def test_another_object_that_moved_is_no_conflict(bench):
    stamp = bench.stamp("item", "soup")
    bench.edit(Edit("item", "bowl-5off", {"value_fen": 400}, bench.stamp("item", "bowl-5off")))
    assert bench.edit(Edit("item", "soup", {"value_fen": 500}, stamp))


def test_of_two_who_edit_one_object_at_once_one_wins_and_the_other_is_told(bench):
    stamp = bench.stamp("item", "soup")

    def one(fen):
        try:
            bench.edit(Edit("item", "soup", {"value_fen": fen}, stamp))
        except Moved:
            return None
        return fen

    with ThreadPoolExecutor(6) as pool:
        won = [fen for fen in pool.map(one, range(1001, 1007)) if fen is not None]
    assert len(won) == 1
    assert bench.stored.catalog.items["soup"].value_fen == won[0]


def test_many_who_edit_different_objects_at_once_all_win(bench):
    stamps = {slug: bench.stamp("item", slug) for slug in ("soup", "bowl-5off", "set-menu")}
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda slug: bench.edit(Edit("item", slug, {"valid_days": 9}, stamps[slug])), stamps))
    assert {bench.stored.catalog.items[slug].valid_days for slug in stamps} == {9}


def test_a_name_that_is_taken_makes_no_second_object(bench):
    with pytest.raises(BadConfig) as refused:
        bench.edit(Edit("item", "soup", {"merchant": "sweets", "name": "汤"}))
    assert refused.value.faults == [("item.soup", "is there already; take another name")]


def test_a_removed_object_is_gone_and_one_that_others_name_cannot_be(bench):
    bench.edit(Edit("item", "soup", None, bench.stamp("item", "soup")))
    assert "soup" not in bench.stored.catalog.items
    with pytest.raises(BadConfig):
        bench.edit(Edit("merchant", "hotpot", None, bench.stamp("merchant", "hotpot")))


def test_a_channels_secrets_stay_when_it_is_edited_and_no_row_shows_them(bench, world):
    bench.edit(Edit("channel", "hotpot-pay", {"paused": True}, bench.stamp("channel", "hotpot-pay")))
    channel = bench.stored.catalog.channels["hotpot-pay"]
    assert channel.paused
    assert channel.keys["secret"] == SECRET
    for row in world.all("SELECT before, after FROM audit"):
        assert SECRET not in f"{row['before']}{row['after']}"


def test_a_form_cannot_read_files_or_the_environment(bench):
    for reference in ({"file": "/etc/hostname"}, {"env": "PATH"}):
        with pytest.raises(BadConfig):
            values = {"keys": {"mchid": "M", "appid": "A", "secret": reference}}
            bench.edit(Edit("channel", "hotpot-pay", values, bench.stamp("channel", "hotpot-pay")))


def test_what_was_edited_comes_out_of_an_export_and_applied_again_changes_nothing(bench, world):
    """The console and apply files live together."""
    bench.edit(Edit("item", "soup", {"value_fen": 777}, bench.stamp("item", "soup")))
    bench.edit(Edit("pair", "p", {"from": "hotpot", "to": "sweets", "relation": "block"}))
    bench.edit(Edit("channel", "hotpot-pay", {"paused": True}, bench.stamp("channel", "hotpot-pay")))
    text = bench.export()
    assert "777" in text
    assert SECRET not in text
    before = world.one("SELECT value FROM meta WHERE name = 'catalog_version'")["value"]
    world.apply(text)
    assert world.one("SELECT value FROM meta WHERE name = 'catalog_version'")["value"] == before
    assert bench.export() == text


def test_a_channel_that_was_broken_before_does_not_stop_another_merchants_edit(bench, world):
    world.store.write(
        lambda tx: tx.run(
            "UPDATE catalog SET spec = replace(spec, '\"secondpay\"', '\"gonepay\"') WHERE kind = 'channel'"
        )
    )
    assert bench.edit(Edit("item", "soup", {"value_fen": 1}, bench.stamp("item", "soup")))


def test_fresh_slugs_are_fit_for_the_file_and_nobodys(world):
    assert fresh_slug("面馆 A!", {}) == "a"
    assert fresh_slug("a", {"a": 1, "a-2": 1}) == "a-3"
    assert fresh_slug("老陈", {}) == "x"
    assert len(fresh_slug("x" * 100, {})) <= 63


@pytest.mark.postgres
def test_the_same_conflict_on_postgresql(tmp_path, postgres_url):
    world = World(tmp_path, store_url=postgres_url)
    try:
        test_of_two_who_edit_one_object_at_once_one_wins_and_the_other_is_told(Bench(world))
        test_many_who_edit_different_objects_at_once_all_win(Bench(world))
    finally:
        world.close()
