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


SURFACES = (
    Surface("claim-ready", _ready),
    Surface("claim-claimed", _claimed),
    Surface("claim-leave", _leaving),
    Surface("buy-shelf", "/buy?circle=wutong"),
    Surface("buy-orders", "/sandbox/phone/A/me/orders"),
    Surface("neutral", "/c/nothing", allow=("404",)),
    Surface("show-staff", "/v/x"),
    Surface("login", "/login"),
    Surface("till", "/till/noodles-1"),
    Surface("sandbox", "/sandbox"),
    Surface("redeem", "/redeem", "manager"),
    Surface("redeem-unknown", "/redeem?code=H7KQ2M9WXT4B5", "manager", ("404",)),
    Surface("redeem-conflicts", "/redeem/conflicts", "manager"),
    Surface("status", "/status", "manager"),
    Surface("password", "/password", "manager"),
    Surface("console", "/admin", "manager"),
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
