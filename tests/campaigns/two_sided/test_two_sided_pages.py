"""The pages of two-sided incentive: my rebates, the console's records, codes and merchants."""

import pytest
import tomli_w
from flask import session

from campaigns.two_sided.kind import kind
from gateway.web.pages import customer
from tests.support.browsing import Browser, pages_of
from tests.support.world import BASE_URL, CATALOG, World

MINE = "/campaigns/two_sided/both"
ADMIN = "/admin/campaigns/both"


class Guest(Browser):
    """A browser in which a person has signed in with his wallet."""

    def __init__(self, world, person, language="zh-CN"):
        super().__init__(world.pages, language)
        with self.client.session_transaction(base_url=BASE_URL) as kept, world.pages.test_request_context():
            customer.enter(person, "wechat", "riverside", world.clock())
            kept.update(session)


@pytest.fixture
def make(tmp_path):
    made = []

    def build(**settings):
        table = {
            "kind": "two_sided",
            "circle": "riverside",
            "state": "live",
            "user_bps": 250,
            "merchant_fen": 100,
            **settings,
        }
        text = CATALOG + tomli_w.dumps({"campaign": {"both": table}})
        world = World(tmp_path / f"home{len(made)}", catalog=text, kinds=[kind])
        world.pages = pages_of(world)
        made.append(world)
        return world

    yield build
    for world in made:
        world.close()


def staff_of(world, role="operator", **scope):
    world.user(f"the-{role}", role, **(scope or {"circle": "riverside"}))
    return Browser(world.pages).sign_in(f"the-{role}")


def form_of(page, action):
    return next(form["hidden"] for form in page.forms if form["hidden"].get("action") == action)


def test_R160_my_rebates_with_their_refunds(make):
    world = make(quota_codes=False)
    world.pay("T1", "a")
    guest = Guest(world, world.person_of("T1"))
    empty = guest.get(MINE)
    assert (empty.status, empty.h1) == (200, "我的返利")
    assert "还没有返利" in empty.text
    assert "每笔付款返付款金额的 2.5%" in empty.text
    world.pay("T2", "a", amount_fen=10_000)
    world.pay("T3", "a", amount_fen=4_000)
    world.refund("T3", 4_000)
    page = guest.get(MINE)
    assert "¥2.50" in page.text
    assert "收回 ¥1.00" in page.text
    assert "老王火锅" in page.text
    assert "My rebates" in Guest(world, world.person_of("T1"), "en").get(MINE).h1


def test_R160_whoever_sees_it_sees_his_own_alone(make):
    world = make(quota_codes=False)
    for number, openid in enumerate("aabb"):
        world.pay(f"T{number}", openid, amount_fen=10_000 * (number + 1))
    page = Guest(world, world.person_of("T0")).get(MINE)
    assert "¥5.00" in page.text
    assert "¥10.00" not in page.text
    assert "p_" not in page.html
    stranger = Browser(world.pages).get(MINE)
    assert "¥5.00" not in stranger.text


def test_R113_sending_it_to_the_wallet_says_what_became_of_it(make):
    world = make(quota_codes=False)
    world.pay("T1", "a")
    world.pay("T2", "a", amount_fen=10_000)
    guest = Guest(world, world.person_of("T1"))
    answer = guest.send(guest.get(MINE), MINE, MINE)
    # No channel of this house can send money: it is refused in words, and stays where it is.
    assert answer.status == 409
    assert "现在还不能转到你的钱包" in answer.text
    assert "¥2.50" in answer.text


def test_R163_codes_are_made_downloaded_and_ended_in_the_console(make):
    world = make(quota_codes=3)
    staff = staff_of(world)
    page = staff.get(f"{ADMIN}/codes")
    wrong = staff.post(f"{ADMIN}/codes", {**form_of(page, "make"), "count": "many", "uses": "0", "users": "0"})
    assert wrong.status == 422
    assert "数量：1 到 1000 的整数" in wrong.text
    assert "many" in wrong.html
    made = staff.post(f"{ADMIN}/codes", {**form_of(page, "make"), "count": "2", "uses": "1", "users": "0"})
    assert "名额码已生成" in staff.follow(made).text
    body, headers = staff.file(f"{ADMIN}/codes.csv")
    lines = body.decode().splitlines()
    assert (lines[0], len(lines)) == ("code,state,uses,used,users", 3)
    assert "attachment" in headers["Content-Disposition"]
    ended = staff.post(f"{ADMIN}/codes", form_of(staff.get(f"{ADMIN}/codes"), "void"))
    assert "已作废" in staff.follow(ended).text
    full = staff.post(f"{ADMIN}/codes", {**form_of(page, "make"), "count": "3", "uses": "1", "users": "0"})
    assert (full.status, "超出本活动允许的名额码数量" in full.text) == (409, True)


def test_R163_R166_a_merchant_joins_and_names_his_own_people(make):
    world = make()
    code = (
        world.client("operator")
        .post("/api/v1/campaigns/both/quota-codes", json={"count": 1}, headers={"Idempotency-Key": "1"})
        .json["codes"][0]
    )
    world.pay("T1", "owner")
    staff = staff_of(world, "manager", merchant="hotpot")
    page = staff.get(f"{ADMIN}/merchants")
    assert "老王火锅" in page.html
    assert "甜甜糖水" not in page.html
    none = staff.post(f"{ADMIN}/merchants", {**form_of(page, "join"), "merchant": "hotpot", "code": "2222"})
    assert (none.status, "没有这个名额码" in none.text) == (409, True)
    foreign = staff.post(f"{ADMIN}/merchants", {**form_of(page, "join"), "merchant": "sweets", "code": code})
    assert (foreign.status, "没有这家商户" in foreign.text) == (409, True)
    joined = staff.post(f"{ADMIN}/merchants", {**form_of(page, "join"), "merchant": "hotpot", "code": code})
    assert "已加入" in staff.follow(joined).text
    lost = staff.post(f"{ADMIN}/merchants", {**form_of(page, "own"), "merchant": "hotpot", "transaction_id": "none"})
    assert (lost.status, "没有找到这家店的这笔付款" in lost.text) == (409, True)
    own = staff.post(f"{ADMIN}/merchants", {**form_of(page, "own"), "merchant": "hotpot", "transaction_id": "T1"})
    assert "已登记" in staff.follow(own).text
    world.pay("T2", "owner")
    records = staff.get(f"{ADMIN}/firings?q=T2")
    assert "商户自己付款" in records.text
    assert staff.get(f"{ADMIN}/codes").status == 403


def test_R165_the_records_say_why(make):
    world = make(quota_codes=False, budget_fen=400)
    staff = staff_of(world)
    assert "没有" in staff.get(f"{ADMIN}/firings").text
    for number in range(3):
        world.pay(f"T{number}", "a", amount_fen=10_000)
    page = staff.get(f"{ADMIN}/firings")
    for words in ("付款前不在返利用户里", "预算已用完", "¥2.50", "已返"):
        assert words in page.text
    assert "没有符合条件的记录" in staff.get(f"{ADMIN}/firings?state=reversed").text


@pytest.mark.parametrize("path", ["/campaigns/two_sided/none", "/campaigns/two_sided/%00"])
def test_what_is_not_there_is_the_neutral_page(make, path):
    assert Browser(make().pages).get(path).status == 404


def test_a_form_from_elsewhere_moves_nothing(make):
    world = make(quota_codes=False)
    world.pay("T1", "a")
    world.pay("T2", "a", amount_fen=10_000)
    guest = Guest(world, world.person_of("T1"))
    assert guest.post(MINE, {}).status in {400, 403}
    assert world.all("SELECT id FROM transfers WHERE state = 'pending'") == []
