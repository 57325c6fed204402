"""Ways and keys in the console (R072, R246): figures in scope, switches audited, no key ever shown."""

import json
import re

import pytest

from gateway import audit
from gateway.delivery import showings
from tests.support.world import SECRET


def hidden(browser):
    return browser.get("/redeem").forms[0]["hidden"]


def test_R031_the_figures_are_those_of_ones_own_merchants_and_errors_are_words(enter, world):
    world.claimed("openid-a")
    link = world.links()[0]
    world.store.write(
        lambda tx: showings.note_failed(tx, world.clock(), link["id"], "till", link["merchant"], "two_at_once")
    )
    page = enter("manager-hotpot").get("/admin/delivery")
    assert page.status == 200
    row = re.search(r"收银屏</th>(.*?)</tr>", page.html, re.DOTALL).group(1)
    assert re.findall(r'class="num"[^>]*>([^<]+)<', row)[3] == "1"
    assert "10 秒内有两笔有券的付款" in row
    other = enter("manager-sweets").get("/admin/delivery")
    assert "10 秒内有两笔有券的付款" not in other.text
    assert "老王火锅" not in other.text
    assert re.findall(r'<td class="num"[^>]*>([^<]+)<', other.html) == ["—"] * 20, "no figures are no zeros"


def test_R246_a_way_is_switched_off_and_on_and_audited(enter, world):
    browser = enter("manager-hotpot")
    values = {**hidden(browser), "merchant": "hotpot", "way": "slip", "mode": "off"}
    page = browser.follow(browser.post("/admin/delivery/switch", values))
    assert "老王火锅 的小票页：关" in page.text
    assert 'value="off" selected' in page.html
    assert "没有改动" in browser.follow(browser.post("/admin/delivery/switch", values)).text
    (row,) = world.all("SELECT who, object, after, request_id FROM audit WHERE action = 'way.switch'")
    assert (row["who"], row["object"], json.loads(row["after"])) == ("manager-hotpot", "hotpot/slip", {"mode": "off"})
    assert row["request_id"]


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"merchant": "sweets"}, 404),
        ({"merchant": "nobody"}, 404),
        ({"merchant": ""}, 404),
        ({"way": "pigeon"}, 400),
        ({"mode": "sometimes"}, 400),
        ({"way": "wallet", "mode": "off"}, 400),
        ({"way": "till", "mode": "always"}, 400),
    ],
)
def test_R072_what_is_not_ones_own_or_no_way_is_refused(enter, world, values, status):
    browser = enter("manager-hotpot")
    sent = {**hidden(browser), "merchant": "hotpot", "way": "slip", "mode": "off", **values}
    assert browser.post("/admin/delivery/switch", sent).status == status
    assert world.all("SELECT way FROM ways") == []


def test_keys_are_shown_by_fingerprint_and_never_themselves(enter, world):
    world.pay("T1", "openid-a")
    for name in ("operator", "operator-riverside", "admin"):
        page = enter(name).get("/admin/keys")
        assert page.status == 200
        assert "hotpot-pay" in page.text
        assert "最近一笔用这些密钥验过的付款" in page.text
        assert "还没有付款用这些密钥验过" in page.text
        assert SECRET not in page.html
        prints = re.findall(r'data-label="指纹"><span class="mono">([^<]+)<', page.html)
        assert prints
        assert all(re.fullmatch(r"[0-9a-f]{8}", one) for one in prints), prints
    assert enter("manager-hotpot").get("/admin/keys").status == 403


def test_R072_a_circles_operator_sees_his_channels_and_no_data_keys(enter):
    page = enter("operator-riverside").get("/admin/keys")
    assert "noodles-pay" not in page.text
    assert "数据密钥" not in page.text
    assert "noodles-pay" in enter("operator").get("/admin/keys").text


def test_a_new_data_key_wants_a_typed_word_and_an_admin(enter, world):
    operator = enter("operator")
    assert operator.post("/admin/keys/rotate", {**hidden(operator), "typed": "rotate"}).status == 403
    admin = enter("admin")
    for typed in ("", "yes", "rotat"):
        assert admin.post("/admin/keys/rotate", {**hidden(admin), "typed": typed}).status == 422
    assert [row["id"] for row in world.all("SELECT id FROM data_keys")] == ["k1"]
    world.pay("T1", "openid-a")
    page = admin.follow(admin.post("/admin/keys/rotate", {**hidden(admin), "typed": "rotate"}))
    assert "k2 已启用" in page.text
    active = world.all("SELECT id, active FROM data_keys ORDER BY id")
    assert [(row["id"], row["active"]) for row in active] == [("k1", 0), ("k2", 1)]
    world.pay("T2", "openid-a")
    assert world.person_of("T1") == world.person_of("T2"), "what the older key sealed is still read"
    assert [row["object"] for row in world.all("SELECT object FROM audit WHERE action = 'keys.rotate'")] == ["k2"]
    assert world.store.read(audit.first_broken) is None


def test_pages_are_whole_in_english(enter):
    browser = enter("admin", "en")
    assert "Keys are write-only" in browser.get("/admin/keys").text
    page = browser.get("/admin/delivery")
    assert "Links reach the guest in this order" in page.text
