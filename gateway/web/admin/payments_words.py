"""What the console calls a payment's place, wallet and state."""

from __future__ import annotations

from flask_babel import gettext as _
from flask_babel import pgettext

from gateway.catalog.directory import Directory
from gateway.contract.store import Row


def place_name(directory: Directory, row: Row) -> str:
    """Merchant and shop of a payment, by their names."""
    merchant = directory.merchant(row["merchant"])
    shop = directory.shop(row["shop"]) if row["shop"] else None
    name = merchant.name if merchant is not None else row["merchant"]
    return f"{name} · {shop.name}" if shop is not None and shop.name != name else name


def wallet_name(provider: str) -> str:
    """What people call a platform."""
    return str({"wechat": _("微信"), "alipay": _("支付宝")}.get(provider, provider))


def state_words(state: str) -> str:
    """The word of a payment's row."""
    words = {
        "gift": _("已发券"),
        "first": _("首次到店"),
        "below": _("低于门槛"),
        "nothing": _("无可发物品"),
        "opted_out": pgettext("payer", "已退出"),
        "duplicate": _("重复通知"),
        "untaggable": _("没有付款人标识"),
        "limit": _("已达领取上限"),
        "budget": _("预算已用完"),
        "refunded": pgettext("payment", "已退款"),
    }
    return str(words.get(state, _("已记录")))
