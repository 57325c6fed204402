"""Buying with the real wallets of WeChat and Alipay against their sandbox twins: signed calls, signed answers, faults.

The line is a function: what a wallet asks is handed to the twin, and what the twin then tells is handed to `told`.
"""

from __future__ import annotations

import pytest

from gateway import people, sandbox
from gateway.buying import Buying, rows
from gateway.contract.wallet import CallUnknown, TwinRequest
from gateway.runtime import create
from gateway.wallets import payer_of
from gateway.web.sandbox.platform import stage_of
from gateway.worker import Worker
from tests.buying.wepay import EmptySpool, NoRelay
from tests.support.invariants import broken
from tests.support.world import World, cheap_hasher

CATALOG = """
[circle.wutong]
name = "梧桐里"
binding = "bearer"
[merchant.noodles]
circle = "wutong"
name = "老陈面馆"
[merchant.books]
circle = "wutong"
name = "青禾书店"
[merchant.coffee]
circle = "wutong"
name = "半日咖啡"
[channel.wechat-v3]
merchant = "noodles"
adapter = "wechat_v3"
intake = "copy"
sandbox = true
[channel.alipay]
merchant = "books"
adapter = "alipay"
intake = "copy"
sandbox = true
[channel.wechat-v2]
merchant = "coffee"
adapter = "wechat_v2"
intake = "copy"
sandbox = true
[item.noodles]
merchant = "noodles"
name = "牛肉面 10 碗"
price_fen = 18800
stock = 2
weight = 0
[item.books]
merchant = "books"
name = "读书卡"
price_fen = 9500
stock = 2
weight = 0
[item.coffee]
merchant = "coffee"
name = "拿铁券 5 杯"
price_fen = 6800
stock = 2
weight = 0
"""
WAYS = {"noodles": ("wechat-v3", "wechat"), "books": ("alipay", "alipay"), "coffee": ("wechat-v2", "wechat")}
OPENID = "sandbox-guest-A"


class Street(World):
    """Three shops at the twins' platforms. `heard` off: no notification arrives."""

    def __init__(self, root) -> None:
        self.heard = True
        self.asked: list[str] = []
        super().__init__(root, sandbox=True, catalog=CATALOG, store_url=f"sqlite:///{root}/street.db")
        self.buying = Buying(self.runtime)

    def another_runtime(self):
        made = create(self.home.root, environ={}, clock=self.clock, hasher=cheap_hasher(), carrier=self._carry)
        self._runtimes.append(made)
        return made

    def _carry(self, call):
        slug, _, rest = call.url.partition("/sandbox/platform/")[2].partition("/")
        path, _, query = rest.partition("?")
        self.asked.append(path)
        stage = stage_of(self.runtime, slug)
        asked = TwinRequest(call.method, f"/{path}", query, call.headers, call.body)
        told = stage.twin.answer(stage.private, stage.table, asked, stage.state, self.clock())
        if told.reply.status == 0:
            raise CallUnknown("no_answer")
        self.tell(stage, told.events)
        return told.reply

    def tell(self, stage, events):
        for event in events if self.heard else ():
            raw = sandbox.notification_of(self.runtime, stage.channel, event, self.clock())
            live = self.runtime.directory().channel(stage.channel.spec.slug)
            self.buying.told(live, live.adapter.parse(raw, live.keys, self.clock()), self.clock())

    def order(self, item, quantity=1, openid=OPENID):
        channel, platform = WAYS[item]
        live = self.runtime.directory().channel(channel)
        known_by = people.identities(self.runtime.vault(), platform, [payer_of(live, openid)])
        who = self.store.write(lambda tx: people.recognise(tx, self.runtime.ids, self.clock(), known_by))
        form = f"form-{next(self._numbers)}"
        made = self.buying.order(item, quantity, who.id, platform, form, self.clock())
        self.buying.announce(made, self.clock())
        return made

    def purchase(self, order):
        return self.store.read(lambda tx: rows.purchase_of(tx, order))

    def taps_pay(self, order, item, openid=OPENID):
        stage = stage_of(self.runtime, WAYS[item][0])
        told = stage.twin.pay(stage.private, self.purchase(order)["handle"], openid, stage.state, self.clock())
        self.tell(stage, told.events)
        return told

    def fault(self, item, call, name):
        stage_of(self.runtime, WAYS[item][0]).state.put("fault", call, {"name": name})

    def run(self, seconds, step=5):
        for _ in range(0, seconds, step):
            self.clock.move(seconds=step)
            Worker(self.runtime, NoRelay(), EmptySpool()).finish_due()

    def state(self, order):
        return self.one("SELECT state FROM orders WHERE id = :o", o=order)["state"]

    def due(self, item):
        found = self.all(
            "SELECT credits_posted - debits_posted AS n FROM accounts WHERE id = :a",
            a=f"merchant:{item}:refunds_due:cash",
        )
        return found[0]["n"] if found else 0


@pytest.fixture
def street(tmp_path):
    made = Street(tmp_path)
    yield made
    assert made.store.read(lambda tx: broken(tx, made.clock())) == []
    made.close()


@pytest.fixture(params=sorted(WAYS))
def item(request):
    return request.param


def test_R044_announced_bridged_paid_and_told(street, item):
    order = street.order(item)
    till, bridge = street.buying.bridge(street.purchase(order), street.clock())
    assert till.slug == WAYS[item][0]
    assert set(bridge) == ({"tradeNO"} if item == "books" else {
        "appId", "timeStamp", "nonceStr", "package", "signType", "paySign",
    })  # fmt: skip
    assert street.taps_pay(order, item).events
    assert street.state(order) == "fulfilled"


def test_R044_the_notification_never_arrives(street, item):
    order = street.order(item)
    street.heard = False
    street.taps_pay(order, item)
    assert street.state(order) == "created"
    street.run(5)
    assert street.state(order) == "fulfilled"


@pytest.mark.parametrize("fault", ["drop", "bad_signature", "bad_gateway"])
def test_R044_an_announcement_whose_end_is_unknown_is_made_good(street, item, fault):
    street.fault(item, "prepay", fault)
    order = street.order(item)
    number = street.purchase(order)["number"]
    street.run(20)
    bought = street.purchase(order)
    assert (bought["state"], bought["number"]) == ("announced", number)
    street.taps_pay(order, item)
    assert street.state(order) == "fulfilled"


@pytest.mark.parametrize("fault", ["drop", "bad_signature", "bad_gateway"])
@pytest.mark.parametrize("call", ["query", "close"])
def test_R044_unpaid_is_closed_at_the_platform_whatever_the_line_does(street, item, call, fault):
    order = street.order(item, 2)
    street.fault(item, call, fault)
    street.run(1020, 60)
    assert street.state(order) == "closed"
    assert street.one("SELECT taken FROM stock WHERE item = :i", i=item)["taken"] == 0
    assert street.taps_pay(order, item).events == ()


def test_R047_late_without_stock_goes_back_by_the_platform(street, item):
    """The order is over for us; the platform takes the money all the same, and a neighbour has all the stock."""
    order = street.order(item, 2)
    street.buying.lapse(street.purchase(order)["number"], street.clock())
    other = street.order(item, 2, "sandbox-guest-B")
    street.taps_pay(other, item, "sandbox-guest-B")
    street.fault(item, "refund", "drop")
    street.taps_pay(order, item)
    assert (street.state(other), street.state(order)) == ("fulfilled", "refunded")
    assert street.due(item) > 0
    street.run(300, 15)
    assert street.due(item) == 0
    assert street.one("SELECT state FROM paybacks")["state"] == "done"


def test_R061_a_unit_given_back_goes_back_by_the_platform(street, item):
    order = street.order(item, 2)
    street.taps_pay(order, item)
    for _ in range(2):
        street.buying.refund(order, 1, street.clock())
    street.run(300, 15)
    assert (street.state(order), street.due(item)) == ("refunded", 0)
    assert [row["state"] for row in street.all("SELECT state FROM paybacks")] == ["done", "done"]


@pytest.mark.parametrize(
    ("call", "fault"), [("refund", "NOT_ENOUGH"), ("refund", "SYSTEM_ERROR"), ("query_refund", "ABNORMAL")]
)
def test_R047_wechats_own_refund_troubles(street, call, fault):
    order = street.order("noodles")
    street.taps_pay(order, "noodles")
    street.fault("noodles", call, fault)
    street.buying.refund(order, 1, street.clock())
    street.run(3 * 3600, 60)
    assert street.due("noodles") == 0
    assert street.all("SELECT kind FROM incidents WHERE closed_at IS NULL") == []


@pytest.mark.parametrize("fault", ["PARAM_ERROR", "SIGN_ERROR"])
def test_R044_wechat_declines(street, fault):
    street.fault("noodles", "prepay", fault)
    order = street.order("noodles")
    assert (street.purchase(order)["state"], street.purchase(order)["reason"]) == ("failed", fault)


def test_no_secret_and_no_openid_leaves_in_a_log(street, item, capsys, caplog):
    street.fault(item, "prepay", "bad_gateway")
    order = street.order(item)
    street.run(20)
    street.taps_pay(order, item)
    said = "".join(capsys.readouterr()) + caplog.text
    assert OPENID not in said
    assert "PRIVATE" not in said
