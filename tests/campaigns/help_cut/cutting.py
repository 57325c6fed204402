"""A house with one help-to-cut campaign, and the few moves that a story about it makes."""

import contextlib
import itertools

from campaigns.help_cut import sale
from gateway.app import build_relay, build_spool
from gateway.contract.errors import Refused
from gateway.relay import Guard
from gateway.worker import Worker
from tests.support.world import CATALOG, EMBEDDED, World

TABLE = {
    "item": "set-menu",
    "price_fen": 990,
    "floor_price_fen": 690,
    "quantity": 3,
    "sessions": 10,
    "helpers": 3,
    "cut_fen": [100],
    "packets": 2,
    "packet_cap_fen": 200,
    "packet_floor_fen": 10,
    "total_fen": 200,
    "designate_minutes": 60,
    "agree_minutes": 120,
    "deadline_minutes": 240,
}
START = {"state": "live", "budget_fen": 2000}


def catalog_of(table=None, **shared):
    """The usual catalogue and the campaign `cut`, its table changed by `table` (None takes a key out)."""
    keys = {"kind": "help_cut", "circle": "riverside", **START, **shared, **TABLE, **(table or {})}
    lines = [f"{name} = {_toml(value)}" for name, value in keys.items() if value is not None]
    return CATALOG + "[campaign.cut]\n" + "\n".join(lines) + "\n"


def _toml(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(str, value))}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


class Cutting(World):
    """`shop.start("buyer")`, `shop.name(session, "a", "b")`, `shop.agree(invitation, "a")`, `shop.pay_for(session)`."""

    def __init__(self, root, table=None, *, store_url=EMBEDDED, **shared):
        super().__init__(root, sandbox=True, catalog=catalog_of(table, **shared), store_url=store_url)
        self._keys = itertools.count(1)
        self._client = self.client("manager")

    def call(self, method, path, body=None, *, key=None, client=None):
        """A call of the campaign's API by a manager; (status, body)."""
        headers = {"Idempotency-Key": key or f"test-{next(self._keys)}"}
        sent = {"json": body or {}} if method != "GET" else {}
        answer = (client or self._client).open(f"/api/v1/campaigns/cut{path}", method=method, headers=headers, **sent)
        assert answer.status_code < 500, answer.get_data(as_text=True)
        return answer.status_code, answer.json

    def did(self, method, path, body=None, *, wants=200):
        """The same, which has to be answered so."""
        status, told = self.call(method, path, body)
        assert status == wants, told
        return told

    def start(self, openid="buyer", **more):
        """A session's id."""
        return self.did("POST", "/sessions", {**who(openid), **more}, wants=201)["session"]

    def name(self, session, *openids, by="openid"):
        """The ids of the invitations of those named, in their order."""
        helpers = [{"type": by, "account": openid} for openid in openids]
        told = self.did("PUT", f"/sessions/{session}/helpers", {"helpers": helpers})
        return [one["invitation"] for one in told["invitations"]]

    def agree(self, invitation, openid, **more):
        return self.did("POST", f"/invitations/{invitation}/agree", {**who(openid), **more})

    def refused(self, method, path, body=None):
        """(status, code) of a call that has to be declined."""
        status, told = self.call(method, path, body)
        assert status >= 400, told
        return status, told["code"]

    def pay_for(self, session, method="wechat"):
        return self.did("POST", f"/sessions/{session}/pay", {"method": method})

    def show(self, session):
        return self.did("GET", f"/sessions/{session}")

    def reached(self, buyer="buyer", *, helpers=("a", "b", "c")):
        """A session whose price was reached."""
        session = self.start(buyer)
        for invitation, openid in zip(self.name(session, *helpers), helpers, strict=True):
            self.agree(invitation, openid)
        return session

    @property
    def campaign(self):
        """The campaign as its kind sees it."""
        self.runtime.directory()
        return self.runtime.campaigns.of_kind("help_cut")[0]

    @property
    def house(self):
        return self.runtime.campaigns.house

    def buy(self, session):
        """What the buyer's page does: an order that waits for its money."""
        campaign, house = self.campaign, self.house
        return self.store.write(lambda tx: sale.buy(tx, house, campaign, session, "", self.clock()))

    def try_to_buy(self, session):
        """The same where it may be declined."""
        with contextlib.suppress(Refused):
            self.buy(session)

    def work(self):
        """What the worker does."""
        guard = Guard(self.runtime.config.relay.allow)
        return Worker(self.runtime, build_relay(self.runtime, guard), build_spool(self.runtime)).finish_due()

    def later(self, **parts):
        """Time passes, and the worker does what is due then."""
        self.clock.move(**parts)
        self.work()

    def budget(self):
        return self._client.get("/api/v1/campaigns/cut").json["budget"]

    def counts(self):
        return self._client.get("/api/v1/campaigns/cut").json["counts"]


def who(openid):
    return {"openid": openid, "channel": "hotpot-pay"}
