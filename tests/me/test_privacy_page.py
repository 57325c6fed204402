"""`/me/privacy`: what is kept, the copy, deleting, leaving and joining again (R016, R029)."""

import json

import pytest

from gateway import tagging


@pytest.fixture
def guest(world, signed_in, held):
    person, codes = held("openid-a")
    made = signed_in(person)
    made.person, made.codes = person, codes
    return made


def press(guest, action, page="/me/privacy"):
    """Send the form that leads there."""
    return guest.send(guest.get(page), page, action)


def state(world, person, circle="riverside"):
    from gateway import people

    return world.store.read(lambda tx: tagging.standing(tx, circle, people.look_up(tx, person), world.clock())).state


def test_R016_what_is_kept_is_listed_plainly(guest):
    page = guest.get("/me/privacy")
    assert page.h1 == "隐私与退出"
    for words in (
        "付款账号的编号：1 个",
        "付款：2 笔",
        "券：2 张",
        "没有姓名、手机号、头像和位置。",
        "导出",
        "删除",
        "退出滨江商圈",
    ):
        assert words in page.text, words


def test_R029_leaving_and_joining_again_in_its_exact_words(world, guest):
    answer = press(guest, "/me/privacy/leave/riverside")
    assert answer.status == 303
    page = guest.follow(answer)
    assert "已退出。已领的券仍可用；以后的付款不再记录。" in page.text
    assert state(world, guest.person) == "opted_out"
    taken = world.pay("after", "openid-a")
    assert taken.outcome == "processed"
    assert state(world, guest.person) == "opted_out"
    assert "● 可使用" in guest.get("/me?tab=use").text
    again = guest.follow(press(guest, "/me/privacy/join/riverside"))
    assert "退出滨江商圈" in again.text
    assert state(world, guest.person) == "untagged"
    world.pay("later", "openid-a")
    assert state(world, guest.person) == "tagged"


def test_R029_in_english(guest):
    guest.headers = {"Accept-Language": "en"}
    page = guest.follow(press(guest, "/me/privacy/leave/riverside"))
    assert "You've left. Claimed coupons still work; later payments are not recorded." in page.text
    assert "Join again" in page.text


def test_leaving_twice_is_leaving_once(world, guest):
    page = guest.get("/me/privacy")
    for _ in range(2):
        assert guest.send(page, "/me/privacy", "/me/privacy/leave/riverside").status == 303
    assert len(world.all("SELECT * FROM suppressions")) == 1


@pytest.mark.parametrize("circle", ["hillside", "nowhere", "river%20side"])
@pytest.mark.parametrize("what", ["leave", "join"])
def test_a_circle_that_does_not_know_him_cannot_be_left(world, guest, circle, what):
    form = guest.get("/me/privacy").form("/me/privacy/leave/riverside")["hidden"]
    assert guest.post(f"/me/privacy/{what}/{circle}", form).status == 404
    assert world.all("SELECT * FROM suppressions") == []


def test_R016_the_copy_is_complete_and_names_nobody_else(world, guest):
    world.runtime.sharing.create(guest.person, "riverside", world.clock())
    page = guest.get("/me/privacy/export")
    for words in ("老王火锅 · ¥100.00", "滨江商圈", "例汤一份", "一位朋友的邀请"):
        assert (words in page.text) is (words != "一位朋友的邀请"), words
    answer = guest.client.get("/me/privacy/export.json")
    assert answer.mimetype == "application/json"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="my-data.json"'
    kept = json.loads(answer.data)
    assert [row["transaction_id"] for row in kept["payments"]] == ["T0", "T1"]
    assert {row["code"] for row in kept["coupons"]} == set(guest.codes.values())
    assert len(kept["known_by"]) == len(kept["tags"]) == len(kept["links"]) == len(kept["invitations"]) == 1
    assert "openid-a" not in answer.text
    ids = [row["id"] for table in ("persons", "links", "payments") for row in world.all(f"SELECT id FROM {table}")]
    assert not any(id_ in answer.text for id_ in ids)


def test_R016_a_friend_is_nobody_in_the_copy(world, signed_in):
    from gateway import people
    from gateway.contract.events import Payer

    world.pay("A1", "openid-a")
    friend = world.person_of("A1")
    share = world.runtime.sharing.create(friend, "riverside", world.clock())
    known_by = people.identities(world.runtime.vault(), "plainpay", [Payer("app-riverside", "openid", "openid-b")])
    world.runtime.sharing.confirm(world.runtime.directory().circle("riverside"), share.token, known_by, world.clock())
    world.pay("B1", "openid-b")
    guest = signed_in(world.person_of("B1"))
    assert "一位朋友的邀请" in guest.get("/me/privacy/export").text
    assert friend not in guest.client.get("/me/privacy/export.json").text


def test_the_copy_of_another_is_not_to_be_had(world, guest, signed_in):
    world.pay("B", "openid-b")
    other = signed_in(world.person_of("B"))
    assert '"T0"' not in other.client.get("/me/privacy/export.json").text
    assert "T0" not in other.get("/me/privacy/export").text


@pytest.mark.parametrize("typed", ["", "删", "delete", "删除吧", "x" * 500])
def test_R016_deleting_wants_the_word(world, guest, typed):
    page = guest.get("/me/privacy/delete")
    answer = guest.send(page, "/me/privacy/delete", confirm=typed)
    assert answer.status == 422
    assert answer.html.count('role="alert"') == 1
    assert 'aria-invalid="true"' in answer.html
    assert "<title>有误：" in answer.html
    assert len(world.all("SELECT * FROM identities")) == 1


def test_R016_deleted_he_is_nobody_here_and_a_new_guest_at_the_till(world, guest):
    world.pay("T9", "openid-a", channel="hotpot-pay")
    token = world.runtime.link_keys.token(world.links()[-1]["id"])
    guest.get(f"/c/{token}")
    answer = guest.send(guest.get("/me/privacy/delete"), "/me/privacy/delete", confirm=" 删除 ")
    assert answer.status == 303
    page = guest.follow(answer)
    assert page.h1 == "✓ 已删除"
    assert world.all("SELECT * FROM identities") == []
    assert guest.get("/me").h1 == "请用微信或支付宝打开"
    assert guest.get("/c?n=1").status == 404
    world.pay("new", "openid-a")
    assert world.person_of("new") != guest.person
    row = world.one("SELECT who, action FROM audit WHERE action = 'person.forget'")
    assert row["who"] == "customer"


def test_deleting_in_english_takes_the_english_word(world, guest):
    guest.headers = {"Accept-Language": "en"}
    page = guest.get("/me/privacy/delete")
    assert guest.send(page, "/me/privacy/delete", confirm="delete").status == 303
    assert world.all("SELECT * FROM identities") == []


@pytest.mark.parametrize(
    "path", ["/me/privacy/delete", "/me/privacy/leave/riverside", "/me/privacy/join/riverside", "/me/invite"]
)
def test_every_form_needs_its_token(world, guest, path):
    assert guest.post(path, {"confirm": "删除", "circle": "riverside", "action": "make"}).status == 400
    assert len(world.all("SELECT * FROM identities")) == 1
    assert world.all("SELECT * FROM suppressions") == world.all("SELECT * FROM shares") == []


def test_a_person_merged_from_two_is_deleted_whole(world, signed_in, held):
    from gateway import people

    one, _ = held("openid-a")
    two, _ = held("openid-b")

    def work(tx):
        people.merge(
            tx, world.runtime.ids, world.clock(), winner=min(one, two), loser=max(one, two), by="t", reason="r"
        )

    world.store.write(work)
    guest = signed_in(max(one, two))
    assert "付款：4 笔" in guest.get("/me/privacy").text
    guest.send(guest.get("/me/privacy/delete"), "/me/privacy/delete", confirm="删除")
    assert world.all("SELECT * FROM identities") == []
    assert signed_in(min(one, two)).get("/me/live").status == 401
