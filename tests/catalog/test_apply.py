"""Applying, exporting and applying again: what changes, what stays, and where the secrets are."""

from __future__ import annotations

import json
import threading

import pytest

from gateway.catalog.apply import laid_over
from gateway.catalog.export import export
from gateway.catalog.specs import Campaign, Channel, Circle, Item, Pair
from gateway.catalog.storage import seal_again, secret_id, version_of
from gateway.contract.errors import BadConfig, StoreBusy
from gateway.home import Home, SandboxKeys

RICH = """
[circle.riverside]
name = "滨江 \\"商圈\\"\\\\"
min_amount_fen = 100
last_touch = true
welcome_item = "bowl-5off"
[merchant.hotpot]
circle = "riverside"
name = "老王火锅"
[merchant.sweets]
circle = "riverside"
name = "甜甜糖水"
paused = true
[shop.hotpot-1]
merchant = "hotpot"
name = "滨江一店"
timezone = "Asia/Urumqi"
[channel.hotpot-pay]
merchant = "hotpot"
shop = "hotpot-1"
adapter = "testpay"
upstream = "http://127.0.0.1:9001/pay/wx"
answer = "ack"
hosts = ["pos.example.com"]
notify_paths = ["/n"]
hosts_default = true
[channel.hotpot-pay.keys]
mchid = "1900000109"
secret = { file = "secret.key" }
more = [{ env = "ONE" }, "inline", ["deep"], { "odd name" = "value" }]
[channel.hotpot-pay.sub_merchants]
1900000200 = "sweets"
[channel.hotpot-pay.wallet]
appid = "wx1"
app_secret = { env = "TWO" }
[item.bowl-5off]
merchant = "sweets"
name = "糖水立减5元"
value_fen = 500
stock = 0
[item.endless]
merchant = "sweets"
name = "糖水九折"
percent_off = 10
cap_fen = 300
[pair.hotpot-sweets]
from = "hotpot"
to = "sweets"
relation = "block"
[offer.default]
circle = "riverside"
per_person_per_day = 3
[campaign.spring]
kind = "coupons"
circle = "riverside"
merchants = ["hotpot"]
state = "live"
starts_at = 2026-11-22T08:00:00+08:00
price_fen = 5
when = 2026-11-22
[campaign.spring.models.visit]
version = 1
chain = [{ handler = "rename", from = "a" }]
[campaign.spring.models.visit.fields.amount]
type = "int"
rate = 0.5
map = { crm = "amount" }
"""


@pytest.fixture
def rich(bench):
    (bench.home / "secret.key").write_text("  canary-file\n")
    bench.env = {"ONE": "canary-env-1", "TWO": "canary-env-2"}
    return RICH


def exported(bench):
    return export(bench.stored().catalog, secret_id(bench.keyring.vault()))


def test_objects_are_created_then_unchanged(bench, small):
    first = bench.apply(small)
    assert set(first.values()) == {"created"}
    assert list(first) == [
        "circle.riverside",
        "merchant.hotpot",
        "merchant.sweets",
        "shop.hotpot-1",
        "channel.hotpot-pay",
        "item.bowl-5off",
    ]
    assert set(bench.apply(small).values()) == {"unchanged"}


def test_what_was_written_is_what_is_read(bench, rich):
    bench.apply(rich)
    catalog = bench.stored().catalog
    assert catalog.circles["riverside"] == Circle(
        "riverside", '滨江 "商圈"\\', min_amount_fen=100, last_touch=True, welcome_item="bowl-5off"
    )
    assert catalog.channels["hotpot-pay"] == Channel(
        slug="hotpot-pay",
        merchant="hotpot",
        adapter="testpay",
        shop="hotpot-1",
        upstream="http://127.0.0.1:9001/pay/wx",
        answer="ack",
        hosts=("pos.example.com",),
        hosts_default=True,
        notify_paths=("/n",),
        sub_merchants={"1900000200": "sweets"},
        keys={
            "mchid": "1900000109",
            "secret": "canary-file",
            "more": ["canary-env-1", "inline", ["deep"], {"odd name": "value"}],
        },
        wallet={"appid": "wx1", "app_secret": "canary-env-2"},
    )
    assert catalog.items["bowl-5off"] == Item("bowl-5off", "sweets", "糖水立减5元", value_fen=500, stock=0)
    assert catalog.items["endless"].stock is None
    assert catalog.pairs["hotpot-sweets"] == Pair("hotpot-sweets", "hotpot", "sweets", both=True, relation="block")
    spring = catalog.campaigns["spring"]
    assert spring.starts_at == "2026-11-22T00:00:00.000Z"
    assert (spring.state, spring.merchants) == ("live", ("hotpot",))
    assert spring.settings["when"] == "2026-11-22"
    assert spring.settings["models"]["visit"]["fields"]["amount"]["rate"] == 0.5


def test_an_export_applied_again_changes_nothing(bench, rich):
    bench.apply(rich)
    before = bench.rows()
    text = exported(bench)
    actions = bench.apply(text, prune=True)
    assert set(actions.values()) == {"unchanged"}
    assert len(actions) == 10
    assert bench.rows() == before
    assert exported(bench) == text


def test_an_export_shows_references_and_no_secret(bench, rich):
    bench.apply(rich)
    text = exported(bench)
    assert 'mchid = "1900000109"' in text
    assert text.count("{ stored = ") == 6
    for secret in ("canary", "inline", "deep"):
        assert secret not in text


def test_an_export_of_nothing_is_empty(bench):
    assert exported(bench) == ""


def test_secrets_are_in_no_file_of_the_store_in_clear(bench, rich):
    bench.apply(rich)
    bench.store.close()
    for path in bench.home.iterdir():
        if path.name.startswith("drainage.db"):
            assert b"canary" not in path.read_bytes()
    _, sealed, ids = bench.rows()["channel", "hotpot-pay"]
    assert bytes(sealed)
    assert len(json.loads(ids)) == 6
    assert "canary" not in repr(bench.audited())
    assert "canary" not in repr(bench.stored())


def test_equal_secrets_of_two_channels_have_unequal_ids(bench):
    name = secret_id(bench.keyring.vault())
    assert name("a", "secret") != name("b", "secret")
    assert name("a", "secret") == name("a", "secret")


def test_a_stored_reference_follows_only_its_own_channel(bench, small):
    bench.apply(small)
    reference = secret_id(bench.keyring.vault())("hotpot-pay", "canary-key-1")
    moved = small.replace("hotpot-pay", "other-pay").replace('"canary-key-1"', f'{{ stored = "{reference}" }}')
    assert list(bench.faults(moved)) == ["channel.other-pay.keys.secret"]
    assert bench.apply(small.replace('"canary-key-1"', f'{{ stored = "{reference}" }}'))["channel.hotpot-pay"] == (
        "unchanged"
    )


def test_a_changed_secret_is_a_change(bench, small):
    bench.apply(small)
    actions = bench.apply(small.replace("canary-key-1", "canary-key-2"))
    assert [name for name, action in actions.items() if action != "unchanged"] == ["channel.hotpot-pay"]
    assert bench.stored().catalog.channels["hotpot-pay"].keys["secret"] == "canary-key-2"


def test_what_the_file_leaves_out_stays_unless_pruned(bench, small):
    bench.apply(small)
    part = '[item.new]\nmerchant = "sweets"\nname = "新"\n'
    assert bench.apply(part) == {"item.new": "created"}
    assert set(bench.stored().catalog.items) == {"bowl-5off", "new"}
    actions = bench.apply(small, prune=True)
    assert actions.pop("item.new") == "removed"
    assert set(actions.values()) == {"unchanged"}
    assert set(bench.stored().catalog.items) == {"bowl-5off"}


def test_a_key_left_out_goes_back_to_its_default(bench, small):
    bench.apply(small)
    bench.apply('[item.bowl-5off]\nmerchant = "sweets"\nname = "糖水"\n')
    assert bench.stored().catalog.items["bowl-5off"] == Item("bowl-5off", "sweets", "糖水")


def test_a_dry_run_tells_and_writes_nothing(bench, small):
    assert set(bench.apply(small, dry_run=True).values()) == {"created"}
    assert bench.rows() == {}
    assert bench.store.read(version_of) == 0


def test_the_version_moves_once_with_each_change_and_only_then(bench, small):
    bench.apply(small)
    assert bench.store.read(version_of) == 1
    bench.apply(small)
    assert bench.store.read(version_of) == 1
    bench.apply(small.replace("stock = 1000", "stock = 5"))
    assert bench.store.read(version_of) == 2


def test_every_change_is_audited_with_before_and_after(bench, small):
    bench.apply(small)
    assert len(bench.audited()) == 6
    bench.apply(small.replace('offer = "elsewhere"', 'offer = "own"'))
    bench.apply(small.replace("[item.bowl-5off]", "[item.bowl-6off]"), prune=True)
    changed, created, removed = bench.audited()[6:]
    assert (changed.action, changed.object) == ("catalog.changed", "item.bowl-5off")
    # R043: a merchant's consent to be offered elsewhere is his item's own word, and its change is on record.
    assert json.loads(changed.before)["offer"] == "elsewhere"
    assert json.loads(changed.after)["offer"] == "own"
    assert (created.action, created.before) == ("catalog.created", None)
    assert (removed.action, removed.after) == ("catalog.removed", None)


def test_the_stock_counter_follows_the_item_and_keeps_what_was_taken(bench, small):
    def stock():
        row = bench.store.read(lambda tx: tx.one("SELECT total, taken FROM stock WHERE item = 'bowl-5off'"))
        return row["total"], row["taken"]

    bench.apply(small)
    assert stock() == (1000, 0)
    bench.store.write(lambda tx: tx.run("UPDATE stock SET taken = 7"))
    bench.apply(small.replace("stock = 1000", "stock = 5"))
    assert stock() == (5, 7)
    bench.apply(small.replace("stock = 1000", ""))
    assert stock() == (None, 7)
    bench.apply(small.replace("[item.bowl-5off]", "[item.other]"), prune=True)
    assert stock() == (0, 7)


def test_r075_a_campaign_is_a_draft_unless_its_table_says_otherwise_and_keeps_its_first_state(bench, small):
    table = '[campaign.c]\nkind = "coupons"\ncircle = "riverside"\nprice_fen = 1\n'
    bench.apply(small + table)
    assert bench.stored().catalog.campaigns["c"] == Campaign("c", "coupons", "riverside", settings={"price_fen": 1})
    assert bench.apply(small + table + 'state = "live"\n')["campaign.c"] == "unchanged"
    assert bench.apply(small + table + 'state = "live"\nbudget_fen = 9\n')["campaign.c"] == "changed"
    assert bench.stored().catalog.campaigns["c"].state == "draft"
    born_live = table.replace("campaign.c", "campaign.d") + 'state = "live"\n'
    bench.apply(small + born_live)
    assert bench.stored().catalog.campaigns["d"].state == "live"


def test_a_sandbox_channel_gets_keys_and_keeps_them(bench, small):
    bench.sandbox_enabled = True
    table = '[channel.till]\nmerchant = "hotpot"\nadapter = "testpay"\nsandbox = true\n'
    assert bench.apply(small + table)["channel.till"] == "created"
    assert bench.stored().catalog.channels["till"].keys == {"mchid": "sandbox", "secret": "made-1"}
    assert bench.apply(small + table)["channel.till"] == "unchanged"
    named = table + '[channel.till.keys]\nmchid = "1234"\n'
    assert bench.apply(small + named)["channel.till"] == "changed"
    assert bench.stored().catalog.channels["till"].keys == {"mchid": "1234", "secret": "made-1"}
    assert set(bench.apply(exported(bench)).values()) == {"unchanged"}
    assert Home(bench.home).sandbox_keys("till").private == {"private": "p1"}


def test_a_sandbox_channel_of_another_adapter_gets_other_keys(bench, small):
    bench.sandbox_enabled = True
    Home(bench.home).keep_sandbox_keys("till", SandboxKeys("otherpay", {}, {"secret": "of another"}))
    bench.apply(small + '[channel.till]\nmerchant = "hotpot"\nadapter = "testpay"\nsandbox = true\n')
    assert bench.stored().catalog.channels["till"].keys["secret"] == "made-1"
    assert Home(bench.home).sandbox_keys("till").adapter == "testpay"


@pytest.mark.parametrize("how", ["dry run", "fault"])
def test_no_sandbox_key_is_written_for_nothing(bench, small, how):
    bench.sandbox_enabled = True
    table = '[channel.till]\nmerchant = "hotpot"\nadapter = "testpay"\nsandbox = true\n'
    if how == "fault":
        bench.faults(small + table + "timeout_ms = 1\n" + table.replace("till", "other").replace("hotpot", "no"))
    else:
        bench.apply(small + table, dry_run=True)
    assert not (bench.home / "sandbox").exists()


def test_a_sandbox_channel_needs_a_platform(bench, small):
    bench.sandbox_enabled = True
    text = small.replace('"testpay"', '"stalepay"').replace(
        "[channel.hotpot-pay]\n", "[channel.hotpot-pay]\nsandbox=true\n"
    )
    assert list(bench.faults(text)) == ["channel.hotpot-pay.sandbox"]


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ({"mchid": "2"}, {"mchid": "2", "appid": "a", "apiv3_key": "k"}),
        ({"sp_mchid": "2", "sp_appid": "b"}, {"sp_mchid": "2", "sp_appid": "b", "apiv3_key": "k"}),
        ({"apiv3_keys": ["x"]}, {"mchid": "1", "appid": "a", "apiv3_keys": ["x"]}),
    ],
)
def test_given_keys_stand_in_place_of_their_like(given, left):
    assert laid_over({"mchid": "1", "appid": "a", "apiv3_key": "k"}, given) == left


def test_two_appliers_at_once_both_have_their_way(bench, small):
    bench.apply(small)
    texts = [f'[item.i{n}]\nmerchant = "sweets"\nname = "n"\n' for n in range(6)]
    trouble = []

    def run(text):
        try:
            bench.apply(text)
        except StoreBusy:
            # Overtaken five times in a row: told, and nothing half done.
            trouble.append(text)

    threads = [threading.Thread(target=run, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = set(bench.stored().catalog.items) - {"bowl-5off"}
    assert done == {f"i{n}" for n, text in enumerate(texts) if text not in trouble}
    assert bench.store.read(version_of) == 1 + len(done)


def test_a_failure_half_way_leaves_everything_as_it_was(bench, small):
    def failing(tx, action, name, before, after):
        if name == "item.bowl-5off":
            raise RuntimeError("the audit log failed")

    workshop = bench.workshop
    bench.workshop = lambda: workshop().__class__(
        bench.store, bench.keyring.vault(), workshop().surroundings, workshop().sandbox_keys, failing
    )
    with pytest.raises(RuntimeError):
        bench.apply(small)
    assert bench.rows() == {}
    assert bench.store.read(version_of) == 0


def test_rotated_data_keys_seal_the_catalogue_again(bench, small):
    bench.apply(small)
    before = bytes(bench.rows()["channel", "hotpot-pay"][1])
    bench.store.write(lambda tx: bench.keyring.rotate(tx, bench.now, "console"))
    vault = bench.keyring.reload()
    assert bench.store.write(lambda tx: seal_again(tx, vault)) == 1
    after = bytes(bench.rows()["channel", "hotpot-pay"][1])
    assert vault.key_id_of(before) != vault.key_id_of(after)
    assert bench.stored().catalog.channels["hotpot-pay"].keys["secret"] == "canary-key-1"


def test_a_row_that_does_not_open_is_named(bench, small):
    bench.apply(small)
    bench.store.write(lambda tx: tx.run("UPDATE catalog SET secrets = :x WHERE kind = 'channel'", {"x": b"\x01\x02k1"}))
    bench.store.write(lambda tx: tx.run("UPDATE catalog SET spec = 'no json' WHERE kind = 'shop'"))
    with pytest.raises(BadConfig) as caught:
        bench.stored()
    assert [path for path, _ in caught.value.faults] == ["channel.hotpot-pay", "shop.hotpot-1"]


def test_rows_of_a_newer_version_do_not_trip_an_older_one(bench, small):
    bench.apply(small)
    bench.store.write(
        lambda tx: tx.run("INSERT INTO catalog (kind, slug, spec, updated_at) VALUES ('lottery', 'x', '{}', '2026')")
    )
    bench.store.write(lambda tx: tx.run("""UPDATE catalog SET spec = '{"name":"x","moon":1}' WHERE kind = 'circle'"""))
    assert bench.stored().catalog.circles["riverside"] == Circle("riverside", "x")


def test_a_sealed_row_moved_to_another_channel_does_not_open(bench, small):
    bench.apply(small + '[channel.z]\nmerchant="hotpot"\nadapter="testpay"\nkeys={mchid="1",secret="s"}\n')
    bench.store.write(
        lambda tx: tx.run(
            "UPDATE catalog SET secrets = (SELECT secrets FROM catalog WHERE slug = 'hotpot-pay') WHERE slug = 'z'"
        )
    )
    with pytest.raises(BadConfig) as caught:
        bench.stored()
    assert [path for path, _ in caught.value.faults] == ["channel.z"]
