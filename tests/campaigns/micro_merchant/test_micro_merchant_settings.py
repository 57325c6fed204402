"""The table in the apply file: every fault by its key, and what the catalogue has to hold."""

from __future__ import annotations

import pytest
from micro_town import Town

from campaigns.micro_merchant.rules import Terms
from campaigns.micro_merchant.settings import Settings, load_settings
from gateway.contract.errors import BadConfig


def test_R106_R110_an_empty_table_gives_nothing_away():
    assert load_settings({}) == Settings(Terms())


def test_R106_everything_that_may_be_said():
    found = load_settings(
        {
            "discount_bps": 1000,
            "reward_bps": 500,
            "points_bps": 100,
            "coupon_item": "soup",
            "mode": "direct",
            "credit": ["cash", "points", "coupons"],
            "refund_days": 3,
            "floor_fen": 100,
            "cap_fen": 900,
            "payout_min_fen": 100,
            "payout_day_cap_fen": 1000,
            "four_eyes_fen": 500,
            "ask_referrer": True,
            "own_discount": False,
            "per_code": {"mmcode-2345": {"discount_bps": 2500}},
            "items": ["soup"],
            "shop_url": "https://shop.example.com/?a=1",
        }
    )
    assert found.terms.per_code == {"MMCODE2345": 2500}
    assert found.terms.credit == {"cash", "points", "coupons"}
    assert (found.terms.mode, found.terms.refund_days, found.terms.own_discount) == ("direct", 3, False)
    assert (found.items, found.shop_url) == (("soup",), "https://shop.example.com/?a=1")


@pytest.mark.parametrize(
    ("table", "keys"),
    [
        ({"discount_bps": 10_001}, ["discount_bps"]),
        ({"discount_bps": "10"}, ["discount_bps"]),
        ({"discount_bps": True}, ["discount_bps"]),
        ({"reward_bps": -1}, ["reward_bps"]),
        ({"reward_bps": 0.5}, ["reward_bps"]),
        ({"mode": "later"}, ["mode"]),
        ({"mode": 1}, ["mode"]),
        ({"credit": []}, ["credit"]),
        ({"credit": "cash"}, ["credit"]),
        ({"credit": ["cash", "cash"]}, ["credit"]),
        ({"credit": ["gold"]}, ["credit"]),
        ({"credit": ["points"]}, ["points_bps"]),
        ({"credit": ["coupons"]}, ["coupon_item"]),
        ({"refund_days": -1}, ["refund_days"]),
        ({"refund_days": 367}, ["refund_days"]),
        ({"cap_fen": 10**13}, ["cap_fen"]),
        ({"ask_referrer": 1}, ["ask_referrer"]),
        ({"per_code": []}, ["per_code"]),
        ({"per_code": {"short": {"discount_bps": 1}}}, ["per_code.short"]),
        ({"per_code": {"MMCODE2345": 5}}, ["per_code.MMCODE2345"]),
        ({"per_code": {"MMCODE2345": {"discount_bps": 1, "x": 1}}}, ["per_code.MMCODE2345"]),
        ({"per_code": {"MMCODE2345": {"discount_bps": 10_001}}}, ["per_code.MMCODE2345.discount_bps"]),
        ({"items": "soup"}, ["items"]),
        ({"items": [f"i{n}" for n in range(51)]}, ["items"]),
        ({"shop_url": "http://shop.example.com"}, ["shop_url"]),
        ({"shop_url": "javascript:alert(1)"}, ["shop_url"]),
        ({"shop_url": "https://user@shop.example.com"}, ["shop_url"]),
        ({"shop_url": "https://[x"}, ["shop_url"]),
        ({"levels": 2}, ["levels"]),
        ({"mode": "x", "levels": 2, "cap_fen": -1}, ["mode", "cap_fen", "levels"]),
    ],
)
def test_R106_what_cannot_be_is_told_by_its_key(table, keys):
    with pytest.raises(BadConfig) as refused:
        load_settings(table)
    assert [key for key, _ in refused.value.faults] == keys


@pytest.mark.parametrize(
    ("terms", "key"),
    [
        ({"items": '["nothing"]'}, "items"),
        ({"items": '["soup"]'}, "items"),  # it has no price
        ({"items": '["set-menu"]'}, "items"),  # of a merchant that is left out
        ({"credit": '["coupons"]', "coupon_item": '"nothing"'}, "coupon_item"),
    ],
)
def test_R106_items_must_be_there_and_of_the_campaign(tmp_path, terms, key):
    with pytest.raises(BadConfig) as refused:
        Town(tmp_path, **terms)
    assert [path for path, _ in refused.value.faults] == [f"campaign.helpers.{key}"]
