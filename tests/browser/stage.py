"""The campaigns of the demo's house, each in states worth looking at; played once, by calls and on guests' phones.

Guests sign in with Alipay, as phones of the sandbox do that have not paid yet; X has paid with WeChat. D has bought and holds something of everything; E looks on; K cuts a price, with the help of L, M and N.
"""

import re
import shutil
import time
from dataclasses import replace
from html import unescape

import requests

from gateway.catalog.registry import installed
from gateway.web.sandbox.desk import GUESTS, keep_desk, openid_of, read_desk

KINDS = sorted(installed(()).campaigns)
CHANNEL = "books-alipay"
PATIENCE_S = 30.0

MORE = {
    "flash_sale": """
[item.latte-rush]
merchant = "coffee"
name = "拿铁一杯（早场）"
kind = "gift"
value_fen = 1800
weight = 0
[campaign.rush-early]
kind = "flash_sale"
circle = "wutong"
merchants = ["coffee"]
state = "scheduled"
starts_at = 2099-12-01T12:00:00+08:00
item = "latte-rush"
total = 10
price_fen = 990
[campaign.rush-gone]
kind = "flash_sale"
circle = "wutong"
merchants = ["coffee"]
state = "live"
item = "latte-rush"
total = 1
shards = 1
price_fen = 990
[campaign.rush-rest]
kind = "flash_sale"
circle = "wutong"
merchants = ["coffee"]
state = "live"
item = "latte-rush"
total = 12
price_fen = 990
per_person = 3
[campaign.rush-last]
kind = "flash_sale"
circle = "wutong"
merchants = ["coffee"]
state = "live"
item = "latte-rush"
total = 1
shards = 1
price_fen = 990
[campaign.rush-over]
kind = "flash_sale"
circle = "wutong"
merchants = ["coffee"]
state = "live"
item = "latte-rush"
total = 1
shards = 1
price_fen = 990
""",
    "help_cut": """
[campaign.quick-cut]
kind = "help_cut"
circle = "wutong"
merchants = ["books"]
state = "live"
budget_fen = 3000
item = "reading-card"
price_fen = 9000
floor_price_fen = 8700
quantity = 5
sessions = 5
helpers = 1
cut_fen = [300]
packets = 1
packet_floor_fen = 100
packet_cap_fen = 500
""",
}  # fmt: skip


class Stage:
    """`stage.paths[name]` is the address of a page that `surfaces` names. Only installed kinds are played."""

    def __init__(self, house, story):
        self.house, self.base = house, house.base_url
        self._headers = dict(story._headers)
        self._story = story
        self._number = 0
        self._phones = {}
        self.paths = {}
        self._guests = read_desk(story._runtime.home).guests
        self._seat(len(GUESTS))
        more = "".join(text for kind, text in MORE.items() if kind in KINDS)
        file = house.home / "shops.toml"
        file.write_text(file.read_text("utf-8") + more, "utf-8")
        house.drainage("apply", str(file))
        for kind in KINDS:
            getattr(self, f"_{kind}", lambda: None)()
        self._house()

    def close(self):
        """Only as many guests as before: other stories ask for new ones."""
        self._seat(self._guests)

    def _seat(self, guests):
        home = self._story._runtime.home
        keep_desk(home, replace(read_desk(home), guests=guests))

    # -- tools --------------------------------------------------------------------------------------------------------

    def call(self, campaign, path, body=None, *, method="POST", headers=None):
        """A call of a campaign's API by the operator; its answer, which has to be a good one."""
        self._number += 1
        answer = requests.request(
            method,
            f"{self.base}/api/v1/campaigns/{campaign}{path}",
            json=body if method == "GET" else body or {},
            headers={**self._headers, "Idempotency-Key": f"stage-{self._number}", **(headers or {})},
            timeout=20,
        )
        assert answer.status_code < 400, (campaign, path, answer.text)
        return answer.json()

    def post(self, guest, page, wanted=".", **fields):
        """Send a form of a page on a guest's phone: the first that posts and has `wanted` in it. The page after it."""
        return self.post_to(f"/sandbox/phone/{guest}{page}", guest, wanted, **fields)

    def post_to(self, page, browser, wanted, **fields):
        phone = self._phones.setdefault(browser, requests.Session())
        shown = phone.get(f"{self.base}{page}", timeout=20)
        forms = re.findall(r'<form method="post"(.*?)</form>', shown.text, re.DOTALL)
        form = next((form for form in forms if re.search(wanted, form)), None)
        assert form is not None, (page, shown.status_code, shown.text[-1500:])
        action = re.search(r'^[^>]*action="([^"]+)"', form)
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form))
        to = f"{self.base}{unescape(action[1])}" if action else shown.url
        after = phone.post(to, data={**hidden, **fields}, timeout=20)
        assert after.status_code < 400, (page, after.text)
        return after

    def pay(self, guest, fen):
        """A payment of the guest at the book shop."""
        self._story._pay(CHANNEL, openid_of(guest), fen)

    def pay_on_phone(self, guest, channel, fen):
        """The same by the sandbox's page, after which the guest's phone signs in with that wallet."""
        self.post_to("/sandbox", "", '"pay"', guest=guest, channel=channel, amount=f"{fen / 100:.2f}", action="pay")

    @staticmethod
    def who(guest):
        return {"openid": openid_of(guest), "channel": CHANNEL}

    def _add(self, guest="", **paths):
        mount = f"/sandbox/phone/{guest}" if guest else ""
        self.paths |= {name.replace("_", "-"): f"{mount}{path}" for name, path in paths.items()}

    @staticmethod
    def until(look, what):
        """What `look` gives, once it gives something: the worker is at it."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = look()
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"waited {PATIENCE_S} s for {what}")

    def payouts_of(self, campaign):
        """A campaign's payouts, the newest first."""
        query = "SELECT id, state, reason FROM payouts WHERE campaign = :campaign ORDER BY created_at DESC"
        return self._story._runtime.store.read(lambda tx: tx.all(query, {"campaign": campaign}))

    def _house(self):
        """What belongs to no kind: the lists, a campaign's own pages in the console, payouts."""
        self._add("E", campaigns="/campaigns")
        self._add(console_campaigns="/admin/campaigns", console_payouts="/admin/payouts")
        names = {"help_cut": "books-cut", "flash_sale": "rush-rest", "two_sided": "both-sides"}
        for kind in names.keys() & set(KINDS):
            self.paths[f"console-campaign-{kind}"] = f"/admin/campaigns/{names[kind]}"
        if "help_cut" in KINDS:
            self._add(console_campaign_table="/admin/campaigns/books-cut/table")
        if "two_sided" in KINDS:
            self._add(console_campaign_simulate="/admin/campaigns/both-sides/simulate")
            sent = self.until(
                lambda: [one for one in self.payouts_of("both-sides") if one["state"] == "sent"], "a payout"
            )
            self._add("X", payout=f"/payout/{sent[0]['id']}")
            self._add(console_payout=f"/admin/payouts/{sent[0]['id']}")

    # -- the kinds ----------------------------------------------------------------------------------------------------

    def _flash_sale(self):
        gone = self.call("rush-gone", "/reservations", {**self.who("F"), "quantity": 1})
        self.call("rush-gone", f"/reservations/{gone['reservation']}/pay")
        self.call("rush-rest", "/reservations", {**self.who("D"), "quantity": 2})
        bought = self.call("coffee-rush", "/reservations", {**self.who("F"), "quantity": 1})
        self.call("coffee-rush", f"/reservations/{bought['reservation']}/pay")
        self.call("rush-rest", "/state", {"to": "paused"})
        self.call("rush-over", "/state", {"to": "ended"})
        self._add("D", sale_held="/campaigns/flash_sale/rush-rest")
        self._add(
            "E",
            sale_on="/campaigns/flash_sale/coffee-rush",
            sale_last="/campaigns/flash_sale/rush-last",
            sale_early="/campaigns/flash_sale/rush-early",
        )
        self._add("E", sale_gone="/campaigns/flash_sale/rush-gone", sale_over="/campaigns/flash_sale/rush-over")
        self._add("E", sale_paused="/campaigns/flash_sale/rush-rest")
        self._add("F", sale_bought="/campaigns/flash_sale/coffee-rush")
        self._add(console_sale_stock="/admin/campaigns/rush-rest/stock")
        self._add(console_sale_journal="/admin/campaigns/rush-rest/journal")

    def _help_cut(self):
        begun = self.call("books-cut", "/sessions", self.who("K"))
        session = f"/sessions/{begun['session']}"
        friends = [{"type": "wechat", "account": name} for name in ("老李", "小王", "阿珍", "老周")]
        told = self.call("books-cut", f"{session}/helpers", {"helpers": friends}, method="PUT")
        links = [one["url"][len(self.base) :] for one in told["invitations"]]
        self.post("L", links[0], "agree", move="agree")
        self.post("M", links[1], "agree", move="decline")
        board = f"/campaigns/help_cut/s/{begun['session']}"
        draft = self.call("books-cut", "/sessions", self.who("G"))["session"]
        self._add("E", cut_begin="/campaigns/help_cut/books-cut")
        self._add("G", cut_draft=f"/campaigns/help_cut/s/{draft}")
        self._add("K", cut_board=board, cut_hand_on=f"{board}/i/{told['invitations'][2]['invitation']}")
        self._add("K", cut_fair=f"{board}/fair")
        self._add("L", cut_thanks=links[0])
        self._add("M", cut_declined=links[1])
        self._add("N", cut_asked=links[2])
        won = self.call("quick-cut", "/sessions", self.who("H"))["session"]
        asked = self.call("quick-cut", f"/sessions/{won}/helpers", {"helpers": friends[:1]}, method="PUT")
        self.post("L", asked["invitations"][0]["url"][len(self.base) :], "agree", move="agree")
        self._add("H", cut_settling=f"/campaigns/help_cut/s/{won}")
        lost = self.call("quick-cut", "/sessions", self.who("I"))["session"]
        asked = self.call("quick-cut", f"/sessions/{lost}/helpers", {"helpers": friends[:1]}, method="PUT")
        self.post("M", asked["invitations"][0]["url"][len(self.base) :], "agree", move="agree")
        self.call("quick-cut", f"/sessions/{lost}/pay", {"method": "wechat"})
        self._add("I", cut_won=f"/campaigns/help_cut/s/{lost}", cut_fair_told=f"/campaigns/help_cut/s/{lost}/fair")
        self._add("M", cut_helped=asked["invitations"][0]["url"][len(self.base) :])
        self._add(console_cut_sessions="/admin/campaigns/books-cut/sessions")
        self._add(console_cut_session=f"/admin/campaigns/books-cut{session}")
        self._add(console_cut_code="/admin/campaigns/books-cut/shop-code")

    def _group_buy(self):
        def order(guest):
            body = {**self.who(guest), "shop": "noodles-1"}
            return self.call("noodles-deal", "/orders", body)

        for guest in "PQR":
            self.call("noodles-deal", "/shops/noodles-1/tickets", self.who(guest))
        paid, used, unpaid = order("D"), order("H"), order("I")
        for one in (paid, used):
            self.call("noodles-deal", f"/orders/{one['order']}/pay")
        picked = [paid["slots"][-1]["slot"]]
        self.call("noodles-deal", f"/orders/{paid['order']}/slots", {"slots": picked}, method="PUT")
        self.call("noodles-deal", f"/orders/{used['order']}/use")
        fresh = order("J")["order"]
        self.call("noodles-deal", f"/orders/{fresh}/pay")
        self._add("E", deal="/campaigns/group_buy/noodles-deal", deal_shop="/campaigns/group_buy/shop/noodles-1")
        self._add(
            "D", deal_order=f"/campaigns/group_buy/o/{paid['order']}", deal_mine="/campaigns/group_buy/noodles-deal"
        )
        self._add("J", deal_pick=f"/campaigns/group_buy/o/{fresh}")
        self._add("I", deal_unpaid=f"/campaigns/group_buy/o/{unpaid['order']}")
        self._add(
            "H", deal_used=f"/campaigns/group_buy/o/{used['order']}", deal_upload=f"/me/orders/{used['order']}/video"
        )
        for page in ("orders", "slots", "queue", "videos"):
            self.paths[f"console-deal-{page}"] = f"/admin/campaigns/noodles-deal/{page}"
        if shutil.which("ffmpeg"):
            self._film(order)

    def _film(self, order):
        """A video that is published and one that waits for staff."""
        # Here, for the house stands without this kind too.
        from tests.campaigns.group_buy.test_group_buy_films import clip

        source = clip(self.house.home / "visit.mp4", seconds=1)
        made = []
        for guest in "RS":
            used = order(guest)["order"]
            self.call("noodles-deal", f"/orders/{used}/pay")
            self.call("noodles-deal", f"/orders/{used}/use")
            size = source.stat().st_size
            begun = self.call(
                "noodles-deal", f"/orders/{used}/video", {"size": size, "type": "video/mp4", "consent": True}
            )
            piece = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
            sent = requests.patch(
                f"{self.base}/api/v1/campaigns/noodles-deal/videos/{begun['video']}/upload",
                data=source.read_bytes(),
                headers={**self._headers, **piece, "Idempotency-Key": f"piece-{guest}"},
                timeout=20,
            )
            assert sent.status_code == 204, sent.text
            made.append((begun["video"], used))
        for video, _ in made:
            look = f"/videos/{video}"
            self.until(lambda at=look: self.call("noodles-deal", at, method="GET")["state"] == "review", "the film")
        self.call("noodles-deal", f"/videos/{made[0][0]}/approve")
        self._add("R", deal_film=f"/me/orders/{made[0][1]}/video")
        self._add(console_deal_video=f"/admin/campaigns/noodles-deal/videos/{made[1][0]}")

    def _micro_merchant(self):
        home = "/campaigns/micro_merchant"

        def applied(guest, name, bank):
            body = {**self.who(guest), "wechat_id": name, "bank_account": bank, "bank_name": "小周"}
            return self.call("street-helpers", "/micro-merchants", body)["id"]

        member = applied("D", "xiaozhou-wutong", "6222020200011112222")
        self.call("street-helpers", f"/micro-merchants/{member}/approve")
        waiting = applied("K", "wutong-shu", "6222020200011113333")
        refused = applied("L", "wutong-mian", "6222020200011114444")
        self.call("street-helpers", f"/micro-merchants/{refused}/reject", {"reason": "请先到店面谈"})
        code = self.call("street-helpers", f"/micro-merchants/{member}", method="GET")["code"]
        for price in (9990, 6800, 12800):
            body = {"price_fen": price, "code": code, **self.who("E")}
            made = self.call("street-helpers", "/orders", body)
            order = f"/orders/{made['order']}"
            self.call("street-helpers", f"{order}/paid", {"amount_fen": made["price_fen"]})
            if price != 12800:
                self.call("street-helpers", f"{order}/complete")
        self.until(
            lambda: self.call("street-helpers", f"/micro-merchants/{member}/balance", method="GET")["cash_fen"],
            "the rewards",
        )
        self.call("street-helpers", f"/micro-merchants/{member}/payouts", {"amount_fen": 500})
        self._add("J", micro_shop_plain=f"{home}/shop/street-helpers")
        self._add("E", micro_apply=f"{home}/apply", micro_shop=f"{home}/shop/street-helpers/{code}")
        self._add("K", micro_waiting=f"{home}/apply")
        self._add("L", micro_refused=f"{home}/apply")
        self._add("D", micro_me=f"{home}/me", micro_payout=f"{home}/payout")
        for page in ("members", "orders", "rewards", "payouts"):
            self.paths[f"console-micro-{page}"] = f"/admin/campaigns/street-helpers/{page}"
        self._add(console_micro_member=f"/admin/campaigns/street-helpers/members/{member}")
        self._add(console_micro_applied=f"/admin/campaigns/street-helpers/members/{waiting}")

    def _referral(self):
        made = self.call("friends", "/invitations", self.who("T"))
        link = made["url"][len(self.base) :]
        self.call("friends", "/bindings", {"invitation": made["invitation"], **self.who("U"), "device": "one"})
        self.call("friends", "/bindings", {"invitation": made["invitation"], **self.who("V"), "device": "one"})
        self.pay("U", 2600)
        self.until(lambda: self._states().get("rewarded"), "the reward")
        self._add("T", referral_list="/campaigns/referral", referral_code="/campaigns/referral/friends")
        self._add("E", referral_begin="/campaigns/referral/friends")
        self._add("W", referral_landing=link)
        self._add("U", referral_done=link)
        self._add("V", referral_review=link)
        self._add(console_referrals="/admin/campaigns/friends/referrals")
        self._add(console_referral_review="/admin/campaigns/friends/review")

    def _states(self):
        rows = self.call("friends", "/referrals", method="GET")["items"]
        return {row["state"]: row for row in rows}

    def _two_sided(self):
        codes = self.call("both-sides", "/quota-codes", {"count": 4})["codes"]
        self.call("both-sides", "/merchants", {"merchant": "noodles", "code": codes[0]})
        self.call("both-sides", "/merchants", {"merchant": "books", "code": codes[1]})
        self.call("both-sides", f"/quota-codes/{codes[2]}/void")
        for fen in (2600, 8800, 12800):
            self.pay("D", fen)
            self.pay_on_phone("X", "noodles-wechat", fen)
        self.post("X", "/campaigns/two_sided/both-sides", "转到我的钱包")
        self._add("D", rebates="/campaigns/two_sided/both-sides")
        self._add("E", rebates_none="/campaigns/two_sided/both-sides")
        self._add("X", rebates_sent="/campaigns/two_sided/both-sides")
        for page in ("firings", "merchants", "codes"):
            self.paths[f"console-both-{page}"] = f"/admin/campaigns/both-sides/{page}"

    def _data_hub(self):
        token = (
            self.house.drainage("token", "create", "--role", "operator", "--name", "visits").strip().splitlines()[-1]
        )
        as_visits = {"Authorization": f"Bearer {token}"}
        for place, fen in enumerate((2600, 0, 8800)):
            body = {"key": f"T-{place}", "version": 1, "data": {"amt": fen}}
            self.call("hub", "/models/visit/records", body, headers=as_visits)
        for page in ("models", "records", "deliveries"):
            self.paths[f"console-hub-{page}"] = f"/admin/campaigns/hub/{page}"
