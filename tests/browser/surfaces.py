"""The surfaces that people see: who opens them, and how one comes there in the running demo."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.browser.conftest import PASSWORD


@dataclass(frozen=True)
class Surface:
    """`path` as the reader opens it, or a function of (window, story) that goes there. `reader`: nobody or a user."""

    name: str
    path: str | Callable = ""
    reader: str = "nobody"
    allow: tuple[str, ...] = ()

    @property
    def is_console(self):
        return self.name.startswith("console")


def _ready(w, story):
    w.page.goto(story.open_link())


def _claimed(w, story):
    w.page.goto(story.open_link())
    w.page.click("main form button")
    w.page.wait_for_selector("[data-coupon]")


def _leaving(w, story):
    w.page.goto(story.open_link())
    w.page.locator("a[href*=leave]").click()
    w.page.wait_for_selector("main form button")


PHONE = "/sandbox/phone/B"
_SERVED = set()


def _phone(path, then=None):
    """A page of guest B's phone in the sandbox, who has paid twice, claimed one link and has another open."""

    def go(w, story):
        page = w.page
        if story._house.base_url not in _SERVED:
            _SERVED.add(story._house.base_url)
            for _ in range(3):
                page.goto("/sandbox?guest=B&channel=noodles-wechat")
                page.click("button[name=action][value=pay]")
            page.goto(f"{PHONE}/")
            page.locator("main a[href*='/c/']").first.click()
            page.click("main form button")
            page.wait_for_selector("[data-coupon]")
        page.goto(f"{PHONE}{path}")
        if then:
            page.locator(then).first.click()
            page.locator("h1").wait_for()

    return go


def _first(path, link):
    """The page behind the first such link of a list."""

    def go(w, story):
        story.open_link()
        w.page.goto(path)
        w.page.locator(link).first.click()
        w.page.locator("h1").wait_for()

    return go


def _first_person(w, story):
    """The person of the newest payment, found by its number."""
    story.open_link()
    paid = story._runtime.store.read(lambda tx: tx.one("SELECT transaction_id FROM payments ORDER BY id DESC LIMIT 1"))
    number = paid["transaction_id"]
    w.page.goto(f"/admin/people?q={number}")
    if w.page.locator("main table a").count():
        w.page.locator("main table a").first.click()
        w.page.locator("h1").wait_for()


SURFACES = (
    Surface("claim-ready", _ready),
    Surface("claim-claimed", _claimed),
    Surface("claim-leave", _leaving),
    Surface("me-claim", _phone("/me?tab=claim")),
    Surface("me-use", _phone("/me?tab=use")),
    Surface("me-past", _phone("/me?tab=past")),
    Surface("me-empty", "/sandbox/phone/C/me"),
    Surface("me-coupon", _phone("/me?tab=use", "main a[href*='/me/coupons/']")),
    Surface("me-privacy", _phone("/me/privacy")),
    Surface("me-export", _phone("/me/privacy/export")),
    Surface("me-invite", _phone("/me/invite")),
    Surface("buy-shelf", "/buy?circle=wutong"),
    Surface("buy-orders", "/sandbox/phone/A/me/orders"),
    Surface("shop-code", _phone("/s/noodles-1")),
    Surface("outside", "/s/noodles-1"),
    Surface("neutral", "/c/nothing", allow=("404",)),
    Surface("show-staff", "/v/x"),
    Surface("login", "/login"),
    Surface("till", "/till/noodles-1"),
    Surface("till-clerk", "/till/coffee-1/clerk", "manager"),
    Surface("sandbox", "/sandbox"),
    Surface("redeem", "/redeem", "manager"),
    Surface("redeem-unknown", "/redeem?code=H7KQ2M9WXT4B5", "manager", ("404",)),
    Surface("redeem-conflicts", "/redeem/conflicts", "manager"),
    Surface("status", "/status", "manager"),
    Surface("password", "/password", "manager"),
    Surface("console-manager", "/admin", "manager"),
    Surface("console", "/admin", "operator"),
    Surface("console-payments", "/admin/payments", "operator"),
    Surface("console-payments-none", "/admin/payments?q=nothing", "operator"),
    Surface("console-payment", _first("/admin/payments", "main table a"), "operator"),
    Surface("console-parked", "/admin/parked", "operator"),
    Surface("console-incidents", "/admin/incidents", "operator"),
    Surface("console-audit", "/admin/audit", "operator"),
    Surface("console-export", "/admin/export", "operator"),
    Surface("console-channels", "/admin/channels", "operator"),
    Surface("console-channel", "/admin/channels/noodles-wechat", "operator"),
    Surface("console-items", "/admin/items", "operator"),
    Surface("console-item", "/admin/items/latte-5off", "operator"),
    Surface("console-item-new", "/admin/items/new", "operator"),
    Surface("console-merchants", "/admin/merchants", "operator"),
    Surface("console-merchant", "/admin/merchants/noodles", "operator"),
    Surface("console-shop", "/admin/shops/noodles-1", "operator"),
    Surface("console-poster", "/admin/shops/noodles-1/poster", "operator"),
    Surface("console-pairs", "/admin/pairs", "operator"),
    Surface("console-pairs-one", "/admin/pairs?shop=noodles", "operator"),
    Surface("console-offers", "/admin/offers", "operator"),
    Surface("console-offer", "/admin/offers/wutong", "operator"),
    Surface("console-simulate", "/admin/offers/wutong/simulate", "operator"),
    Surface("console-setup-circle", "/admin/setup/circle", "operator"),
    Surface("console-setup-channel", "/admin/setup/channel?merchant=noodles", "operator"),
    Surface("console-people", "/admin/people", "operator"),
    Surface("console-person", _first_person, "operator"),
    Surface("console-staff", "/admin/staff", "operator"),
    Surface("console-keys", "/admin/keys", "operator"),
    Surface("console-delivery", "/admin/delivery", "operator"),
    Surface("console-webhooks", "/admin/webhooks", "operator"),
    Surface("console-api-docs", "/api/v1/docs"),
    Surface("console-refused", "/admin/audit", "clerk", ("403",)),
)


def show(w, house, story, surface):
    """Bring the window to the surface."""
    if surface.reader != "nobody":
        w.context.add_cookies([session_of(house, surface.reader)])
    if callable(surface.path):
        surface.path(w, story)
    else:
        w.page.goto(surface.path)


_SESSIONS = {}


def session_of(house, reader):
    """The session cookie of a user with this role, signed in once a run; a manager is the coffee shop's."""
    key = (house.base_url, reader)
    if key not in _SESSIONS:
        _SESSIONS[key] = _sign_in(house, reader)
    return {"name": "drainage_staff", "value": _SESSIONS[key], "url": house.base_url}


def _sign_in(house, reader):
    import requests

    name = f"{reader}-of-surfaces"
    scope = ["--merchant", "coffee"] if reader in {"manager", "clerk"} else []
    once = house.drainage("user", "add", name, "--role", reader, *scope).split()[-1]
    body = {"username": name, "password": once, "new_password": PASSWORD}
    changed = requests.post(f"{house.base_url}/api/v1/password", json=body, timeout=10)
    assert changed.status_code == 204, changed.text
    with requests.Session() as browser:
        import re

        form = browser.get(f"{house.base_url}/login", timeout=10).text
        token = re.search(r'name="csrf_token" value="([^"]+)"', form).group(1)
        fields = {"csrf_token": token, "username": name, "password": PASSWORD}
        answer = browser.post(f"{house.base_url}/login", data=fields, timeout=10, allow_redirects=False)
        assert answer.status_code == 303, answer.text
        return browser.cookies["drainage_staff"]
