"""The console's first page: what waits for somebody, and today beside the same weekday last week."""

from gateway import incidents, outbox
from tests.support.world import CATALOG


def test_a_house_without_payments_shows_dashes_and_not_zeros(enter):
    page = enter("manager-hotpot").get("/admin")
    assert page.html.count('<p class="n">—</p>') == 6
    assert "还没有收到付款" in page.text
    assert "还没有收到通知" in page.text, "its channels are to be tried"


def test_today_is_compared_with_the_same_weekday_up_to_the_same_minute(world, enter):
    for n in range(2):
        world.pay(f"last-{n}", f"openid-{n}", amount_fen=1000)
    world.clock.move(hours=3)
    world.pay("last-evening", "openid-e", amount_fen=1000)
    world.clock.move(days=7, hours=-3)
    assert "上周没有数据可比" not in enter("manager-hotpot").get("/admin").text
    for n in range(5):
        world.pay(f"today-{n}", f"openid-t{n}", amount_fen=2000)
    world.pay("elsewhere", "openid-x", channel="sweets-pay")
    page = enter("manager-hotpot").get("/admin")
    assert "付款 5 比上周日 +3" in page.text
    assert "金额 ¥100.00 比上周日 +¥80.00" in page.text
    assert "+3 vs last Sun" in enter("manager-hotpot", "en").get("/admin").text
    assert "付款 6 比上周日 +4" in enter("operator-riverside").get("/admin").text


def test_a_fall_bears_a_minus_and_the_first_week_has_nothing_to_compare(world, enter):
    world.pay("last", "openid-a")
    assert "上周没有数据可比" in enter("manager-hotpot").get("/admin").text
    world.clock.move(days=7)
    assert "付款 0 比上周日 −1" in enter("manager-hotpot").get("/admin").text


def test_what_waits_leads_to_its_list_and_only_in_scope(world, enter):
    def work(tx):
        incidents.raise_(tx, world.runtime.ids, world.clock(), "undecryptable", "hotpot-pay")
        id_ = outbox.owe_relay(tx, world.runtime.ids, world.clock(), "d_1", "hotpot-second", once=False)
        tx.run("UPDATE outbox SET state = 'parked' WHERE id = :id", {"id": id_})

    world.store.write(work)
    page = enter("manager-hotpot").get("/admin")
    assert "1 个未处理的事件" in page.text
    assert "1 条通知没有送达" in page.text
    assert {"/admin/incidents", "/admin/parked"} <= set(page.links)
    other = enter("manager-sweets").get("/admin").text
    assert "未处理的事件" not in other
    assert "没有送达" not in other


def test_a_budget_over_nine_tenths_is_told(world, enter):
    world.apply(CATALOG + "budget_fen = 800\n")
    world.pay("N1", "openid-a")
    world.pay("N2", "openid-a")
    assert "预算已用 100%" in enter("manager-hotpot").get("/admin").text


def test_tiles_lead_to_todays_list(world, enter):
    world.pay("N1", "openid-a")
    browser = enter("manager-hotpot")
    (address,) = {link for link in browser.get("/admin").links if "state=first" in link}
    assert "N1" in browser.get(address).text
