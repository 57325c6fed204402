"""Whatever a kind gave for a payment or a sale, its refund leaves a ledger that sums to zero with its history (R240).

Each kind's story goes by the API alone; one that is not installed is left out. Nothing booked before the refund is
another row afterwards: a refund is booked beside it (R119).
"""

from __future__ import annotations

import importlib.util
import itertools
import json

import pytest

from gateway import campaigning, outbox, payouts
from gateway.ledger import book
from tests.support.invariants import broken
from tests.support.world import CATALOG, EMBEDDED, World

BUDGET = 100_000
TABLES = {
    "two_sided": "user_bps = 500\nmerchant_fen = 100\nmerchant_bps = 250\n",
    "referral": 'referrer_item = "bowl-5off"\nreferred_item = "soup"\nqualify = { min_amount_fen = 1000 }\n',
    "micro_merchant": (
        'merchants = ["hotpot"]\ndiscount_bps = 1000\nreward_bps = 500\npoints_bps = 100\nrefund_days = 7\n'
        'mode = "{mode}"\ncredit = ["cash", "points", "coupons"]\ncoupon_item = "soup"\n'
    ),
    "help_cut": (
        'item = "set-menu"\nprice_fen = 990\nfloor_price_fen = 690\nquantity = 3\nsessions = 10\nhelpers = 3\n'
        "cut_fen = [100]\npackets = 2\npacket_cap_fen = 200\npacket_floor_fen = 10\ntotal_fen = 200\n"
        "designate_minutes = 60\nagree_minutes = 120\ndeadline_minutes = 240\n"
    ),
    "flash_sale": 'item = "set-menu"\ntotal = 5\nshards = 2\nper_person = 3\nprice_fen = 500\n',
    "group_buy": (
        'item = "set-menu"\nprice_fen = 880\nlunch = "11:30"\ndinner = "17:00"\ndays = 3\nslot_capacity = 2\n'
        "max_picks = 2\n"
    ),
}
KINDS = [kind for kind in TABLES if importlib.util.find_spec(f"campaigns.{kind}") is not None]


class Place:
    """A house with one campaign, and the calls that stories make."""

    def __init__(self, root, kind, store_url, **more):
        table = TABLES[kind].replace("{mode}", more.get("mode", "pending"))
        head = f'[campaign.trial]\nkind = "{kind}"\ncircle = "riverside"\nstate = "live"\nbudget_fen = {BUDGET}\n'
        self.world = World(root, sandbox=True, catalog=CATALOG + head + table, store_url=store_url)
        self._keys = itertools.count(1)
        self._app = self.world.app()

    def call(self, path, body=None, *, role="operator", method="POST", base="/api/v1/campaigns/trial"):
        client = self._app.test_client()
        scope = {"circle": "riverside"} if role == "operator" else {}
        client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {self.world.token(role, **scope)}"
        answer = client.open(
            f"{base}{path}", method=method, json=body or {}, headers={"Idempotency-Key": f"k{next(self._keys)}"}
        )
        assert answer.status_code < 300, (path, answer.status_code, answer.json)
        return answer.json

    def give_back(self, order, units=1):
        """The shop gives units of a sale back."""
        return self.call(f"/orders/{order}/refund", {"quantity": units}, base="/api/v1", role="operator")

    def later(self, **ahead):
        """Time passes, and the worker does what is due."""
        world = self.world
        world.clock.move(**ahead)
        world.runtime.directory()
        now = world.clock()
        world.store.write(lambda tx: world.runtime.campaigns.sweep(tx, now, 100))
        for row in world.store.write(lambda tx: outbox.lease(tx, now, 60, 100)):
            if row["topic"] == campaigning.TOPIC:
                assert world.runtime.campaigns.do(json.loads(row["payload"]), now) is None
                world.store.write(lambda tx, row=row: outbox.done(tx, now, row["id"]))

    def transfers(self):
        return [dict(row) for row in self.world.all("SELECT * FROM transfers ORDER BY id")]

    def standing(self):
        """All that a refund may change of what was given."""
        tables = ("transfers", "budgets", "budget_holds", "links", "coupons", "orders")
        return {table: [dict(row) for row in self.world.all(f"SELECT * FROM {table}")] for table in tables}

    def holds(self):
        """The ledger sums to zero, payouts and transfers say the same, no budget is overdrawn, and all else is true."""
        store, now = self.world.store, self.world.clock()
        assert store.read(book.faults) == []
        assert store.read(payouts.faults) == []
        assert store.read(lambda tx: broken(tx, now)) == []
        for row in self.world.all("SELECT * FROM budgets"):
            assert min(row["reserved_fen"], row["consumed_fen"]) >= 0, dict(row)
            assert row["reserved_fen"] + row["consumed_fen"] <= row["total_fen"], dict(row)


def named(openid):
    return {"openid": openid, "channel": "hotpot-pay"}


# -- a story each: gives something, and comes back with what takes it back, in parts ----------------------------------


def two_sided(place):
    code = place.call("/quota-codes", {"count": 1})["codes"][0]
    place.call("/merchants", {"merchant": "hotpot", "code": code})
    for number in range(3):
        place.world.pay(f"T{number}", "guest-a")
    return [lambda: place.world.refund("T1", 4000), lambda: place.world.refund("T1", 6000)]


def referral(place):
    invitation = place.call("/invitations", named("host"))["invitation"]
    place.call("/bindings", {**named("friend"), "invitation": invitation})
    place.later(seconds=1)
    place.world.pay("T1", "friend")
    place.later(seconds=1)
    return [lambda: place.world.refund("T1", 9500), lambda: place.world.refund("T1", 500)]


def micro_merchant(place, *, taken_out=0, matured=True):
    bank = {"wechat_id": "wx_zhou_1", "bank_account": "6222020200112233445"}
    member = place.call("/micro-merchants", {**bank, **named("seller")})["id"]
    code = place.call(f"/micro-merchants/{member}/approve")["code"]
    order = place.call("/orders", {"price_fen": 20_000, "code": code, **named("buyer")})
    place.call(f"/orders/{order['order']}/paid", {"amount_fen": order["price_fen"]})
    place.call(f"/orders/{order['order']}/complete")
    if matured:
        place.later(days=7)
    if taken_out:
        payout = place.call(f"/micro-merchants/{member}/payouts", {"amount_fen": taken_out})["payout"]
        place.call(f"/payouts/{payout}/settled")
    return [
        lambda: place.call(f"/orders/{order['order']}/refund", {"amount_fen": 7000}),
        lambda: place.call(f"/orders/{order['order']}/refund", {"amount_fen": order["price_fen"] - 7000}),
    ]


def help_cut(place):
    session = place.call("/sessions", named("buyer"))["session"]
    helpers = [{"type": "openid", "account": name} for name in ("a", "b", "c")]
    sent = place.call(f"/sessions/{session}/helpers", {"helpers": helpers}, method="PUT")["invitations"]
    for one, name in zip(sent, ("a", "b", "c"), strict=True):
        place.call(f"/invitations/{one['invitation']}/agree", named(name))
    place.call(f"/sessions/{session}/pay", {"method": "wechat"})
    order = place.world.one("SELECT sale FROM help_cut_sessions WHERE id = :id", id=session)["sale"]
    return [lambda: place.give_back(order)]


def flash_sale(place):
    place.later(seconds=1)
    made = place.call("/reservations", {**named("buyer"), "quantity": 2})
    place.call(f"/reservations/{made['reservation']}/pay")
    order = place.world.one("SELECT id FROM orders")["id"]
    return [lambda: place.give_back(order), lambda: place.give_back(order)]


def group_buy(place):
    order = place.call("/orders", {"openid": "guest-a", "channel": "sweets-pay", "shop": "sweets-1"})["order"]
    place.call(f"/orders/{order}/pay")
    return [lambda: place.give_back(order)]


STORIES = {
    "two_sided": two_sided,
    "referral": referral,
    "micro_merchant": micro_merchant,
    "help_cut": help_cut,
    "flash_sale": flash_sale,
    "group_buy": group_buy,
}
BY_LINKS_ALONE = frozenset({"referral"})
"""What these give and take back stands in links and budgets; the others move money."""


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def make(request, tmp_path):
    made = []

    def build(kind, **more):
        url = request.getfixturevalue("postgres_url") if request.param == "postgres" else EMBEDDED
        made.append(Place(tmp_path, kind, url, **more))
        return made[-1]

    yield build
    for place in made:
        place.world.close()


def check_refund(place, undo):
    """One refund: it changes something, everything holds, and what was booked is what it was."""
    booked, before = place.transfers(), place.standing()
    place.world.clock.move(seconds=1)
    undo()
    place.holds()
    after = place.transfers()
    assert [row["id"] for row in after[: len(booked)]] == [row["id"] for row in booked]
    for was, now in zip(booked, after, strict=False):
        if was["state"] == "pending":
            # What was held is booked or let go, once; who, whom, how much and why stay.
            now = {**now, "state": "pending", "settled_at": was["settled_at"]}
        assert now == was
    return before != place.standing()


@pytest.mark.parametrize("kind", KINDS)
def test_R240_a_refund_after_a_reward_leaves_zero_and_the_history(make, kind):
    place = make(kind)
    undo = STORIES[kind](place)
    place.holds()
    booked = len(place.transfers())
    assert bool(booked) is (kind not in BY_LINKS_ALONE)
    assert place.world.all("SELECT * FROM budget_holds") or kind == "group_buy"
    changed = [check_refund(place, step) for step in undo]
    assert any(changed)
    assert (len(place.transfers()) > booked) is (kind not in BY_LINKS_ALONE)
    place.later(days=8)
    place.holds()


@pytest.mark.parametrize("kind", KINDS)
def test_R240_a_refund_long_after_leaves_zero_and_the_history(make, kind):
    """Everything has been settled, given and counted by then."""
    place = make(kind)
    undo = STORIES[kind](place)
    place.later(hours=3)
    place.holds()
    for step in undo:
        check_refund(place, step)
    place.later(days=40)
    place.holds()


@pytest.mark.parametrize("mode", ["pending", "direct"])
@pytest.mark.parametrize(("taken_out", "matured"), [(900, True), (300, True), (0, False)])
def test_R119_a_refund_after_the_reward_has_left_the_house(make, mode, taken_out, matured):
    if "micro_merchant" not in KINDS:
        pytest.skip("the kind is not installed")
    place = make("micro_merchant", mode=mode)
    undo = micro_merchant(place, taken_out=taken_out, matured=matured)
    assert len(place.world.all("SELECT * FROM payouts")) == bool(taken_out)
    assert any([check_refund(place, step) for step in undo])  # noqa: C419 - all of them happen
    place.later(days=8)
    place.holds()
    if taken_out:
        # What he no longer has he owes: the account that may be below zero, and no other.
        below = "SELECT id FROM accounts WHERE id LIKE :debts AND credits_posted < debits_posted"
        assert place.world.all(below, debts="%:debt:%")
