"""The list of payments, its search, and the page that says why a payer got a link or none (R076)."""

import json

import pytest

from gateway.contract.store import Tx
from gateway.reading import search
from gateway.reading.search import STATES, Filters, state_of
from tests.support.world import CATALOG


def pay(world, number, openid="openid-a", **more):
    taken = world.pay(number, openid, **more)
    world.clock.move(seconds=1)
    return taken.payment


def found(world, merchants=None, before="", after="", **filters):
    return world.store.read(lambda tx: search.page(tx, merchants, Filters(**filters), before=before, after=after))


def numbers(page):
    return [row["transaction_id"] for row in page.rows]


@pytest.fixture
def story(world):
    """One payment of each kind at the hotpot, and one at the sweets."""
    return {
        "first": pay(world, "N-first", "openid-x"),
        "gift": pay(world, "N-gift", "openid-x"),
        "below": pay(world, "N-below", "openid-x", amount_fen=99),
        "untaggable": world.pay("N-untaggable").payment,
        "sweets": pay(world, "N-sweets", "openid-y", channel="sweets-pay"),
        "noodles": pay(world, "N-noodles", "openid-z", channel="noodles-pay"),
    }


# -- the list -----------------------------------------------------------------------------------------------------------


def test_R076_the_row_words_are_exact(world, story, enter):
    page = enter("manager-hotpot").get("/admin/payments")
    for words in ("已发券", "首次到店", "低于门槛"):
        assert words in page.text
    english = enter("manager-hotpot", "en").get("/admin/payments").text
    for words in ("Gift sent", "First visit", "Below minimum"):
        assert words in english
    world.pay("N-gift", "openid-x")
    assert "重复通知 ×2" in enter("manager-hotpot").get("/admin/payments").text


def test_R072_each_sees_the_payments_of_his_scope(story, enter):
    seen = {
        "manager-hotpot": {"N-first", "N-gift", "N-below", "N-untaggable"},
        "manager-sweets": {"N-sweets"},
        "operator-riverside": {"N-first", "N-gift", "N-below", "N-untaggable", "N-sweets"},
        "operator-hillside": {"N-noodles"},
        "admin": {"N-first", "N-gift", "N-below", "N-untaggable", "N-sweets", "N-noodles"},
    }
    for name, wanted in seen.items():
        browser = enter(name)
        text = browser.get("/admin/payments").text
        assert {number for number in seen["admin"] if number in text} == wanted, name
        for kind, payment in story.items():
            number = f"N-{kind}"
            assert browser.get(f"/admin/payments/{payment}").status == (200 if number in wanted else 404)
            hit = f"· {number}" in browser.get(f"/admin/payments?q={number}").text
            assert hit == (number in wanted), (name, number)
        # A filter on somebody else's shop finds nothing, and does not say whether it exists.
        assert ("· N-noodles" in browser.get("/admin/payments?shop=m:noodles").text) == ("N-noodles" in wanted)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("state=gift", {"N-gift"}),
        ("state=first", {"N-first", "N-sweets", "N-noodles"}),
        ("state=below", {"N-below"}),
        ("state=untaggable", {"N-untaggable"}),
        ("reason=passive_source", {"N-gift"}),
        ("max=0.99", {"N-below"}),
        ("min=1.00&shop=s:hotpot-1", {"N-first", "N-gift", "N-untaggable"}),
        ("shop=m:sweets", {"N-sweets"}),
        ("wallet=plainpay&shop=m:noodles", {"N-noodles"}),
        ("wallet=none", set()),
        ("day=yesterday", set()),
        ("from=2026-11-22&to=2026-11-22&state=below", {"N-below"}),
        ("to=2026-11-21", set()),
    ],
)
def test_filters_stand_in_the_address_and_as_chips(story, enter, query, wanted):
    page = enter("admin").get(f"/admin/payments?{query}")
    got = {
        number
        for number in ("N-first", "N-gift", "N-below", "N-untaggable", "N-sweets", "N-noodles")
        if number in page.text
    }
    assert got == wanted
    if not wanted:
        assert "没有符合条件的记录" in page.text
        assert "清除筛选" in page.text
    chips = page.html.count('class="chip"')
    fields = {part.partition("=")[0] for part in query.split("&")}
    assert chips == len(fields - {"to"}) + (1 if fields == {"to"} else 0)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("min=zwölf", "min"),
        ("max=-1", "max"),
        ("min=1e9", "min"),
        ("min=20&max=10", "max"),
        ("from=2026-13-40", "from"),
        ("to=9999-12-31", "to"),
        ("from=2026-11-22&to=2026-11-01", "to"),
        ("reason=DROP TABLE", "reason"),
    ],
)
def test_a_bad_filter_is_told_at_its_field_and_narrows_nothing(story, enter, query, field):
    page = enter("admin").get(f"/admin/payments?{query}")
    assert page.status == 422
    assert 'role="alert"' in page.html
    assert f'id="e-{field}"' in page.html
    assert "<title>有误：" in page.html


def test_an_empty_house_says_what_will_stand_here(enter):
    page = enter("manager-hotpot").get("/admin/payments")
    assert "收到付款通知后" in page.text
    assert "没有符合条件" not in page.text


@pytest.mark.parametrize("number", ["nothing", "' OR 1=1 --", "%", "H7KQ-2M9W-XT4B-5"])
def test_a_number_that_is_nobodys_finds_nothing(story, enter, number):
    page = enter("admin").client.get("/admin/payments", query_string={"q": number}).get_data(as_text=True)
    assert "没有符合条件的记录" in page


def test_a_coupon_leads_to_the_payment_that_gave_it(world, enter):
    made = world.claimed("openid-c")
    code = made.codes["bowl-5off"]
    browser = enter("manager-hotpot")
    page = browser.get(f"/admin/payments?q={code.lower()}")
    assert "second-" in page.text
    assert "first-" not in page.text
    # The coupon is the sweets' own, yet the payment is not: nobody learns of another shop's customer.
    assert "second-" not in enter("manager-sweets").get(f"/admin/payments?q={code}").text


def test_pages_go_on_without_gaps_or_repeats_while_new_payments_come(world):
    for n in range(130):
        pay(world, f"N{n:03d}", f"openid-{n}", channel="sweets-pay" if n % 3 else "hotpot-pay")
    first = found(world, {"hotpot", "sweets"})
    seen = numbers(first)
    pay(world, "N-late", "openid-late")
    second = found(world, {"hotpot", "sweets"}, before=first.older)
    third = found(world, {"hotpot", "sweets"}, before=second.older)
    assert seen + numbers(second) + numbers(third) == [f"N{n:03d}" for n in reversed(range(130))]
    assert third.older == ""
    back = found(world, {"hotpot", "sweets"}, after=third.newer)
    assert numbers(back) == numbers(second)
    assert numbers(found(world, {"hotpot", "sweets"}, after=back.newer)) == seen


def test_a_look_is_bounded_and_goes_on_where_it_stopped(world, monkeypatch):
    monkeypatch.setattr(search, "LOOK_AT", 10)
    for n in range(35):
        pay(world, f"N{n:02d}", f"openid-{n}", amount_fen=50 if n in {1, 17} else 5000)
    got, before, pages = [], "", 0
    while True:
        page = found(world, {"hotpot"}, state="below", before=before)
        got += numbers(page)
        pages += 1
        if not page.older:
            break
        before = page.older
    assert got == ["N17", "N01"]
    assert pages == 4


def test_a_bounded_look_over_several_merchants_loses_nothing(world, monkeypatch):
    monkeypatch.setattr(search, "LOOK_AT", 7)
    rare = {3, 4, 21, 22, 40}
    for n in range(45):
        channel = "sweets-pay" if n % 4 == 0 else "hotpot-pay"
        pay(world, f"N{n:02d}", f"openid-{n}", channel=channel, amount_fen=50 if n in rare else 5000)
    got, before = [], ""
    while True:
        page = found(world, {"hotpot", "sweets"}, state="below", before=before)
        got += numbers(page)
        if not page.older:
            break
        assert page.older != before
        before = page.older
    assert got == [f"N{n:02d}" for n in sorted(rare, reverse=True)]


@pytest.mark.parametrize(
    ("decisions", "word"),
    [
        ([("tag", "done", "first_payment"), ("payer_link", "skipped", "first_payment")], "first"),
        ([("tag", "done", "first_payment"), ("payer_link", "done", "issued")], "gift"),
        ([("tag", "skipped", "already_tagged"), ("payer_link", "done", "issued")], "gift"),
        ([("tag", "skipped", "already_tagged"), ("payer_link", "refused", "no_inventory")], "nothing"),
        ([("tag", "done", "first_payment"), ("payer_link", "refused", "no_inventory")], "nothing"),
        ([("tag", "skipped", "already_tagged"), ("payer_link", "refused", "limit_week")], "limit"),
        ([("tag", "skipped", "already_tagged"), ("payer_link", "refused", "budget")], "budget"),
        ([("tag", "skipped", "below_minimum")], "below"),
        ([("tag", "skipped", "opted_out")], "opted_out"),
        ([("tag", "skipped", "untaggable")], "untaggable"),
        ([("tag", "skipped", "refunded")], "refunded"),
        (
            [
                ("tag", "skipped", "already_tagged"),
                ("payer_link", "done", "issued"),
                ("payer_link", "refused", "refunded"),
            ],
            "refunded",
        ),
        (
            [
                ("tag", "skipped", "already_tagged"),
                ("payer_link", "done", "issued"),
                ("source_link", "refused", "no_inventory"),
            ],
            "gift",
        ),
        ([], "other"),
    ],
)
def test_a_rows_word_and_the_filter_for_it_agree(world, decisions, word):
    from gateway.contract.jsontext import json_text

    said = [dict(zip(("rule", "outcome", "reason"), one, strict=True)) for one in decisions]
    pay(world, "N1")

    def put(tx: Tx):
        tx.run("UPDATE payments SET decisions = :d", {"d": json_text(said)})

    world.store.write(put)
    assert state_of(said) == word
    hits = {state for state in STATES if state != "duplicate" and numbers(found(world, state=state))}
    assert hits == ({word} if word != "other" else set())


def test_no_statement_of_a_page_reads_all_payments(world):
    for n in range(3):
        pay(world, f"N{n}")
    plans = []

    class Explaining:
        def __init__(self, tx):
            self.tx = tx

        def all(self, sql, params=None):
            plans.extend((sql, row["detail"]) for row in self.tx.all(f"EXPLAIN QUERY PLAN {sql}", params))
            return self.tx.all(sql, params)

        def one(self, sql, params=None):
            return (self.all(sql, params) or [None])[0]

    everything = Filters(state="below", reason="budget", shop="hotpot-1", at_least_fen=1, provider="plainpay")

    def ask(tx):
        told = Explaining(tx)
        for merchants in (None, {"hotpot", "sweets"}):
            for filters in (Filters(), everything):
                search.page(told, merchants, filters, before="pay_" + "f" * 32)
                search.page(told, merchants, filters, after="pay_")
        search.by_number(told, None, "N1", "H7KQ")
        search.times_told(told, ["a", "b"])

    world.store.read(ask)
    scans = {(detail, sql) for sql, detail in plans if detail.startswith("SCAN") and "payments" in detail}
    assert scans == set()
    tables = {detail for _, detail in plans if "payments" in detail}
    assert any("payments_merchant" in detail for detail in tables)
    assert any("payments_out_trade" in detail for detail in tables)
    assert not any("OFFSET" in sql for sql, _ in plans)


def test_new_payments_are_announced_and_nothing_moves(world, story, enter):
    browser = enter("manager-hotpot")
    page = browser.get("/admin/payments")
    (address,) = [value for tag, name, value in page.attributes if name == "data-live"]
    assert browser.get(address).text.strip() == ""
    for n in range(3):
        pay(world, f"N-new-{n}", f"openid-new-{n}")
    pay(world, "N-elsewhere", "openid-e", channel="sweets-pay")
    news = browser.get(address)
    assert "有 3 条新记录" in news.text
    assert news.links == ["/admin/payments"]
    tag = news.response.headers["ETag"]
    assert browser.get(address, headers={"If-None-Match": tag}).status == 304


# -- one payment --------------------------------------------------------------------------------------------------------


def test_R076_a_given_link_is_explained_step_by_step(world, story, enter):
    page = enter("manager-hotpot").get(f"/admin/payments/{story['gift']}")
    for words in (
        "收到通知",
        "验签 ✓ 解密 ✓",
        "首次（非重复）",
        "身份",
        "客人",
        "标识",
        "已标识：11-22 由 老王火锅（被动）",
        "选物",
        "过滤后",
        "3 件 → 过滤后 2：不作赠品 1 → 选 2（种子",
        "发链接",
        "已落盘",
        "等待领取",
        "有效至",
    ):
        assert words in page.text, words
    assert "为什么这位客人得到这个链接" in page.text
    person = world.person_of("N-gift")
    assert f"客人 {person[-4:].upper()}" in page.text
    assert "openid" not in page.text.replace("同一服务商 openid", "")
    assert person not in page.html


def test_R076_a_refusal_ends_in_one_sentence(world, enter):
    world.apply(CATALOG + "budget_fen_per_day = 1\n")
    pay(world, "N1")
    refused = pay(world, "N2")
    page = enter("manager-hotpot").get(f"/admin/payments/{refused}")
    assert "没有发链接：本活动今日预算已用完" in page.text
    assert "✕" in page.text
    assert "为什么这笔付款没有链接" in page.text
    english = enter("manager-hotpot", "en").get(f"/admin/payments/{refused}")
    assert "No link: today's budget for this campaign is used up" in english.text


def test_R072_the_steps_of_other_shops_read_another_shop(world, enter):
    pay(world, "S1", "openid-a", channel="sweets-pay")
    mine = pay(world, "H1", "openid-a")
    link = world.links()[-1]
    token = world.runtime.link_keys.token(link["id"])
    page = world.runtime.claiming.claim(world.runtime.directory(), token, world.clock())
    code = next(row["code"] for row in page.coupons if row["item"] == "bowl-5off")
    from gateway.redeeming import Bill, Clerk

    clerk = Clerk("sweets-clerk-name", frozenset({"sweets"}), "rq")
    world.runtime.redeeming.redeem(code, clerk, "k" * 22, Bill(5000, None, "sweets-1"), world.clock())
    manager = enter("manager-hotpot").get(f"/admin/payments/{mine}")
    assert "由 另一家店（被动）" in manager.text
    assert "另一家店的物品" in manager.text
    for secret in ("甜甜糖水", "糖水铺", "糖水立减5元", "sweets-clerk-name", code):
        assert secret not in manager.html, secret
    operator = enter("operator-riverside").get(f"/admin/payments/{mine}")
    assert "由 甜甜糖水（被动）" in operator.text
    assert "糖水立减5元 · 糖水铺" in operator.text


def test_a_repeated_notice_counts_once_and_is_told(world, story, enter):
    world.pay("N-gift", "openid-x")
    page = enter("manager-hotpot").get(f"/admin/payments/{story['gift']}")
    assert "平台又通知了 1 次，只算一次" in page.text


# -- what staff may do --------------------------------------------------------------------------------------------------


def link_of(world, payment):
    return world.one("SELECT * FROM links WHERE payment = :p AND purpose = 'payer'", p=payment)


def test_R246_revoking_needs_a_reason_frees_the_budget_and_is_written_down(world, enter):
    world.apply(CATALOG + "budget_fen = 100000\n")
    pay(world, "N1")
    payment = pay(world, "N2")
    link = link_of(world, payment)
    assert world.one("SELECT reserved_fen FROM budgets")["reserved_fen"] > 0
    browser = enter("manager-hotpot")
    page = browser.get(f"/admin/payments/{payment}")
    action = f"/admin/payments/{payment}/links/{link['id']}/revoke"
    bad = browser.send(page, f"/admin/payments/{payment}", action, reason=" ")
    assert bad.status == 422
    assert 'id="e-reason"' in bad.html
    assert link_of(world, payment)["state"] == "issued"
    done = browser.follow(browser.send(page, f"/admin/payments/{payment}", action, reason="客人投诉"))
    assert "链接已撤销" in done.text
    assert "由员工撤销" in done.text
    assert link_of(world, payment)["state"] == "revoked"
    assert world.one("SELECT reserved_fen FROM budgets")["reserved_fen"] == 0
    row = world.one("SELECT * FROM audit WHERE action = 'link.revoke'")
    assert (row["who"], row["object"]) == ("manager-hotpot", link["id"])
    assert json.loads(row["after"]) == {"state": "revoked", "reason": "客人投诉"}
    assert row["request_id"]
    again = browser.follow(browser.send(page, f"/admin/payments/{payment}", action, reason="再来"))
    assert "链接已经不能撤销" in again.text
    assert len(world.all("SELECT * FROM audit WHERE action = 'link.revoke'")) == 1


def test_what_was_claimed_is_not_revoked(world, enter):
    pay(world, "N1")
    payment = pay(world, "N2")
    link = link_of(world, payment)
    browser = enter("manager-hotpot")
    page = browser.get(f"/admin/payments/{payment}")
    world.runtime.claiming.claim(world.runtime.directory(), world.runtime.link_keys.token(link["id"]), world.clock())
    action = f"/admin/payments/{payment}/links/{link['id']}/revoke"
    assert (
        "链接已经不能撤销" in browser.follow(browser.send(page, f"/admin/payments/{payment}", action, reason="x")).text
    )
    assert link_of(world, payment)["state"] == "claimed"


@pytest.mark.parametrize("what", ["revoke", "print", "qr.png"])
def test_R072_a_link_is_reached_through_its_own_payment_and_scope_alone(world, story, enter, what):
    link = link_of(world, story["gift"])["id"]

    def ask(name, payment):
        browser = enter(name)
        path = f"/admin/payments/{payment}/links/{link}/{what}"
        if what == "qr.png":
            return browser.get(path)
        return browser.post(path, {**browser.get("/redeem").forms[0]["hidden"], "reason": "x"})

    assert ask("manager-sweets", story["gift"]).status == 404
    assert ask("operator-hillside", story["gift"]).status == 404
    assert ask("admin", story["first"]).status == 404
    assert link_of(world, story["gift"])["state"] == "issued"


def test_R057_printing_shows_a_code_whose_address_holds_no_token_and_is_written_down(world, story, enter):
    link = link_of(world, story["gift"])
    token = world.runtime.link_keys.token(link["id"])
    browser = enter("manager-hotpot")
    page = browser.get(f"/admin/payments/{story['gift']}")
    slip = browser.send(
        page, f"/admin/payments/{story['gift']}", f"/admin/payments/{story['gift']}/links/{link['id']}/print"
    )
    assert slip.status == 200
    assert token not in slip.html
    (image,) = [value for tag, name, value in slip.attributes if tag == "img" and name == "src"]
    body, headers = browser.file(image)
    assert headers["Content-Type"] == "image/png"
    assert body.startswith(b"\x89PNG")
    assert world.one("SELECT who FROM audit WHERE action = 'link.print'")["who"] == "manager-hotpot"
    world.clock.move(days=30)
    browser = enter("manager-hotpot")
    assert browser.get(image).status == 404


@pytest.mark.parametrize("payment", ["pay_0", "x", "N-gift", "%00"])
def test_an_unknown_payment_is_not_found(story, enter, payment):
    assert enter("admin").get(f"/admin/payments/{payment}").status == 404
