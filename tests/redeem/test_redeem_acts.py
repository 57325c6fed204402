"""What a clerk does at the counter beyond one plain scan: ask first, amounts, photos, undoing with a manager, passwords
(R060–R062, R071, R205)."""

import io

import pytest
import segno

from gateway.contract.clock import to_text
from gateway.web.pages import photo
from linkgen.codes import grouped
from tests.redeem.conftest import ASKING, DEAR
from tests.support.browsing import Browser
from tests.support.world import CATALOG, PASSWORD


def use(till, code, **values):
    return till.send(till.get("/redeem"), "/redeem", "/redeem", code=code, **values)


def result(page):
    return next((value for _, name, value in page.attributes if name == "data-result"), "")


def redemptions(world):
    return world.all("SELECT * FROM redemptions ORDER BY id")


def undo_form(page, code):
    return next(form for form in page.forms if form["action"] == "/redeem/undo" and form["hidden"].get("code") == code)


# -- asking first -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("catalog", [ASKING])
def test_R071_a_merchant_may_want_the_coupon_shown_first(world, clerk):
    code = world.code()
    page = use(clerk, code, amount="30.00")
    assert (page.status, result(page)) == (200, "preview")
    assert "使用这张券？ 减 ¥5.00 糖水立减5元 · 满 ¥20.00" in page.text
    assert redemptions(world) == []
    asked = next(form for form in page.forms if "confirmed" in form["inputs"] or form["hidden"].get("code"))
    assert (asked["action"], asked["hidden"]["code"], asked["hidden"]["amount"]) == ("/redeem", grouped(code), "30.00")
    done = clerk.post("/redeem", {**asked["hidden"], "confirmed": "1"})
    assert result(done) == "used_now"
    assert redemptions(world)[0]["amount_fen"] == 3000
    # The scanner sees it once more within ten seconds: the first answer, no second question.
    assert result(use(clerk, code, amount="30.00")) == "used_now"
    assert len(redemptions(world)) == 1


@pytest.mark.parametrize("catalog", [ASKING])
def test_R071_asking_first_tells_at_once_what_cannot_be_used(world, clerk, manager):
    code = world.code()
    assert result(use(clerk, code, amount="1.00")) == "below"
    assert result(use(clerk, world.code("soup"))) == "other_shop"
    assert result(use(clerk, "H7KQ2M9WXT4B5")) == "unknown"
    shown = use(manager, code)
    assert result(shown) == "preview"
    assert redemptions(world) == []


@pytest.mark.parametrize("catalog", [ASKING])
def test_R071_an_operators_till_asks_where_the_coupons_merchant_wants_it(world, app):
    world.user("ops", "operator")
    till = Browser(app).sign_in("ops")
    assert result(use(till, world.code())) == "preview"
    assert result(use(till, world.code("soup"))) == "used_now"


def test_R071_without_that_wish_a_scan_is_a_use(world, clerk):
    assert result(use(clerk, world.code())) == "used_now"


# -- amounts ----------------------------------------------------------------------------------------------------------


def test_R060_below_the_minimum_the_amount_can_be_corrected_in_the_result(world, clerk):
    code = world.code()
    page = use(clerk, code, amount="19.99")
    assert (page.status, result(page)) == (409, "below")
    again = next(form for form in page.forms if "amount" in form["inputs"] and form["hidden"].get("code"))
    assert again["inputs"]["amount"] == "19.99"
    done = clerk.post("/redeem", {**again["hidden"], "amount": "20.00"})
    assert result(done) == "used_now"


# -- photos -----------------------------------------------------------------------------------------------------------


def picture(*texts, kind="png"):
    out = io.BytesIO()
    images = []
    from PIL import Image

    for text in texts:
        one = io.BytesIO()
        segno.make(text).save(one, kind="png", scale=8)
        images.append(Image.open(one).convert("RGB"))
    whole = Image.new("RGB", (sum(i.width for i in images) + 40, max(i.height for i in images) + 40), "white")
    left = 20
    for image in images:
        whole.paste(image, (left, 20))
        left += image.width
    whole.save(out, kind.upper())
    return out.getvalue()


def send_photo(till, data, name="code.jpg", **more):
    page = till.get("/redeem")
    hidden = page.form("/redeem/photo")["hidden"]
    return till.post(
        "/redeem/photo", {**hidden, **more, "photo": (io.BytesIO(data), name)}, content_type="multipart/form-data"
    )


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("address", [True, False], ids=["address", "code"])
def test_R071_a_photo_is_read_and_the_coupon_used(world, clerk, kind, address):
    code = world.code()
    page = send_photo(clerk, picture(f"https://pay.example.com/v/{code}" if address else code, kind=kind))
    assert (page.status, result(page)) == (200, "used_now")
    assert redemptions(world)[0]["coupon"] == code


@pytest.mark.parametrize(
    "data",
    [b"", b"not an image", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, b"GIF89a" + b"\0" * 50, b"<svg xmlns='x'/>"],
    ids=["empty", "text", "broken", "gif", "svg"],
)
def test_R071_what_is_no_photo_is_refused_and_leaves_nothing(world, clerk, data):
    page = send_photo(clerk, data)
    assert (page.status, result(page)) == (422, "bad_photo")
    assert redemptions(world) == []


def test_R071_a_small_file_of_a_huge_image_is_not_unpacked(world, clerk):
    from PIL import Image

    out = io.BytesIO()
    Image.new("1", (6000, 6000)).save(out, "PNG")
    assert len(out.getvalue()) < 10_000
    assert result(send_photo(clerk, out.getvalue())) == "bad_photo"


def test_R071_photos_without_a_code_or_with_two_say_so(world, clerk):
    assert result(send_photo(clerk, picture("https://elsewhere.example/x"))) == "no_code"
    page = send_photo(clerk, picture(world.code(), world.code()))
    assert (page.status, result(page)) == (422, "many_codes")
    assert "照片里有 2 个券码" in page.text
    assert redemptions(world) == []


def test_R071_a_photo_beyond_its_size_is_413_and_other_forms_stay_small(world, clerk):
    whole = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="x"\r\n\r\n' + b"x" * (
        photo.LIMIT + 100_000
    )
    assert clerk.post("/redeem/photo", whole, content_type="multipart/form-data; boundary=b").status == 413
    hidden = clerk.get("/redeem").form("/redeem")["hidden"]
    assert clerk.post("/redeem", {**hidden, "code": "x" * 20_000}).status == 413
    assert clerk.post("/redeem/undo", {**hidden, "code": "x" * 20_000}).status == 413


def test_R071_without_the_decoder_no_photo_is_offered(world, clerk, monkeypatch):
    hidden = clerk.get("/redeem").form("/redeem/photo")["hidden"]
    monkeypatch.setattr(photo, "zxingcpp", None)
    assert "/redeem/photo" not in clerk.get("/redeem").html
    page = clerk.post(
        "/redeem/photo", {**hidden, "photo": (io.BytesIO(picture("x")), "x.png")}, content_type="multipart/form-data"
    )
    assert (page.status, result(page)) == (422, "no_code")


def test_R072_a_photo_of_a_stranger_is_not_even_read(world, app, clerk):
    hidden = clerk.get("/redeem").form("/redeem/photo")["hidden"]
    stranger = Browser(app)
    stranger.get("/login")
    assert stranger.post("/redeem/photo", hidden, content_type="multipart/form-data").status == 400
    good = stranger.get("/login").form()["hidden"]
    assert stranger.post("/redeem/photo", good, content_type="multipart/form-data").status == 401


# -- undoing ----------------------------------------------------------------------------------------------------------


def test_R062_a_manager_undoes_on_a_clerks_device_with_her_password_and_both_are_audited(world, clerk):
    code = world.code()
    page = use(clerk, code)
    form = undo_form(page, code)
    assert {"reason", "manager", "password"} <= set(form["inputs"])
    done = clerk.post("/redeem/undo", {**form["hidden"], "reason": "按错了", "manager": "mia", "password": PASSWORD})
    assert (done.status, result(done)) == (200, "reversed")
    assert "撤销后券可再次使用" in done.text
    row = world.one("SELECT who, after FROM audit WHERE action = 'coupon.reverse'")
    assert row["who"] == "mia"
    assert '"device_of":"lin"' in row["after"]
    assert world.one("SELECT reversed_by FROM redemptions")["reversed_by"] == "mia"
    # She is not signed in by that: the next act on this device is the clerk's again.
    assert "lin" in clerk.get("/redeem").text
    assert clerk.post("/redeem/undo", {**form["hidden"], "reason": "x"}).status == 401


@pytest.mark.parametrize(
    ("name", "password"),
    [("mia", "wrong"), ("lin", PASSWORD), ("nobody", PASSWORD), ("", ""), ("mia", "")],
)
def test_R062_without_a_managers_password_nothing_is_undone(world, clerk, name, password):
    code = world.code()
    form = undo_form(use(clerk, code), code)
    page = clerk.post("/redeem/undo", {**form["hidden"], "reason": "why", "manager": name, "password": password})
    assert (page.status, result(page)) == (401, "undo")
    assert "用户名或密码不对" in page.text
    assert PASSWORD not in page.html
    assert 'value="why"' in page.html
    assert redemptions(world)[0]["reversed_at"] is None


def test_R062_R072_another_merchants_manager_cannot_undo_here(world, clerk):
    code = world.code()
    form = undo_form(use(clerk, code), code)
    page = clerk.post("/redeem/undo", {**form["hidden"], "reason": "why", "manager": "wang", "password": PASSWORD})
    assert result(page) == "unknown"
    assert redemptions(world)[0]["reversed_at"] is None


def test_R062_R204_passwords_on_a_clerks_device_are_throttled(world, clerk):
    code = world.code()
    form = undo_form(use(clerk, code), code)
    wrong = {**form["hidden"], "reason": "why", "manager": "mia", "password": "wrong"}
    for _ in range(10):
        assert clerk.post("/redeem/undo", wrong).status == 401
    page = clerk.post("/redeem/undo", {**wrong, "password": PASSWORD})
    assert page.status == 429
    assert "操作太频繁" in page.text
    assert redemptions(world)[0]["reversed_at"] is None


# -- a password above a limit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("catalog", [DEAR])
def test_R205_a_dear_coupon_wants_the_password_once_more_and_goes_on(world, clerk):
    code = world.code()
    world.clock.move(minutes=6)
    page = use(clerk, code)
    assert (page.status, result(page)) == (401, "password")
    assert "请再输入一次密码" in page.text
    assert "超过 ¥1,000.00 需要确认是你本人" in page.text
    assert redemptions(world) == []
    asked = next(form for form in page.forms if "password" in form["inputs"] and form["action"] == "/redeem")
    wrong = clerk.post("/redeem", {**asked["hidden"], "password": "wrong"})
    assert (wrong.status, result(wrong)) == (401, "password")
    assert "用户名或密码不对" in wrong.text
    done = clerk.post("/redeem", {**asked["hidden"], "password": PASSWORD})
    assert result(done) == "used_now"
    # For five minutes it counts.
    assert result(use(clerk, world.code())) == "used_now"
    world.clock.move(minutes=5, seconds=1)
    assert result(use(clerk, world.code())) == "password"


@pytest.mark.parametrize("catalog", [DEAR])
def test_R205_a_sign_in_counts_as_a_password(world, clerk):
    world.clock.move(minutes=4)
    assert result(use(clerk, world.code())) == "used_now"


@pytest.mark.parametrize("catalog", [DEAR])
def test_R205_undoing_a_dear_one_wants_the_managers_own_password(world, manager):
    code = world.code()
    page = use(manager, code)
    world.clock.move(minutes=6)
    form = undo_form(page, code)
    asked = manager.post("/redeem/undo", {**form["hidden"], "reason": "按错了"})
    assert (asked.status, result(asked)) == (401, "password")
    again = next(one for one in asked.forms if one["action"] == "/redeem/undo" and "password" in one["inputs"])
    assert again["hidden"]["reason"] == "按错了"
    done = manager.post("/redeem/undo", {**again["hidden"], "password": PASSWORD})
    assert result(done) == "reversed"


def test_R205_small_values_want_none(world, clerk):
    world.clock.move(hours=3)
    assert result(use(clerk, world.code())) == "used_now"


# -- kept scans -------------------------------------------------------------------------------------------------------


def queued(till, scans, sent_at, page=None):
    import json

    token = (page or till.get("/redeem")).form("/redeem")["hidden"]["csrf_token"]
    return till.post("/redeem/queued", {"csrf_token": token, "scans": json.dumps({"sent_at": sent_at, "scans": scans})})


def kept(world, code, nonce="nonce-000000000001", **more):
    return {"nonce": nonce, "code": code, "at": to_text(world.clock()), **more}


def test_R064_the_page_merges_what_it_kept(world, clerk):
    code = world.code()
    one = kept(world, code, shop="sweets-1", amount_fen=3000)
    world.clock.move(minutes=10)
    answer = queued(clerk, [one, kept(world, "H7KQ2M9WXT4B5", "nonce-000000000002")], to_text(world.clock()))
    assert answer.response.json == {
        "results": [
            {"nonce": "nonce-000000000001", "outcome": "redeemed"},
            {"nonce": "nonce-000000000002", "outcome": "conflict"},
        ]
    }
    row = redemptions(world)[0]
    assert (row["at"], row["shop"], row["amount_fen"]) == (one["at"], "sweets-1", 3000)


def test_R064_the_nonce_is_the_lost_forms_request_id(world, clerk):
    code = world.code()
    page = clerk.get("/redeem")
    key = page.form("/redeem")["hidden"]["key"]
    clerk.send(page, "/redeem", "/redeem", code=code)
    answer = queued(clerk, [kept(world, code, key, shop="sweets-1")], to_text(world.clock()))
    assert answer.response.json["results"] == [{"nonce": key, "outcome": "redeemed"}]
    assert len(redemptions(world)) == 1


@pytest.mark.parametrize(
    "scans",
    [
        "",
        "x",
        "[]",
        '{"sent_at":"2026-11-22T00:00:00Z","scans":[]}',
        '{"sent_at":"2026-11-22T00:00:00","scans":[{"nonce":"nonce-000000000001","code":"X","at":"2026-11-22T00:00:00Z"}]}',
        '{"sent_at":"2026-11-22T00:00:00Z","scans":[{"nonce":"short","code":"X","at":"2026-11-22T00:00:00Z"}]}',
        '{"sent_at":"2026-11-22T00:00:00Z","scans":[{"nonce":"nonce-000000000001","code":"X","at":"soon"}]}',
        '{"sent_at":"0001-01-01T00:00:00+14:00","scans":[{"nonce":"nonce-000000000001","code":"X","at":"2026-11-22T00:00:00Z"}]}',
        '{"sent_at":"2026-11-22T00:00:00Z","scans":[{"nonce":"nonce-000000000001","code":"X","at":"2026-11-22T00:00:00Z","amount_fen":-1}]}',
        '{"sent_at":"2026-11-22T00:00:00Z","scans":[{"nonce":"nonce-000000000001","code":"X","at":"2026-11-22T00:00:00Z","who":"me"}]}',
    ],
)
def test_R064_what_is_no_queue_is_refused_whole(world, clerk, scans):
    token = clerk.get("/redeem").form("/redeem")["hidden"]["csrf_token"]
    assert clerk.post("/redeem/queued", {"csrf_token": token, "scans": scans}).status == 422
    assert world.all("SELECT nonce FROM scans") == []


@pytest.mark.parametrize("code", ["\x00", "券" * 100, "'; DROP TABLE scans --", "\u2028", "ß" * 13])
def test_R064_odd_codes_in_a_queue_are_conflicts_and_nothing_else(world, clerk, code):
    answer = queued(clerk, [kept(world, code)], to_text(world.clock()))
    assert [one["outcome"] for one in answer.response.json["results"]] == ["conflict"]
    assert clerk.get("/redeem/conflicts").status == 200


def test_R064_strangers_and_forms_without_a_token_merge_nothing(world, app, clerk):
    code = world.code()
    assert clerk.post("/redeem/queued", {"scans": "x"}).status == 400
    stranger = Browser(app)
    token = stranger.get("/login").form()["hidden"]["csrf_token"]
    assert stranger.post("/redeem/queued", {"csrf_token": token, "scans": "x"}).status == 401
    assert world.all("SELECT nonce FROM scans") == []
    assert code not in clerk.get("/redeem/conflicts").html


def test_R064_guessing_through_the_queue_is_slowed_down(world, clerk):
    now = to_text(world.clock())
    for turn in range(2):
        scans = [kept(world, "H7KQ2M9WXT4B5", f"nonce-{turn}-{n:012}") for n in range(20)]
        assert queued(clerk, scans, now).status == 200
    answer = queued(clerk, [kept(world, "H7KQ2M9WXT4B5", "nonce-9-000000000000")], now)
    assert answer.status == 429
    assert int(answer.response.headers["Retry-After"]) > 0


def test_R064_conflicts_stay_listed_with_both_times_until_a_manager_has_seen_them(world, clerk, manager, app):
    code = world.code()
    one = kept(world, code, shop="sweets-1")
    world.clock.move(minutes=7)
    use(manager, code)
    world.clock.move(minutes=7)
    queued(clerk, [one], to_text(world.clock()))
    assert "离线冲突 1 条" in clerk.get("/redeem").text
    page = clerk.get("/redeem/conflicts")
    assert page.h1 == "离线冲突"
    assert f"…{code[-5:-1]}-{code[-1]} 12:05 糖水铺 lin ✕ 已用过 12:12 糖水铺 mia" in page.text
    assert code not in page.html
    assert "由店长处理" in page.text
    nonce = {"nonce": one["nonce"], "do": "seen"}
    token = {"csrf_token": page.forms[0]["hidden"]["csrf_token"]}
    assert clerk.post("/redeem/conflicts", {**token, **nonce}).status == 403
    wang = Browser(app).sign_in("wang")
    assert "没有冲突" in wang.get("/redeem/conflicts").text
    assert wang.post("/redeem/conflicts", {**wang.get("/redeem").form("/redeem")["hidden"], **nonce}).status == 404
    seen = manager.send(manager.get("/redeem/conflicts"), "/redeem/conflicts", do="seen")
    assert seen.status == 303
    assert "没有冲突" in manager.follow(seen).text
    assert "离线冲突" not in clerk.get("/redeem").text


@pytest.mark.parametrize("catalog", [DEAR])
def test_R064_R205_a_held_scan_is_used_after_the_password_on_the_conflict_page(world, clerk):
    code = world.code()
    one = kept(world, code)
    world.clock.move(minutes=6)
    answer = queued(clerk, [one], to_text(world.clock()))
    assert answer.response.json["results"][0]["outcome"] == "held"
    assert world.one("SELECT state FROM coupons WHERE code = :c", c=code)["state"] == "reserved"
    page = clerk.get("/redeem/conflicts")
    wrong = clerk.send(page, "/redeem/conflicts", do="confirm", password="wrong")
    assert wrong.status == 401
    assert "用户名或密码不对" in wrong.text
    done = clerk.send(page, "/redeem/conflicts", do="confirm", password=PASSWORD)
    assert done.status == 303
    assert "没有冲突" in clerk.follow(done).text
    assert redemptions(world)[0]["at"] == one["at"]


def test_R064_the_page_says_its_words_in_english(world, app):
    till = Browser(app, "en").sign_in("lin")
    page = till.get("/redeem")
    for words in ("Offline: saved now, checked later", "Saved, not verified", "Sign in again"):
        assert words in page.text
    assert "{n} used" in page.html
    assert "No conflicts" in till.get("/redeem/conflicts").text


def test_R071_a_customer_who_scans_the_code_is_told_to_show_it_and_a_clerk_is_asked(world, app, clerk):
    code = world.code()
    assert Browser(app).get(f"/v/{code}").h1 == "请向店员出示"
    page = clerk.follow(clerk.get(f"/v/{code}"))
    assert result(page) == "preview"
    asked = next(form for form in page.forms if form["hidden"].get("code"))
    assert redemptions(world) == []
    assert result(clerk.post("/redeem", {**asked["hidden"], "confirmed": "1"})) == "used_now"


assert CATALOG != ASKING != DEAR
