"""The documentation's own words: its objects, its headings, and each call in Chinese (the code says it in English)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

OBJECTS: Final[Mapping[str, tuple[str, str]]] = {
    "access": ("Signing in", "登录"),
    "payments": ("Payments", "付款"),
    "persons": ("Persons", "客人"),
    "shares": ("Invitations", "邀请"),
    "coupons": ("Coupons", "券"),
    "orders": ("Orders", "订单"),
    "campaigns": ("Campaigns", "活动"),
    "notifications": ("Copied notifications", "抄送通知"),
    "summary": ("Counts", "统计"),
}
"""Tag of the document → (English, Chinese), in the order of the pages."""

CALLS: Final[Mapping[str, str]] = {
    "campaign_show": "一个活动的状态、版本、预算和统计。",
    "campaign_state": "把活动转到另一个状态；上线前先预留承诺的金额。",
    "coupon": "一张券的当前状态。别家的券: 403 wrong_merchant，并说明可在哪里使用。",
    "coupon_redeem": "核销一张券，只生效一次。相同的 Idempotency-Key 得到相同的结果。",
    "coupon_reverse": "24 小时内撤销一次核销，券可再次使用。",
    "login": "用户名和密码换取两小时有效的令牌。",
    "logout": "结束本次请求所用的令牌，各处立即失效。",
    "notification": "提交收银系统收到的通知：全部请求头和正文的原始字节。",
    "order_new": "替顾客下单购买本商圈商户的商品，库存随即预留。",
    "order_pay": "沙盒：支付一个订单。",
    "order_refund": "退回未用的数量：券作废，款项原路退回。",
    "password": "修改密码，包括一次性密码。该用户此前的令牌全部失效。",
    "payment_list": "范围内的付款，最新在前，每页 50 条。",
    "payment": "一笔付款的标识、链接和每条决定的原因。",
    "person": "一位客人在你的各商圈的状态、链接和券。",
    "reauthenticate": "为本次令牌再输一次密码；五分钟内不限金额。",
    "refresh": "用当前令牌换一个新的，旧令牌随即失效。",
    "scans": "合并收银端离线时的核销：每个 nonce 只结算一次，不会重复使用。",
    "scan_conflicts": "没有通过、还没有店长看过的离线核销。",
    "scan_acknowledge": "把一条冲突从列表移走：已看过。",
    "share": "以一位客人的名义生成邀请；接受者的标识来源是他。",
    "counts": "全部或你的商圈的统计数字。",
}

WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "title": ("API documentation", "接口说明"),
    "all": ("Everything on one page", "全部在一页"),
    "errors": ("Error codes", "错误码"),
    "calls": ("Calls", "调用"),
    "models": ("Fields", "字段"),
    "role": ("Open to", "可调用"),
    "answers": ("Answers", "应答"),
    "copy": ("Copy", "复制"),
    "copied": ("Copied", "已复制"),
    "field": ("field", "字段"),
    "type": ("type", "类型"),
    "always": ("always there", "必有"),
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "code": ("code", "错误码"),
    "status": ("HTTP status", "HTTP 状态"),
    "meaning": ("meaning", "含义"),
    "cure": ("what to do", "处理办法"),
    "sandbox": ("Try it in the sandbox: no real money", "在沙盒里试：没有真钱"),
    "shell": (
        "Set BASE to this gateway's address and TOKEN to your token first.",
        "先把 BASE 设为本网关的地址，把 TOKEN 设为你的令牌。",
    ),
    "stable": (
        "Codes are promises and stay; messages may change. Every refusal holds code, message and request_id.",
        "错误码是承诺，不会改变；文字可能改变。每个拒绝都有 code、message 和 request_id。",
    ),
    "call": ("call", "调用"),
    "person": ("names a person", "指明客人"),
    "needed": ("yes", "必须"),
    "optional": ("may", "可选"),
    "key": ("Idempotency-Key", "Idempotency-Key"),
    "sandbox_only": ("sandbox only", "仅沙盒"),
    "kinds": ("Calls of each kind of campaign", "各类活动的调用"),
    "kinds_how": (
        (
            "Below /api/v1/campaigns/<id>, where <id> is the campaign's name. A person is named by person, in the "
            "sandbox also by openid and channel; what a call takes and answers stands in the README of its kind."
        ),
        (
            "在 /api/v1/campaigns/<id> 之下，<id> 是活动的名称。客人用 person 指明，沙盒里也可用 openid 加 channel；"
            "参数和应答见各类活动的 README。"
        ),
    ),
    "no_kinds": ("No kind of campaign is installed.", "没有安装任何活动模块。"),
    "bytes": ("bytes", "字节流"),
    "skip": ("Skip to the text", "跳到正文"),
}
"""(English, Chinese)."""
