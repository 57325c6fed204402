"""R078: campaigns whose words pay for sharing do not go live, unless the circle's or their own switch says otherwise."""

import pytest

from gateway.catalog import wording
from gateway.catalog.specs import Campaign, Catalog, Circle, Item, Merchant, Shop
from gateway.contract.errors import BadConfig, Refused
from tests.support.world import World

CIRCLE = Circle("lane", "梧桐里")
SHOP = [Merchant("noodles", "lane", "老陈面馆"), Shop("noodles-1", "noodles", "老陈面馆")]


def catalog_of(campaign, *, circle=CIRCLE, items=()):
    return Catalog.of([circle, *SHOP, *items, campaign])


def campaign_of(**more):
    known = {"kind": "referral", "circle": "lane", "settings": {"title": "分享领红包"}}
    return Campaign("spring", **{**known, **more})


def test_R078_a_circle_forbids_them_unless_it_says_otherwise():
    campaign = campaign_of()
    with pytest.raises(Refused) as refused:
        wording.refuse(catalog_of(campaign), campaign)
    assert (refused.value.code, refused.value.status) == ("wording", 409)
    (phrase,) = refused.value.facts["phrases"]
    assert phrase == {"key": "title", "phrase": "分享领", "neutral": "到店付款后可领"}


@pytest.mark.parametrize(
    ("circle", "own", "rule"),
    [
        ("strict", "", "strict"),
        ("warn", "", "warn"),
        ("off", "", "off"),
        ("strict", "off", "off"),
        ("off", "strict", "strict"),
        ("strict", "warn", "warn"),
    ],
)
def test_R078_a_campaigns_own_switch_goes_before_its_circles(circle, own, rule):
    campaign = campaign_of(wording=own)
    catalog = catalog_of(campaign, circle=Circle("lane", "梧桐里", wording=circle))
    assert wording.rule_of(catalog, campaign) == rule
    assert bool(wording.findings_of(catalog, campaign)) is (rule != "off")
    if rule == "strict":
        with pytest.raises(Refused):
            wording.refuse(catalog, campaign)
    else:
        wording.refuse(catalog, campaign)


def test_R078_the_names_of_what_it_gives_count_and_names_of_the_catalogue_do_not():
    item = Item("side", "noodles", "集赞送小菜")
    campaign = campaign_of(settings={"item": "side", "shop": "noodles-1", "steps": [{"words": "到店领取"}]})
    found = wording.findings_of(catalog_of(campaign, items=[item]), campaign)
    assert [(one.key, one.phrase) for one in found] == [("item → item.side.name", "集赞")]


def test_R078_neutral_words_pass():
    campaign = campaign_of(settings={"title": "到店付款后可领", "note": "和朋友一起来"})
    wording.refuse(catalog_of(campaign), campaign)


def test_R078_a_circle_that_is_gone_is_strict():
    campaign = campaign_of(circle="gone")
    assert wording.rule_of(catalog_of(campaign), campaign) == "strict"


# -- in a whole house -------------------------------------------------------------------------------------------------

TABLE = """
[campaign.both]
kind = "two_sided"
circle = "riverside"
state = "{state}"
user_fen = 200
merchant_fen = 100
quota_codes = false
user_sources = ["{words}"]
{more}
"""


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, sandbox=True)
    yield made
    made.close()


def table(state="draft", words="hotpot", more=""):
    return TABLE.format(state=state, words=words, more=more)


def test_R078_an_apply_refuses_them_where_the_file_says_live(world):
    with pytest.raises(BadConfig) as refused:
        world.apply(table("live", "分享领红包"))
    assert [path for path, _ in refused.value.faults] == ["campaign.both.user_sources.0"]
    world.apply(table("live", "分享领红包", 'wording = "warn"'))
    assert world.one("SELECT state FROM campaign_states")["state"] == "live"


def test_R078_a_draft_may_hold_them_and_does_not_go_live_with_them(world):
    world.apply(table("draft", "分享领红包"))
    operator = world.client("operator")
    answer = operator.post("/api/v1/campaigns/both/state", json={"to": "live"}, headers={"Idempotency-Key": "k1"})
    assert (answer.status_code, answer.json["code"]) == (409, "wording")
    assert answer.json["phrases"][0]["neutral"] == "到店付款后可领"
    assert world.one("SELECT state FROM campaign_states")["state"] == "draft"


def test_R078_a_campaign_that_was_brought_live_is_not_edited_into_them(world):
    world.apply(table())
    operator = world.client("operator")
    moved = operator.post("/api/v1/campaigns/both/state", json={"to": "live"}, headers={"Idempotency-Key": "k1"})
    assert moved.status_code == 200, moved.json
    with pytest.raises(BadConfig) as refused:
        world.apply(table(words="转发得现金"))
    assert [path for path, _ in refused.value.faults] == ["campaign.both.user_sources.0"]
    world.apply(table(words="sweets"))
    world.apply(table(words="转发得现金", more='wording = "off"'))


def test_R078_a_circles_switch_is_read_from_its_table(world):
    with pytest.raises(BadConfig):
        world.apply('[circle.riverside]\nname = "x"\nwording = "loud"\n')
    world.apply('[circle.riverside]\nname = "x"\nbinding = "bearer"\nwording = "off"\n' + table("live", "分享领红包"))
