"""Look-ups of the running gateway over a catalogue."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from gateway.catalog.directory import Directory
from gateway.catalog.specs import Offer
from gateway.contract import RawNotification, UnknownKey

RICH = """
[circle.riverside]
name = "滨江"
[circle.hill]
name = "山上"
binding = "bearer"
[merchant.hotpot]
circle = "riverside"
name = "老王火锅"
[merchant.sweets]
circle = "riverside"
name = "甜甜糖水"
[merchant.noodles]
circle = "riverside"
name = "面"
[merchant.tea]
circle = "hill"
name = "茶"
[shop.hotpot-1]
merchant = "hotpot"
name = "滨江一店"
timezone = "Europe/Berlin"
[channel.a]
merchant = "hotpot"
shop = "hotpot-1"
adapter = "testpay"
upstream = "http://127.0.0.1:1/a"
hosts = ["pos.example.com", "only.example.com"]
notify_paths = ["/wx/a", "/n/a"]
keys = { mchid = "1", secret = "s" }
[channel.a.sub_merchants]
77 = "sweets"
[channel.b]
merchant = "sweets"
adapter = "testpay"
upstream = "http://127.0.0.1:1/b"
hosts = ["pos.example.com"]
hosts_default = true
notify_paths = ["/n/b"]
keys = { mchid = "1", secret = "s" }
wallet = { appid = "wx1", app_secret = "canary" }
[channel.c]
merchant = "tea"
adapter = "testpay"
intake = "copy"
upstream = "http://127.0.0.1:1/c"
keys = { mchid = "1", secret = "s" }
[item.z]
merchant = "sweets"
name = "z"
paused = true
[item.y]
merchant = "hotpot"
name = "y"
[item.x]
merchant = "tea"
name = "x"
[pair.p]
from = "hotpot"
to = "sweets"
relation = "prefer"
[pair.q]
from = "noodles"
to = "hotpot"
relation = "block"
[offer.default]
circle = "riverside"
own = 3
[campaign.c]
kind = "coupons"
circle = "riverside"
price_fen = 1
"""


@pytest.fixture
def directory(bench):
    bench.apply(RICH)
    return directory_of(bench)


def directory_of(bench, *, sandbox_enabled=False):
    stored = bench.stored()
    return Directory(stored.version, stored.catalog, bench.registry, sandbox_enabled=sandbox_enabled)


def test_a_channel_comes_with_all_that_it_refers_to(directory):
    live = directory.channel("a")
    assert (live.merchant.slug, live.circle.slug, live.shop.slug) == ("hotpot", "riverside", "hotpot-1")
    assert (live.provider, live.upstream, live.trouble) == ("test", "http://127.0.0.1:1/a", "")
    assert live.keys == {"mchid": "1", "secret": "s", "sub_mchids": ["77"]}
    assert directory.channel("b").shop is None
    assert directory.channel("nowhere") is None
    assert [channel.spec.slug for channel in directory.channels()] == ["a", "b", "c"]


def test_only_a_relaying_channel_has_an_upstream(directory):
    assert directory.channel("c").upstream == ""


def test_no_repr_shows_a_key(directory):
    assert "canary" not in repr(directory.channel("b")) + repr(directory.channel("b").wallet)


@pytest.mark.parametrize(
    ("channel", "sub_mch_id", "merchant"),
    [
        ("a", "77", "sweets"),
        ("a", None, "hotpot"),
        ("a", "78", None),
        ("b", "anything", "sweets"),
        ("b", None, "sweets"),
    ],
)
def test_the_merchant_of_a_payment(directory, channel, sub_mch_id, merchant):
    found = directory.merchant_for(directory.channel(channel), sub_mch_id)
    assert (found.slug if found else None) == merchant


@pytest.mark.parametrize(
    ("host", "path", "channel", "taken"),
    [
        ("pos.example.com", "/n/a", "a", True),
        ("pos.example.com", "/n/b", "b", True),
        ("pos.example.com", "/n/b/", "b", False),
        ("pos.example.com", "/", "b", False),
        ("only.example.com", "/anything", "a", False),
    ],
)
def test_a_host_says_whose_a_path_is(directory, host, path, channel, taken):
    found, notification = directory.host(host).channel_for(path)
    assert (found.spec.slug, notification) == (channel, taken)


def test_a_host_of_nobody_is_none(directory):
    assert directory.host("pay.example.com") is None


@pytest.mark.parametrize(
    ("giver", "taker", "relation"),
    [
        ("hotpot", "sweets", "prefer"),
        ("sweets", "hotpot", "allow"),
        ("hotpot", "noodles", "block"),
        ("noodles", "hotpot", "block"),
        ("sweets", "noodles", "allow"),
        ("hotpot", "hotpot", "allow"),
        ("hotpot", "tea", "block"),
        ("hotpot", "nobody", "block"),
    ],
)
def test_r040_relations_hold_per_direction_block_both_ways_and_never_across_circles(directory, giver, taker, relation):
    assert directory.relation(giver, taker) == relation


def test_items_offers_and_campaigns_go_by_circle(directory):
    # R043: a paused item is there for those who hold it; that it is not offered is for the choosing to see.
    assert [item.slug for item in directory.items_of("riverside")] == ["y", "z"]
    assert [item.slug for item in directory.items_of("hill")] == ["x"]
    assert directory.items_of("nowhere") == ()
    assert directory.item("z").paused is True
    assert directory.item("nothing") is None
    assert directory.offer("riverside").own == 3
    assert directory.offer("hill") == Offer(slug="", circle="hill")
    assert [campaign.slug for campaign in directory.campaigns_of("riverside")] == ["c"]
    assert directory.campaigns_of("hill") == ()
    assert directory.circle("hill").name == "山上"
    assert directory.circle("nowhere") is None
    assert directory.circle_of("tea").slug == "hill"
    assert directory.circle_of("nobody") is None


def test_a_channel_without_a_wallet_has_its_circles(directory):
    assert directory.channel("a").wallet == directory.channel("b").wallet
    assert directory.channel("a").wallet.values == {"appid": "wx1", "app_secret": "canary"}
    assert directory.channel("c").wallet is None
    assert [wallet.channel for wallet in directory.wallets_of("riverside")] == ["b"]
    assert directory.wallets_of("hill") == ()


def test_a_wallet_of_the_same_platform_comes_first(bench):
    bench.registry.adapters["testpay"].__class__.provider = "alipay"
    try:
        wallets = (
            '[channel.a1]\nmerchant="hotpot"\nadapter="testpay"\nkeys={mchid="1",secret="s"}\n'
            'wallet={appid="wx",app_secret="s"}\n'
            '[channel.a2]\nmerchant="hotpot"\nadapter="testpay"\nkeys={mchid="1",secret="s"}\n'
            'wallet={app_id="ali",app_private_key="s"}\n'
        )
        bench.apply(RICH + wallets)
        directory = directory_of(bench)
    finally:
        bench.registry.adapters["testpay"].__class__.provider = "test"
    assert directory.channel("a").wallet.channel == "a2"
    assert directory.channel("a1").wallet.channel == "a1"
    assert {wallet.platform for wallet in directory.wallets_of("riverside")} == {"wechat", "alipay"}


def test_zones_are_the_shops_own_or_chinas(directory):
    summer = datetime(2026, 7, 1, tzinfo=timezone.utc)
    assert summer.astimezone(directory.zone("hotpot-1")).utcoffset() == timedelta(hours=2)
    for shop in ("nowhere", "", None):
        assert summer.astimezone(directory.zone(shop)).utcoffset() == timedelta(hours=8)


def test_r073_a_sandbox_channel_is_nowhere_outside_the_sandbox(bench):
    bench.sandbox_enabled = True
    bench.apply(
        RICH.replace("[channel.a]\n", "[channel.a]\nsandbox = true\n").replace(
            '"only.example.com"]', '"only.example.com"]\nhosts_default = false'
        )
    )
    assert directory_of(bench, sandbox_enabled=True).channel("a") is not None
    outside = directory_of(bench)
    assert outside.channel("a") is None
    assert outside.host("only.example.com") is None
    assert outside.host("pos.example.com").channel_for("/n/a")[0].spec.slug == "b"


@pytest.mark.parametrize("how", ["gone", "refusing", "failing"])
def test_keys_that_no_longer_load_close_their_channel_alone(bench, how):
    bench.apply(RICH)
    stored = bench.stored()
    adapters = dict(bench.registry.adapters)
    if how == "gone":
        del adapters["testpay"]
    else:
        keys = {"secret": "explode"} if how == "failing" else {}
        stored.catalog.channels["a"].keys.clear()
        stored.catalog.channels["a"].keys.update(keys)
    registry = bench.registry.__class__(adapters, {}, {})
    directory = Directory(1, stored.catalog, registry, sandbox_enabled=False)
    live = directory.channel("a")
    assert live.trouble
    assert "canary" not in live.trouble
    assert live.upstream == "http://127.0.0.1:1/a"
    raw = RawNotification("POST", "", (), b"", bench.now)
    with pytest.raises(UnknownKey):
        live.adapter.parse(raw, live.keys, bench.now)
    assert live.adapter.ack("refused").status == 503
    assert (directory.channel("b").trouble == "") is (how != "gone")
