"""Which wallet a browser belongs to, by its User-Agent. Pure.

A hint that anyone can forge: it picks the door and proves nothing; who comes through it is what the platform tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway.contract.wallet import Platform


@dataclass(frozen=True, slots=True)
class Kind:
    """`platform`: whose wallet the browser is part of, None for none. `can_pay`: may its pages ask for money."""

    platform: Platform | None = None
    can_pay: bool = False


_PLAIN: Final = Kind()


def kind_of(user_agent: str) -> Kind:
    """The kind of browser that calls itself so; letter case ignored.

    WeCom (`wxwork`) says MicroMessenger too but signs in differently, so it is looked for first. A mini program's
    web-view signs in as its wallet does, yet cannot open the wallet's payment.
    """
    words = user_agent.lower()
    if "wxwork" in words:
        return _PLAIN
    if "micromessenger" in words:
        return Kind("wechat", "miniprogram" not in words)
    if "alipayclient" in words or "aliapp(ap/" in words:
        return Kind("alipay", "miniprogram" not in words)
    return _PLAIN


_BROWSERS: Final = (
    ("micromessenger", "WeChat"),
    ("alipayclient", "Alipay"),
    ("edg/", "Edge"),
    ("firefox/", "Firefox"),
    ("chrome/", "Chrome"),
    ("safari/", "Safari"),
)
_SYSTEMS: Final = (
    ("iphone", "iPhone"),
    ("ipad", "iPad"),
    ("android", "Android"),
    ("windows", "Windows"),
    ("mac os", "Mac"),
    ("linux", "Linux"),
)


def device_of(user_agent: str) -> str:
    """`Chrome · Windows`: what its owner knows a device by, and too little to follow anybody by. "" for neither."""
    words = user_agent.lower()
    found = (next((name for sign, name in signs if sign in words), "") for signs in (_BROWSERS, _SYSTEMS))
    return " · ".join(name for name in found if name)
