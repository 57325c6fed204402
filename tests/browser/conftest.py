"""A real browser before the real thing: the demo's house (gateway, worker, sandbox till as processes) and Chromium."""

import os
import re
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

CHROMIUM = "/usr/bin/chromium"
SIZES = {"phone": (360, 740), "tablet": (768, 1024), "desk": (1366, 768)}
PASSWORD = "a password for the till"
BOSS = "a password for the console"


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium():
    """The browser, started once; without one the tests are skipped, and with REQUIRE_ALL=1 they fail."""
    missing = None
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing = "playwright is not installed"
    if not Path(CHROMIUM).exists():
        missing = f"no Chromium at {CHROMIUM}"
    if missing:
        (pytest.fail if os.environ.get("REQUIRE_ALL") == "1" else pytest.skip)(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@contextmanager
def open_house(folder):
    """The running demo, with a manager of the coffee shop who has a password of her own."""
    from gateway.demo.house import DemoHouse

    with DemoHouse(folder / "home", workers=1, say=lambda _line: None) as running:
        words = running.drainage("user", "add", "xiaozhou", "--role", "manager", "--merchant", "coffee")
        running.once = words.split()[-1]
        yield running


@pytest.fixture(scope="session")
def open_houses(chromium):
    """What opens a house; for the tests that need one for themselves."""
    return open_house


@pytest.fixture(scope="session")
def house(tmp_path_factory, chromium):
    """The house that most tests share."""
    with open_house(tmp_path_factory.mktemp("house")) as running:
        yield running


@pytest.fixture(scope="session")
def story(house):
    """The demo's own storyteller: pays at the sandbox platform and gives links."""
    from gateway.demo.story import Story

    telling = Story(house, lambda _line: None)
    yield telling
    telling.close()


class Window:
    """A page in a fresh browser profile. It collects what a console or the security policy complains of."""

    def __init__(self, browser, base_url, size, *, dark=False, language="zh-CN", scripts=True):
        width, height = SIZES[size]
        self.size = size
        self.context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale=language,
            java_script_enabled=scripts,
            base_url=base_url,
            has_touch=size == "phone",
            reduced_motion="reduce",
        )
        self.complaints = []
        self.hosts = set()
        self.page = self.context.new_page()
        self.context.on("console", self._console)
        self.context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.context.on("request", lambda request: self.hosts.add(re.sub(r"^(\w+://[^/]+).*", r"\1", request.url)))

    def _console(self, message):
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text}")

    def shot(self, name, *, full=True):
        """A picture for a person to look at, where DRAINAGE_SHOTS names a folder."""
        folder = os.environ.get("DRAINAGE_SHOTS")
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=str(Path(folder) / f"{name}-{self.size}.png"), full_page=full)

    def is_wider_than_screen(self):
        return self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth")


@pytest.fixture
def window(chromium, house):
    """Opens windows: `with window("phone") as w`. On leaving, nothing may have complained or gone elsewhere."""

    @contextmanager
    def opened(size="phone", *, allow=(), **more):
        w = Window(chromium, house.base_url, size, **more)
        try:
            yield w
            # Chromium logs every status above 399 as an error; those that a test means are named in `allow`.
            left = [text for text in w.complaints if not any(word in text for word in allow)]
            assert left == []
            assert w.hosts <= {house.base_url}
        finally:
            w.context.close()

    return opened


@pytest.fixture(scope="session")
def boss(house):
    """An operator of everything, who has replaced his one-time password."""
    once = house.drainage("user", "add", "boss", "--role", "operator").split()[-1]
    body = {"username": "boss", "password": once, "new_password": BOSS}
    assert requests.post(f"{house.base_url}/api/v1/password", json=body, timeout=10).status_code == 204
    return "boss"
