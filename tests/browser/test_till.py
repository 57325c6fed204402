"""The till's second screen in a real browser: paired once, told within a second, and never a code that is not sure (R260)."""

import time

import pytest

SHOP = "/till/noodles-1"
CODE = "#screen img"


@pytest.fixture
def gift(story):
    """A guest of his own whose second payment brings a gift; the link's address."""

    def give(fen=2600):
        guest = f"oTill{time.monotonic_ns()}"
        story._pay("noodles-wechat", guest, fen)
        return story._payment(story._pay("noodles-wechat", guest, fen))["links"][0]["url"]

    return give


@pytest.fixture
def clerk(house, window):
    """Signs a clerk of the noodle shop in."""

    def sign_in(w):
        name = f"till{time.monotonic_ns()}"
        once = house.drainage("user", "add", name, "--role", "clerk", "--merchant", "noodles").split()[-1]
        page = w.page
        page.goto("/login")
        page.fill("[name=username]", name)
        page.fill("[name=password]", once)
        page.press("[name=password]", "Enter")
        page.wait_for_selector("[name=new_password]")
        page.fill("[name=password]", once)
        for field in page.query_selector_all("[name^=new_password], [name=again], [name=repeat]"):
            field.fill("a password for the till")
        page.press("[name=new_password]", "Enter")
        page.wait_for_url(lambda url: "/password" not in url)
        page.goto(f"{SHOP}/clerk")
        return page

    return sign_in


def hide(page):
    """Take away what another test may have left on the screen."""
    page.click("text=收起二维码") if page.is_enabled("text=收起二维码") else None


def test_R260_the_code_comes_by_itself_and_goes_when_it_is_opened(window, gift, clerk):
    with window("desk") as w, window("tablet") as screen:
        page = clerk(w)
        hide(page)
        screen.page.goto(SHOP)
        screen.page.wait_for_selector("text=欢迎光临")
        screen.shot("till-idle")
        link = gift(2655)
        screen.page.wait_for_selector("text=谢谢惠顾！¥26.55")
        screen.page.wait_for_selector(CODE)
        assert screen.page.evaluate("document.querySelector('#screen img').naturalWidth") >= 300
        screen.shot("till-code")
        page.wait_for_selector("text=正在显示")
        w.shot("till-clerk")
        assert not w.is_wider_than_screen()
        with window("phone") as phone:
            phone.page.goto(link)
        screen.page.wait_for_selector("text=已在手机上打开")
        assert screen.page.query_selector(CODE) is None
        screen.shot("till-opened")
        hide(page)


def test_R260_without_a_line_the_code_goes_at_once_and_comes_back_with_it(window, gift, clerk):
    with window("desk") as w, window("tablet", allow=("ERR_INTERNET_DISCONNECTED", "ERR_NETWORK")) as screen:
        page = clerk(w)
        hide(page)
        screen.page.goto(SHOP)
        gift(2666)
        screen.page.wait_for_selector(CODE)
        screen.context.set_offline(True)
        screen.page.wait_for_selector("text=暂时无法显示")
        assert screen.page.query_selector(CODE) is None
        assert screen.page.is_visible("text=连接中断，正在重连…")
        screen.shot("till-lost")
        screen.context.set_offline(False)
        screen.page.wait_for_selector(CODE)
        assert screen.page.is_hidden("text=连接中断，正在重连…")
        page.reload()
        hide(page)


def test_R260_two_at_once_show_none_until_the_clerk_picks(window, gift, clerk):
    with window("desk") as w, window("tablet") as screen:
        page = clerk(w)
        hide(page)
        screen.page.goto(SHOP)
        gift(1311)
        screen.page.wait_for_selector("text=¥13.11")
        gift(1322)
        screen.page.wait_for_selector("text=欢迎光临")
        assert screen.page.query_selector(CODE) is None
        page.reload()
        assert page.is_visible("text=10 秒内有两笔有券的付款")
        w.shot("till-choose")
        page.click("tr:has-text('¥13.11'):has-text('有券') >> text=显示")
        screen.page.wait_for_selector("text=¥13.11")
        hide(page)
        screen.page.wait_for_selector("text=欢迎光临")


def test_R260_where_no_stream_is_to_be_had_the_screen_asks_by_itself(window, gift, clerk):
    with window("desk") as w, window("tablet", allow=("503",)) as screen:
        page = clerk(w)
        hide(page)
        screen.context.route("**/stream", lambda route: route.fulfill(status=503, headers={"Retry-After": "2"}))
        screen.page.goto(SHOP)
        gift(1777)
        screen.page.wait_for_selector("text=¥17.77")
        page.reload()
        hide(page)
        screen.page.wait_for_selector("text=欢迎光临")


def test_R260_without_scripts_everything_is_a_form_and_the_page_loads_itself_anew(window, gift, clerk):
    with window("phone", scripts=False) as w:
        page = clerk(w)
        hide(page)
        gift(1888)
        page.goto(f"{SHOP}/clerk")
        assert page.is_visible("text=¥18.88")
        page.click("text=没收到？用店铺码")
        assert page.is_visible("text=屏幕正在显示店铺码")
        w.shot("till-clerk-plain")
        assert not w.is_wider_than_screen()
        page.goto(SHOP)
        assert page.is_visible("text=扫码看你的券")
        page.goto(f"{SHOP}/clerk")
        page.click("text=收起二维码")
        page.click("text=配对一块新屏幕")
        assert page.is_visible("text=10 分钟内有效")
        page.goto(f"{SHOP}/clerk/print/shop")
        w.shot("till-print")
        assert page.is_visible("img")


def test_R260_pairing_by_the_form(window, clerk):
    with window("desk") as w, window("tablet", allow=("422",)) as screen:
        page = clerk(w)
        page.click("text=配对一块新屏幕")
        code = page.inner_text(".pair-code").replace(" ", "")
        w.shot("till-pairing")
        screen.page.goto(f"{SHOP}/pair")
        screen.shot("till-pair")
        wrong = f"{(int(code) + 1) % 1_000_000:06d}"
        screen.page.fill("[name=code]", wrong)
        screen.page.press("[name=code]", "Enter")
        screen.page.wait_for_selector("[role=alert]")
        screen.page.fill("[name=code]", code)
        screen.page.press("[name=code]", "Enter")
        screen.page.wait_for_selector("#screen")
        page.reload()
        assert page.is_visible("text=已配对的屏幕")
