"""Words that pay people for passing something on (诱导分享), found in what a campaign says to customers (R078). Pure.

WeChat closes links, domains and accounts for them. 《微信外部链接内容管理规范》 (as of 2019-10-28) forbids moving
users to share by money, gifts or coupons, by a better chance in a draw, by help of friends (助力、砍价、加速) and by
collecting (集赞、集卡); 《微信小程序平台运营规范》 adds locks that only sharing opens, and words that press people.
Asking to come in together, and telling what a customer gets for his own visit, is not among it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Finding:
    """Words that may not stand there: `key` says where, `phrase` which, `neutral` what may be said instead."""

    key: str
    phrase: str
    neutral: str


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    neutral: str


_REWARD: Final = (
    "(?:领|得|送|返|赚|享|赢|抽|减|免|换|兑|奖|有礼|礼品|礼包|红包|现金|优惠|券|积分|福利|提现|半价|折"
    "|机会|中奖|概率|次数)"
)
_SHARE: Final = "(?:分享(?!餐|装|包|盘|杯|桶|盒|桌|价|套)|转发|转给|(?:发|晒|传)(?:到|至|个|进)?(?:朋友圈|群|好友))"
_NUMBER: Final = "(?:[0-9一二两三四五六七八九十几多]+)"
_PEOPLE: Final = f"(?:{_NUMBER}?(?:个|位|名)?(?:好友|朋友|亲友|亲朋|新人|新客|新用户|群友|家人|同事|人))"
_ASK: Final = "(?:邀请|邀|拉|喊|叫|约|推荐给?|介绍给?)"

_SOON: Final = "[^。！？!?;；\n]{0,12}?"
"""As far as one clause goes."""

_RULES: Final = (
    _Rule(re.compile(f"{_SHARE}{_SOON}{_REWARD}"), "到店付款后可领"),
    _Rule(re.compile(f"(?:领取?|解锁|提现|查看|参加|参与)(?:前|需要?|须|请|要|必须)+先?{_SHARE}"), "打开即可查看"),
    _Rule(re.compile(f"{_SHARE}{_SOON}(?:后|之后)?(?:才能|才可|方可|即可|就能|可以)"), "打开即可查看"),
    _Rule(re.compile(f"{_ASK}{_PEOPLE}{_SOON}{_REWARD}"), "欢迎和朋友一起到店"),
    _Rule(re.compile("(?:分享|邀请|推荐|邀新|拉新)有(?:礼|奖)|老带新"), "新老客人都有礼"),
    _Rule(re.compile(f"(?:集|攒|求|凑)(?:满|够|齐)?{_NUMBER}?(?:个|张)?(?:赞|福|碎片|卡片)"), "到店出示即可领取"),
    _Rule(re.compile(f"点(?:个)?赞{_SOON}(?:领|得|送|返|赢|抽|减|免|红包|券)"), "到店出示即可领取"),
    _Rule(
        re.compile(
            f"(?:好友|朋友|亲友|帮(?:我|忙|他|她|TA|ta)?|为我|给我|{_NUMBER}人)(?:来)?(?:助力|加速)"
            "|(?:助力|加速)(?:领|得|拿|砍|减|免|享|价|红包|提现|好友)"
        ),
        "多人同享价",
    ),
    _Rule(re.compile("砍一刀|砍价|帮(?:我|忙|他|她|TA|ta)?(?:砍|点一下)"), "多人同享价"),
    _Rule(
        re.compile("不转(?:发)?(?:不是|就不是|后悔|会后悔|倒霉)|必转|速转|求转发?|转疯|转发保平安|转起来"),
        "欢迎到店了解",
    ),
    _Rule(
        re.compile(
            r"\b(?:share|forward|repost)\b[^.!?\n]{0,40}?\b(?:to|and|for|&)\b[^.!?\n]{0,15}?"
            r"\b(?:get|win|earn|unlock|receive|claim|redeem|free|rewards?|bonus|discount|coupon|cash|chance)\b",
            re.IGNORECASE,
        ),
        "Yours after a payment in the shop",
    ),
    _Rule(
        re.compile(
            r"\b(?:invite|refer|recommend|bring in|tag)\b[^.!?\n]{0,25}?\b(?:friends?|people|others|contacts?|family)\b"
            r"[^.!?\n]{0,30}?\b(?:get|win|earn|unlock|receive|claim|free|rewards?|bonus|cash|coupon|red packet)\b",
            re.IGNORECASE,
        ),
        "Come in together",
    ),
    _Rule(
        re.compile(r"\b(?:collect|get|gather|gain)\b[^.!?\n]{0,12}?\b(?:likes|thumbs up)\b", re.IGNORECASE),
        "Show this page in the shop",
    ),
    _Rule(
        re.compile(
            r"\bhelp\b[^.!?\n]{0,12}?\b(?:me|him|her|them|a friend)\b[^.!?\n]{0,15}?\b(?:cut|slash|chop|boost)\b",
            re.IGNORECASE,
        ),
        "One price for all of you",
    ),
)

_SIMPLE: Final = str.maketrans(
    "轉發領贊請紅獎獲禮後幫點邀親給積機減現換兌賺贏參與個張滿齊別會",
    "转发领赞请红奖获礼后帮点邀亲给积机减现换兑赚赢参与个张满齐别会",
)
"""The traditional forms of characters that the rules name."""

_FILLERS: Final = frozenset("·•・*＊_-—~～|｜/\\「」『』【】[]()（）<>《》\"'“”‘’,，、:：")
"""What is put between Chinese characters so that words are not found."""


def findings(texts: Mapping[str, str]) -> list[Finding]:
    """Every such phrase in texts by where they stand, as it was written, with neutral words instead; by place."""
    return [found for key, text in sorted(texts.items()) for found in _in_text(key, text)]


def faults(texts: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """The same as plain triples (key, phrase, neutral)."""
    return [(found.key, found.phrase, found.neutral) for found in findings(texts)]


def texts_in(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """(path, text) of every text in a table of an apply file, however deep; names are no texts."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from texts_in(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from texts_in(inner, f"{key}.{place}")


def _in_text(key: str, text: str) -> Iterable[Finding]:
    plain, places = _plain(text)
    spans: list[tuple[int, int, str]] = []
    for rule in _RULES:
        for hit in rule.pattern.finditer(plain):
            begin, end = places[hit.start()], places[hit.end() - 1] + 1
            # What one rule has found, a second one does not tell again.
            if not any(begin < other_end and other_begin < end for other_begin, other_end, _ in spans):
                spans.append((begin, end, rule.neutral))
    return [Finding(key, text[begin:end], neutral) for begin, end, neutral in sorted(spans)]


def _plain(text: str) -> tuple[str, list[int]]:
    """(the text as the rules read it, where each of its characters stood).

    Full-width forms and traditional characters are made plain; what separates Chinese characters goes, what separates
    Latin words stays.
    """
    found = [
        (one, place)
        for place, character in enumerate(text)
        for one in unicodedata.normalize("NFKC", character).translate(_SIMPLE)
        if unicodedata.category(one) not in {"Cf", "Mn", "Cc"} or one == "\n"
    ]
    kept = [
        (one, place)
        for at, (one, place) in enumerate(found)
        if not ((one.isspace() and one != "\n") or one in _FILLERS) or not _between_chinese(found, at)
    ]
    return "".join(one for one, _ in kept), [place for _, place in kept]


def _between_chinese(found: list[tuple[str, int]], at: int) -> bool:
    before = next((one for one, _ in reversed(found[:at]) if not _separates(one)), "")
    after = next((one for one, _ in found[at + 1 :] if not _separates(one)), "")
    return _is_chinese(before) and _is_chinese(after)


def _separates(one: str) -> bool:
    return (one.isspace() and one != "\n") or one in _FILLERS


def _is_chinese(one: str) -> bool:
    return "\u4e00" <= one <= "\u9fff" or one.isdigit()
