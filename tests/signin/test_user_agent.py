"""Which wallet a browser belongs to, by its own words (R052)."""

import pytest

from gateway.web.pages.user_agent import kind_of
from tests.support.wallets import ALIPAY_UA, DESK_UA, WECHAT_UA


@pytest.mark.parametrize(
    ("words", "platform", "can_pay"),
    [
        (WECHAT_UA, "wechat", True),
        (WECHAT_UA.upper(), "wechat", True),
        (WECHAT_UA + " miniProgram/wx1234", "wechat", False),
        ("x MicroMessenger/8.0 miniprogramhtmlwebview", "wechat", False),
        ("Mozilla/5.0 (Windows NT 10.0) MicroMessenger/3.9 WindowsWechat", "wechat", True),
        (WECHAT_UA + " wxwork/4.0.0", None, False),
        ("wxwork/4.0.0 MicroMessenger/7.0.1", None, False),
        (ALIPAY_UA, "alipay", True),
        ("x AliApp(AP/10.2) y", "alipay", True),
        (ALIPAY_UA + " MiniProgram", "alipay", False),
        ("AliApp(TB/10.2)", None, False),
        (DESK_UA, None, False),
        ("", None, False),
        ("Micro Messenger", None, False),
    ],
)
def test_R052_the_order_of_the_marks_decides(words, platform, can_pay):
    kind = kind_of(words)
    assert (kind.platform, kind.can_pay) == (platform, can_pay)
