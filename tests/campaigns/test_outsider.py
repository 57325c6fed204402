"""Every kind's calls as an outsider makes them, who knows nothing but the names and answers that were promised."""

from __future__ import annotations

import itertools

import pytest

from gateway.ledger import book
from tests.support.world import CATALOG, World

TABLES = {
    "micro_merchant": """
discount_bps = 1000
reward_bps = 500
mode = "pending"
credit = ["cash", "points", "coupons"]
points_bps = 100
coupon_item = "soup"
refund_days = 0
floor_fen = 100
""",
    "help_cut": """
budget_fen = 100000
item = "dish"
price_fen = 9000
floor_price_fen = 6600
quantity = 5
packets = 2
packet_cap_fen = 400
total_fen = 500
helpers = 2
cut_fen = [1200]
sessions = 5
designate_minutes = 60
agree_minutes = 60
""",
    "two_sided": """
user_fen = 100
merchant_fen = 50
clerk_bps = 2000
quota_codes = 10
per_pair_per_day = 1
""",
    "flash_sale": """
item = "dish"
total = 10
shards = 4
flow_switch = true
per_person = 2
hold_minutes = 15
starts_at = 2026-01-01T00:00:00Z
ends_at = 2027-01-01T00:00:00Z
""",
    "referral": """
referrer_item = "bowl-5off"
referred_item = "soup"
qualify = { min_amount_fen = 1000 }
per_day = 5
total = 10
hold_days = 0
""",
    "group_buy": """
item = "dish"
price_fen = 5000
lunch = "11:30"
dinner = "17:00"
days = 3
slot_capacity = 2
max_picks = 2
push_minutes = [-30, 0, 60]
""",
    "data_hub": """
[campaign.it.models.visit]
version = 1
grants = ["hub"]
chain = [{ handler = "rename", from = "amt", to = "amount_fen" }, { handler = "drop_if", field = "amount_fen", equals = 0 }]
targets = ["crm"]
[campaign.it.models.visit.fields.amount_fen]
module = "payment"
type = "int"
required = true
map = { crm = "amount" }
[campaign.it.targets.crm]
kind = "http"
url = "http://127.0.0.1:9100/in"
""",
}
DISH = """
[item.dish]
merchant = "hotpot"
name = "大餐"
kind = "gift"
value_fen = 9000
stock = 1000
weight = 0
"""


class Outsider:
    """Calls with a fresh key each; `(status, body)` comes back."""

    def __init__(self, world):
        self.world = world
        self._keys = itertools.count()

    def __call__(self, method, path, body=None, *, role="operator", **more):
        headers = {"Idempotency-Key": f"k{next(self._keys)}"} if method == "POST" else {}
        answer = self.world.client(role).open(
            f"/api/v1/campaigns/it{path}",
            method=method,
            headers={**headers, **more.pop("headers", {})},
            json=body,
            **more,
        )
        return answer.status_code, answer.json if answer.is_json else answer

    def post(self, path, body=None, **more):
        return self("POST", path, body if body is not None else {}, **more)

    def get(self, path="", **more):
        return self("GET", path, **more)


def who(openid):
    return {"openid": openid, "channel": "hotpot-pay"}


def code(answer):
    return answer[0], answer[1].get("code")


@pytest.fixture
def outsider(request, tmp_path):
    kind = request.param
    pytest.importorskip(f"campaigns.{kind}.kind")
    table = f'[campaign.it]\nkind = "{kind}"\ncircle = "riverside"\nstate = "live"\n{TABLES[kind]}'
    world = World(tmp_path, sandbox=True, catalog=CATALOG + DISH + table)
    yield Outsider(world)
    assert world.store.read(book.faults) == []
    world.close()


def of_kind(kind):
    return pytest.mark.parametrize("outsider", [kind], indirect=True)


@pytest.mark.parametrize("outsider", TABLES, indirect=True)
def test_R075_how_it_stands_and_how_it_moves(outsider):
    status, shown = outsider.get()
    assert status == 200
    assert set(shown) == {"id", "kind", "state", "version", "budget", "counts"}
    assert set(shown["budget"]) == {"total_fen", "reserved_fen", "consumed_fen"}
    assert (shown["id"], shown["state"], shown["version"]) == ("it", "live", 1)
    assert code(outsider.post("/state", {"to": "draft"})) == (409, "bad_transition")
    assert outsider.post("/state", {"to": "paused"})[1]["state"] == "paused"
    assert code(outsider.post("/state", {"to": "live"}, role="manager")) == (403, "forbidden")


@of_kind("micro_merchant")
def test_R109_R111_R113_R119_a_micro_merchant_brings_a_buyer(outsider):
    status, made = outsider.post("/micro-merchants", {"wechat_id": "wx_anna", "bank_account": "6222020200011112222"})
    assert (status, made["state"]) == (201, "applied")
    assert code(outsider.post("/micro-merchants", {"wechat_id": " WX_Anna"})) == (409, "wechat_id_taken")
    own = f"/micro-merchants/{made['id']}"
    known = outsider.post(f"{own}/approve")[1]["code"]
    assert len(known) >= 8
    quote = outsider.post("/quotes", {"price_fen": 10_000, "code": known, "session": "s"})
    assert (quote[0], quote[1]["price_fen"], quote[1]["attributed_to"]) == (200, 9000, made["id"])
    stranger = outsider.post("/quotes", {"price_fen": 10_000, "code": "NOSUCHCODE", "session": "s"})
    assert (stranger[0], stranger[1]["price_fen"], stranger[1]["attributed_to"]) == (200, 10_000, None)
    status, order = outsider.post("/orders", {"price_fen": 10_000, "code": known, "session": "s", **who("buyer")})
    assert (status, order["price_fen"], order["state"]) == (201, 9000, "created")
    bought = f"/orders/{order['order']}"
    assert code(outsider.post(f"{bought}/paid", {"amount_fen": 1})) == (422, "invalid")
    outsider.post(f"{bought}/paid", {"amount_fen": 9000})
    held = outsider.get(f"{own}/balance")[1]
    assert (held["cash_fen"], held["cash_pending_fen"], held["points"], held["coupons"]) == (0, 450, 0, 0)
    outsider.post(f"{bought}/complete")
    mine = outsider.get(f"{own}/balance")[1]
    assert (mine["cash_fen"], mine["cash_pending_fen"], mine["points"], mine["coupons"]) == (450, 0, 90, 1)
    assert code(outsider.post(f"{own}/payouts", {"amount_fen": 451})) == (409, "insufficient")
    status, payout = outsider.post(f"{own}/payouts", {"amount_fen": 100})
    assert (status, payout["state"]) == (201, "held")
    assert code(outsider.post(f"{own}/payouts", {"amount_fen": 100})) == (409, "payout_in_flight")
    assert outsider.post(f"/payouts/{payout['payout']}/settled")[1]["state"] == "settled"
    outsider.post(f"{bought}/refund", {"amount_fen": 9000})
    assert outsider.get(f"{own}/balance")[1]["cash_fen"] == 0


@of_kind("help_cut")
def test_R137_R143_two_friends_help_and_the_buyer_pays(outsider):
    status, begun = outsider.post("/sessions", who("buyer"))
    assert (status, begun["state"], len(begun["commitment"])) == (201, "draft", 64)
    own = f"/sessions/{begun['session']}"
    named = {"helpers": [{"type": "openid", "account": "h1"}, {"type": "phone", "account": "13800000000"}]}
    status, told = outsider("PUT", f"{own}/helpers", named)
    first, second = told["invitations"]
    assert status == 200
    assert {"invitation", "url", "expires_at"} <= set(first)
    assert code(outsider.post(f"{own}/pay", {"method": "wechat"})) == (409, "conditions_not_met")
    assert code(outsider.post(f"/invitations/{first['invitation']}/agree", who("stranger"))) == (403, "not_invited")
    assert code(outsider.post(f"/invitations/{second['invitation']}/agree", who("buyer"))) == (409, "self_help")
    got = [
        outsider.post(f"/invitations/{one['invitation']}/agree", who(friend))[1]
        for one, friend in ((first, "h1"), (second, "h2"))
    ]
    assert [one["packet"] for one in got] == ["granted", "granted"]
    assert sum(one["amount_fen"] for one in got) == 500
    assert outsider.get(own)[1]["price_fen"] == 6600
    assert outsider.post(f"{own}/pay", {"method": "alipay"})[1]["state"] == "won"
    reveal = outsider.get(own)[1]["reveal"]
    assert sorted(reveal["split"]) == sorted(one["amount_fen"] for one in got)


@of_kind("two_sided")
def test_R160_R163_R166_a_payment_rewards_both(outsider):
    world = outsider.world
    codes = outsider.post("/quota-codes", {"count": 1, "uses": 1})[1]["codes"]
    assert code(outsider.post("/merchants", {"merchant": "hotpot", "code": "NOSUCHCODE"})) == (404, "no_such_code")
    assert outsider.post("/merchants", {"merchant": "hotpot", "code": codes[0]})[1]["state"] == "bound"
    assert code(outsider.post("/merchants", {"merchant": "sweets", "code": codes[0]})) == (409, "code_used_up")
    for number in (1, 2, 3):
        world.pay(f"T{number}", "openid-a")
    world.pay("T4", "openid-a", channel="sweets-pay")

    def firing(transaction):
        (found,) = outsider.get(f"/firings?transaction_id={transaction}")[1]["items"]
        return found

    assert [(firing(f"T{n}")["state"], firing(f"T{n}")["reason"]) for n in (1, 2, 3, 4)] == [
        ("refused", "not_in_group"),
        ("fired", ""),
        ("refused", "pair_limit"),
        ("refused", "no_quota_code"),
    ]
    both = firing("T2")
    assert (both["user"]["fen"], both["merchant"]["fen"], both["clerk"]) == (100, 50, None)
    world.refund("T2", 10_000)
    assert firing("T2")["state"] == "reversed"


@of_kind("flash_sale")
def test_R171_R179_R181_R182_a_sale_is_held_paid_cancelled_and_split_anew(outsider):
    status, mine = outsider.post("/reservations", {**who("f1"), "quantity": 1})
    assert (status, set(mine) >= {"reservation", "shard", "expires_at"}) == (201, True)
    assert outsider.post(f"/reservations/{mine['reservation']}/pay")[1]["state"] == "sold"
    other = outsider.post("/reservations", {**who("f1"), "quantity": 1})[1]["reservation"]
    assert [outsider.post(f"/reservations/{other}/cancel")[1]["state"] for _ in "12"] == ["cancelled", "cancelled"]
    assert code(outsider.post("/reservations", {**who("f1"), "quantity": 2})) == (409, "limit")
    stock = outsider.get("/stock")[1]
    assert (stock["total"], stock["sold"], stock["held"], stock["left"]) == (10, 1, 0, 9)
    assert code(outsider.post("/resplit", {"shards": 2})) == (409, "not_paused")
    outsider.post("/state", {"to": "paused"})
    assert outsider.post("/resplit", {"shards": 2, "total": 12})[1]["left"] == 11
    assert code(outsider.post("/reservations", {**who("f2"), "quantity": 1}))[0] == 409


@of_kind("referral")
def test_R193_R194_R195_a_friend_is_bound_pays_and_both_are_rewarded(outsider):
    world = outsider.world
    world.pay("T1", "inviter")
    world.pay("T2", "regular")
    status, made = outsider.post("/invitations", who("inviter"))
    assert (status, set(made) >= {"invitation", "url", "qr_svg", "expires_at"}) == (201, True)
    assert made["qr_svg"].startswith("<svg")

    def bind(openid):
        return outsider.post("/bindings", {"invitation": made["invitation"], **who(openid)})

    assert code(bind("inviter")) == (409, "self_referral")
    assert code(bind("regular")) == (409, "existing_customer")
    assert bind("friend")[1]["state"] == "bound"
    assert code(bind("friend")) == (409, "already_bound")
    # In the very second of the binding, as platforms tell it.
    world.pay("T3", "friend", amount_fen=1000)
    world.store.write(lambda tx: world.runtime.campaigns.sweep(tx, world.clock(), 100))
    (found,) = outsider.get(f"/referrals?person={world.person_of('T1')}")[1]["items"]
    assert (found["state"], len(found["links"])) == ("rewarded", 2)


@of_kind("group_buy")
def test_R220_R221_R223_R227_R230_a_deal_is_bought_booked_used_and_filmed(outsider):
    status, made = outsider.post("/orders", {**who("g1"), "shop": "hotpot-1"})
    assert (status, made["state"]) == (201, "created")
    own = f"/orders/{made['order']}"
    slots = [slot["slot"] for slot in made["slots"]]
    assert made["slots"][0]["meal"] == "dinner"
    paid = outsider.post(f"{own}/pay")[1]
    assert (paid["state"], bool(paid["coupon"])) == ("paid", True)
    assert outsider("PUT", f"{own}/slots", {"slots": slots[:2]})[0] == 200
    assert code(outsider("PUT", f"{own}/slots", {"slots": slots[:3]})) == (409, "limit")
    ticket = outsider.post("/shops/hotpot-1/tickets", who("g1"))[1]
    assert (ticket["number"], ticket["waiting"]) == (1, 1)
    assert outsider.get("/shops/hotpot-1/queue")[1] == {"waiting": 1, "estimate_min": None}
    assert {push["state"] for push in outsider.get(f"{own}/pushes")[1]} == {"due"}
    film = {"size": 100, "type": "video/mp4", "consent": True}
    assert code(outsider.post(f"{own}/video", film)) == (409, "not_used")
    assert outsider.post(f"{own}/use")[0] == 200
    assert code(outsider.post(f"{own}/use")) == (409, "already_used")
    assert code(outsider.post(f"{own}/video", {**film, "consent": False})) == (422, "invalid")
    assert outsider.post(f"{own}/video", {**film, "size": 200_000_001})[0] == 413
    assert outsider.post(f"{own}/video", film)[0] == 201


@of_kind("data_hub")
def test_R210_R212_R213_R215_a_record_is_kept_once_and_given_to_whom_it_was_granted(outsider):
    token = outsider.world.runtime.accounts.create_token(
        "hub", "operator", None, None, outsider.world.clock(), "tests"
    ).text
    client = outsider.world.app().test_client()

    def call(method, path, body=None, key="k"):
        headers = {"Authorization": f"Bearer {token}", **({"Idempotency-Key": key} if method == "POST" else {})}
        answer = client.open(f"/api/v1/campaigns/it{path}", method=method, json=body, headers=headers)
        return answer.status_code, answer.json

    kept = {"key": "a", "version": 1, "data": {"amt": 5}}
    assert outsider.post("/models/visit/records", kept)[0] == 403
    first, again = (call("POST", "/models/visit/records", kept, key) for key in ("1", "2"))
    assert (first[0], again[0]) == (201, 200)
    assert first[1]["hash"] == again[1]["hash"]
    status, refused = call("POST", "/models/visit/records", {**kept, "key": "b", "data": {"x": 1}}, "3")
    assert (status, refused["code"]) == (422, "invalid")
    (item,) = call("GET", "/models/visit/data")[1]["items"]
    assert (item["key"], item["version"], item["data"]) == ("a", 1, {"amount_fen": 5})
    assert call("GET", "/models/none/data")[0] == 404
    (delivery,) = call("GET", "/deliveries?state=pending")[1]["items"]
    assert (delivery["target"], delivery["tries"]) == ("crm", 0)
