"""R227 in a browser: the script sends a video in pieces, goes on after a break, and the pages fit a phone."""

import threading

import pytest
from werkzeug.serving import make_server

from campaigns.group_buy import film, uploads
from campaigns.group_buy.kind import kind
from tests.browser.conftest import Window, chromium  # noqa: F401 - a fixture
from tests.campaigns.group_buy.group_buy_hands import Deal, catalog
from tests.campaigns.group_buy.test_group_buy_films import clip
from tests.campaigns.group_buy.test_group_buy_pages import Guest, page_of
from tests.support.browsing import pages_of
from tests.support.databases import missing
from tests.support.world import BASE_URL, World

pytestmark = pytest.mark.browser


@pytest.fixture
def served(tmp_path):
    """A world whose pages are really served, and one customer's cookie."""
    world = World(tmp_path, sandbox=True, catalog=catalog(), kinds=[kind])
    server = make_server("127.0.0.1", 0, lambda *_: None, threaded=True)
    address = f"http://127.0.0.1:{server.server_port}"
    config = world.home.config_file
    config.write_text(config.read_text().replace(BASE_URL, address))
    world.runtime = world.another_runtime()
    world.store = world.runtime.store
    server.app = pages_of(world)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    world.pay("T1", "guest-a")
    guest = Guest(world, server.app, world.person_of("T1"))
    cookie = guest.client.get_cookie("drainage", domain="pay.example.com")
    yield world, address, cookie.value
    server.shutdown()
    thread.join()
    server.server_close()
    world.close()


def test_R227_a_video_goes_up_in_pieces_and_goes_on_after_a_break(chromium, served, tmp_path, monkeypatch):  # noqa: F811
    if film.find_tools() is None:
        missing("ffmpeg is not installed")
    world, address, cookie = served
    deal = Deal(world)
    order = deal.used("guest-a")
    video = clip(tmp_path / "visit.mp4")
    monkeypatch.setattr(uploads, "PIECE", video.stat().st_size // 5)
    w = Window(chromium, address, "phone")
    w.context.add_cookies([{"name": "drainage", "value": cookie, "url": address}])
    w.page.goto(page_of(order))
    assert not w.is_wider_than_screen()
    w.page.click(f"a[href='/me/orders/{order}/video']")
    assert not w.is_wider_than_screen()
    w.shot("group-buy-upload")
    breaks = []

    def flaky(route):
        # The third piece is lost once.
        if route.request.method == "PATCH" and len(breaks) < 3:
            breaks.append(route.request.headers["upload-offset"])
            if len(breaks) == 3:
                route.abort()
                return
        route.continue_()

    w.context.route("**/video", flaky)
    w.page.check("#f-consent")
    w.page.set_input_files("#f-video", str(video))
    w.page.click("#send")
    w.page.wait_for_selector("[data-state=uploaded]", timeout=60_000)
    assert len(breaks) == 3
    assert world.one("SELECT state FROM group_buy_videos")["state"] == "uploaded"
    (kept,) = world.runtime.campaigns.house.files("group_buy").iterdir()
    assert kept.read_bytes() == video.read_bytes()
    assert not w.is_wider_than_screen()
    assert [text for text in w.complaints if "ERR_FAILED" not in text] == []
    w.context.close()
