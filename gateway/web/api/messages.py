"""Every code that the API may answer with, in words for people (R077). Codes are promises; words may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MESSAGES: Final[Mapping[str, tuple[str, str]]] = {
    "already_redeemed": ("The coupon has been used already; `redeemed` tells when and where.", "此券已核销。"),
    "ambiguous": (
        "More than one fits; say which: ?provider= for a payment, `circle` for a share.",
        "存在多个匹配项, 请指定 provider 或 circle。",
    ),
    "bad_request": ("The request cannot be read.", "请求无法解析。"),
    "below_minimum": ("The bill is below the coupon's minimum spend.", "未达到最低消费金额。"),
    "busy": ("Too many sign-ins at once; try again in a moment.", "登录请求过多, 请稍后再试。"),
    "expired": ("It is past its last day.", "已过期。"),
    "forbidden": ("Your role does not allow this.", "当前角色无此权限。"),
    "idempotency_key_required": (
        "Send an Idempotency-Key header of 1 to 200 visible characters, a new one for each request.",
        "缺少 Idempotency-Key 请求头。",
    ),
    "idempotency_key_reused": (
        "This Idempotency-Key was used for another request.",
        "该 Idempotency-Key 已用于其他请求。",
    ),
    "internal": ("Something went wrong on our side; the request id finds it in the log.", "系统内部错误。"),
    "invalid": ("Some fields do not hold; `fields` tells which and why.", "字段有误, 详见 fields。"),
    "method_not_allowed": ("This address does not take this method.", "不支持该请求方法。"),
    "no_such_coupon": ("There is no coupon with this code.", "没有这张券。"),
    "no_such_shop": ("There is no such shop, or it is not yours.", "没有这家门店。"),
    "not_found": ("There is no such thing, or it is not yours to see.", "不存在或无权查看。"),
    "not_for_sale": ("This item cannot be bought.", "该商品不可购买。"),
    "not_paid": ("The order has not been paid.", "订单未支付。"),
    "not_redeemed": ("The coupon is not in use, so there is nothing to take back.", "此券尚未核销。"),
    "not_yet_valid": ("The coupon's first day is still to come.", "此券尚未生效。"),
    "password_change_required": (
        "Replace the one-time password first: POST /api/v1/password.",
        "请先修改一次性密码。",
    ),
    "reauthentication_required": (
        "Above `limit_fen` a password given within five minutes is wanted: POST /api/v1/reauthenticate, then again.",
        "超过 limit_fen 需在五分钟内重新输入密码: POST /api/v1/reauthenticate。",
    ),
    "refused": ("The notification was refused; `reason` tells why. Nothing was tagged.", "通知未通过校验。"),
    "reserved": ("The coupon is held by a gift or an offline scan that is not settled.", "此券已被预留。"),
    "sold_out": ("Not enough are left.", "库存不足。"),
    "too_large": ("The body is too large.", "请求体过大。"),
    "too_late": ("The time for this is over.", "已超过时限。"),
    "too_many": ("Too many tries; wait as long as Retry-After says.", "尝试次数过多, 请稍后再试。"),
    "unauthorized": ("Sign in with a good token, or with a name and its password.", "未登录或凭证无效。"),
    "unavailable": ("The store does not answer; try again.", "服务暂不可用, 请稍后再试。"),
    "unsupported_media_type": ("Send JSON, and say so: Content-Type: application/json.", "请使用 application/json。"),
    "used": ("Fewer unused units are left than asked for.", "可退数量不足。"),
    "void": ("The coupon was withdrawn, for its payment was refunded.", "此券已作废。"),
    "weak_password": (
        "A password has at least 12 characters and is not the old one.",
        "密码至少 12 位且不能与旧密码相同。",
    ),
    "wording": (
        "The campaign's words pay for sharing, which WeChat forbids; `phrases` tells which, with neutral ones.",
        "活动文字含诱导分享的说法, 详见 phrases。",
    ),
    "wrong_merchant": ("The coupon is good at another merchant, `merchant`.", "此券不在本店使用。"),
}
"""Code → (English, Chinese)."""
