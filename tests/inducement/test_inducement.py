"""R078: words that pay for sharing are found in any spelling, and words that invite people in are left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inducement import faults, findings, texts_in


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("分享领红包", "分享领"),
        ("转发得优惠券", "转发得"),
        ("转发朋友圈送小菜", "转发朋友圈送"),
        ("发朋友圈截图，到店领小菜", "发朋友圈截图，到店领"),
        ("集赞20个免单", "集赞"),
        ("集满38个赞送茶", "集满38个赞"),
        ("邀请好友得红包", "邀请好友得"),
        ("邀请 3 位好友，各得 5 元", "邀请 3 位好友，各得"),
        ("拉新人返现金", "拉新人返"),
        ("推荐给朋友，你赚 2 元", "推荐给朋友，你赚"),
        ("分享后才能领取", "分享后才能领"),
        ("领取前请先转发", "领取前请先转发"),
        ("解锁需分享到群", "解锁需分享"),
        ("分享增加一次抽奖机会", "分享增加一次抽"),
        ("老带新，两人都有券", "老带新"),
        ("邀请有礼", "邀请有礼"),
        ("好友助力领现金", "好友助力"),
        ("帮我砍一刀", "帮我砍"),
        ("砍价免费拿", "砍价"),
        ("3人助力成功", "3人助力"),
        ("不转不是中国人", "不转不是"),
        ("看到必转", "必转"),
        ("轉發領紅包", "轉發領"),
        ("分 享 · 领 · 红 包", "分 享 · 领"),
        ("分\u200b享领红包", "分\u200b享领"),
        ("【分享】→领券", "分享】→领"),
        ("Share with friends to get a coupon", "Share with friends to get"),
        ("Invite 3 friends and earn ¥5", "Invite 3 friends and earn"),
        ("Collect 20 likes", "Collect 20 likes"),
        ("help me cut the price", "help me cut"),
    ],
)
def test_R078_words_that_pay_for_sharing_are_found_as_they_were_written(text, phrase):
    found = findings({"title": text})
    assert [one.phrase for one in found] == [phrase]
    assert found[0].key == "title"
    assert found[0].neutral
    assert not faults({"title": found[0].neutral}), "the neutral words are neutral"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "双人下午茶",
        "双人分享餐送饮料",
        "分享装坚果 8 折",
        "和朋友一起来，第二杯半价",
        "到店付款后可领",
        "例汤一份",
        "糖水立减5元",
        "满 20 元可用",
        "凭此码到店领取",
        "点餐满 50 元送小菜",
        "老陈面馆 · 青禾书店 · 半日咖啡",
        "请在 7 天内领取。欢迎分享",
        "分享你的喜欢。新客立减 5 元",
        "邀请函制作",
        "每人一次",
        "Come in with a friend",
        "Shared table for four",
        "Get ¥5 off after your payment",
        "recommended by the house",
        "book-5off",
    ],
)
def test_R078_words_that_invite_people_in_are_left_alone(text):
    assert not faults({"title": text})


def test_R078_every_place_is_named_and_every_phrase_told():
    found = faults({"b": "分享领券！转发得奖。", "a.0": "集赞", "c": "小菜"})
    assert [(key, phrase) for key, phrase, _ in found] == [("a.0", "集赞"), ("b", "分享领"), ("b", "转发得")]


def test_R078_texts_of_a_table_are_found_however_deep():
    table = {"title": "x", "steps": ["y", {"words": "z"}], "n": 5, "on": True, "codes": {"分享领券": {"bps": 1}}}
    assert dict(texts_in(table)) == {"title": "x", "steps.0": "y", "steps.1.words": "z"}


@given(st.text(max_size=60))
def test_R078_any_text_is_read_and_a_phrase_is_a_part_of_it(text):
    for one in findings({"title": text}):
        assert one.phrase
        assert one.phrase in text


@given(st.lists(st.sampled_from("分享转发领得红包集赞邀请好友 ·，砍价助力0一"), max_size=400).map("".join))
def test_R078_long_and_hostile_texts_are_read_to_their_end(text):
    assert all(one.phrase in text for one in findings({"title": text}))
