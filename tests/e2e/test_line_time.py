"""What time does: links run out, signatures go stale, the outbox gives up; tried by the sandbox's moved clock."""

from __future__ import annotations

import json

import pytest

from tests.e2e.house import House, call, channel, coupons_of, eventually
from tests.e2e.platforms import Alipay, WeChatV2, WeChatV3, fresh_openid
from tests.e2e.till import Mode, Till

V3, V2, ALI = WeChatV3(), WeChatV2(), Alipay()

SHOPS = """
[circle.lane]
name = "小巷"
binding = "bearer"
tag_days = 5
[merchant.bakery]
circle = "lane"
name = "面包房"
[item.bun]
merchant = "bakery"
name = "奶黄包"
kind = "gift"
stock = 10000
valid_days = 5
offer = "both"
[item.rare]
merchant = "bakery"
name = "最后一个蛋糕"
kind = "gift"
stock = 1
offer = "elsewhere"
price_fen = 8800
[offer.default]
circle = "lane"
own = 1
elsewhere = 0
link_days = 7
"""


@pytest.mark.timeout(300)
def test_r005_r055_r241_a_week_later_and_then_outside_the_sandbox() -> None:
    """One house through three starts, since a start costs more than all that is asked of it."""
    with House() as house, Till(Mode(body=b"success")) as till:
        house.config = '[relay]\nallow = ["127.0.0.0/8"]\n[sandbox]\nenabled = true\n'
        text, files = _shops(till)
        house.init().apply(text, files)
        house.start()
        open_link, claimed_link = house.link("v2", V2), house.link("v2", V2)
        codes = house.claim(claimed_link["url"])
        (used,) = house.claim(house.link("v2", V2)["url"])
        clerk = house.token("clerk", merchant="bakery")
        assert house.redeem(used, token=clerk, key="used").status == 200
        order = _order(house, open_link["payment"]["payer"])
        till.answers["/pay/ali"] = Mode(status=500, reason="Broken", body=b"fail")
        undelivered = ALI.payment(fresh_openid())
        assert house.notify("ali", undelivered).body == b"success"
        till.wait_for(undelivered.body)
        house.token("operator")
        house.token("manager", merchant="bakery")
        assert house.stop() == 0

        house.settings["DRAINAGE_SANDBOX_CLOCK_OFFSET_S"] = str(8 * 86_400)
        house.start()
        _links_have_run_out(house, open_link["url"], claimed_link["url"], codes)
        _coupons_have_run_out(house, codes[0], used)
        _a_tag_has_run_out(house, open_link["openid"])
        _a_reservation_has_lapsed(house, order, open_link["payment"]["payer"])
        _signatures_are_stale(house)
        _what_stays_undelivered_is_parked(house, till, undelivered.body, undelivered.transaction)
        assert house.stop() == 0

        house.settings = {"DRAINAGE_SANDBOX_ENABLED": "false"}
        house.start("--no-worker")
        _nothing_is_delivered_without_a_worker(house, till)
        _sandbox_channels_are_nothing(house, till)


def _links_have_run_out(house: House, unclaimed: str, claimed: str, codes: list[str]) -> None:
    assert house.customer().get(unclaimed).status == 410
    shown = house.customer().get(claimed)
    assert (shown.status, coupons_of(shown)) == (200, codes)


def _coupons_have_run_out(house: House, unused: str, used: str) -> None:
    late = house.redeem(unused, token=house.token("clerk", merchant="bakery"), key="late")
    assert (late.status, late.json["code"]) == (410, "expired")
    manager = house.token("manager", merchant="bakery")
    back = house.api("POST", f"/coupons/{used}/reverse", {"reason": "a week later"}, token=manager, key="back")
    assert (back.status, back.json["code"]) == (409, "too_late")


def _a_tag_has_run_out(house: House, openid: str) -> None:
    """R028: after `tag_days` the payer is a stranger, and his next payment tags him anew."""
    again = house.pay("v2", V2, openid)
    assert (again["tag"]["before"], again["tag"]["after"]) == ("untagged", "tagged")


def _order(house: House, person: str) -> str:
    """The number of an order for the last piece of something, unpaid."""
    body = {"item": "rare", "quantity": 1, "person": person}
    made = house.api("POST", "/orders", body, token=house.token("manager", merchant="bakery"))
    assert (made.status, made.json["amount_fen"]) == (201, 8800), made.body
    return str(made.json["order"])


def _a_reservation_has_lapsed(house: House, late: str, person: str) -> None:
    """R044 R047: an unpaid piece is sold to the next, and who pays for it too late has his money back."""
    manager = house.token("manager", merchant="bakery")
    next_one = eventually(lambda: _sold(house, person), "the piece is free again")
    paid = house.api("POST", f"/orders/{next_one}/pay", token=manager)
    assert (paid.status, paid.json["state"]) == (200, "fulfilled")
    too_late = house.api("POST", f"/orders/{late}/pay", token=manager)
    assert (too_late.status, too_late.json["state"], too_late.json["coupons"]) == (200, "refunded", []), too_late.body


def _sold(house: House, person: str) -> str | None:
    body = {"item": "rare", "quantity": 1, "person": person}
    made = house.api("POST", "/orders", body, token=house.token("manager", merchant="bakery"))
    return str(made.json["order"]) if made.status == 201 else None


def _nothing_is_delivered_without_a_worker(house: House, till: Till) -> None:
    sent = ALI.payment(fresh_openid())
    assert house.notify("ali", sent).body == b"success"
    assert house.summary()["outbox_depth"] == 1
    assert till.find(sent.body) == []
    house.drainage("work", "--once")
    assert len(till.find(sent.body)) == 1
    assert house.summary()["outbox_depth"] == 0


def _signatures_are_stale(house: House) -> None:
    stale = V3.payment(fresh_openid())
    assert house.notify("v3", stale).status == 200
    assert house.api("GET", f"/payments/{stale.transaction}").status == 404
    assert house.pay("v2", V2, fresh_openid())["tag"]["after"] == "tagged"
    paid = house.summary()["payments"]
    url = f"http://127.0.0.1:{house.port}/notify/pretend"
    house.drainage("simulate", "pay", "--channel", "pretend", "--url", url)
    assert house.summary()["payments"] == paid + 1


def _what_stays_undelivered_is_parked(house: House, till: Till, body: bytes, transaction: str) -> None:
    eventually(lambda: house.summary()["parked"] == 1, "it is parked", 40)
    (parked,) = json.loads(house.drainage("parked", "list", "--json"))
    assert parked["id"] in house.drainage("parked", "show", parked["id"])
    count = len(till.find(body))
    attempts = house.payment(transaction)["relay"]["attempts"]
    house.drainage("parked", "replay", "--dry-run")
    assert len(till.find(body)) == count
    del till.answers["/pay/ali"]
    house.drainage("parked", "replay")
    till.wait_for(body, count=count + 1)
    assert house.summary()["parked"] == 0
    relay = house.payment(transaction)["relay"]
    assert (relay["state"], relay["attempts"]) == ("answered", attempts + 1)


def _sandbox_channels_are_nothing(house: House, till: Till) -> None:
    sent = ALI.payment(fresh_openid())
    assert house.notify("pretend", sent).status == 404
    assert till.find(sent.body) == []
    assert call(house.port, "GET", "/sandbox").status == 404
    refused = house.run("apply", str(house.root / "shops.toml"))
    assert refused.returncode == 1
    assert "channel.pretend" in refused.stderr


def _shops(till: Till) -> tuple[str, dict[str, str]]:
    parts, files = [SHOPS], {}
    for slug, platform, more in (("v3", V3, {}), ("v2", V2, {}), ("ali", ALI, {"answer": '"ack"'})):
        text, needed = channel(slug, "bakery", platform, upstream=f"{till.url}/pay/{slug}", **more)
        parts.append(text)
        files |= needed
    parts.append(
        '[channel.pretend]\nmerchant = "bakery"\nadapter = "wechat_v3"\nsandbox = true\n'
        f'upstream = "{till.url}/pay/pretend"\n'
    )
    return "\n".join(parts), files
