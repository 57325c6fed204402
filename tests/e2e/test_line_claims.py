"""From the link to the till's counter: claiming by a plain form, redeeming by the API, refunds, shares, orders."""

from __future__ import annotations

import re

import pytest

from tests.e2e.house import Form, coupons_of
from tests.e2e.platforms import fresh_openid
from tests.e2e.town import LINES, Town

# -- claiming ---------------------------------------------------------------------------------------------------------


def test_r051_r054_a_script_claims_with_the_forms_own_inputs(here: Town) -> None:
    link = here.house.link("v3", here.platforms["v3"])
    customer = here.house.customer()
    for _ in range(3):
        page = customer.get(link["url"])
        assert page.status == 200
        assert coupons_of(page) == []
    assert _state(here, link) in {"issued", "opened"}
    form = Form.of(page.text)
    assert form.found
    sent = customer.post(form.action or link["url"], form.hidden)
    assert sent.status == 303
    claimed = customer.get(sent.header("Location") or "")
    assert claimed.status == 200
    codes = coupons_of(claimed)
    assert len(codes) == len(link["items"])
    assert len(set(codes)) == len(codes)
    assert _state(here, link) == "claimed"
    for code in codes:
        coupon = here.house.api("GET", f"/coupons/{code}").json
        assert (coupon["code"], coupon["state"], coupon["redeemed"]) == (code, "claimed", None)

    # The same person again, and in this circle anybody: the same page, the same codes.
    assert coupons_of(customer.get(link["url"])) == codes
    assert coupons_of(here.house.customer().get(link["url"])) == codes
    again = customer.post(form.action or link["url"], form.hidden)
    assert again.status == 303
    assert coupons_of(customer.get(again.header("Location") or "")) == codes


def test_r056_unknown_and_misshapen_tokens_give_one_neutral_page(here: Town) -> None:
    customer = here.house.customer()
    pages = [customer.get(f"/c/{token}") for token in ("A" * 22, "x", "%00", "..", "a" * 300, "汤".encode().hex())]
    assert {page.status for page in pages} == {404}
    assert here.house.customer().post("/c/" + "A" * 22, {}).status in {400, 403, 404}


def test_r051_a_post_without_the_forms_inputs_claims_nothing(here: Town) -> None:
    link = here.house.link("v3", here.platforms["v3"])
    assert 400 <= here.house.customer().post(link["url"], {}).status < 500
    customer = here.house.customer()
    form = Form.of(customer.get(link["url"]).text)
    stranger = here.house.customer().post(form.action or link["url"], form.hidden)
    assert 400 <= stranger.status < 500, "a form of another session"
    assert _state(here, link) in {"issued", "opened"}


def test_r057_claim_pages_are_private(here: Town) -> None:
    link = here.house.link("v3", here.platforms["v3"])
    page = here.house.customer().get(link["url"])
    assert page.header("Referrer-Policy") == "no-referrer"
    assert "no-store" in (page.header("Cache-Control") or "")
    assert "noindex" in (page.header("X-Robots-Tag") or "")
    policy = page.header("Content-Security-Policy") or ""
    assert "default-src" in policy
    assert "unsafe" not in policy


def test_r052_in_an_oauth_circle_nobody_claims_without_the_wallet(here: Town) -> None:
    link = here.house.link("bank", here.platforms["bank"])
    customer = here.house.customer()
    page = customer.get(link["url"])
    assert coupons_of(page) == []
    form = Form.of(page.text)
    sent = customer.post(form.action or link["url"], {**form.hidden, "openid": link["openid"], "channel": "bank"})
    if sent.status == 303:
        assert "/c/" not in (sent.header("Location") or "/c/") or coupons_of(customer.get(link["url"])) == []
    assert _state(here, link) in {"issued", "opened"}


# -- redeeming --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", LINES)
def test_r030_r060_the_whole_way_from_a_payment_to_the_counter(here: Town, line: str) -> None:
    link = here.house.link(line, here.platforms[line])
    for code in here.house.claim(link["url"]):
        coupon = here.house.api("GET", f"/coupons/{code}").json
        clerk = here.clerk(coupon["merchant"])
        first = here.house.redeem(code, token=clerk, key=f"scan-{code}")
        assert (first.status, first.json["state"]) == (200, "redeemed"), first.body
        assert first.json["redeemed"]["at"]
        repeated = here.house.redeem(code, token=clerk, key=f"scan-{code}")
        assert (repeated.status, repeated.json) == (200, first.json)
        second = here.house.redeem(code, token=clerk, key=f"other-{code}")
        assert (second.status, second.json["code"]) == (409, "already_redeemed")
        assert second.json["redeemed"] == first.json["redeemed"]


def _coupons(here: Town) -> dict[str, str]:
    """A fresh coupon of each merchant of the circle."""
    codes = here.house.claim(here.house.link("v3", here.platforms["v3"])["url"])
    return {here.house.api("GET", f"/coupons/{code}").json["merchant"]: code for code in codes}


def test_r060_r072_refusals_at_the_counter(here: Town) -> None:
    coupons = _coupons(here)
    assert set(coupons) == {"hotpot", "sweets"}
    hotpot = here.clerk("hotpot")
    wrong = here.house.redeem(coupons["sweets"], token=hotpot, key="k-wrong")
    assert (wrong.status, wrong.json["code"]) == (403, "wrong_merchant")
    seen = here.house.api("GET", f"/coupons/{coupons['sweets']}", token=hotpot)
    assert (seen.status, seen.json["code"]) == (403, "wrong_merchant")
    assert "merchant" in seen.json
    assert "value_fen" not in seen.json
    unknown = here.house.redeem("ABCDEFGHJKMNP", token=hotpot, key="k-unknown")
    assert (unknown.status, unknown.json["code"]) == (404, "no_such_coupon")
    keyless = here.house.api("POST", f"/coupons/{coupons['hotpot']}/redeem", token=hotpot)
    assert (keyless.status, keyless.json["code"]) == (400, "idempotency_key_required")
    below = here.house.redeem(coupons["sweets"], token=here.clerk("sweets"), key="k-below", amount_fen=1999)
    assert (below.status, below.json["code"]) == (409, "below_minimum")
    assert here.house.redeem(coupons["hotpot"], token="nonsense", key="k").status == 401
    assert here.house.redeem(coupons["hotpot"], token=here.house.token("integrator"), key="k").status == 403
    # None of that used them up.
    for merchant, code in coupons.items():
        fine = here.house.redeem(code, token=here.clerk(merchant), key=f"k-{code}", amount_fen=2000)
        assert fine.status == 200, fine.body


def test_r060_guessing_codes_is_slowed_down(here: Town) -> None:
    made = here.house.drainage("token", "create", "--role", "clerk", "--merchant", "hotpot", "--name", "guesser")
    guesser = made.strip().splitlines()[-1]
    told = [here.house.redeem(f"ABCDEFGHJK{n:02d}P", token=guesser, key=f"g-{n}").status for n in range(22, 62)]
    assert set(told[:30]) == {404}
    assert told[-1] == 429
    # Another clerk at another counter is not held back by him.
    code = _coupons(here)["hotpot"]
    assert here.house.redeem(code, token=here.clerk("hotpot"), key=f"after-{code}").status == 200


def test_r062_a_manager_takes_a_redemption_back(here: Town) -> None:
    coupons = _coupons(here)
    code, clerk, manager = coupons["hotpot"], here.clerk("hotpot"), here.manager("hotpot")
    assert here.house.redeem(code, token=clerk, key="r-1").status == 200
    denied = here.house.api("POST", f"/coupons/{code}/reverse", {"reason": "mistake"}, token=clerk)
    assert denied.status == 403
    back = here.house.api("POST", f"/coupons/{code}/reverse", {"reason": "mistake"}, token=manager)
    assert (back.status, back.json["state"]) == (200, "claimed")
    assert here.house.redeem(code, token=clerk, key="r-2").json["state"] == "redeemed"


# -- refunds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", LINES)
def test_r061_a_full_refund_takes_the_unclaimed_link_back(here: Town, line: str) -> None:
    link = here.house.link(line, here.platforms[line])
    transaction = link["payment"]["transaction_id"]
    refund = here.platforms[line].refund(transaction, 2500, 2500)
    answer = here.house.notify(line, refund)
    assert (answer.status, answer.body) == (200, b"till-says-ok")
    paid = here.house.payment(transaction)
    assert paid["refunded_fen"] == 2500
    assert paid["links"][0]["state"] == "revoked"
    page = here.house.customer().get(link["url"])
    assert page.status == 410
    assert not Form.of(page.text).found
    # Told again: still one refund.
    assert here.house.notify(line, refund).status == 200
    assert here.house.payment(transaction)["refunded_fen"] == 2500


@pytest.mark.parametrize("line", LINES)
def test_r061_a_full_refund_voids_what_was_claimed_and_leaves_what_was_used(here: Town, line: str) -> None:
    link = here.house.link(line, here.platforms[line])
    codes = here.house.claim(link["url"])
    assert len(codes) == 2
    merchant = here.house.api("GET", f"/coupons/{codes[0]}").json["merchant"]
    assert here.house.redeem(codes[0], token=here.clerk(merchant), key=f"u-{codes[0]}").status == 200
    here.house.notify(line, here.platforms[line].refund(link["payment"]["transaction_id"], 2500, 2500))
    states = [here.house.api("GET", f"/coupons/{code}").json["state"] for code in codes]
    assert states == ["redeemed", "void"]
    other = here.house.api("GET", f"/coupons/{codes[1]}").json["merchant"]
    refused = here.house.redeem(codes[1], token=here.clerk(other), key=f"v-{codes[1]}")
    assert (refused.status, refused.json["code"]) == (409, "void")


@pytest.mark.parametrize("line", ["v3", "v2", "alipay"])
def test_r061_a_small_refund_only_moves_the_payment(here: Town, line: str) -> None:
    link = here.house.link(line, here.platforms[line])
    transaction = link["payment"]["transaction_id"]
    here.house.notify(line, here.platforms[line].refund(transaction, 500, 2500))
    paid = here.house.payment(transaction)
    assert (paid["refunded_fen"], paid["links"][0]["state"]) == (500, "issued")
    assert len(here.house.claim(link["url"])) == 2


@pytest.mark.parametrize("line", ["v3", "v2"])
def test_r061_two_partial_refunds_add_up(here: Town, line: str) -> None:
    link = here.house.link(line, here.platforms[line])
    transaction = link["payment"]["transaction_id"]
    for fen in (1500, 950):
        here.house.notify(line, here.platforms[line].refund(transaction, fen, 2500))
    paid = here.house.payment(transaction)
    # 50 fen are left, less than the circle's minimum of 100.
    assert (paid["refunded_fen"], paid["links"][0]["state"]) == (2450, "revoked")


@pytest.mark.parametrize("line", LINES)
def test_r015_a_refund_told_before_its_payment_waits_for_it(here: Town, line: str) -> None:
    platform, openid = here.platforms[line], fresh_openid()
    here.house.pay(line, platform, openid)
    sent = platform.payment(openid)
    assert here.house.notify(line, platform.refund(sent.transaction, 2500, 2500)).status == 200
    assert here.house.api("GET", f"/payments/{sent.transaction}").status == 404
    assert here.house.notify(line, sent).status == 200
    paid = here.house.payment(sent.transaction)
    assert paid["refunded_fen"] == 2500
    assert [link for link in paid["links"] if link["state"] != "revoked"] == []


@pytest.mark.parametrize("line", ["v3", "v2"])
def test_r061_a_refund_beyond_what_was_paid_changes_nothing(here: Town, line: str) -> None:
    link = here.house.link(line, here.platforms[line])
    transaction = link["payment"]["transaction_id"]
    assert here.house.notify(line, here.platforms[line].refund(transaction, 999_900, 2500)).status == 200
    paid = here.house.payment(transaction)
    assert (paid["refunded_fen"], paid["links"][0]["state"]) == (0, "issued")


# -- opting out -------------------------------------------------------------------------------------------------------


def test_r029_who_opts_out_is_left_alone(here: Town) -> None:
    link = here.house.link("v3", here.platforms["v3"])
    customer = here.house.customer()
    page = customer.confirm(link["url"])
    (way_out,) = re.findall(r'href="(/[^"]*leave[^"]*)"', page.text)
    assert here.house.pay("v3", here.platforms["v3"], link["openid"])["tag"]["before"] == "tagged"
    # Looking at the way out is not taking it.
    assert customer.get(way_out).status == 200
    assert here.house.pay("v3", here.platforms["v3"], link["openid"])["tag"]["before"] == "tagged"
    assert customer.confirm(way_out).status == 200
    after = here.house.pay("v3", here.platforms["v3"], link["openid"])
    assert (after["tag"]["before"], after["tag"]["after"]) == ("opted_out", "opted_out")
    assert after["links"] == []
    assert {"tag": "opted_out"}.items() <= {one["rule"]: one["reason"] for one in after["decisions"]}.items()


# -- shares -----------------------------------------------------------------------------------------------------------


def test_r025_r034_a_share_tags_a_friend_and_rewards_the_sharer(here: Town) -> None:
    sharer = here.house.pay("v3", here.platforms["v3"], fresh_openid())["payer"]
    share = here.house.api("POST", "/shares", {"person": sharer}, token=here.manager())
    assert share.status == 201
    assert "/i/" in share.json["url"]
    friend = fresh_openid()
    page = here.house.customer().confirm(share.json["url"], openid=friend, channel="v3")
    assert 'data-outcome="tagged"' in page.text
    again = here.house.customer().confirm(share.json["url"], openid=friend, channel="v3")
    assert 'data-outcome="already_tagged"' in again.text

    paid = here.house.pay("v3", here.platforms["v3"], friend)
    assert paid["tag"]["before"] == "tagged"
    assert paid["tag"]["source"] == {"type": "payer", "id": sharer, "mode": "active"}
    by_for = {link["for"]: link for link in paid["links"]}
    assert set(by_for) == {"payer", "source"}
    assert by_for["source"]["items"] == ["bowl-5off"] or "糖水立减5元" in str(by_for["source"]["items"])
    assert len(here.house.claim(by_for["source"]["url"])) == 1
    # R035: once for this friend, however often he pays.
    second = here.house.pay("v3", here.platforms["v3"], friend)
    assert [link["for"] for link in second["links"]] == ["payer"]
    assert {one["rule"]: one["reason"] for one in second["decisions"]}["source_link"] == "already_rewarded"


def test_r038_nobody_refers_himself(here: Town) -> None:
    openid = fresh_openid()
    sharer = here.house.pay("v3", here.platforms["v3"], openid)["payer"]
    url = here.house.api("POST", "/shares", {"person": sharer}, token=here.manager()).json["url"]
    page = here.house.customer().confirm(url, openid=openid, channel="v3")
    assert 'data-outcome="self_referral"' in page.text


def test_r025_opening_an_invitation_changes_nothing(here: Town) -> None:
    sharer = here.house.pay("v3", here.platforms["v3"], fresh_openid())["payer"]
    url = here.house.api("POST", "/shares", {"person": sharer}, token=here.manager()).json["url"]
    before = here.house.summary()["tagged"]
    for _ in range(3):
        assert here.house.customer().get(url).status == 200
    assert here.house.customer().get("/i/" + "A" * 22).status == 404
    assert here.house.summary()["tagged"] == before


# -- orders -----------------------------------------------------------------------------------------------------------


def _buy(here: Town, person: str, quantity: int = 1, item: str = "stall-voucher") -> tuple[str, dict]:
    manager = here.manager("stall")
    made = here.house.api("POST", "/orders", {"item": item, "quantity": quantity, "person": person}, token=manager)
    assert (made.status, made.json["state"]) == (201, "created"), made.body
    paid = here.house.api("POST", f"/orders/{made.json['order']}/pay", token=manager)
    assert (paid.status, paid.json["state"]) == (200, "fulfilled"), paid.body
    return made.json["order"], paid.json


def test_r044_r045_buying_more_than_the_threshold_gives_a_link(here: Town) -> None:
    person = here.house.pay("stall", here.platforms["stall"], fresh_openid())["payer"]
    bought = [_buy(here, person)[1] for _ in range(4)]
    assert [each["link"] is None for each in bought] == [True, True, True, False]
    assert all(len(each["coupons"]) == 1 for each in bought)
    assert len(here.house.claim(bought[3]["link"]["url"])) == 1
    # R046: not again, since this circle does not repeat.
    assert _buy(here, person, 5)[1]["link"] is None


def test_r046_refunded_units_do_not_count(here: Town) -> None:
    person = here.house.pay("stall", here.platforms["stall"], fresh_openid())["payer"]
    order, _ = _buy(here, person, 3)
    manager = here.manager("stall")
    back = here.house.api("POST", f"/orders/{order}/refund", {"quantity": 2}, token=manager)
    assert back.status == 200, back.body
    assert _buy(here, person, 2)[1]["link"] is None
    assert _buy(here, person, 1)[1]["link"] is not None


def test_r044_r047_no_more_is_sold_than_there_is(here: Town) -> None:
    person = here.house.pay("stall", here.platforms["stall"], fresh_openid())["payer"]
    manager = here.manager("stall")
    made = here.house.api("POST", "/orders", {"item": "stall-rare", "quantity": 2, "person": person}, token=manager)
    assert (made.status, made.json["amount_fen"]) == (201, 19800)
    again = here.house.api("POST", "/orders", {"item": "stall-rare", "quantity": 1, "person": person}, token=manager)
    assert (again.status, again.json["code"]) == (409, "sold_out")


@pytest.mark.parametrize("quantity", [0, -1, 1.5, "2", None, 10**12, True])
def test_r044_a_nonsense_quantity_is_refused(here: Town, quantity: object) -> None:
    person = here.house.pay("stall", here.platforms["stall"], fresh_openid())["payer"]
    body = {"item": "stall-voucher", "quantity": quantity, "person": person}
    answer = here.house.api("POST", "/orders", body, token=here.manager("stall"))
    assert answer.status in {400, 409, 422}, answer.body
    assert {"code", "message", "request_id"} <= set(answer.json)


# -- who may see what -------------------------------------------------------------------------------------------------


def test_r072_a_merchant_never_sees_anothers_customers(here: Town) -> None:
    paid = here.house.pay("v3", here.platforms["v3"], fresh_openid())
    path = f"/payments/{paid['transaction_id']}"
    assert here.house.api("GET", path, token=here.manager("hotpot")).status == 200
    assert here.house.api("GET", path, token=here.manager("stall")).status == 404
    assert here.house.api("GET", path, token=here.clerk("hotpot")).status == 403
    assert here.house.api("GET", path, token="").status == 401
    assert here.house.api("GET", f"/persons/{paid['payer']}", token=here.manager("hotpot")).status == 403
    other = here.house.token("operator", circle="market")
    assert here.house.api("GET", path, token=other).status == 404


def test_r016_no_answer_tells_an_openid(here: Town) -> None:
    link = here.house.link("v3", here.platforms["v3"])
    person = link["payment"]["payer"]
    answers = [
        here.house.api("GET", f"/payments/{link['payment']['transaction_id']}"),
        here.house.api("GET", f"/persons/{person}"),
        here.house.api("GET", "/payments"),
        here.house.customer().get(link["url"]),
    ]
    assert {answer.status for answer in answers} == {200}
    for answer in answers:
        assert link["openid"].encode() not in answer.body


def _state(here: Town, link: dict) -> str:
    paid = here.house.payment(link["payment"]["transaction_id"])
    return next(one["state"] for one in paid["links"] if one["id"] == link["id"])
