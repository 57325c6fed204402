"""The campaigns' pages, every one in a state worth looking at, as each kind of reader has them; and their scripts."""

import re

import pytest
from werkzeug.routing import Map, Rule

from gateway.catalog.registry import installed
from gateway.demo.story import Story
from tests.browser.looking import faults
from tests.browser.stage import Stage
from tests.browser.surfaces import session_of
from tests.browser.test_walk import WALLET

READERS = {
    "phone-zh-light": {"size": "phone", "language": "zh-CN", "dark": False},
    "phone-en-dark": {"size": "phone", "language": "en", "dark": True},
    "tablet-zh-dark": {"size": "tablet", "language": "zh-CN", "dark": True},
    "desk-en-light": {"size": "desk", "language": "en", "dark": False},
}
HALVES = ("tablet-zh-dark", "desk-en-light")
"""Customers hold phones; the wider ones look at every other page each."""
STAFF = {"phone-en-dark": READERS["phone-en-dark"], "desk-zh-light": {**READERS["desk-en-light"], "language": "zh-CN"}}


@pytest.fixture(scope="module")
def house(tmp_path_factory, open_houses):
    """A house of their own: the campaigns' guests are many, and other tests count what a new guest has."""
    with open_houses(tmp_path_factory.mktemp("campaigns")) as running:
        yield running


@pytest.fixture(scope="module")
def story(house):
    """The storyteller of that house."""
    telling = Story(house, lambda _line: None)
    yield telling
    telling.close()


@pytest.fixture(scope="module")
def stage(house, story):
    """All campaigns, played once for every test here."""
    made = Stage(house, story)
    yield made
    made.close()


def customers(stage):
    return {name: path for name, path in stage.paths.items() if not name.startswith("console")}


def console(stage):
    return {name: path for name, path in stage.paths.items() if name.startswith("console")}


def walk(w, paths, reader, language):
    """Each page's faults by its name, of one window that goes from page to page; pages without any are left out."""
    found = {}
    for name, path in paths.items():
        w.page.goto(path)
        wrong = faults(w.page, language)
        w.shot(f"{name}-{reader}")
        if w.size == "phone":
            w.page.set_viewport_size({"width": 320, "height": 640})
            wrong += ["wider than 320"] if w.is_wider_than_screen() else []
            w.page.set_viewport_size({"width": 360, "height": 740})
        if wrong:
            found[name] = wrong
    return found


@pytest.mark.parametrize("reader", READERS)
def test_R248_R077_customers_campaign_pages_are_good_for_everyone(window, stage, reader):
    look = READERS[reader]
    paths = customers(stage)
    if reader in HALVES:
        paths = dict(list(paths.items())[HALVES.index(reader) :: 2])
    with window(**look) as w:
        assert walk(w, paths, reader, look["language"]) == {}


@pytest.mark.parametrize("reader", STAFF)
def test_R248_R077_the_consoles_campaign_pages_are_good_for_everyone(window, house, stage, reader):
    look = STAFF[reader]
    with window(**look) as w:
        w.context.add_cookies([session_of(house, "operator")])
        assert walk(w, console(stage), reader, look["language"]) == {}


def test_R248_customers_campaign_pages_hold_in_large_text_and_without_scripts(window, house, stage):
    with window(scripts=False) as w:
        w.page.set_viewport_size({"width": 320, "height": 640})
        w.context.add_cookies([{"name": "text", "value": "large", "url": house.base_url}])
        wrong = []
        for name, path in customers(stage).items():
            w.page.goto(path)
            facts = [w.page.locator(one).count() for one in ("h1", "html.large", "script:not([src])")]
            w.shot(f"{name}-plain")
            if facts != [1, 1, 0] or w.is_wider_than_screen():
                wrong.append((name, facts, w.is_wider_than_screen()))
        assert wrong == []


NO_PAGES = {
    "live", "now", "queue", "image", "code", "qr.png", "qr.svg", "code.png", "poster", "file", "<video>", "codes.csv", "r",
}  # fmt: skip
"""How the addresses of parts, pictures, files and downloads end: no pages of their own. `/r` is where `/r/<token>` leads."""


def test_every_page_of_an_installed_kind_is_looked_at(stage):
    seen = [path.partition("?")[0] for path in stage.paths.values()]
    seen = [path.split("/", 4)[-1] if path.startswith("/sandbox/phone/") else path.lstrip("/") for path in seen]
    missed = []
    for slug, kind in installed(()).campaigns.items():
        pages = [page.path for page in kind.pages.customer if "GET" in page.methods]
        pages += [f"/admin/campaigns/<campaign>{page.path}" for page in kind.pages.console if "GET" in page.methods]
        for path in pages:
            here = Map([Rule(path)]).bind("house")
            is_console = path.startswith("/admin/")
            if path.rpartition("/")[2] in NO_PAGES and not (is_console and path.endswith("/queue")):
                continue
            if not any(here.test(f"/{one}") for one in seen):
                missed.append((slug, path))
    assert missed == []


# -- their scripts ----------------------------------------------------------------------------------------------------


def test_R139_the_split_is_made_anew_on_the_phone_and_a_forged_one_is_seen(window, stage):
    told = stage.paths["cut-fair-told"]
    with window() as w:
        w.page.goto(told)
        w.page.locator("#verdict.ok").wait_for()
        assert "对得上" in w.page.inner_text("#verdict")
        for wrong, right in (("split", r'id="split">\d+'), ("seed", r'id="seed">[0-9a-f]')):

            def forged(route, wrong=wrong, right=right):
                answer = route.fetch()
                text, changed = re.subn(
                    right, lambda found: found[0][:-1] + str((int(found[0][-1], 16) + 1) % 10), answer.text()
                )
                assert changed == 1, wrong
                route.fulfill(response=answer, body=text)

            w.page.route("**/fair", forged)
            w.page.goto(told)
            w.page.locator("#verdict.bad").wait_for()
            w.page.unroute("**/fair")


def test_R150_an_open_page_of_a_sale_turns_by_itself_when_the_last_is_gone_and_when_it_is_back(window, stage):
    with window() as w:
        page = w.page
        page.goto(stage.paths["sale-last"])
        buy = page.get_by_role("button", name="马上抢")
        buy.wait_for()
        taken = stage.call("rush-last", "/reservations", {**stage.who("G"), "quantity": 1})["reservation"]
        page.get_by_text("抢完了").wait_for(timeout=15_000)
        assert buy.count() == 0
        stage.call("rush-last", f"/reservations/{taken}/cancel")
        buy.wait_for(timeout=15_000)
        buy.click()
        page.get_by_role("heading", name="抢到了").wait_for()


BRIDGE = """
  window.asked = [];
  window.WeixinJSBridge = { invoke: (name, given, done) => {
    window.asked.push([name, given]);
    window.setTimeout(() => done({err_msg: `requestMerchantTransfer:${window.sessionStorage.answer || 'cancel'}`}), 0);
  } };
"""


def test_R113_the_wallets_bridge_is_asked_and_the_page_turns_by_the_platforms_word_alone(window, stage):
    payout = stage.paths["payout"].removeprefix("/sandbox/phone/X")
    with window() as w:
        page = w.page
        # Headers set for a page are not sent after a redirect; the browser's own name is.
        w.context.new_cdp_session(page).send("Network.setUserAgentOverride", {"userAgent": WALLET})
        page.add_init_script(BRIDGE)
        page.goto(payout)
        page.get_by_role("link", name="X").first.click()
        page.wait_for_url(f"**{payout}*")
        take = page.get_by_role("button", name="确认收款")
        take.click()
        page.get_by_text("还没有收款，可以再点一次").wait_for()
        ((name, given),) = page.evaluate("window.asked")
        assert name == "requestMerchantTransfer"
        assert {"mchId", "appId", "package"} <= set(given)
        page.evaluate("window.sessionStorage.answer = 'ok'")
        # The bridge says yes, the platform does not: the page is read again, and nothing has come.
        with page.expect_event("load"):
            take.click()
        take.wait_for()
        assert page.inner_text("h1").startswith("请确认收款")


def test_R113_a_payout_is_taken_on_the_sandboxs_phone_and_another_open_page_turns_by_itself(window, stage):
    with window() as phone, window() as other:
        other.page.goto(stage.paths["payout"])
        phone.page.goto(stage.paths["payout"])
        phone.page.get_by_role("button", name="以后再说").click()
        phone.page.get_by_text("还没有收款，可以再点一次").wait_for()
        phone.page.get_by_role("button", name="确认收款").click()
        phone.page.get_by_role("heading", name="已到账").wait_for()
        other.page.get_by_role("heading", name="已到账").wait_for(timeout=15_000)
        assert other.page.get_by_role("button", name="确认收款").count() == 0
