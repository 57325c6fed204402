"""The wallets' platforms of the sandbox: their sign-in page, on phones and off, what our calls reach, what they tell."""

import dataclasses

import pytest
import requests

from gateway.catalog.export import export
from gateway.catalog.storage import load, secret_id
from gateway.contract.clock import to_text
from gateway.contract.errors import BadConfig, Refused
from gateway.contract.money import Fen
from gateway.contract.wallet import TwinEvent, TwinState
from gateway.web.sandbox import platform
from gateway.web.sandbox.desk import Exchange, keep_desk, read_desk
from gateway.web.sandbox.platform import Kept, deliver, stage_of
from tests.support.browsing import pages_of
from tests.support.wallets import CATALOG, DESK_UA
from tests.support.world import BASE_URL, World


def test_a_guests_phone_signs_him_in_without_a_question(town):
    token = town.link("A")
    phone = town.phone(DESK_UA)
    page = phone.walk(f"/sandbox/phone/A/c/{token}")
    assert page.h1.startswith("老陈面馆送你")
    assert phone.addresses[-1] == "/sandbox/phone/A/c"
    assert all(address.startswith(("/sandbox/phone/A/", f"{BASE_URL}/sandbox/phone/A/")) for address in phone.addresses)
    assert "frame-ancestors 'self'" in page.response.headers["Content-Security-Policy"]


def test_two_phones_in_one_browser_are_two_customers(town):
    token, other = town.link("A"), town.link("B", "books-alipay")
    browser = town.phone(DESK_UA)
    mine = browser.walk(f"/sandbox/phone/A/c/{token}")
    assert mine.status == 200
    assert browser.walk(f"/sandbox/phone/B/c/{token}").status == 404
    assert browser.walk(f"/sandbox/phone/B/c/{other}").status == 200
    assert browser.walk(f"/sandbox/phone/A/c/{token}").h1 == mine.h1
    # Outside the phones nobody is signed in by any of it.
    assert browser.get(f"/c/{token}").h1 == "请用微信或支付宝打开"


def test_R053_a_state_of_one_phone_is_none_of_the_next(town):
    token = town.link("A")
    browser = town.phone(DESK_UA)
    page = browser.get(f"/sandbox/phone/A/c/{token}")
    back = browser.get(page.response.headers["Location"]).response.headers["Location"]
    assert browser.get(back.replace("/phone/A/", "/phone/B/")).status == 404
    assert town.calls == []


def test_outside_a_phone_a_desk_browser_may_choose_whom_to_be(town):
    token = town.link("A")
    browser = town.phone(DESK_UA)
    page = browser.get(f"/c/{token}")
    assert "沙盒：这里没有真的钱包。" in page.text
    (way,) = [link for link in page.links if "stand-in" in link]
    assert token not in way
    chooser = browser.walk(way)
    assert chooser.h1 == "你是哪位客人？"
    assert "没有真的账号" in chooser.text
    assert browser.walk(way, guest="A").h1.startswith("老陈面馆送你")
    assert town.phone(DESK_UA).get(way).status == 404


def test_a_guests_own_page_is_that_of_the_wallet_he_paid_with_last(town):
    # Alphabetically the books' Alipay comes first; he has paid with WeChat at the noodles, on the sandbox's till.
    town.pay_as("A")
    paid = Exchange(to_text(town.clock()), "pay", "noodles-wechat", "A", {}, (), "", (200,), 1, 0)
    keep_desk(town.home, read_desk(town.home).with_exchange(paid))
    phone = town.phone(DESK_UA)
    phone.walk("/sandbox/phone/A/me")
    assert town.calls == ["/sandbox/platform/noodles-wechat/sns/oauth2/access_token"]
    assert len(town.all("SELECT id FROM persons")) == 1
    assert phone.addresses[-1] == "/sandbox/phone/A/me"


def test_R261_at_a_table_a_guest_is_known_by_what_he_pays_there_with(town):
    town.phone(DESK_UA).walk("/sandbox/phone/A/s/noodles-1")
    assert town.calls == ["/sandbox/platform/noodles-wechat/sns/oauth2/access_token"]


@pytest.mark.parametrize("guest", ["Z", "", "sandbox-guest-A", "a"])
def test_nobody_is_a_guest_who_is_not_there(town, guest):
    phone = town.phone()
    url = phone.get(f"/c/{town.link('A')}").response.headers["Location"].partition("#")[0]
    assert phone.get(f"{url}&as={guest}").status == 404
    assert phone.get(f"/sandbox/phone/{guest or 'Z'}/platform/noodles-wechat/connect/oauth2/authorize").status == 404


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("appid=wx0000000000wutong", "appid=wx1"), "10013"),
        (("pay.example.com%2Fwallet", "evil.example%2Fwallet"), "10003"),
        (("https%3A%2F%2Fpay", "%2F%2Fpay"), "10003"),
        (("snsapi_base", "snsapi_userinfo"), "10005"),
        (("response_type=code", "response_type=token"), "10012"),
    ],
)
def test_the_sign_in_page_stops_where_the_platform_would(town, change, code):
    phone = town.phone()
    url = phone.get(f"/c/{town.link('A')}").response.headers["Location"].partition("#")[0]
    assert change[0] in url
    page = phone.get(url.replace(*change) + "&as=A")
    assert (page.status, page.h1) == (400, "微信会在这里停下")
    assert f"它的错误页：{code}" in page.text


@pytest.mark.parametrize("fault", ["10003", "10005"])
def test_pages_that_the_platform_shows_by_itself(town, fault):
    phone = town.phone()
    url = phone.get(f"/c/{town.link('A')}").response.headers["Location"].partition("#")[0]
    town.arm("authorize", fault)
    assert fault in phone.get(f"{url}&as=A").text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/sandbox/platform/nowhere/sns/oauth2/access_token", 404),
        ("GET", "/sandbox/platform/noodles-wechat/", 404),
        ("GET", "/sandbox/platform/noodles-wechat/v3/none", 404),
        ("DELETE", "/sandbox/platform/noodles-wechat/v3/none", 405),
        ("POST", "/sandbox/platform/noodles-wechat/v3/pay/transactions/jsapi", 401),
        ("GET", "/sandbox/phone/A/platform/noodles-wechat/sns/oauth2/access_token", 404),
        ("POST", "/sandbox/phone/A/platform/noodles-wechat/connect/oauth2/authorize", 405),
        ("GET", "/sandbox/phone/A/platform/nowhere/connect/oauth2/authorize", 404),
    ],
)
def test_odd_calls_to_a_twin(town, method, path, status):
    assert town.app.test_client().open(BASE_URL + path, method=method).status_code == status


def test_a_body_that_is_too_long_is_not_read(town):
    answer = town.app.test_client().post(
        f"{BASE_URL}/sandbox/platform/books-alipay/gateway.do", data=b"x" * (platform.LONGEST + 1)
    )
    assert answer.status_code == 413


def test_R073_without_the_sandbox_there_is_no_twin(tmp_path):
    world = World(tmp_path)
    client = pages_of(world).test_client()
    for path in ("/sandbox/platform/hotpot-pay/x", "/sandbox/phone/A/platform/hotpot-pay/x"):
        assert client.get(BASE_URL + path).status_code == 404
    world.close()


def test_R244_what_a_twin_remembers(store):
    kept: TwinState = Kept(store, "noodles")
    assert kept.get("order", "1") is None
    assert kept.add("order", "1", {"total": 100, "名": "面"})
    assert not kept.add("order", "1", {"total": 200})
    assert kept.get("order", "1") == {"total": 100, "名": "面"}
    kept.put("order", "1", {"total": 300})
    kept.put("order", "2", {})
    assert kept.get("order", "1") == {"total": 300}
    assert kept.get("order", "2") == {}
    assert kept.get("refund", "1") is None
    assert Kept(store, "books").get("order", "1") is None


def test_a_stage_shows_no_key(town):
    stage = stage_of(town.runtime, "noodles-wechat")
    shown = repr(stage) + repr(town.home.sandbox_keys("noodles-wechat")) + repr(stage.wallet)
    for secret in (*stage.private.values(), stage.table["app_secret"]):
        if len(secret) > 16:
            assert secret not in shown
    assert "PRIVATE KEY" not in shown


@pytest.mark.parametrize("slug", ["nowhere", ""])
def test_no_stage_for_what_is_no_sandbox_channel(town, slug):
    with pytest.raises(Refused) as refused:
        stage_of(town.runtime, slug)
    assert refused.value.status == 404


# -- what the twin tells ----------------------------------------------------------------------------------------------


@pytest.fixture
def heard(town, monkeypatch):
    """What was posted to our own notify address, taken in as there."""
    posts = []

    def post(raw, url, **_):
        posts.append((raw, url))
        directory = town.runtime.directory()
        channel = directory.channel(url.rpartition("/")[2])
        town.runtime.intake.take_in(directory, channel, raw, town.clock())
        return dataclasses.make_dataclass("Answer", ["status_code"])(200)

    monkeypatch.setattr("gateway.sandbox.post", post)
    return posts


def event(kind="payment", **more):
    parts = {
        "out_trade_no": "ORDER1",
        "transaction_id": "4200000001",
        "openid": "sandbox-guest-A",
        "amount_fen": Fen(6800),
        "notify_url": f"{BASE_URL}/notify/noodles-wechat",
    }
    return TwinEvent(kind, **{**parts, **more})


@pytest.mark.parametrize("slug", ["noodles-wechat", "books-alipay", "coffee-wechat"])
def test_a_payment_is_told_signed_as_the_platform_signs(town, heard, slug):
    channel = town.runtime.directory().channel(slug)
    deliver(town.runtime, channel, [event(notify_url=f"{BASE_URL}/notify/{slug}")], town.clock())
    row = town.one("SELECT transaction_id, out_trade_no, amount_fen, channel FROM payments")
    assert dict(row) == {
        "transaction_id": "4200000001",
        "out_trade_no": "ORDER1",
        "amount_fen": 6800,
        "channel": slug,
    }


def test_a_refund_told_twice_is_one_refund(town, heard):
    channel = town.runtime.directory().channel("noodles-wechat")
    refund = event("refund", refund_no="R1", refund_fen=Fen(1800), refunded_total_fen=Fen(1800))
    deliver(town.runtime, channel, [event(), refund, refund], town.clock())
    assert len(heard) == 3
    assert town.one("SELECT refunded_fen FROM payments")["refunded_fen"] == 1800
    assert len(town.all("SELECT * FROM refunds")) == 1


@pytest.mark.parametrize(
    "url", ["https://evil.example/notify/noodles-wechat", "http://pay.example.com/notify/x", "", "file:///etc/passwd"]
)
def test_R073_the_sandbox_tells_nobody_else(town, heard, url):
    deliver(town.runtime, town.runtime.directory().channel("noodles-wechat"), [event(notify_url=url)], town.clock())
    assert heard == []


def test_a_notification_that_nobody_hears_is_no_error(town, monkeypatch):
    def post(raw, url, **_):
        raise requests.ConnectionError("refused")

    monkeypatch.setattr("gateway.sandbox.post", post)
    deliver(town.runtime, town.runtime.directory().channel("noodles-wechat"), [event()], town.clock())
    assert town.all("SELECT id FROM payments") == []


# -- the catalogue ----------------------------------------------------------------------------------------------------


def test_sandbox_channels_have_a_wallet_by_themselves(town):
    directory = town.runtime.directory()
    wallets = {wallet.channel: wallet for _, wallet in directory.wallets()}
    assert set(wallets) == {"noodles-wechat", "books-alipay", "coffee-wechat", "tea-wechat"}
    assert {wallet.trouble for wallet in wallets.values()} == {""}
    assert wallets["coffee-wechat"].platform == "wechat"
    assert wallets["coffee-wechat"].endpoint == f"{BASE_URL}/sandbox/platform/coffee-wechat"
    assert wallets["noodles-wechat"].app_id == wallets["coffee-wechat"].app_id == "wx0000000000wutong"


def test_an_apply_of_the_same_keeps_the_wallets(town):
    before = {wallet.channel: wallet.values for _, wallet in town.runtime.directory().wallets()}
    town.apply(CATALOG)
    again = town.another_runtime()
    assert {wallet.channel: wallet.values for _, wallet in again.directory().wallets()} == before


def test_another_app_makes_another_wallet(town):
    town.apply(CATALOG.replace("wx000000000000hill", "wx00000000000moved"))
    directory = town.another_runtime().directory()
    assert directory.wallet_of("hill", "tea-wechat").app_id == "wx00000000000moved"
    assert directory.wallet_of("hill", "tea-wechat").trouble == ""


def test_an_export_can_be_applied_again(town):
    vault = town.runtime.vault()
    stored = town.store.read(lambda tx: load(tx, vault))
    text = export(stored.catalog, secret_id(vault))
    assert "PRIVATE KEY" not in text
    town.apply(text)
    assert town.store.read(lambda tx: load(tx, vault)).version == stored.version


def test_the_wallet_for_a_payment_is_the_one_whose_openids_it_told(town):
    directory = town.runtime.directory()
    both = ("wechat", "alipay")
    assert directory.wallet_for("wutong", both, "books-alipay").channel == "books-alipay"
    assert directory.wallet_for("wutong", both, "noodles-wechat").channel == "noodles-wechat"
    assert directory.wallet_for("wutong", ("wechat",), "books-alipay").platform == "wechat"
    assert directory.wallet_for("hill", ("alipay",)) is None
    assert directory.wallet_for("nowhere", both) is None
    assert directory.wallet_of("hill", "noodles-wechat") is None


def test_R075_apply_tells_every_fault_of_a_wallet_with_its_path(town):
    extra = """
[channel.real]
merchant = "noodles"
adapter = "wechat_v2"
intake = "copy"
keys = { mchid = "1900000109", appid = "wx1", api_key = "canary-key-of-32-letters-0000000" }
[channel.real.wallet]
appid = "wx 1"
app_secret = "canary secret"
nonsense = "canary"
"""
    with pytest.raises(BadConfig) as refused:
        town.apply(CATALOG + extra)
    faults = dict(refused.value.faults)
    assert set(faults) == {f"channel.real.wallet.{name}" for name in ("appid", "app_secret", "nonsense")}
    assert "canary" not in str(refused.value)


def test_R073_a_real_channels_wallet_goes_to_the_platform_itself(town):
    extra = """
[channel.real]
merchant = "tea"
adapter = "wechat_v2"
intake = "copy"
keys = { mchid = "1900000109", appid = "wx1", api_key = "canary0key0of032letters000000000" }
wallet = { appid = "wx1", app_secret = "0123456789abcdef0123456789abcdef" }
"""
    town.apply(CATALOG + extra)
    wallet = town.another_runtime().directory().wallet_of("hill", "real")
    assert (wallet.trouble, wallet.endpoint) == ("", "")
    url = wallet.seam.authorize_url(wallet.keys, f"{BASE_URL}/wallet/back/wechat", "s" * 32)
    assert url == (
        "https://open.weixin.qq.com/connect/oauth2/authorize?appid=wx1"
        "&redirect_uri=https%3A%2F%2Fpay.example.com%2Fwallet%2Fback%2Fwechat"
        f"&response_type=code&scope=snsapi_base&state={'s' * 32}#wechat_redirect"
    )
