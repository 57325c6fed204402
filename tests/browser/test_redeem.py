"""The redeem page in a real browser: scanners, photos, no line and back again, signing out, the keyboard (R060–R064, R071, R248)."""

import io

import segno

from linkgen.codes import grouped, new_code
from tests.browser.test_walk import coffee_code, sign_in


def at_the_till(w, house):
    sign_in(w, house)
    w.page.wait_for_selector("#on-line:visible")


def result(page, kind):
    page.wait_for_selector(f"#answer [data-result={kind}]")
    return page.inner_text("#answer")


def listed(page, code):
    page.locator("#recent ol:not(#waiting)", has_text=f"{code[-5:-1]}-{code[-1]}").wait_for()


def coupons(w, story, count):
    return [coffee_code(w, story) for _ in range(count)]


def cut(w):
    w.context.set_offline(True)


def mend(w):
    w.context.set_offline(False)


UNKNOWN = new_code(lambda n: b"\x07" * n)
"""A whole code that no coupon has."""

NO_LINE = ("ERR_INTERNET_DISCONNECTED",)


def test_R071_a_scanner_types_and_the_answer_comes_in_place(window, house, story):
    with window("tablet", allow=("409", "404")) as w:
        codes = coupons(w, story, 3)
        at_the_till(w, house)
        page = w.page
        before = page.locator("#recent li").count()
        page.keyboard.type(grouped(codes[0]))
        assert "可用 已核销" in result(page, "used_now")
        assert page.evaluate("document.activeElement.id") == "f-code"
        assert page.input_value("#f-code") == ""
        # A Chinese input method turns what a scanner types full-width.
        page.keyboard.insert_text("".join(chr(ord(sign) + 0xFEE0) for sign in codes[1]))
        listed(page, codes[1])
        # Focus on a button: what a scanner types still goes to the field.
        page.focus("#sound")
        page.keyboard.type(f"http://x.example/v/{codes[2]}", delay=1)
        listed(page, codes[2])
        assert page.locator("#recent li").count() == before + 3
        w.shot("redeem-three")
        page.keyboard.type(codes[0][:-1] + ("2" if codes[0][-1] != "2" else "3"))
        assert page.locator("#code-fault").is_visible()
        w.shot("redeem-check-character")
        # The next scan lands behind the faulty one and is understood; ten seconds have not passed, so the first answer.
        page.keyboard.type(codes[2])
        page.wait_for_selector("#code-fault", state="hidden")
        assert "可用 已核销" in result(page, "used_now")
        page.keyboard.type(UNKNOWN)
        assert "不认识的码" in result(page, "unknown")
        w.shot("redeem-unknown")


def test_R064_five_scans_without_a_line_are_kept_and_settled_when_it_is_back(window, house, story):
    with window("phone", allow=NO_LINE) as w:
        codes = coupons(w, story, 5)
        at_the_till(w, house)
        page = w.page
        cut(w)
        page.keyboard.type(codes[0])
        assert "已暂存，未核验" in result(page, "kept")
        assert page.locator("#queue-off").inner_text() == "离线：先记下，联网后核对"
        assert page.locator("#off-line").is_visible()
        for code in codes[1:]:
            page.keyboard.type(code)
        assert page.locator("#waiting li").count() == 5
        w.shot("redeem-offline")
        page.keyboard.type(codes[0])
        page.wait_for_selector("#answer [data-result=kept], #answer [data-result=double]")
        assert page.locator("#waiting li").count() == 5
        kept = page.evaluate("Object.values(localStorage).join()")
        assert all(code in kept for code in codes)
        assert "xiaozhou" not in kept
        mend(w)
        page.wait_for_selector("#queue-done:visible")
        assert page.locator("#queue-done").inner_text().strip() == "5 条已核销"
        assert page.locator("#waiting").is_hidden()
        assert page.locator("#on-line").is_visible()
        for code in codes:
            listed(page, code)
        w.shot("redeem-merged")
        assert page.evaluate("Object.entries(localStorage).filter(([k]) => k.includes('scans')).map(([, v]) => v)") == [
            "[]"
        ]


def test_R064_a_queue_survives_a_reload_and_tells_conflicts(window, house, story):
    with window("tablet", allow=(*NO_LINE, "409")) as w, window("desk") as other:
        codes = coupons(w, story, 2)
        at_the_till(w, house)
        at_the_till(other, house)
        page = w.page
        cut(w)
        for code in codes:
            page.keyboard.type(code)
            result(page, "kept")
        other.page.keyboard.type(codes[0])
        result(other.page, "used_now")
        # Long enough ago to be a scan of its own and not the same one made twice.
        page.evaluate(
            "Object.keys(localStorage).filter(k => k.includes('scans')).forEach(k => localStorage.setItem(k, "
            "JSON.stringify(JSON.parse(localStorage.getItem(k)).map(s => Object.assign(s, {t: s.t - 60000})))))"
        )
        # The line is back after the reload: else the page that goes away may have sent them already.
        page.route("**/redeem/queued", lambda route: route.abort("internetdisconnected"))
        mend(w)
        page.goto("/redeem")
        page.unroute("**/redeem/queued")
        page.evaluate("window.dispatchEvent(new Event('online'))")
        page.wait_for_selector("#queue-done:visible")
        assert "1 条已核销，1 条冲突" in page.inner_text("#queue-done")
        w.shot("redeem-merged-conflict")
        page.click("#queue-done a")
        page.wait_for_url("**/redeem/conflicts")
        assert "已用过" in page.inner_text("[data-conflict=already_redeemed]")
        assert not w.is_wider_than_screen()
        w.shot("conflicts")
        page.set_viewport_size({"width": 320, "height": 640})
        assert not w.is_wider_than_screen()
        w.shot("conflicts-320")
        page.click("text=我已处理")
        page.wait_for_selector("text=没有冲突")


def test_R064_signing_out_with_a_queue_warns_once(window, house, story):
    with window("desk", allow=NO_LINE) as w:
        (code,) = coupons(w, story, 1)
        at_the_till(w, house)
        page = w.page
        cut(w)
        page.keyboard.type(code)
        result(page, "kept")
        page.route("**/redeem/queued", lambda route: route.abort("internetdisconnected"))
        mend(w)
        page.click("text=退出登录")
        assert "这台设备上还有没核对的扫码" in page.inner_text("#queue-leave")
        w.shot("redeem-leave")
        page.click("text=仍要退出")
        page.wait_for_url("**/login")
        # What waited is checked when somebody of this place signs in again here.
        page.unroute("**/redeem/queued")
        at_the_till(w, house)
        page.wait_for_selector("#queue-done:visible")
        assert "1 条已核销" in page.inner_text("#queue-done")


def test_R064_a_lost_answer_is_no_conflict(window, house, story):
    with window("desk", allow=NO_LINE) as w:
        (code,) = coupons(w, story, 1)
        at_the_till(w, house)
        page = w.page

        def lose(route):
            route.fetch()  # it reaches the gateway
            route.abort("internetdisconnected")  # its answer never comes

        page.route("**/redeem", lose, times=1)
        page.keyboard.type(code)
        result(page, "kept")
        page.wait_for_selector("#queue-done:visible")
        assert page.inner_text("#queue-done").strip() == "1 条已核销"


def test_R071_a_photo_is_sent_by_choosing_it(window, house, story):
    with window("phone", allow=("422",)) as w:
        (code,) = coupons(w, story, 1)
        at_the_till(w, house)
        out = io.BytesIO()
        segno.make(f"https://pay.example.com/v/{code}").save(out, kind="png", scale=6, border=4)
        w.page.set_input_files("#f-photo", {"name": "a.png", "mimeType": "image/png", "buffer": out.getvalue()})
        assert "可用 已核销" in result(w.page, "used_now")
        w.page.set_input_files("#f-photo", {"name": "a.png", "mimeType": "image/png", "buffer": b"none"})
        assert "这张照片打不开" in result(w.page, "bad_photo")


def test_R062_R071_undoing_in_place_and_sounds_that_stay_off(window, house, story):
    with window("tablet") as w:
        (code,) = coupons(w, story, 1)
        at_the_till(w, house)
        page = w.page
        page.click("#sound")
        assert page.inner_text("#sound") == "声音 关"
        page.keyboard.type(code)
        result(page, "used_now")
        page.locator("#recent summary").first.click()
        page.locator("#recent [name=reason]").first.fill("按错了")
        page.locator("#recent button.bad").first.click()
        assert "撤销后券可再次使用" in result(page, "reversed")
        page.reload()
        assert page.inner_text("#sound") == "声音 关"
        assert page.get_attribute("#sound", "aria-pressed") == "false"


def test_R071_R248_without_scripts_it_is_a_form(window, house, story):
    with window("tablet", scripts=False) as w:
        (code,) = coupons(w, story, 1)
        sign_in(w, house)
        page = w.page
        assert not page.locator("#camera").is_visible()
        assert not page.locator("#sound").is_visible()
        page.fill("#f-code", code)
        page.keyboard.press("Enter")
        assert "可用 已核销" in result(page, "used_now")
        w.shot("redeem-no-scripts")
