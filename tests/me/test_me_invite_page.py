"""`/me/invite`: one's own invitation, made once, shown again, withdrawn; words without a reward (R025, R078)."""

import pytest

from linkgen import qr
from tests.support.world import BASE_URL


@pytest.fixture
def guest(world, signed_in):
    world.pay("T1", "openid-a")
    made = signed_in(world.person_of("T1"))
    made.person = world.person_of("T1")
    return made


def press(guest, action, circle="riverside"):
    form = guest.get("/me/invite").form("/me/invite")
    return guest.post("/me/invite", {**form["hidden"], "action": action, "circle": circle})


def standing(world):
    return world.all("SELECT * FROM shares WHERE revoked_at IS NULL")


def test_R025_looking_makes_nothing_and_pressing_makes_one(world, guest):
    page = guest.get("/me/invite")
    assert page.h1 == "邀请朋友到店"
    assert "朋友扫码并确认后加入滨江商圈" in page.text
    assert standing(world) == []
    for _ in range(3):
        shown = guest.follow(press(guest, "make"))
    (share,) = standing(world)
    assert "当面请朋友扫码" in shown.text
    assert "有效至 2027-02-20 12:05 · 可撤销" in shown.text
    token = world.runtime.link_keys.token(share["id"])
    data, _ = guest.file("/me/invite/qr.png?circle=riverside")
    assert data == qr.png(f"{BASE_URL}/i/{token}")
    assert shown.html.count("<img") == 1
    assert all(token not in value for _, name, value in shown.attributes if name in {"href", "src", "action"})


def test_R025_a_friend_who_takes_it_up_is_brought_by_him(world, guest):
    from gateway import people
    from gateway.contract.events import Payer

    press(guest, "make")
    (share,) = standing(world)
    known_by = people.identities(world.runtime.vault(), "plainpay", [Payer("app-riverside", "openid", "openid-b")])
    token = world.runtime.link_keys.token(share["id"])
    circle = world.runtime.directory().circle("riverside")
    assert world.runtime.sharing.confirm(circle, token, known_by, world.clock()) == "tagged"
    assert world.one("SELECT source_id FROM tags WHERE source_type = 'payer'")["source_id"] == guest.person


def test_withdrawn_it_is_dead_and_a_new_one_may_be_made(world, guest):
    press(guest, "make")
    old = standing(world)[0]["id"]
    page = guest.follow(press(guest, "revoke"))
    assert "立即邀请" in page.text
    assert standing(world) == []
    assert guest.get("/me/invite/qr.png?circle=riverside").status == 404
    press(guest, "make")
    assert standing(world)[0]["id"] != old


def test_one_whose_time_is_over_is_not_shown(world, guest):
    press(guest, "make")
    world.clock.move(days=90)
    guest.enter(guest.person)
    assert guest.get("/me/invite/qr.png?circle=riverside").status == 404


def test_who_is_not_known_to_a_circle_cannot_invite_into_it(world, guest):
    token = guest.get("/me/invite").forms[0]["hidden"]["csrf_token"]
    for circle in ("hillside", "nowhere", ""):
        answer = guest.post("/me/invite", {"csrf_token": token, "circle": circle, "action": "make"})
        assert answer.status == 404
    assert standing(world) == []


def test_R029_who_has_left_cannot_invite(world, guest):
    from gateway import people, tagging

    world.store.write(lambda tx: tagging.opt_out(tx, "riverside", people.look_up(tx, guest.person), world.clock()))
    page = guest.get("/me/invite")
    assert "还不能邀请" in page.text
    assert page.forms == []


def test_each_circle_has_an_invitation_of_its_own(world, guest):
    world.pay("N", "openid-n", channel="noodles-pay")

    def one_person(tx):
        from gateway import people

        people.merge(
            tx, world.runtime.ids, world.clock(), winner=guest.person, loser=world.person_of("N"), by="t", reason="r"
        )

    world.store.write(one_person)
    page = guest.get("/me/invite")
    assert "/me/invite?circle=hillside" in page.links
    other = guest.get("/me/invite?circle=hillside")
    assert "加入山脚商圈" in other.text
    guest.send(other, "/me/invite", "/me/invite")
    assert [row["circle"] for row in standing(world)] == ["hillside"]


def test_in_english(guest):
    guest.headers = {"Accept-Language": "en"}
    assert guest.get("/me/invite").h1 == "Invite friends to the shop"
    assert "Let a friend scan in person" in guest.follow(press(guest, "make")).text


@pytest.mark.parametrize("odd", ["%00", "x" * 3000, "'--"])
def test_odd_circles(guest, odd):
    assert guest.get(f"/me/invite?circle={odd}").status in {200, 404}
