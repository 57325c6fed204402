"""The wallet table beside the channel's keys: direct, partner, v2, sign-in alone; every fault by its path."""

import pytest

from adapters.sandbox.wechat_twin import twin
from adapters.sandbox.wechat_v2 import platform as v2
from adapters.wechat_v3.wallet import wallet
from gateway.contract import BadConfig
from gateway.contract.wallet import CallFailed
from tests.wallets.support import NOW, Street, tables

APP = {"appid": "wxd678efh567hg6787", "app_secret": "s" * 32}


@pytest.fixture
def made():
    keys, _, table = tables("wechat")
    return keys, {name: value for name, value in table.items() if name != "endpoint"}


def faults(table, keys):
    with pytest.raises(BadConfig) as caught:
        wallet.load(table, keys)
    return dict(caught.value.faults)


def test_an_app_and_its_secret_suffice_for_signing_in(made):
    keys = wallet.load(APP, {})
    assert wallet.can_pay(keys) is False
    assert keys.app_id == APP["appid"]
    with pytest.raises(CallFailed, match="unfit"):
        wallet.query(keys, "D000001", NOW, "n")
    with pytest.raises(CallFailed, match="unfit"):
        wallet.bridge(keys, "wx1", NOW, "n")


def test_the_merchant_is_the_channels(made):
    """The wallet table need not repeat what the channel's keys say."""
    keys, table = made
    signing = {name: table[name] for name in ("merchant_private_key", "merchant_serial")}
    loaded = wallet.load({**APP, "appid": keys["appid"]}, {**keys, **signing})
    assert wallet.can_pay(loaded) is True
    assert (loaded.mch_id, loaded.serial) == (keys["mchid"], table["merchant_serial"])
    assert set(loaded.verifiers) == set(keys["public_keys"])


def test_a_name_in_both_is_the_wallets(made):
    keys, table = made
    loaded = wallet.load({**table, "mchid": "1900000777"}, keys)
    assert loaded.mch_id == "1900000777"
    assert set(loaded.verifiers) == set(table["public_keys"])


def test_keys_of_another_platforms_channel_say_nothing(made):
    _, table = made
    alipay_keys, _, _ = tables("alipay")
    signed_in = {name: table[name] for name in ("appid", "app_secret")}
    assert wallet.can_pay(wallet.load(signed_in, alipay_keys)) is False


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"appid": None}, "appid"),
        ({"appid": " "}, "appid"),
        ({"appid": 'wx"evil'}, "appid"),
        ({"appid": "wx&b=c"}, "appid"),
        ({"app_secret": None}, "app_secret"),
        ({"app_secret": "with blank"}, "app_secret"),
        ({"mchid": 'x",serial_no="y'}, "mchid"),
        ({"merchant_serial": 'a"b'}, "merchant_serial"),
        ({"merchant_private_key": "no key"}, "merchant_private_key"),
        ({"public_keys": {"OTHER": "x"}}, "public_keys.OTHER"),
        ({"public_keys": {}}, "public_keys"),
        ({"apiv3_key": "k" * 32}, "apiv3_key"),
    ],
)
def test_each_fault_has_its_path(made, change, path):
    keys, table = made
    assert path in faults({k: v for k, v in {**table, **change}.items() if v is not None}, keys)


@pytest.mark.parametrize("gone", ["merchant_private_key", "merchant_serial"])
def test_half_a_signing_key_is_a_fault(made, gone):
    keys, table = made
    assert gone in faults({name: value for name, value in table.items() if name != gone}, keys)


def test_a_signing_key_without_wechats_own_is_a_fault(made):
    """Orders whose answers cannot be proven are not begun."""
    _, table = made
    assert "public_keys" in faults({name: value for name, value in table.items() if name != "public_keys"}, {})


def test_all_faults_come_at_once(made):
    keys, table = made
    found = faults({**table, "appid": "", "app_secret": "", "endpoint": "x", "stranger": "y"}, keys)
    assert {"appid", "app_secret", "endpoint", "stranger"} <= set(found)


def test_no_fault_repeats_a_value(made):
    keys, table = made
    found = faults({**table, "app_secret": "my secret has blanks", "merchant_private_key": "MIIsecret"}, keys)
    assert "secret has" not in str(found)
    assert "MIIsecret" not in str(found)


# Partners.

PARTNER = {"sp_mchid": "1230000109", "sp_appid": "wx8888888888888888", "sub_mchid": "1900000119"}


def partner(made, keys, **wallet_table):
    _, table = made
    signing = {name: table[name] for name in ("merchant_private_key", "merchant_serial", "public_keys")}
    return wallet.load({"app_secret": "s", **signing, **wallet_table}, keys)


def test_a_partners_wallet_signs_in_at_his_app_or_the_sub_merchants(made):
    own = partner(made, PARTNER, appid="wx8888888888888888")
    sub = partner(made, {**PARTNER, "sub_appid": "wxsub1"}, appid="wxsub1")
    unnamed = partner(made, PARTNER, appid="wxsub2")
    assert [keys.of_sub_merchant for keys in (own, sub, unnamed)] == [False, True, True]
    assert all(wallet.can_pay(keys) for keys in (own, sub, unnamed))


def test_an_app_that_is_neither_partys_is_a_fault(made):
    with pytest.raises(BadConfig) as caught:
        partner(made, {**PARTNER, "sub_appid": "wxsub1"}, appid="wxother")
    assert [path for path, _ in caught.value.faults] == ["appid"]


def test_several_sub_merchants_can_sign_in_and_not_be_paid_until_one_is_named(made):
    keys = {"sp_mchid": "1230000109", "sp_appid": "wx8888888888888888", "sub_mchids": ["1", "2"]}
    several = partner(made, keys, appid="wx8888888888888888")
    named = partner(made, keys, appid="wx8888888888888888", sub_mchid="2")
    single = partner(made, {**keys, "sub_mchids": ["7"]}, appid="wx8888888888888888")
    assert [wallet.can_pay(one) for one in (several, named, single)] == [False, True, True]
    assert (named.sub_mch_id, single.sub_mch_id) == ("2", "7")


def test_v2_channels_have_wallets_too(made):
    """An old channel's partner names stand for those of v3."""
    direct = partner(made, {"mchid": "1230000109", "appid": "wx1", "api_key": "k" * 32}, appid="wx1")
    sp = partner(made, {"mchid": "1230000109", "appid": "wx1", "sub_mchid": "19", "api_key": "k" * 32}, appid="wx1")
    assert (direct.partner, direct.mch_id, wallet.can_pay(direct)) == (False, "1230000109", True)
    assert (sp.partner, sp.mch_id, sp.sub_mch_id, sp.sp_app_id, sp.of_sub_merchant) == (
        True,
        "1230000109",
        "19",
        "wx1",
        False,
    )


# The twin's tables.


@pytest.mark.parametrize(
    "keys",
    [
        {"mchid": "1900000109", "appid": "wx1"},
        {**PARTNER},
        {**PARTNER, "sub_appid": "wxsub1"},
        {"sp_mchid": "1230000109", "sp_appid": "wx8888888888888888", "sub_mchids": ["9", "7"]},
        {"mchid": "1230000109", "appid": "wx1", "sub_mchid": "19", "api_key": "k" * 32},
        v2.new_keys()[1],
    ],
    ids=["direct", "partner", "partner with sub_appid", "partner of several", "v2 partner", "v2 sandbox"],
)
def test_R073_the_twins_table_loads_and_pays_for_every_kind_of_channel(keys):
    private, table = twin.new_keys(keys)
    assert "endpoint" not in table
    loaded = wallet.load({**table, "endpoint": "https://a.example/t"}, keys)
    assert wallet.can_pay(loaded)
    assert loaded.app_id == keys.get("appid", keys.get("sp_appid"))
    assert set(private) == {"private_key", "serial"}
    assert private["serial"] in loaded.verifiers


def test_R073_the_twins_keys_are_fresh_each_time():
    first, second = (twin.new_keys({"mchid": "1", "appid": "wx1"}) for _ in range(2))
    assert first[0]["private_key"] != second[0]["private_key"]
    assert first[1]["app_secret"] != second[1]["app_secret"]
    assert first[1]["merchant_private_key"] != second[1]["merchant_private_key"]


def test_a_street_of_a_partner_goes_all_the_way():
    """Signed in at the provider's app, announced, paid, asked about, given back: each body under the partner's names."""
    keys = {**PARTNER, "sub_appid": "wxsub1"}
    private, table = twin.new_keys(keys)
    street = Street("wechat")
    street.channel_keys, street.private = {**keys, "appid": table["appid"]}, private
    street.table = {**table, "endpoint": street.table["endpoint"]}
    street.keys = wallet.load(street.table, keys)
    assert street.sign_in() == (street.payer,)
    handle = street.prepay()
    assert street.query().state == "unpaid"
    street.pay(handle)
    assert street.query().payers == (street.payer,)
    assert (street.refund(), street.query_refund()) == ("pending", "done")
    assert street.close() == "paid"
