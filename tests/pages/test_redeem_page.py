"""`/redeem` and `/v/<code>`: every big result with its exact words, the list of scans, undoing (R060, R062, R071)."""

import pytest

from linkgen.codes import grouped
from tests.support.browsing import Browser, Page, pages_of
from tests.support.world import CATALOG, World

UNKNOWN = "H7KQ2M9WXT4B5"


@pytest.fixture
def till(world, app):
    """A manager of the sweets shop at her till."""
    world.user("mia", "manager", merchant="sweets")
    return Browser(app).sign_in("mia")


def use(till, code, **values):
    return till.send(till.get("/redeem"), "/redeem", "/redeem", code=code, **values)


def result(page) -> str:
    return next((value for tag, name, value in page.attributes if name == "data-result"), "")


def test_R071_used_now(world, till):
    page = use(till, world.code())
    assert (page.status, result(page)) == (200, "used_now")
    assert "可用 已核销 减 ¥5.00 糖水立减5元 · 满 ¥20.00" in page.text
    row = world.one("SELECT * FROM redemptions")
    assert (row["by"], row["shop"], row["discount_fen"]) == ("mia", "sweets-1", 500)


@pytest.mark.parametrize(
    "written",
    [grouped, str.lower, lambda code: f" {code[:6]} {code[6:]} ", lambda code: f"https://pay.example.com/v/{code}"],
)
def test_R071_a_code_may_be_written_in_any_form(world, till, written):
    assert result(use(till, written(world.code()))) == "used_now"


def test_R071_full_width_as_a_chinese_input_method_types_it(world, till):
    code = world.code()
    wide = "".join(chr(ord(c) + 0xFEE0) for c in code)
    assert result(use(till, wide)) == "used_now"


def test_R060_a_second_use_tells_when_where_and_by_whom(world, till, app):
    code = world.code()
    use(till, code)
    world.clock.move(days=1, hours=1)
    world.user("lin", "clerk", merchant="sweets")
    page = use(Browser(app).sign_in("lin"), code)
    assert (page.status, result(page)) == (409, "already")
    assert "已用过 11-22 12:05 糖水铺 mia" in page.text
    assert len(world.all("SELECT id FROM redemptions")) == 1


def test_R060_the_same_scan_within_ten_seconds_shows_the_first_answer_again(world, till):
    code = world.code()
    use(till, code)
    world.clock.move(seconds=9)
    assert result(use(till, code)) == "used_now"
    world.clock.move(seconds=11)
    assert result(use(till, code)) == "already"
    assert len(world.all("SELECT id FROM redemptions")) == 1


def test_R060_a_form_sent_twice_is_one_redemption(world, till):
    code = world.code()
    page = till.get("/redeem")
    first = till.send(page, "/redeem", "/redeem", code=code)
    world.clock.move(minutes=5)
    again = till.send(page, "/redeem", "/redeem", code=code)
    assert result(first) == result(again) == "used_now"
    assert len(world.all("SELECT id FROM redemptions")) == 1


def test_R060_an_old_form_with_another_code_is_a_scan_of_its_own(world, till):
    page = till.get("/redeem")
    assert result(till.send(page, "/redeem", "/redeem", code=world.code())) == "used_now"
    assert result(till.send(page, "/redeem", "/redeem", code=world.code())) == "used_now"
    assert len(world.all("SELECT id FROM redemptions")) == 2


def test_R071_expired(world, till):
    code = world.code()
    world.clock.move(days=11)
    till.sign_in("mia")
    assert result(use(till, world.code())) == "used_now"
    world.clock.move(days=4)
    page = use(till.sign_in("mia"), code)
    assert (page.status, result(page)) == (410, "expired")
    assert "已过期 有效至 12-06 12:05" in page.text


def test_R072_another_shops_coupon_tells_the_shop_and_nothing_of_the_customer(world, till):
    page = use(till, world.code("soup"))
    assert (page.status, result(page)) == (403, "other_shop")
    assert "别家的券 只能在 老王火锅 使用" in page.text
    assert "例汤" not in page.text


@pytest.mark.parametrize("code", [UNKNOWN, "H7KQ2M9WXT4B6", "x", "券", "0", "H7KQ-2M9W"])
def test_R071_unknown(world, till, code):
    page = use(till, code)
    assert (page.status, result(page)) == (404, "unknown")
    assert "不认识的码 请核对或手动输入" in page.text


def test_R071_after_thirty_unknown_codes_a_minute_the_till_must_wait(world, till):
    for _ in range(30):
        assert use(till, UNKNOWN).status == 404
    assert use(till, UNKNOWN).status == 429
    assert result(use(till, world.code())) == "used_now"


def test_R071_void_after_a_refund(world, till):
    claimed = world.claimed("openid-v")
    world.refund("second-1", 10_000)
    page = use(till, claimed.codes["bowl-5off"])
    assert (page.status, result(page)) == (409, "void")
    assert "已作废：已退款" in page.text


def test_R071_below_the_minimum_when_the_bill_is_told(world, till):
    code = world.code()
    page = use(till, code, amount="19.99")
    assert (page.status, result(page)) == (409, "below")
    assert "未满 ¥20.00" in page.text
    assert result(use(till, code, amount="¥20.00")) == "used_now"


@pytest.mark.parametrize("amount", ["abc", "-1", "0", "1.234", "1e3", "20.00元", "99999999999999"])
def test_R071_an_amount_that_is_none_is_asked_for_again(world, till, amount):
    code = world.code()
    page = use(till, code, amount=amount)
    assert page.status == 422
    assert "账单金额请写成 26.00 这样" in page.text
    assert f'value="{grouped(code)}"' in page.html
    assert world.all("SELECT id FROM redemptions") == []


def test_R071_not_valid_yet_and_on_hold(world, till):
    early, held = world.code(), world.code()

    def change(tx):
        tx.run("UPDATE coupons SET valid_from = '2026-11-23T00:00:00.000Z' WHERE code = :code", {"code": early})
        tx.run("UPDATE coupons SET state = 'reserved' WHERE code = :code", {"code": held})

    world.store.write(change)
    page = use(till, early)
    assert (page.status, result(page)) == (409, "not_yet")
    assert "未到使用时间 11-23 08:00 起可用" in page.text
    assert result(use(till, held)) == "reserved"


def test_R077_the_results_in_english(world, app):
    world.user("mia", "manager", merchant="sweets")
    till = Browser(app, "en").sign_in("mia")
    code = world.code()
    assert "Used now −¥5.00 糖水立减5元" in use(till, code).text
    world.clock.move(minutes=1)
    assert "Already used" in use(till, code).text
    assert "Other shop's coupon Only for use at 老王火锅" in use(till, world.code("soup")).text
    assert "Unknown code" in use(till, UNKNOWN).text


def test_R071_a_scanned_address_is_looked_at_first_and_used_on_confirming(world, app, till):
    code = world.code()
    answer = till.get(f"/v/{code}")
    assert answer.status == 303
    page = till.follow(answer)
    assert result(page) == "preview"
    assert "使用这张券？" in page.text
    assert world.all("SELECT id FROM redemptions") == []
    assert f'value="{grouped(code)}"' in page.html
    assert result(till.send(page, "/redeem", "/redeem", code=code)) == "used_now"
    assert result(till.get(f"/redeem?code={code}")) == "already"


@pytest.mark.parametrize("code", [UNKNOWN, "x", "%20", "A" * 200])
def test_R071_anyone_else_is_told_to_show_it_whatever_the_code(world, browser, code):
    page = browser.get(f"/v/{code}")
    assert (page.status, page.h1) == (200, "请向店员出示")


def test_R071_the_list_holds_what_this_till_scanned_good_and_bad(world, till):
    good = world.code()
    use(till, good)
    world.clock.move(minutes=1)
    page = use(till, UNKNOWN)
    assert f"12:05 ✓ 已核销 …{good[-5:-1]}-{good[-1]} 糖水立减5元 −¥5.00" in page.text
    assert "12:06 ✕ 不认识的码 …XT4B-5" in page.text
    assert page.text.index("12:06") < page.text.index("12:05")


def test_R071_the_list_holds_at_most_twenty_and_nothing_of_other_merchants(world, till, app):
    for _ in range(22):
        use(till, world.code())
        world.clock.move(seconds=11)
    page = till.get("/redeem")
    assert page.text.count("✓ 已核销") == 20
    world.user("wang", "clerk", merchant="hotpot")
    assert "今天还没有" in Browser(app).sign_in("wang").get("/redeem").text


def test_R062_a_manager_undoes_with_a_reason_within_a_day(world, till):
    code = world.code()
    page = use(till, code)
    assert till.send(page, "/redeem", "/redeem/undo", code=code, reason="  ").status == 422
    undone = till.send(page, "/redeem", "/redeem/undo", code=code, reason="按错了")
    assert (undone.status, result(undone)) == (200, "reversed")
    assert "撤销后券可再次使用" in undone.text
    row = world.one("SELECT * FROM redemptions")
    assert (row["reversed_by"], row["reason"]) == ("mia", "按错了")
    assert world.one("SELECT count(*) AS n FROM audit WHERE action = 'coupon.reverse'")["n"] == 1
    assert result(use(till, code)) == "used_now"


def test_R062_the_second_use_offers_undoing_to_a_manager(world, till):
    code = world.code()
    use(till, code)
    world.clock.move(minutes=1)
    page = use(till, code)
    assert any(form["action"] == "/redeem/undo" and form["hidden"]["code"] == code for form in page.forms)


def test_R062_after_a_day_it_is_too_late(world, till):
    code = world.code()
    use(till, code)
    world.clock.move(hours=24, minutes=1)
    page = till.sign_in("mia").get("/redeem")
    late = till.post("/redeem/undo", {**page.form("/redeem")["hidden"], "code": code, "reason": "late"})
    assert (late.status, result(late)) == (409, "too_late")
    assert "核销已超过 24 小时" in late.text


def test_R062_what_is_not_used_or_not_ours_cannot_be_undone(world, till):
    hidden = till.get("/redeem").form("/redeem")["hidden"]
    fresh, foreign = world.code(), world.code("soup")
    for code, kind in ((fresh, "not_redeemed"), (foreign, "unknown"), (UNKNOWN, "unknown")):
        assert result(till.post("/redeem/undo", {**hidden, "code": code, "reason": "why"})) == kind


def test_R071_a_percentage_takes_off_what_the_bill_says(tmp_path):
    world = World(
        tmp_path,
        catalog=CATALOG.replace(
            "value_fen = 500\nmin_spend_fen = 2000\nstock = 1000", "percent_off = 15\ncap_fen = 2000\nstock = 1000"
        ),
    )
    world.user("mia", "manager", merchant="sweets")
    till = Browser(pages_of(world)).sign_in("mia")
    assert "减 ¥15.00" in use(till, world.code(), amount="100.00").text
    world.close()


def test_R071_several_shops_are_chosen_from_and_the_choice_is_kept(tmp_path):
    more = '[shop.sweets-2]\nmerchant = "sweets"\nname = "二店"\n[channel.hotpot-pay]'
    world = World(tmp_path, catalog=CATALOG.replace("[channel.hotpot-pay]", more))
    world.user("mia", "manager", merchant="sweets")
    till = Browser(pages_of(world)).sign_in("mia")
    page = use(till, world.code(), shop="sweets-2")
    assert world.one("SELECT shop FROM redemptions")["shop"] == "sweets-2"
    assert '<option value="sweets-2" selected>' in page.html
    use(till, world.code(), shop="hotpot-1")
    assert world.all("SELECT shop FROM redemptions ORDER BY id DESC")[0]["shop"] is None
    world.close()


def test_R071_the_page_works_as_a_plain_form(till):
    page = Page(till.client.get("/redeem"))
    form = page.form("/redeem")
    assert set(form["inputs"]) == {"csrf_token", "key", "code", "amount", "shop"}
    assert "autofocus" in page.html
