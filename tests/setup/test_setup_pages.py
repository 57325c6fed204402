"""The console's pages that edit: every form with bad input, who may what, conflicts, and secrets that never come back."""

import re

import pytest

from adapters.sandbox.wechat_v3 import platform as wechat_v3
from tests.support.world import CATALOG, SECRET, World

ITEM = {"name": "例汤一份", "kind": "gift", "value_fen": "3.00", "offer": "own"}


def stamp(page):
    return page.form()["hidden"]["stamp"]


def spec(world, kind, slug):
    import json

    return json.loads(
        world.one("SELECT spec FROM catalog WHERE kind = :kind AND slug = :slug", kind=kind, slug=slug)["spec"]
    )


# -- items ------------------------------------------------------------------------------------------------------------


def test_an_item_is_changed_shown_as_the_customers_card_and_audited(world, staff):
    """R246: under the name of who did it."""
    browser = staff.as_("manager", merchant="hotpot")
    page = browser.get("/admin/items/soup")
    answer = browser.send(page, "/admin/items/soup", **{**ITEM, "value_fen": "4.50"})
    assert answer.status == 303
    assert spec(world, "item", "soup")["value_fen"] == 450
    shown = browser.follow(answer)
    assert "已保存" in shown.text
    assert 'class="coupon' in shown.html
    row = world.all("SELECT who, action, object FROM audit ORDER BY seq DESC LIMIT 1")[0]
    assert (row["who"], row["action"], row["object"]) == ("manager-hotpot", "catalog.changed", "item.soup")


def test_the_preview_saves_nothing_and_shows_what_was_typed(world, staff):
    browser = staff.as_("manager", merchant="hotpot")
    page = browser.send(
        browser.get("/admin/items/soup"), "/admin/items/soup", **{**ITEM, "name": "改了名"}, preview="1"
    )
    assert page.status == 200
    assert "改了名" in page.text
    assert spec(world, "item", "soup")["name"] == "例汤一份"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("name", "", "请填写名称"),
        ("name", "字" * 101, "请写 1 到 100 个字"),
        ("value_fen", "abc", "请写金额"),
        ("value_fen", "-1", "请写金额"),
        ("value_fen", "1.234", "请写金额"),
        ("value_fen", "9" * 12, "请写金额"),
        ("stock", "1.5", "请写整数"),
        ("stock", "-3", "请写整数"),
        ("stock", "9999999999", "整数"),
        ("percent_off", "10", "只能填一个"),
        ("cap_fen", "3.00", "先填折扣"),
        ("valid_days", "0", "1 到 3650"),
        ("kind", "cake", "请从列表里选"),
        ("offer", "everywhere", "请从列表里选"),
        ("weight", "abc", "请写整数"),
        ("exclusive_group", "x" * 64, "63"),
    ],
)
def test_a_wrong_field_is_named_kept_and_nothing_saved(world, staff, field, value, words):
    browser = staff.as_("manager", merchant="hotpot")
    before = spec(world, "item", "soup")
    page = browser.send(browser.get("/admin/items/soup"), "/admin/items/soup", **{**ITEM, field: value})
    assert page.status == 422
    assert words in page.text
    assert "请先改正" in page.text
    assert f'href="#f-{field}"' in page.html
    assert re.search(rf'id="f-{field}"[^>]*aria-invalid="true"', page.html)
    assert "<title>有误：" in page.html
    assert spec(world, "item", "soup") == before


def test_two_who_edit_one_item_and_the_second_sees_both_versions(world, staff):
    first, second = staff.as_("manager", merchant="hotpot"), staff.as_("admin")
    old = second.get("/admin/items/soup")
    first.send(first.get("/admin/items/soup"), "/admin/items/soup", **{**ITEM, "value_fen": "4.50"})
    page = second.send(old, "/admin/items/soup", **{**ITEM, "value_fen": "6.00"})
    assert (page.status, page.h1) == (409, "内容已被他人修改")
    assert "4.50" in page.text and "6.00" in page.text
    assert spec(world, "item", "soup")["value_fen"] == 450


def test_a_form_without_its_stamp_overwrites_nothing(world, staff):
    browser = staff.as_("manager", merchant="hotpot")
    page = browser.send(browser.get("/admin/items/soup"), "/admin/items/soup", **ITEM, stamp="")
    assert page.status == 409


def test_R043_an_item_is_made_with_consent_and_R072_only_for_ones_own_merchant(world, staff):
    browser = staff.as_("manager", merchant="hotpot")
    page = browser.get("/admin/items/new")
    made = browser.send(page, "/admin/items/new", merchant="hotpot", slug="tea", **{**ITEM, "offer": "both"})
    assert made.status == 303
    assert spec(world, "item", "tea")["offer"] == "both"
    stolen = browser.send(page, "/admin/items/new", merchant="sweets", slug="cake", **ITEM)
    assert stolen.status == 404
    again = browser.send(page, "/admin/items/new", merchant="hotpot", slug="tea", **ITEM)
    assert (again.status, "这个代号已经有了" in again.text) == (422, True)
    ugly = browser.send(page, "/admin/items/new", merchant="hotpot", slug="Tea Cup", **ITEM)
    assert "只能用小写字母" in ugly.text


def test_a_merchants_item_that_is_anothers_name_cannot_be_taken_over_by_the_form(world, staff):
    """The new form with a slug of another merchant's item makes nothing and changes nothing."""
    browser = staff.as_("manager", merchant="hotpot")
    before = spec(world, "item", "bowl-5off")
    page = browser.send(
        browser.get("/admin/items/new"), "/admin/items/new", merchant="hotpot", slug="bowl-5off", **ITEM
    )
    assert page.status == 422
    assert spec(world, "item", "bowl-5off") == before


# -- scope ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/admin/items/bowl-5off",
        "/admin/merchants/sweets",
        "/admin/merchants/sweets/shops/new",
        "/admin/shops/sweets-1",
        "/admin/shops/sweets-1/poster",
        "/admin/shops/sweets-1/poster.svg",
        "/admin/channels/sweets-pay",
        "/admin/channels/sweets-pay/checks",
        "/admin/setup/channel?merchant=sweets",
        "/admin/setup/channel?merchant=hotpot&channel=sweets-pay",
        "/admin/setup/merchant?merchant=sweets",
        "/admin/setup/item?merchant=sweets",
        "/admin/setup/live?merchant=sweets",
        "/admin/setup/merchant?circle=hillside",
        "/admin/setup/nowhere",
        "/admin/items/nobodys",
    ],
)
def test_R072_what_is_another_merchants_is_404_for_a_manager(staff, path):
    browser = staff.as_("manager", merchant="hotpot")
    assert browser.get(path).status == 404
    assert browser.post(path, browser.get("/admin/items/soup").form()["hidden"]).status in {404, 405}


@pytest.mark.parametrize(
    "path",
    [
        "/admin/circles/riverside",
        "/admin/merchants/hotpot",
        "/admin/items/soup",
        "/admin/channels/hotpot-pay",
        "/admin/offers/riverside",
        "/admin/offers/riverside/simulate",
        "/admin/pairs?circle=riverside",
    ],
)
def test_R072_what_is_another_circles_is_404_for_its_operator(staff, path):
    assert staff.as_("operator", circle="hillside").get(path).status == 404


@pytest.mark.parametrize(
    "path", ["/admin/pairs", "/admin/offers", "/admin/circles/riverside", "/admin/offers/riverside"]
)
def test_R072_circles_pages_are_not_a_managers(staff, path):
    assert staff.as_("manager", merchant="hotpot").get(path).status == 403


def test_R072_lists_hold_what_is_in_scope_and_nothing_else(staff):
    manager = staff.as_("manager", merchant="hotpot")
    assert "糖水" not in manager.get("/admin/items").text
    assert "甜甜糖水" not in manager.get("/admin/merchants").text
    assert "sweets-pay" not in manager.get("/admin/channels").text
    assert "山脚" not in staff.as_("operator", circle="riverside").get("/admin/merchants").text


def test_R072_a_manager_writes_no_keys_and_no_addresses(world, staff):
    browser = staff.as_("manager", merchant="hotpot")
    page = browser.get("/admin/setup/channel?merchant=hotpot")
    assert 'name="upstream"' not in page.html
    sent = browser.post(
        "/admin/setup/channel", {**browser.get("/admin/items/soup").form()["hidden"], "merchant": "hotpot"}
    )
    assert sent.status == 403


# -- merchants, shops, circle -----------------------------------------------------------------------------------------


def test_R043_pausing_a_merchant_stops_new_gifts_of_his(world, staff):
    browser = staff.as_("manager", merchant="hotpot")
    browser.send(browser.get("/admin/merchants/hotpot"), "/admin/merchants/hotpot", name="老王火锅", paused="1")
    assert spec(world, "merchant", "hotpot")["paused"] is True
    assert "停止新发；已领的仍可用" in browser.get("/admin/merchants/hotpot").text


@pytest.mark.parametrize("zone", ["Mars/Base", "Asia", "../etc/passwd", "x" * 100])
def test_a_shops_zone_is_one_that_there_is(staff, zone):
    browser = staff.as_("manager", merchant="hotpot")
    page = browser.send(browser.get("/admin/shops/hotpot-1"), "/admin/shops/hotpot-1", name="店", timezone=zone)
    assert page.status == 422
    assert "时区" in page.text


def test_a_shop_and_a_merchant_are_made(world, staff):
    admin = staff.as_("admin")
    page = admin.get("/admin/circles/riverside/merchants/new")
    assert admin.send(page, "/admin/circles/riverside/merchants/new", name="半日咖啡", slug="coffee").status == 303
    page = admin.get("/admin/merchants/coffee/shops/new")
    assert admin.send(page, "/admin/merchants/coffee/shops/new", name="梧桐里店").status == 303
    assert spec(world, "merchant", "coffee")["circle"] == "riverside"
    assert [
        row["slug"] for row in world.all("SELECT slug FROM catalog WHERE kind = 'shop' AND slug LIKE 'coffee%'")
    ] == ["coffee"]


def test_R261_the_poster_says_the_shops_address_on_both_papers(staff):
    browser = staff.as_("manager", merchant="hotpot")
    for size in ("a4", "90mm", "wall"):
        page = browser.get(f"/admin/shops/hotpot-1/poster?size={size}")
        assert page.status == 200
        assert "https://pay.example.com/s/hotpot-1" in page.text
    body, headers = browser.file("/admin/shops/hotpot-1/poster.svg")
    assert headers["Content-Type"].startswith("image/svg+xml")
    assert b"<svg" in body


# -- offers -----------------------------------------------------------------------------------------------------------

OFFER = {"own": "1", "elsewhere": "1"}


@pytest.fixture
def spending(tmp_path):
    made = World(tmp_path, catalog=CATALOG + "budget_fen = 5000\nbudget_fen_per_day = 5000\n")
    made.pay("A", "a")
    made.pay("B", "a")
    yield made
    made.close()


@pytest.mark.parametrize("field", ["budget_fen", "budget_fen_per_day"])
def test_R075_a_budget_goes_down_to_what_is_used_and_held_and_not_below(spending, field):
    from tests.setup.conftest import Staff

    browser = Staff(spending).as_("admin")
    both = {"budget_fen": "50.00", "budget_fen_per_day": "50.00"}
    page = browser.get("/admin/offers/riverside")
    assert "最低可调到 ¥8.00" in page.text
    low = browser.send(page, "/admin/offers/riverside", **OFFER, **{**both, field: "7.99"})
    assert low.status == 422
    assert "最低可调到已用加占用的 ¥8.00" in low.text
    assert browser.send(page, "/admin/offers/riverside", **OFFER, **{**both, field: "8.00"}).status == 303
    page = browser.get("/admin/offers/riverside")
    assert browser.send(page, "/admin/offers/riverside", **OFFER, **{**both, field: "90.00"}).status == 303


def test_R063_limits_of_each_kind_stand_apart(spending):
    from tests.setup.conftest import Staff

    text = Staff(spending).as_("admin").get("/admin/offers").text
    for words in ("总预算", "今天预算", "介绍奖励预算", "每人每天", "每人每周", "每人总共"):
        assert words in text


def test_a_circle_without_an_offer_gets_one(world, staff):
    browser = staff.as_("operator", circle="hillside")
    page = browser.get("/admin/offers/hillside")
    assert browser.send(page, "/admin/offers/hillside", own="2", budget_fen="100.00").status == 303
    assert spec(world, "offer", "hillside")["budget_fen"] == 10_000


@pytest.mark.parametrize(
    ("field", "value"),
    [("own", "21"), ("link_days", "0"), ("budget_fen", "x"), ("per_person", "-1"), ("source_item", "nobodys")],
)
def test_wrong_numbers_of_an_offer_are_named(staff, field, value):
    browser = staff.as_("admin")
    page = browser.send(browser.get("/admin/offers/riverside"), "/admin/offers/riverside", **{**OFFER, field: value})
    assert page.status == 422
    assert f'href="#f-{field}"' in page.html


# -- simulate ---------------------------------------------------------------------------------------------------------


def test_a_rehearsal_is_begun_as_a_job_and_its_result_is_read(world, staff):
    from gateway.chores import kinds
    from gateway.chores.runner import Runner

    world.pay("A", "a")
    world.pay("B", "a")
    browser = staff.as_("operator", circle="riverside")
    page = browser.get("/admin/offers/riverside/simulate")
    assert "演练，不发任何东西" in page.text
    sent = browser.send(
        page,
        "/admin/offers/riverside/simulate",
        "/admin/offers/riverside/simulate",
        day="2026-11-22",
        own="1",
        elsewhere="1",
        compare="1",
        b_own="0",
        b_elsewhere="0",
    )
    assert sent.status == 303, sent.text
    Runner(world.runtime, kinds(None)).do_one()
    job = browser.follow(sent)
    (address,) = {link for link in job.links if "simulate?job=" in link}
    shown = browser.get(address)
    assert shown.status == 200
    assert "草稿 B" in shown.text
    assert "首次付款，只标识" in shown.text
    assert "openid" not in shown.html
    assert not re.search(r"\bp_[0-9a-f]{8}", shown.html)
    other = staff.as_("operator", circle="hillside")
    assert other.get(address).status == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [("day", ""), ("day", "2030-01-01"), ("day", "x"), ("own", "99"), ("budget_fen", "-1"), ("b_own", "x")],
)
def test_a_rehearsal_of_nonsense_is_refused(world, staff, field, value):
    browser = staff.as_("admin")
    page = browser.get("/admin/offers/riverside/simulate")
    values = {"day": "2026-11-22", "own": "1", "compare": "1", field: value}
    answer = browser.send(page, "/admin/offers/riverside/simulate", "/admin/offers/riverside/simulate", **values)
    assert answer.status == 422
    assert world.all("SELECT id FROM jobs") == []


def test_a_job_that_is_none_of_these_is_404(staff):
    assert staff.as_("admin").get("/admin/offers/riverside/simulate?job=job_1").status == 404


# -- channels ---------------------------------------------------------------------------------------------------------


def test_a_channel_is_paused_with_a_reason_that_the_audit_log_keeps(world, staff):
    browser = staff.as_("manager", merchant="hotpot")
    page = browser.get("/admin/channels/hotpot-pay")
    path = "/admin/channels/hotpot-pay/pause"
    browser.send(page, path, path, reason="")
    assert spec(world, "channel", "hotpot-pay")["paused"] is False
    browser.send(page, path, path, reason="换收银机")
    assert spec(world, "channel", "hotpot-pay")["paused"] is True
    rows = [row["action"] for row in world.all("SELECT action, after FROM audit ORDER BY seq")][-2:]
    assert set(rows) == {"catalog.changed", "channel.paused"}
    assert "换收银机" in world.all("SELECT after FROM audit WHERE action = 'channel.paused'")[0]["after"]
    # The old page once more: somebody paused it already.
    browser.send(page, path, path, reason="又一次")
    assert len(world.all("SELECT seq FROM audit WHERE action = 'channel.paused'")) == 1


def test_a_channels_page_tells_its_notices_and_no_secret(world, staff):
    world.pay("A", "openid-secret")
    page = staff.as_("manager", merchant="hotpot").get("/admin/channels/hotpot-pay")
    assert page.status == 200
    assert "https://pay.example.com/notify/hotpot-pay" in page.text
    assert "已处理" in page.text
    assert SECRET not in page.html
    assert "openid-secret" not in page.html
    assert "<svg" in page.html and "看表格" in page.text


def test_a_key_older_than_330_days_asks_to_be_rotated(world, staff):
    browser = staff.as_("manager", merchant="hotpot")
    assert "建议轮换" not in browser.get("/admin/channels/hotpot-pay").text
    world.clock.move(days=331)
    again = staff.as_("admin")
    assert "建议轮换" in again.get("/admin/channels/hotpot-pay").text
    assert "建议轮换" in again.get("/admin/channels").text


def test_a_test_of_no_kind_is_refused(staff):
    browser = staff.as_("admin")
    page = browser.get("/admin/channels/hotpot-pay")
    path = "/admin/channels/hotpot-pay/test"
    assert browser.send(page, path, path, kind="cake").status == 400


# -- setting up -------------------------------------------------------------------------------------------------------


@pytest.fixture
def pasted():
    _, keys = wechat_v3.new_keys()
    ((serial, pem),) = keys["public_keys"].items()
    return {
        "intake": "relay",
        "upstream": "https://pos.example.cn/notify",
        "mchid": keys["mchid"],
        "appid": keys["appid"],
        "apiv3_key": keys["apiv3_key"],
        "public_keys": pem,
        "public_keys_id": serial,
        "adapter": "wechat_v3",
    }


def paste(browser, merchant, values, channel=None):
    address = f"/admin/setup/channel?merchant={merchant}" + (f"&channel={channel}" if channel else "&new=1")
    page = browser.get(address)
    form = next(form for form in page.forms if "stamp" in form["hidden"])
    return browser.post("/admin/setup/channel", {**form["hidden"], **values})


def test_the_whole_way_from_a_merchant_to_going_live(real, real_staff, pasted):
    browser = real_staff.as_("admin")
    page = browser.get("/admin/setup/merchant?circle=wutong")
    made = browser.send(
        page, "/admin/setup/merchant", name="半日咖啡", slug="coffee", shop="梧桐里店", min_amount_fen="2.00"
    )
    assert made.status == 303, made.text
    assert spec(real, "merchant", "coffee")["paused"] is True
    assert spec(real, "circle", "wutong")["min_amount_fen"] == 200
    channel = browser.follow(made)
    assert channel.status == 200
    saved = paste(browser, "coffee", pasted)
    assert saved.status == 303, saved.text
    shown = browser.follow(saved)
    assert "https://pay.example.com/notify/coffee-wechat" in shown.text
    assert "密钥能解开样例" in shown.text
    assert "未见真实付款" in shown.text
    page = browser.get("/admin/setup/item?merchant=coffee")
    assert page.form()["inputs"]["budget_fen"] == "100.00"
    item = browser.send(
        page,
        "/admin/setup/item",
        name="拿铁立减5元",
        value_fen="5.00",
        min_spend_fen="20.00",
        stock="100",
        offer="both",
        budget_fen="100.00",
    )
    assert item.status == 303, item.text
    page = browser.follow(item)
    assert "未见真实付款" in page.text
    assert "随时生效" in page.text
    live = browser.send(page, "/admin/setup/live?merchant=coffee")
    assert "前 20 笔付款我们一起看" in browser.follow(live).text
    assert spec(real, "merchant", "coffee")["paused"] is False
    assert spec(real, "offer", "wutong")["budget_fen"] == 10_000
    real.clock.move(minutes=11)
    assert "一起看" not in browser.get("/admin/setup/live?merchant=coffee").text


def test_secrets_are_never_shown_kept_in_forms_or_audited(real, real_staff, pasted, capsys):
    browser = real_staff.as_("admin")
    refused = paste(browser, "noodles", {**pasted, "upstream": "ftp://x"})
    assert refused.status == 422
    assert pasted["apiv3_key"] not in refused.html
    assert "请重新填写" in refused.text
    assert pasted["mchid"] in refused.html
    saved = paste(browser, "noodles", pasted)
    pages = [browser.follow(saved), browser.get("/admin/channels/noodles-wechat"), browser.get("/admin/channels")]
    for page in pages:
        assert pasted["apiv3_key"] not in page.html
        assert "BEGIN PUBLIC KEY" not in page.html.replace("placeholder", "")
    assert "已保存；不填则不变" in pages[0].text
    for row in real.all("SELECT before, after FROM audit"):
        assert pasted["apiv3_key"] not in f"{row['before']}{row['after']}"
    told = capsys.readouterr()
    assert pasted["apiv3_key"] not in told.out + told.err


def test_empty_secrets_keep_what_is_stored(real, real_staff, pasted):
    browser = real_staff.as_("admin")
    paste(browser, "noodles", pasted)
    kept = {**pasted, "apiv3_key": "", "public_keys": "", "upstream": "https://pos.example.cn/other"}
    assert paste(browser, "noodles", kept, "noodles-wechat").status == 303
    from gateway.web.admin.channels import fresh_channel

    live = fresh_channel(real.runtime, "noodles-wechat")
    assert live.trouble == ""
    assert live.spec.keys["apiv3_key"] == pasted["apiv3_key"]
    assert live.spec.upstream == "https://pos.example.cn/other"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("apiv3_key", "", "请填写APIv3 密钥"),
        ("apiv3_key", "too short", "解密失败：密钥不是这个商户的 APIv3 密钥（32 位）"),
        ("public_keys", "not a key", "读不出来"),
        ("public_keys_id", "", "请填写公钥序列号"),
        ("mchid", "", "请填写商户号"),
        ("upstream", "", "转发模式要填 POS 原地址"),
        ("upstream", "http://169.254.169.254/x", "这个地址不能用"),
        ("upstream", "not an address", "请写完整地址"),
        ("intake", "guess", "请从列表里选"),
    ],
)
def test_a_wrong_channel_names_the_field_and_the_cure(real, real_staff, pasted, field, value, words):
    page = paste(real_staff.as_("admin"), "noodles", {**pasted, field: value})
    assert page.status == 422
    assert words in page.text
    assert real.all("SELECT slug FROM catalog WHERE kind = 'channel'") == []


def test_a_key_comes_as_a_file_too_and_a_picture_is_none(real, real_staff, pasted):
    from io import BytesIO

    browser = real_staff.as_("admin")
    pem = pasted.pop("public_keys")
    bad = paste(browser, "noodles", {**pasted, "public_keys": (BytesIO(b"\x89PNG\r\n\xff\xfe"), "a.png")})
    assert (bad.status, "这不是 PEM 文本文件" in bad.text) == (422, True)
    big = paste(browser, "noodles", {**pasted, "public_keys": (BytesIO(b"x" * 9000), "a.pem")})
    assert big.status == 422
    assert paste(browser, "noodles", {**pasted, "public_keys": (BytesIO(pem.encode()), "key.pem")}).status == 303


@pytest.mark.parametrize(
    ("pays", "words"),
    [("they_scan", "建议：转发"), ("we_scan", "付款码收款不会发通知，请选“查询”或“抄送”"), ("both", "只选转发会漏掉")],
)
def test_R011_how_customers_pay_says_what_can_be_seen(real, real_staff, pays, words):
    browser = real_staff.as_("admin")
    form = browser.get("/admin/setup/channel?merchant=noodles").forms[1]["hidden"]
    answer = browser.post("/admin/setup/channel", {**form, "merchant": "noodles", "pays": pays})
    assert words in browser.follow(answer).text


def test_a_sandbox_channel_needs_no_keys(real, real_staff):
    browser = real_staff.as_("admin")
    saved = paste(browser, "noodles", {"adapter": "alipay", "intake": "copy", "sandbox": "1"})
    assert saved.status == 303, saved.text
    assert "密钥能解开样例" in browser.follow(saved).text


def test_an_operator_of_a_circle_makes_no_circle(real, real_staff):
    browser = real_staff.as_("operator", circle="wutong")
    page = browser.get("/admin/setup/circle")
    assert "或新建商圈" not in page.text
    hidden = browser.get("/admin/setup/merchant?circle=wutong").form()["hidden"]
    assert browser.post("/admin/setup/circle", {**hidden, "name": "x"}).status == 403


def test_a_circle_is_made(real, real_staff):
    browser = real_staff.as_("admin")
    answer = browser.send(
        browser.get("/admin/setup/circle"), "/admin/setup/circle", name="新商圈", slug="fresh", binding="bearer"
    )
    assert answer.status == 303
    assert browser.follow(answer).status == 200
    twice = browser.send(
        browser.get("/admin/setup/circle"), "/admin/setup/circle", name="x", slug="fresh", binding="bearer"
    )
    assert twice.status == 422


# -- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/admin/setup",
        "/admin/setup/channel?merchant=hotpot",
        "/admin/merchants",
        "/admin/channels",
        "/admin/channels/hotpot-pay",
        "/admin/items",
        "/admin/items/soup",
        "/admin/pairs",
        "/admin/offers",
        "/admin/offers/riverside",
        "/admin/offers/riverside/simulate",
        "/admin/shops/hotpot-1/poster",
    ],
)
def test_R077_every_page_in_english_has_one_h1_and_no_inline_style_or_script(staff, path):
    page = staff.as_("admin", language="en").get(path)
    assert page.status == 200
    assert page.html.count("<h1") == 1
    assert not [one for one in page.attributes if one[1] == "style" or one[1].startswith("on")]
    words = re.sub(
        r"滨江商圈|山脚商圈|老王火锅|甜甜糖水|山脚面馆|滨江一店|糖水铺|糖水立减5元|例汤一份|双人套餐|简体中文|中文|满 20 减 5",
        "",
        page.text,
    )
    assert not re.findall(r"[\u4e00-\u9fff]+", words)
