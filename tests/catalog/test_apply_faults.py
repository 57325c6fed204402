"""An apply file that does not hold: every fault by its path, all at once, and nothing stored."""

from __future__ import annotations

import pytest

from gateway.contract.errors import BadConfig

OTHER_CIRCLE = """
[circle.hill]
name = "山上"
binding = "bearer"
[merchant.tea]
circle = "hill"
name = "茶"
[item.cup]
merchant = "tea"
name = "一杯茶"
"""


def key(table, line):
    """`SMALL` with a line put under a table's head."""
    return lambda text: text.replace(f"[{table}]\n", f"[{table}]\n{line}\n")


def without(line):
    def change(text):
        assert f"{line}\n" in text
        return text.replace(f"{line}\n", "")

    return change


def instead(old, new):
    def change(text):
        assert old in text
        return text.replace(old, new)

    return change


def more(addition):
    return lambda text: text + addition


def pair(slug, giver, taker, rest=""):
    return f'[pair.{slug}]\nfrom = "{giver}"\nto = "{taker}"\n{rest}\n'


CASES = {
    # -- shape ---------------------------------------------------------------------------------------------------
    "no toml": (lambda text: text + "[[[", "", "TOML"),
    "a key twice": (key("circle.riverside", 'name = "again"'), "", "TOML"),
    "unknown table": (more('[shops.x]\nname="x"\n'), "shops", "did you mean shop"),
    "kind is a value": (lambda text: "pair = 3\n" + text, "pair", "[pair.NAME]"),
    "kind is a list": (more("[[pair]]\nx=1\n"), "pair", "[pair.NAME]"),
    "object is a value": (more("[pair]\nx = 1\n"), "pair.x", "must be a table"),
    "unknown key": (key("circle.riverside", "min_amount_fan = 1"), "circle.riverside.min_amount_fan", "min_amount_fen"),
    "unknown key, nothing near": (key("item.bowl-5off", "zzz = 1"), "item.bowl-5off.zzz", "no such key"),
    "required name": (without('name = "滨江商圈"'), "circle.riverside.name", "required"),
    "required adapter": (without('adapter = "testpay"'), "channel.hotpot-pay.adapter", "required"),
    "required from": (more('[pair.x]\nto = "sweets"\n'), "pair.x.from", "required"),
    "field name, not key": (
        more('[pair.x]\ngiver="hotpot"\nfrom="hotpot"\nto="sweets"\n'),
        "pair.x.giver",
        "no such key",
    ),
    # -- names ---------------------------------------------------------------------------------------------------
    "capital slug": (more('[merchant.Tea]\ncircle="riverside"\nname="x"\n'), "merchant.Tea", "small letters"),
    "slug with dash first": (more('[merchant.-t]\ncircle="riverside"\nname="x"\n'), "merchant.-t", "small letters"),
    "slug with underline": (more('[merchant.a_b]\ncircle="riverside"\nname="x"\n'), "merchant.a_b", "small letters"),
    "slug in quotes": (more('[merchant."a/../b"]\ncircle="riverside"\nname="x"\n'), 'merchant."a/../b"', "small"),
    "slug with line end": (more('[merchant."a\\n"]\ncircle="riverside"\nname="x"\n'), 'merchant."a\\u000a"', "small"),
    "slug too long": (more(f'[merchant.{"a" * 64}]\ncircle="riverside"\nname="x"\n'), f"merchant.{'a' * 64}", "63"),
    "empty slug": (more('[merchant.""]\ncircle="riverside"\nname="x"\n'), 'merchant.""', "small letters"),
    "empty name": (instead('"甜甜糖水"', '""'), "merchant.sweets.name", "empty"),
    "name on two lines": (instead('"甜甜糖水"', '"a\\nb"'), "merchant.sweets.name", "control"),
    "name with a direction mark line": (instead('"甜甜糖水"', '"a\\u2028b"'), "merchant.sweets.name", "control"),
    "name too long": (instead('"甜甜糖水"', f'"{"x" * 101}"'), "merchant.sweets.name", "100"),
    "name is a number": (instead('"甜甜糖水"', "7"), "merchant.sweets.name", "text"),
    # -- types and ranges ----------------------------------------------------------------------------------------
    "bool for int": (key("circle.riverside", "tag_days = true"), "circle.riverside.tag_days", "whole number"),
    "float for int": (key("circle.riverside", "tag_days = 180.0"), "circle.riverside.tag_days", "whole number"),
    "text for int": (key("circle.riverside", 'tag_days = "180"'), "circle.riverside.tag_days", "whole number"),
    "int for bool": (key("circle.riverside", "last_touch = 1"), "circle.riverside.last_touch", "true or false"),
    "negative money": (key("circle.riverside", "min_amount_fen = -1"), "circle.riverside.min_amount_fen", "from 0"),
    "too much money": (
        key("circle.riverside", "min_amount_fen = 1000000000001"),
        "circle.riverside.min_amount_fen",
        "to 1000000000000",
    ),
    "zero days": (key("circle.riverside", "tag_days = 0"), "circle.riverside.tag_days", "from 1"),
    "percent over": (instead("value_fen = 500", "percent_off = 101"), "item.bowl-5off.percent_off", "100"),
    "negative stock": (instead("stock = 1000", "stock = -1"), "item.bowl-5off.stock", "from 0"),
    "negative weight": (key("item.bowl-5off", "weight = -1"), "item.bowl-5off.weight", "from 0"),
    "binding": (instead('"bearer"', '"bearers"'), "circle.riverside.binding", "did you mean bearer"),
    "kind of item": (key("item.bowl-5off", 'kind = "cash"'), "item.bowl-5off.kind", "coupon, points, gift"),
    "offer of item": (instead('offer = "elsewhere"', 'offer = "anywhere"'), "item.bowl-5off.offer", "own, elsewhere"),
    "intake": (key("channel.hotpot-pay", 'intake = "push"'), "channel.hotpot-pay.intake", "relay, copy, poll"),
    "answer": (key("channel.hotpot-pay", 'answer = "echo"'), "channel.hotpot-pay.answer", "mirror, ack"),
    "timeout low": (key("channel.hotpot-pay", "timeout_ms = 199"), "channel.hotpot-pay.timeout_ms", "200"),
    "timeout high": (key("channel.hotpot-pay", "timeout_ms = 4001"), "channel.hotpot-pay.timeout_ms", "4000"),
    "timezone": (key("shop.hotpot-1", 'timezone = "Asia/Shangai"'), "shop.hotpot-1.timezone", "Asia/Shanghai"),
    "timezone outside": (key("shop.hotpot-1", 'timezone = "../passwd"'), "shop.hotpot-1.timezone", "time zone"),
    "value and percent": (key("item.bowl-5off", "percent_off = 10"), "item.bowl-5off.percent_off", "value_fen"),
    "cap without percent": (key("item.bowl-5off", "cap_fen = 10"), "item.bowl-5off.cap_fen", "percent_off"),
    # -- references ----------------------------------------------------------------------------------------------
    "merchant's circle": (
        more('[merchant.tea]\ncircle="riversid"\nname="x"\n'),
        "merchant.tea.circle",
        "did you mean riverside",
    ),
    "shop's merchant": (more('[shop.x]\nmerchant="nobody"\nname="x"\n'), "shop.x.merchant", "no merchant named nobody"),
    "item's merchant": (more('[item.x]\nmerchant="nobody"\nname="x"\n'), "item.x.merchant", "no merchant"),
    "channel's shop": (instead('shop = "hotpot-1"', 'shop = "hotpot-2"'), "channel.hotpot-pay.shop", "no shop"),
    "another's shop": (
        more('[shop.sweets-1]\nmerchant="sweets"\nname="x"\n[channel.y]\nmerchant="hotpot"\nshop="sweets-1"\n'
             'adapter="testpay"\nkeys={mchid="1",secret="s"}\n'),
        "channel.y.shop",
        "another merchant",
    ),
    "welcome item": (key("circle.riverside", 'welcome_item = "bowl"'), "circle.riverside.welcome_item", "no item"),
    "welcome item elsewhere": (
        lambda text: key("circle.riverside", 'welcome_item = "cup"')(text) + OTHER_CIRCLE,
        "circle.riverside.welcome_item",
        "another circle",
    ),
    "source item": (
        more('[offer.o]\ncircle="riverside"\nsource_item="nothing"\n'),
        "offer.o.source_item",
        "no item named nothing",
    ),
    "source item elsewhere": (
        more(OTHER_CIRCLE + '[offer.o]\ncircle="riverside"\nsource_item="cup"\n'),
        "offer.o.source_item",
        "another circle",
    ),
    "offer's circle": (more('[offer.o]\ncircle="nowhere"\n'), "offer.o.circle", "no circle"),
    "two offers": (
        more('[offer.a]\ncircle="riverside"\n[offer.b]\ncircle="riverside"\n'),
        "offer.b.circle",
        "offer.a",
    ),
    # -- pairs (R040) --------------------------------------------------------------------------------------------
    "pair with itself": (more(pair("p", "hotpot", "hotpot")), "pair.p.to", "same merchant"),
    "pair across circles": (more(OTHER_CIRCLE + pair("p", "hotpot", "tea")), "pair.p.to", "another circle"),
    "pair from nobody": (more(pair("p", "nobody", "sweets")), "pair.p.from", "no merchant"),
    "pair to nobody": (more(pair("p", "hotpot", "nobody")), "pair.p.to", "no merchant"),
    "pair said twice": (more(pair("a", "hotpot", "sweets") + pair("b", "hotpot", "sweets")), "pair.b", "pair.a"),
    "pair said back by both": (
        more(pair("a", "hotpot", "sweets", "both = true") + pair("b", "sweets", "hotpot")),
        "pair.b",
        "sweets → hotpot is said by pair.a",
    ),
    "pair said back by block": (
        more(pair("a", "hotpot", "sweets", 'relation = "block"') + pair("b", "sweets", "hotpot")),
        "pair.b",
        "pair.a",
    ),
    "block with both as text": (
        more(pair("a", "hotpot", "sweets", 'relation = "block"\nboth = "no"')),
        "pair.a.both",
        "true or false",
    ),
    # -- channels ------------------------------------------------------------------------------------------------
    "adapter": (
        instead('adapter = "testpay"', 'adapter = "testpai"'),
        "channel.hotpot-pay.adapter",
        "installed: stalepay, testpay; did you mean testpay?",
    ),
    "upstream scheme": (instead("http://127", "ftp://127"), "channel.hotpot-pay.upstream", "http://"),
    "upstream with a space": (instead("/pay/wx", "/pay wx"), "channel.hotpot-pay.upstream", "http://"),
    "upstream refused": (
        instead("http://127.0.0.1:9001", "http://169.254.169.254"),
        "channel.hotpot-pay.upstream",
        "the address is not allowed",
    ),
    "ack where signatures go stale": (
        lambda text: instead('"testpay"', '"stalepay"')(key("channel.hotpot-pay", 'answer = "ack"')(text)),
        "channel.hotpot-pay.answer",
        "300 s",
    ),
    "oauth without a wallet": (instead('"bearer"', '"oauth"'), "circle.riverside.binding", "channel.hotpot-pay.wallet"),
    "sandbox channel": (key("channel.hotpot-pay", "sandbox = true"), "channel.hotpot-pay.sandbox", "[sandbox] enabled"),
    "hosts not a list": (key("channel.hotpot-pay", 'hosts = "pos.example.com"'), "channel.hotpot-pay.hosts", "list"),
    "host with a port": (key("channel.hotpot-pay", 'hosts = ["a.com:80"]'), "channel.hotpot-pay.hosts", "entry 1"),
    "host in capitals": (key("channel.hotpot-pay", 'hosts = ["A.com"]'), "channel.hotpot-pay.hosts", "small letters"),
    "host twice": (key("channel.hotpot-pay", 'hosts = ["a.com", "a.com"]'), "channel.hotpot-pay.hosts", "twice"),
    "our own host": (key("channel.hotpot-pay", 'hosts = ["pay.example.com"]'), "channel.hotpot-pay.hosts", "own"),
    "hosts of a copy channel": (
        key("channel.hotpot-pay", 'hosts = ["a.com"]\nintake = "copy"'),
        "channel.hotpot-pay.hosts",
        "upstream",
    ),
    "paths without hosts": (key("channel.hotpot-pay", 'notify_paths = ["/n"]'), "channel.hotpot-pay.notify_paths", "hosts"),
    "path with a query": (
        key("channel.hotpot-pay", 'hosts = ["a.com"]\nnotify_paths = ["/n?a=1"]'),
        "channel.hotpot-pay.notify_paths",
        "query",
    ),
    "default without hosts": (key("channel.hotpot-pay", "hosts_default = true"), "channel.hotpot-pay.hosts_default", ""),
    # -- sub-merchants -------------------------------------------------------------------------------------------
    "sub-merchant unknown": (
        more('[channel.hotpot-pay.sub_merchants]\n1900 = "nobody"\n'),
        "channel.hotpot-pay.sub_merchants.1900",
        "no merchant named nobody",
    ),
    "sub-merchant elsewhere": (
        more(OTHER_CIRCLE + '[channel.hotpot-pay.sub_merchants]\n1900 = "tea"\n'),
        "channel.hotpot-pay.sub_merchants.1900",
        "another circle",
    ),
    "sub-merchants no table": (
        key("channel.hotpot-pay", 'sub_merchants = ["1900"]'),
        "channel.hotpot-pay.sub_merchants",
        "table",
    ),
    "sub-merchant's number": (
        more('[channel.hotpot-pay.sub_merchants]\n"19 00" = "sweets"\n'),
        "channel.hotpot-pay.sub_merchants",
        "letters and digits",
    ),
    "sub-merchants that the adapter refuses": (
        more('[channel.hotpot-pay.sub_merchants]\nbad = "sweets"\n'),
        "channel.hotpot-pay.sub_merchants",
        "is no number",
    ),
    "sub_mchids by hand": (
        key("channel.hotpot-pay.keys", 'sub_mchids = ["1"]'),
        "channel.hotpot-pay.keys.sub_mchids",
        "[channel.hotpot-pay.sub_merchants]",
    ),
    # -- keys ----------------------------------------------------------------------------------------------------
    "keys missing": (
        without('mchid = "1900000109"'),
        "channel.hotpot-pay.keys.mchid",
        "required",
    ),
    "keys unknown": (key("channel.hotpot-pay.keys", 'apikey = "x"'), "channel.hotpot-pay.keys.apikey", "unknown"),
    "keys no table": (
        lambda text: text.replace('[channel.hotpot-pay.keys]\nmchid = "1900000109"\nsecret = "canary-key-1"\n', 'keys = "x"\n'),
        "channel.hotpot-pay.keys",
        "must be a table",
    ),
    "key is a number": (instead('"canary-key-1"', "7"), "channel.hotpot-pay.keys.secret", "must be text"),
    "key is a flag in a list": (
        key("channel.hotpot-pay.keys", 'more = ["x", true]'),
        "channel.hotpot-pay.keys.more.1",
        "must be text",
    ),
    "file missing": (
        instead('"canary-key-1"', '{ file = "gone.key" }'),
        "channel.hotpot-pay.keys.secret",
        "gone.key cannot be read",
    ),
    "file is a folder": (instead('"canary-key-1"', '{ file = "." }'), "channel.hotpot-pay.keys.secret", "cannot be read"),
    "env missing": (
        instead('"canary-key-1"', '{ env = "NOT_SET" }'),
        "channel.hotpot-pay.keys.secret",
        "NOT_SET is not set",
    ),
    "nothing stored": (
        instead('"canary-key-1"', '{ stored = "0123456789ab" }'),
        "channel.hotpot-pay.keys.secret",
        "nothing is stored",
    ),
    "reference in a nested table": (
        key("channel.hotpot-pay.keys", 'more = { a = { env = "NOT_SET" } }'),
        "channel.hotpot-pay.keys.more.a",
        "NOT_SET",
    ),
    "adapter that fails": (instead('"canary-key-1"', '"explode"'), "channel.hotpot-pay.keys", "RuntimeError"),
    # -- wallet --------------------------------------------------------------------------------------------------
    "wallet half": (
        more('[channel.hotpot-pay.wallet]\nappid = "wx1"\n'),
        "channel.hotpot-pay.wallet",
        "app_secret",
    ),
    "wallet unknown key": (
        more('[channel.hotpot-pay.wallet]\nappid = "wx1"\napp_secrets = "s"\n'),
        "channel.hotpot-pay.wallet.app_secrets",
        "did you mean app_secret",
    ),
    "wallet of a list": (
        more('[channel.hotpot-pay.wallet]\nappid = "wx1"\napp_secret = ["s"]\n'),
        "channel.hotpot-pay.wallet.app_secret",
        "must be text",
    ),
    # -- campaigns (R075) ----------------------------------------------------------------------------------------
    "campaign kind": (
        more('[campaign.c]\nkind = "lottery"\ncircle = "riverside"\n'),
        "campaign.c.kind",
        "installed kinds: coupons",
    ),
    "campaign's own key": (
        more('[campaign.c]\nkind = "coupons"\ncircle = "riverside"\n'),
        "campaign.c.price_fen",
        "required",
    ),
    "campaign state": (
        more('[campaign.c]\nkind = "coupons"\ncircle = "riverside"\nprice_fen = 1\nstate = "ended"\n'),
        "campaign.c.state",
        "draft, scheduled, live",
    ),
    "campaign's circle": (more('[campaign.c]\nkind="coupons"\ncircle="no"\nprice_fen=1\n'), "campaign.c.circle", "no circle"),
    "campaign's merchant": (
        more('[campaign.c]\nkind="coupons"\ncircle="riverside"\nprice_fen=1\nmerchants=["nobody"]\n'),
        "campaign.c.merchants",
        "no merchant",
    ),
    "campaign's merchant elsewhere": (
        more(OTHER_CIRCLE + '[campaign.c]\nkind="coupons"\ncircle="riverside"\nprice_fen=1\nmerchants=["tea"]\n'),
        "campaign.c.merchants",
        "another circle",
    ),
    "campaign without zone": (
        more('[campaign.c]\nkind="coupons"\ncircle="riverside"\nprice_fen=1\nstarts_at="2026-11-22T08:00:00"\n'),
        "campaign.c.starts_at",
        "zone",
    ),
    "campaign ends first": (
        more('[campaign.c]\nkind="coupons"\ncircle="riverside"\nprice_fen=1\n'
             'starts_at=2026-11-22T08:00:00+08:00\nends_at="2026-11-22T00:00:00Z"\n'),
        "campaign.c.ends_at",
        "after starts_at",
    ),
    "campaign with infinity": (
        more('[campaign.c]\nkind="coupons"\ncircle="riverside"\nprice_fen=1\nodds = { win = inf }\n'),
        "campaign.c.odds",
        "finite",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_fault_is_told_by_its_path_and_nothing_is_stored(bench, small, case):
    change, path, word = CASES[case]
    faults = bench.faults(change(small))
    assert list(faults) == [path]
    assert word in faults[path]
    assert bench.rows() == {}
    assert bench.audited() == []


def test_all_faults_come_at_once(bench, small):
    text = (
        small.replace('name = "滨江商圈"', "name = 3")
        .replace('mchid = "1900000109"', 'mchid = ""')
        .replace('merchant = "sweets"', 'merchant = "sweet"')
        .replace("value_fen = 500", "value_fen = 500\npercent_off = 5")
    )
    faults = bench.faults(text + "[nonsense]\n[pair.p]\nfrom='hotpot'\nto='hotpot'\n")
    # The circle is faulty itself: that merchants name it is no fault of theirs.
    assert set(faults) == {
        "nonsense",
        "circle.riverside.name",
        "channel.hotpot-pay.keys.mchid",
        "item.bowl-5off.merchant",
        "item.bowl-5off.percent_off",
        "pair.p.to",
    }


def test_a_faulty_field_hides_no_other_fault_of_its_channel(bench, small):
    """A channel with a mistyped time limit is told of its upstream and its keys in the same breath."""
    text = (
        small.replace("[channel.hotpot-pay]\n", "[channel.hotpot-pay]\ntimeout_ms = 9000\nzzz = 1\n")
        .replace('secret = "canary-key-1"', 'secret = "canary-key-1"\nmchidd = "x"')
        .replace("http://127.0.0.1:9001/pay/wx", "http://10.0.0.1/pay")
    )
    assert set(bench.faults(text)) == {
        "channel.hotpot-pay.timeout_ms",
        "channel.hotpot-pay.zzz",
        "channel.hotpot-pay.keys.mchidd",
        "channel.hotpot-pay.upstream",
    }


def test_no_message_repeats_a_secret(bench, small):
    text = small.replace('secret = "canary-key-1"', 'secret = "explode"\nmore = [3, "canary-2"]')
    text += '[channel.hotpot-pay.wallet]\nappid = "wx1"\napp_secrets = "canary-3"\n'
    (bench.home / "big").write_text("canary-4" * 10_000)
    (bench.home / "binary").write_bytes(b"\xff\xfecanary-5")
    text = text.replace("3,", '{ file = "big" }, { file = "binary" }, { env = "X" }, 3,')
    faults = bench.faults(text)
    assert len(faults) == 5
    assert "larger than 64 KiB" in faults["channel.hotpot-pay.keys.more.0"]
    assert "UTF-8" in faults["channel.hotpot-pay.keys.more.1"]
    assert "canary" not in repr(faults)


def test_hosts_that_channels_share_need_one_default(bench, small):
    second = (
        '[channel.{0}]\nmerchant="hotpot"\nadapter="testpay"\nupstream="http://127.0.0.1/"\nhosts=["a.com"]\n{1}\n'
        'keys={{mchid="1",secret="s"}}\n'
    )
    none = bench.faults(small + second.format("x", "") + second.format("y", ""))
    assert list(none) == ["channel.y.hosts_default"]
    assert "none is" in none["channel.y.hosts_default"]
    marked = "hosts_default = true"
    both = bench.faults(small + second.format("x", marked) + second.format("y", marked))
    assert "more than one is" in both["channel.y.hosts_default"]
    paths = 'notify_paths = ["/n"]'
    same = bench.faults(small + second.format("x", f"{marked}\n{paths}") + second.format("y", paths))
    assert list(same) == ["channel.y.notify_paths"]
    assert bench.apply(small + second.format("x", marked) + second.format("y", paths))["channel.y"] == "created"


def test_what_prune_would_leave_dangling_is_a_fault(bench, small):
    bench.apply(small)
    rest = '[circle.riverside]\nname="x"\n[item.bowl-5off]\nmerchant="sweets"\nname="x"\n'
    assert list(bench.faults(rest, prune=True)) == ["item.bowl-5off.merchant"]
    assert len(bench.stored().catalog.merchants) == 2


def test_a_stored_object_that_the_file_breaks_is_told(bench, small):
    bench.apply(small)
    other = '[circle.hill]\nname="山"\nbinding="bearer"\n[merchant.sweets]\ncircle="hill"\nname="x"\n'
    bench.apply('[pair.p]\nfrom="hotpot"\nto="sweets"\n')
    assert list(bench.faults(other)) == ["pair.p.to"]


@pytest.mark.parametrize("text", ["[" * 5000, "a = " + "[" * 100_000, "x" * (4 * 1024 * 1024 + 1)])
def test_a_hostile_file_is_refused_in_order(bench, text):
    with pytest.raises(BadConfig):
        bench.apply(text)
