"""Every error code for whoever writes a program: its HTTP status and what to do, in English and Chinese (R077).

What a code means stands in `messages` where the API itself answers with it, in `campaign_codes` where campaigns do;
the others are the command's and pages'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.web.api.campaign_codes import CAMPAIGN_CODES, OTHER_STATUSES
from gateway.web.api.messages import MESSAGES


@dataclass(frozen=True, slots=True)
class Code:
    """One row of the page of errors; texts are (English, Chinese)."""

    code: str
    statuses: tuple[int, ...]
    meaning: tuple[str, str]
    cure: tuple[str, str]


_NOTHING: Final = ("Nothing to do.", "无需处理。")

_CURES: Final[Mapping[str, tuple[int, str, str]]] = {
    "already_redeemed": (409, "Tell the customer when and where it was used.", "告诉顾客使用的时间和门店。"),
    "ambiguous": (409, "Add `provider` or `circle`.", "加上 provider 或 circle 再请求。"),
    "bad_request": (400, "Send a JSON object in UTF-8.", "请发送 UTF-8 编码的 JSON 对象。"),
    "below_minimum": (409, "A larger bill, or another coupon.", "提高消费金额，或换一张券。"),
    "busy": (503, "Again after Retry-After seconds.", "按 Retry-After 等待后重试。"),
    "expired": (410, "None: its time is over.", "已过期，无法使用。"),
    "forbidden": (403, "Use a token of a role that may.", "换用有权限的令牌。"),
    "idempotency_key_required": (400, "Add the header, new for each request.", "每个新请求加一个新的请求头。"),
    "idempotency_key_reused": (409, "A new key for a new request.", "新的请求用新的键。"),
    "internal": (500, "Repeat once; then tell us the request id.", "重试一次；仍失败请提供 request_id。"),
    "invalid": (422, "Mend what `fields` names.", "按 fields 的提示改正。"),
    "method_not_allowed": (405, "Use a method of the Allow header.", "改用 Allow 响应头里的方法。"),
    "no_such_coupon": (404, "Read the code again.", "请再核对券码。"),
    "no_such_shop": (404, "Use a shop of your own.", "请使用自己的门店。"),
    "not_for_sale": (409, "Choose another item.", "请选择其他商品。"),
    "not_found": (404, "Check the address and the token's scope.", "检查地址和令牌的范围。"),
    "not_paid": (409, "Pay it first, or let it close.", "先支付，或等待订单关闭。"),
    "not_redeemed": (409, *_NOTHING),
    "not_yet_valid": (409, "Wait for `valid_from`.", "等到 valid_from 之后。"),
    "password_change_required": (403, "POST /api/v1/password.", "调用 POST /api/v1/password。"),
    "reauthentication_required": (401, "POST /api/v1/reauthenticate, then repeat.", "先重新输入密码，再重复请求。"),
    "refused": (422, "Look at `reason`; copy every header and byte.", "查看 reason；请原样抄送请求头和正文。"),
    "reserved": (409, "Later, when the gift or scan is settled.", "等转赠或离线核销结束后再试。"),
    "sold_out": (409, "Fewer, or another item.", "减少数量，或换其他商品。"),
    "too_large": (413, "Send less in one call.", "减少一次发送的内容。"),
    "too_late": (409, "None: the time is over.", "已超时，无法补做。"),
    "too_many": (429, "Again after Retry-After seconds.", "按 Retry-After 等待后重试。"),
    "unauthorized": (401, "Sign in, or use a live token.", "重新登录，或使用有效的令牌。"),
    "unavailable": (503, "Again after Retry-After seconds.", "按 Retry-After 等待后重试。"),
    "unsupported_media_type": (415, "Content-Type: application/json.", "Content-Type 用 application/json。"),
    "used": (409, "A smaller quantity.", "减少退回数量。"),
    "void": (409, "None: the payment was refunded.", "付款已退款，无法使用。"),
    "weak_password": (422, "Choose a longer one.", "换一个更长的密码。"),
    "wording": (409, "Use the neutral words that `phrases` offers.", "改用 phrases 里的中性说法。"),
    "wrong_merchant": (403, "Send the customer to that merchant.", "请顾客到对应商户使用。"),
}

_OTHERS: Final[Mapping[str, tuple[int, tuple[str, str], tuple[str, str]]]] = {
    "above_most": (
        409,
        ("More than the platform sends at a time.", "超过平台单笔上限。"),
        ("Take out less: `most_fen`.", "减少金额，见 most_fen。"),
    ),
    "bad_transition": (
        409,
        ("It cannot go from its state to that one.", "当前状态不能这样变更。"),
        ("Look at `state`.", "查看 state。"),
    ),
    "below_least": (
        409,
        ("Less than the platform sends.", "低于平台最低金额。"),
        ("Wait until there is more: `least_fen`.", "攒够 least_fen 再提取。"),
    ),
    "cannot_write": (
        409,
        ("The file cannot be made.", "无法写入文件。"),
        ("Choose another path.", "换一个路径。"),
    ),
    "insufficient": (
        409,
        ("The account holds less.", "余额不足。"),
        ("Take out less: `balance_fen`.", "减少金额，见 balance_fen。"),
    ),
    "no_way": (
        409,
        ("There is no wallet or bank account to pay into.", "没有可以付款到的钱包或银行账户。"),
        (
            "Let the payee pay once with his wallet, or the merchant's wallet send money.",
            "请收款人先用钱包付款一次，或为商户开通转账。",
        ),
    ),
    "not_waiting": (
        409,
        ("The payout does not wait for approval.", "这笔付款不在等复核。"),
        ("Look at its state.", "查看它的状态。"),
    ),
    "nothing_waits": (
        409,
        ("No payout waits for the bank.", "没有等待银行的付款。"),
        _NOTHING,
    ),
    "payout_in_flight": (
        409,
        ("Another payout of this account is under way.", "这个账户有一笔付款在处理中。"),
        ("Wait for the end of `payout`.", "等 payout 结束后再试。"),
    ),
    "same_person": (
        409,
        ("Whoever began it cannot approve it.", "发起的人不能自己复核。"),
        ("Ask somebody else.", "请换一个人复核。"),
    ),
    "already_undone": (409, ("The merge was undone before.", "这次合并已撤销过。"), _NOTHING),
    "bad_days": (
        422,
        ("A token's life is out of range.", "令牌有效期超出范围。"),
        ("1 to 3650 days.", "1 到 3650 天。"),
    ),
    "bad_name": (
        422,
        ("A name does not hold.", "名称不合规则。"),
        ("1 to 64 characters on one line.", "1 到 64 个字符的一行。"),
    ),
    "bad_path": (
        400,
        ("A notification's path cannot be passed on.", "通知的路径无法转发。"),
        ("Give the platform the address as shown.", "按页面给出的通知地址填写。"),
    ),
    "bad_photo": (
        422,
        ("The file is no picture that can be read.", "不是能识别的图片。"),
        ("JPEG, PNG or WebP, up to 25 megapixels.", "JPEG、PNG 或 WebP，不超过 2500 万像素。"),
    ),
    "bad_scope": (
        422,
        ("Role and scope do not fit, or do not exist.", "角色与范围不符或不存在。"),
        ("A clerk needs a merchant, an operator at most a circle.", "店员须有商户，运营最多有商圈。"),
    ),
    "exists": (
        409,
        ("The folder is there already.", "目录已存在。"),
        ("Choose another folder.", "换一个目录。"),
    ),
    "merged_since": (
        409,
        ("The person was merged again later.", "之后又合并过。"),
        ("Undo the later merge first.", "先撤销更晚的合并。"),
    ),
    "moved_on": (
        409,
        ("It was changed by someone else meanwhile.", "内容已被他人修改。"),
        ("Look at it again, then repeat.", "重新查看后再改。"),
    ),
    "no_platform": (
        409,
        ("No sandbox platform signs for the channel.", "没有可为该渠道签名的沙盒平台。"),
        ("Apply its file again.", "重新应用配置文件。"),
    ),
    "no_pytest": (
        409,
        ("The conformance kit's libraries are not installed.", "未安装测试套件所需的库。"),
        ("pip install pytest hypothesis", "pip install pytest hypothesis"),
    ),
    "no_samples": (
        409,
        ("There is nothing to try the adapter by.", "没有可用来测试适配器的样例。"),
        ("Ship a class of samples with it.", "随适配器提供样例类。"),
    ),
    "no_till": (
        409,
        ("The merchant cannot be paid with this wallet.", "该商户不支持用这个钱包支付。"),
        ("Use another wallet.", "换一个钱包。"),
    ),
    "no_wallet": (
        503,
        ("The circle's wallet cannot be signed in with.", "暂时无法用钱包登录。"),
        ("Look for `wallet_closed` in the log.", "在日志中查 wallet_closed。"),
    ),
    "not_answered": (
        502,
        ("Not every simulated notification got a 2xx.", "模拟通知没有全部收到 2xx。"),
        ("Look at the answers listed.", "查看列出的应答。"),
    ),
    "not_conforming": (
        409,
        ("The adapter does not hold.", "适配器未通过测试。"),
        ("Read the failed tests' words.", "查看失败的测试。"),
    ),
    "not_delivered": (
        502,
        ("The till did not take a notification.", "收银系统没有收下通知。"),
        ("Mend the till, replay again.", "修复收银系统后重放。"),
    ),
    "not_mergeable": (
        409,
        ("A person is unknown, merged already, or the same.", "客人不存在、已合并或是同一位。"),
        ("Look both up again.", "重新查找两位客人。"),
    ),
    "not_transferable": (
        409,
        ("The coupon cannot be handed on.", "此券不可转赠。"),
        _NOTHING,
    ),
    "nothing_to_repeat": (
        409,
        ("Nothing was paid in the sandbox yet.", "沙盒里还没有付款。"),
        ("Pay first.", "请先付款。"),
    ),
    "own_gift": (
        409,
        ("A gift link was opened by whoever made it.", "打开了自己生成的转赠链接。"),
        ("A friend takes it.", "请朋友来领取。"),
    ),
    "paused": (
        409,
        ("Every item left on the link is paused.", "链接里的物品都已暂停发放。"),
        ("Later.", "稍后再试。"),
    ),
    "refunded": (
        410,
        ("The link was withdrawn with its payment.", "付款已退回，链接随之撤销。"),
        _NOTHING,
    ),
    "too_many_scans": (
        422,
        ("Over 20 kept scans in one call.", "一次提交超过 20 条离线核销。"),
        ("Several calls.", "分几次提交。"),
    ),
    "user_exists": (
        409,
        ("The user name is taken.", "用户名已被使用。"),
        ("Choose another name.", "换一个用户名。"),
    ),
}


def codes() -> list[Code]:
    """Every code, by name."""
    told = [Code(code, _statuses(code, status), MESSAGES[code], (en, zh)) for code, (status, en, zh) in _CURES.items()]
    others = {**_OTHERS, **CAMPAIGN_CODES}
    told += [Code(code, _statuses(code, status), *words) for code, (status, *words) in others.items()]
    return sorted(told, key=lambda one: one.code)


def message(code: str, *, chinese: bool, otherwise: str = "") -> str:
    """The words for a code; `otherwise`, or the code itself, where there are none."""
    english, zh = _MEANINGS.get(code, (otherwise or code, otherwise or code))
    return zh if chinese else english


def _statuses(code: str, status: int) -> tuple[int, ...]:
    return tuple(sorted({status, OTHER_STATUSES.get(code, status)}))


_MEANINGS: Final[Mapping[str, tuple[str, str]]] = {one.code: one.meaning for one in codes()} | dict(MESSAGES)
