"""The whole story without a person: pay twice, claim, redeem, and compare what the till got byte for byte.

Every step goes through the outside: real HTTP to the running gateway, the till's own record, the claim page's form.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urljoin

import requests

from gateway import sandbox
from gateway.contract.adapter import RawNotification
from gateway.demo.house import DemoFailed, DemoHouse
from gateway.runtime import Runtime, create

_PATIENCE_S: Final = 10.0
_WALLET_BROWSER: Final = "Mozilla/5.0 (Linux; Android 12) MicroMessenger/8.0.32"
_CODE: Final = re.compile(r'data-coupon="([^"]+)"')
_HOP: Final = frozenset({"host", "connection", "content-length", "via", "accept-encoding"})


@dataclass(frozen=True, slots=True)
class Paid:
    """One payment as it went out, and what the platform was answered."""

    raw: RawNotification
    transaction_id: str
    status: int
    answer: bytes


class Story:
    """One telling. `say` gets a line a step; the first thing that is not as told raises DemoFailed."""

    def __init__(self, house: DemoHouse, say: Callable[[str], None] = print) -> None:
        self._house = house
        self._say = say
        self._runtime: Runtime = create(house.home, environ={})
        self._token = house.drainage("token", "create", "--role", "operator", "--name", f"demo-{time.monotonic_ns()}")
        self._headers = {"Authorization": "Bearer " + self._token.strip().splitlines()[-1]}

    def close(self) -> None:
        """Let go of the store."""
        self._runtime.store.close()

    def tell(self) -> None:
        """Play every step. Raises DemoFailed."""
        for number, channel in enumerate(("noodles-wechat", "books-alipay", "coffee-wechat")):
            self._say(f"{number + 1}. {channel}")
            self._one_platform(channel, f"oStory{channel}{time.monotonic_ns()}")
        self._bad_signature("noodles-wechat")
        self._sign_in("noodles-1")
        self._campaigns()

    def open_link(self) -> str:
        """Make a guest whose second payment has earned a link that nobody has claimed; the link."""
        guest = f"oGuest{time.monotonic_ns()}"
        self._pay("noodles-wechat", guest, 2600)
        paid = self._pay("noodles-wechat", guest, 2600)
        return str(self._payment(paid)["links"][0]["url"])

    def _one_platform(self, channel: str, guest: str) -> None:
        first = self._pay(channel, guest, 2600)
        payment = self._payment(first)
        self._check(payment["tag"]["before"] == "untagged", "the payer was not known")
        self._check(payment["tag"]["after"] == "tagged" and not payment["links"], "tagged, and no link yet")
        self._say("   first payment ¥26.00: tagged 首次付款：已标识，下次付款开始有礼")
        self._compare(channel, first)
        second = self._pay(channel, guest, 3000)
        links = [link for link in self._payment(second)["links"] if link["for"] == "payer"]
        self._check(len(links) == 1, "the second payment gives one link")
        self._say(f"   second payment ¥30.00: a link for {len(links[0]['items'])} item(s)")
        again = requests.post(
            f"{self._house.base_url}/notify/{channel}",
            data=second.raw.body,
            headers=dict(second.raw.headers),
            timeout=10,
        )
        self._check(again.status_code == second.status, "a repeated notification is answered alike")
        self._check(len(self._payment(second)["links"]) == 1, "and gives no second link")
        self._say("   the same notification again: no second tag, no second link")
        for code in self._claim(links[0]["url"]):
            self._redeem(code)

    def _pay(self, channel: str, guest: str, fen: int) -> Paid:
        raw, order = sandbox.make_payment(
            self._runtime, channel, openid=guest, amount_fen=fen, now=self._runtime.clock()
        )
        answer = sandbox.post(raw, f"{self._house.base_url}/notify/{channel}")
        self._check(answer.status_code == HTTPStatus.OK, f"the platform is answered 200, not {answer.status_code}")
        return Paid(raw, order.transaction_id, answer.status_code, answer.content)

    def _compare(self, channel: str, paid: Paid) -> None:
        live = self._runtime.directory().channel(channel)
        recorded = sandbox.till_requests(live) if live is not None else None
        self._check(bool(recorded), "the till tells what it got")
        got = recorded[-1] if recorded else None
        assert got is not None  # checked above
        self._check(base64.b64decode(got.body_base64) == paid.raw.body, "the till got the same bytes")
        sent = {name.lower(): value for name, value in paid.raw.headers if name.lower() not in _HOP}
        received = {name.lower(): value for name, value in got.headers}
        self._check(all(received.get(name) == value for name, value in sent.items()), "and the same headers")
        self._say(f"   till: {len(paid.raw.body)} bytes, {len(sent)} headers 完全一致 identical; its answer went back")

    def _claim(self, url: str) -> list[str]:
        browser = requests.Session()
        page = browser.get(url, timeout=10)
        self._check(
            page.status_code == HTTPStatus.OK and not _CODE.search(page.text),
            "the link shows what it gives, and no code",
        )
        form = _Form()
        form.feed(page.text)
        claimed = browser.post(url, data=form.hidden, timeout=10)
        codes = _CODE.findall(claimed.text)
        self._check(claimed.status_code == HTTPStatus.OK and bool(codes), "claimed")
        self._check(_CODE.findall(browser.get(url, timeout=10).text) == codes, "the same coupons each time")
        self._say(f"   claimed {len(codes)} 已领取: {', '.join(codes)}")
        return codes

    def _redeem(self, code: str) -> None:
        url = f"{self._house.base_url}/api/v1/coupons/{code}/redeem"
        keys = {"Idempotency-Key": f"demo-{code}"}
        used = requests.post(url, json={"amount_fen": 5000}, headers=self._headers | keys, timeout=10)
        self._check(used.status_code == HTTPStatus.OK and used.json()["state"] == "redeemed", f"redeemed {code}")
        other = requests.post(
            url, json={"amount_fen": 5000}, headers=self._headers | {"Idempotency-Key": f"again-{code}"}, timeout=10
        )
        self._check(other.status_code == HTTPStatus.CONFLICT, "a second redeem is refused")
        self._say(f"   redeemed {code} 已核销; a second try is refused")

    def _bad_signature(self, channel: str) -> None:
        before = self._summary()
        raw, order = sandbox.make_payment(
            self._runtime, channel, openid="oNobody", amount_fen=2600, now=self._runtime.clock()
        )
        sandbox.post(sandbox.with_bad_signature(raw), f"{self._house.base_url}/notify/{channel}")
        missing = requests.get(
            f"{self._house.base_url}/api/v1/payments/{order.transaction_id}", headers=self._headers, timeout=10
        )
        self._check(missing.status_code == HTTPStatus.NOT_FOUND, "a bad signature makes no payment")
        after = self._summary()
        self._check(after["refused"] == before["refused"] + 1, "it is counted")
        self._check(after["payments"] == before["payments"], "and changes nothing")
        self._say("4. a bad signature: passed on untouched, counted, and nothing else 已原样转给收银系统，我们没有处理")

    def _sign_in(self, shop: str) -> None:
        """The code on the shop's table: off to the sandbox's wallet, back as a guest, and on from there."""
        browser = requests.Session()
        browser.headers["User-Agent"] = _WALLET_BROWSER
        before = self._summary()
        page = browser.get(f"{self._house.base_url}/s/{shop}", timeout=10)
        asked = re.search(r'href="([^"]+&amp;as=C)"', page.text)
        self._check(asked is not None, "the table's code leads to the wallet's sign-in")
        assert asked is not None  # checked above
        page = browser.get(urljoin(page.url, unescape(asked.group(1))), timeout=10)
        self._check(page.status_code == HTTPStatus.OK and "code=" not in page.url, "and back, known")
        form = _Form()
        form.feed(page.text)
        if form.hidden:
            # In a home that was played in before, the guest has joined already and is led to his gifts.
            page = browser.post(page.url, data=form.hidden, timeout=10)
            self._check('data-outcome="tagged"' in page.text, "guest C has joined by himself")
            self._check(self._summary()["tagged"] == before["tagged"] + 1, "and is tagged")
        page = browser.get(f"{self._house.base_url}/me", timeout=10)
        self._check(page.status_code == HTTPStatus.OK, "his gifts are his own page now")
        self._say("5. the code on the table: signed in with the sandbox's WeChat, joined 已加入; /me is his own page")

    def _campaigns(self) -> None:
        """Every campaign is live, and a guest may begin with each that is for customers."""
        slugs = sorted(self._runtime.directory().catalog.campaigns)
        for slug in slugs:
            found = requests.get(
                f"{self._house.base_url}/api/v1/campaigns/{slug}", headers=self._headers, timeout=10
            ).json()
            self._check(found.get("state") == "live", f"the campaign {slug} is live")
        browser = requests.Session()
        page = browser.get(f"{self._house.base_url}/sandbox/phone/A/campaigns", timeout=10)
        entries = re.findall(r'class="btn" href="([^"]+)"', page.text)
        for entry in entries:
            page = browser.get(self._house.base_url + unescape(entry), timeout=10)
            self._check(page.status_code == HTTPStatus.OK and entry in page.url, f"{entry} opens on the guest's phone")
        self._say(f"6. {len(slugs)} campaigns are live, {len(entries)} of them for customers 活动: {', '.join(slugs)}")

    def _payment(self, paid: Paid) -> dict[str, Any]:
        found = requests.get(
            f"{self._house.base_url}/api/v1/payments/{paid.transaction_id}", headers=self._headers, timeout=10
        )
        self._check(found.status_code == HTTPStatus.OK, "the payment is known")
        return dict(found.json())

    def _summary(self) -> dict[str, int]:
        return dict(requests.get(f"{self._house.base_url}/api/v1/summary", headers=self._headers, timeout=10).json())

    @staticmethod
    def _check(came_out: object, what: str) -> None:
        if not came_out:
            raise DemoFailed(f"not as told: {what}")


class _Form(HTMLParser):
    """The hidden inputs of a page's forms that post to the page itself."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden: dict[str, str] = {}
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "form":
            self._inside = (values.get("method") or "").lower() == "post" and not self.hidden
        if tag == "input" and self._inside and values.get("type") == "hidden" and values.get("name"):
            self.hidden[str(values["name"])] = values.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False
