"""The codes that campaigns refuse with, whichever kind it is: statuses, what each means, what to do (R077).

A module of somebody else's may say others; its own text stands in the message then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

Words = tuple[str, str]
"""(English, Chinese)."""

_NOTHING: Final[Words] = ("Nothing to do.", "无需处理。")

CAMPAIGN_CODES: Final[Mapping[str, tuple[int, Words, Words]]] = {
    "account_locked": (
        409,
        ("The bank account was changed less than a day ago; `until` tells when payouts go on.", "收款账户刚修改过。"),
        ("Again after `until`.", "到 until 之后再试。"),
    ),
    "agreed": (409, ("The invitation was agreed to already.", "这个邀请已经同意过了。"), _NOTHING),
    "all_held": (
        409,
        ("What is left is held by others who are paying.", "剩下的都有人正在付款。"),
        ("Again in a few minutes.", "几分钟后再试。"),
    ),
    "already_applied": (
        409,
        ("This person has applied before.", "这位客人已经申请过。"),
        ("Look at his record.", "查看已有的记录。"),
    ),
    "already_bound": (
        409,
        ("It was bound before, and stays so.", "之前已经绑定过，不会改变。"),
        _NOTHING,
    ),
    "already_used": (409, ("The order was used already.", "这个订单已经使用过。"), _NOTHING),
    "bad_state": (
        409,
        ("Its state does not allow this.", "当前状态不能这样做。"),
        ("Look at `state`.", "查看 state。"),
    ),
    "below_sold": (
        409,
        ("More is sold or held than this would leave; `sold` and `held` tell how much.", "低于已售和已占用的数量。"),
        ("A larger total.", "换一个更大的总量。"),
    ),
    "budget": (
        409,
        ("The campaign's budget does not hold one more.", "活动预算已用完。"),
        ("Raise the budget, or let it rest.", "增加预算，或让活动停下。"),
    ),
    "closed": (
        409,
        ("The order is over; `state` tells how.", "订单已结束。"),
        ("A new order.", "重新下单。"),
    ),
    "code_used_up": (
        409,
        ("The quota code has admitted all that it may.", "这个名额码已用完。"),
        ("Ask the operator for another code.", "请向运营要一个新的码。"),
    ),
    "code_void": (
        409,
        ("The quota code was withdrawn.", "这个名额码已作废。"),
        ("Ask the operator for another code.", "请向运营要一个新的码。"),
    ),
    "conditions_not_met": (
        409,
        ("Not enough have helped yet; `helps` of `helpers`.", "助力人数还不够。"),
        ("Wait for more helpers.", "等更多人助力。"),
    ),
    "declined": (409, ("The invitation was declined.", "这个邀请已经拒绝。"), ("A new invitation.", "重新邀请。")),
    "existing_customer": (
        409,
        ("The circle knows this person already; the campaign is for new customers.", "这位是老顾客，活动只限新客。"),
        _NOTHING,
    ),
    "handler_failed": (
        422,
        ("A handler of the model refused the record; `handler` and `detail` tell which and why.", "数据处理失败。"),
        ("Mend the record or the model's chain, then push it again.", "改正数据或处理链后再推送。"),
    ),
    "limit": (
        409,
        ("A limit of the campaign is reached; the facts beside it tell which.", "已达到活动上限。"),
        ("Less, or later.", "减少数量，或稍后再试。"),
    ),
    "no_bank_account": (
        409,
        ("There is no bank account to pay into.", "还没有收款账户。"),
        ("Give one first.", "请先填写收款账户。"),
    ),
    "no_grant": (
        403,
        ("The caller's name stands in no grant of this model.", "没有这个数据模型的权限。"),
        ("Add the token's name to `grants`.", "把令牌名称加入 grants。"),
    ),
    "no_room": (
        503,
        ("There is no room for a file of this size now.", "暂时没有足够的存储空间。"),
        ("Later; an operator frees space.", "请稍后再试。"),
    ),
    "no_such_code": (404, ("There is no such code.", "没有这个码。"), ("Read it again.", "请再核对一遍。")),
    "not_a_video": (
        422,
        ("The file is no video that can be read.", "不是能识别的视频。"),
        ("Choose another file.", "换一个文件。"),
    ),
    "not_approved": (
        409,
        ("The person is not approved; `state` tells how he stands.", "还没有通过审核。"),
        ("Approve him first.", "请先审核通过。"),
    ),
    "not_in_group": (
        409,
        ("The campaign is not for this person.", "这位客人不在活动范围内。"),
        _NOTHING,
    ),
    "not_invited": (
        403,
        ("The invitation is for somebody else.", "这个邀请是发给别人的。"),
        ("Whoever was invited opens it.", "请由被邀请的人打开。"),
    ),
    "not_live": (
        409,
        ("The campaign is not live now.", "活动不在进行中。"),
        ("Look at its state: GET /api/v1/campaigns/<id>.", "查看活动状态。"),
    ),
    "not_open": (
        409,
        ("The sale has not begun (`reason` early) or is over (`over`).", "还没开始或已经结束，详见 reason。"),
        ("Look at `starts_at` and `ends_at`.", "查看 starts_at 和 ends_at。"),
    ),
    "not_paused": (409, ("The campaign must be paused for this.", "需要先暂停活动。"), ("Pause it.", "先暂停活动。")),
    "not_used": (
        409,
        ("The order was not used yet.", "订单还没有使用。"),
        ("After the visit.", "到店使用后再来。"),
    ),
    "offset": (
        409,
        ("The piece does not begin where the upload stands; `offset` tells where.", "上传位置不对。"),
        ("Go on from `offset`.", "从 offset 继续上传。"),
    ),
    "original_gone": (409, ("The original file is gone.", "原始文件已不在。"), ("A new upload.", "重新上传。")),
    "revoked": (409, ("The invitation was taken back.", "这个邀请已经收回。"), ("A new invitation.", "重新邀请。")),
    "self_help": (
        409,
        ("Nobody helps in his own session.", "不能给自己助力。"),
        ("A friend helps.", "请朋友来助力。"),
    ),
    "self_referral": (
        409,
        ("Nobody refers himself.", "不能推荐自己。"),
        ("A friend opens it.", "请朋友来打开。"),
    ),
    "session_over": (
        409,
        ("The session is over; `state` tells how.", "这次活动已经结束。"),
        ("A new session.", "重新发起。"),
    ),
    "slot_begun": (
        410,
        ("The time `slot` has begun.", "这个时段已经开始。"),
        ("A later time.", "换一个更晚的时段。"),
    ),
    "slot_full": (409, ("The time `slot` is full.", "这个时段已约满。"), ("Another time.", "换一个时段。")),
    "stock_unavailable": (
        503,
        ("The stock cannot be asked just now.", "暂时查不到库存。"),
        ("Again in a moment.", "请稍后再试。"),
    ),
    "underfunded": (
        409,
        ("Less is left than the campaign must set aside before it goes live: `needed_fen`.", "预算不足以预留。"),
        ("A larger budget, or a smaller campaign.", "增加预算，或缩小活动。"),
    ),
    "video_exists": (
        409,
        ("The order has a video already; `video` names it.", "这个订单已经有视频。"),
        ("Go on with that one, or withdraw it.", "继续上传原来的，或先撤下。"),
    ),
    "wechat_id_taken": (
        409,
        ("Somebody has applied with this WeChat ID.", "这个微信号已被使用。"),
        ("Check the WeChat ID.", "请核对微信号。"),
    ),
}

OTHER_STATUSES: Final[Mapping[str, int]] = {"expired": 409, "too_late": 410}
"""Codes of the core that campaigns answer with another status: an invitation that ran out, a deadline that passed."""
