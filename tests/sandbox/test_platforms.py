"""R073: what the sandbox platforms send is accepted by the adapters, told back unchanged, and refused once tampered with."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from importlib.metadata import entry_points

import pytest

from adapters.alipay import adapter as alipay_adapter
from adapters.sandbox import alipay, wechat_v2, wechat_v3
from adapters.sandbox.answers import success
from adapters.sandbox.faults import FAULTS, faulty_payment, tamper
from adapters.sandbox.made import derived
from adapters.wechat_v2 import adapter as wechat_v2_adapter
from adapters.wechat_v3 import adapter as wechat_v3_adapter
from gateway.contract import (
    BadNotification,
    BadSignature,
    Ignored,
    PaymentEvent,
    Platform,
    RefundEvent,
    SandboxOrder,
    SandboxRefund,
)

SENT = datetime(2026, 3, 1, 4, 0, 7, tzinfo=timezone.utc)
PAIRS = {
    "wechat_v3": (wechat_v3.platform, wechat_v3_adapter),
    "wechat_v2": (wechat_v2.platform, wechat_v2_adapter),
    "alipay": (alipay.platform, alipay_adapter),
}
MADE = {slug: platform.new_keys() for slug, (platform, _) in PAIRS.items()}
ORDER = SandboxOrder(
    openid="oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
    amount_fen=1280,
    transaction_id="4200001234202603011234567890",
    out_trade_no="T20260301-1",
    paid_at=SENT - timedelta(seconds=7),
    sent_at=SENT,
    nonce="n-1",
    device_id="till-1",
    attach="桌号 7 & 100%",
)
REFUND = SandboxRefund(
    order=ORDER,
    refund_id="50000001",
    refund_fen=280,
    refunded_total_fen=280,
    refunded_at=SENT + timedelta(days=1),
    sent_at=SENT + timedelta(days=1, seconds=1),
    nonce="n-2",
)

every_slug = pytest.mark.parametrize("slug", sorted(PAIRS))


def parsed(slug, raw, table=None):
    _, adapter = PAIRS[slug]
    return adapter.parse(raw, adapter.load_keys(table or MADE[slug][1]), raw.received_at)


def pay(slug, order=ORDER, **changes):
    private, table = MADE[slug]
    return PAIRS[slug][0].payment(private, {**table, **changes}, order)


def give_back(slug, refund=REFUND, **changes):
    private, table = MADE[slug]
    return PAIRS[slug][0].refund(private, {**table, **changes}, refund)


@every_slug
def test_it_fills_the_protocol_and_is_found_by_its_entry_point(slug):
    platform, adapter = PAIRS[slug]
    assert isinstance(platform, Platform)
    assert platform.slug == adapter.slug == slug
    (entry,) = entry_points(group="drainage.platforms", name=slug)
    assert entry.load() is platform


@every_slug
def test_a_payment_is_told_as_it_was_ordered(slug):
    event = parsed(slug, pay(slug))
    assert isinstance(event, PaymentEvent)
    assert event.transaction_id == ORDER.transaction_id
    assert event.out_trade_no == ORDER.out_trade_no
    assert event.amount_fen == event.payer_total_fen == 1280
    assert event.paid_at == ORDER.paid_at
    assert event.attach == ORDER.attach
    assert [payer.value for payer in event.payers] == [ORDER.openid]
    assert event.device_id == (None if slug == "alipay" else "till-1")
    assert event.currency == "CNY"


@every_slug
def test_a_payment_without_the_optional_parts(slug):
    event = parsed(slug, pay(slug, replace(ORDER, device_id=None, attach=None)))
    assert (event.device_id, event.attach) == (None, None)


@every_slug
def test_r015_a_refund_is_told_as_it_was_made(slug):
    event = parsed(slug, give_back(slug))
    assert isinstance(event, RefundEvent)
    assert (event.transaction_id, event.refund_id, event.refund_fen) == (ORDER.transaction_id, "50000001", 280)
    assert event.out_trade_no == ORDER.out_trade_no
    assert event.refunded_at == REFUND.refunded_at


@every_slug
def test_a_whole_refund_is_a_refund(slug):
    event = parsed(slug, give_back(slug, replace(REFUND, refund_fen=1280, refunded_total_fen=1280)))
    assert (type(event), event.refund_fen) == (RefundEvent, 1280)


@every_slug
def test_payment_and_refund_are_of_one_merchant(slug):
    payment, refund = parsed(slug, pay(slug)), parsed(slug, give_back(slug))
    assert (payment.provider, payment.mch_id, payment.sub_mch_id) == (refund.provider, refund.mch_id, refund.sub_mch_id)


@every_slug
def test_the_same_order_makes_the_same_bytes_and_another_nonce_other_ones(slug):
    assert pay(slug) == pay(slug)
    assert give_back(slug) == give_back(slug)
    other = pay(slug, replace(ORDER, nonce="n-3"))
    assert other.body != pay(slug).body
    assert parsed(slug, other).transaction_id == ORDER.transaction_id


@every_slug
def test_new_keys_are_new(slug):
    platform, adapter = PAIRS[slug]
    private, table = platform.new_keys()
    assert private != MADE[slug][0]
    assert table != MADE[slug][1]
    # Neither side's keys open what the other's made.
    with pytest.raises(BadNotification):
        parsed(slug, pay(slug), table)
    with pytest.raises(BadNotification):
        adapter.parse(platform.payment(private, table, ORDER), adapter.load_keys(MADE[slug][1]), SENT)


@every_slug
def test_private_material_is_plain_strings(slug):
    private, _ = MADE[slug]
    assert private
    assert all(type(name) is str and type(value) is str for name, value in private.items())


@every_slug
@pytest.mark.parametrize("make", [pay, give_back])
def test_the_tables_merchant_is_the_one_told(slug, make):
    """The channel's owner may put his own numbers into the table; they are used, and no others."""
    changed = {"alipay": {"app_id": "2021000000000009", "seller_id": "2088000000000009"}}.get(
        slug, {"mchid": "1900000999", "appid": "wx0000000000000999"}
    )
    raw = make(slug, **changed)
    event = parsed(slug, raw, {**MADE[slug][1], **changed})
    assert event.mch_id == changed.get("mchid", changed.get("seller_id"))
    ignored = parsed(slug, raw)
    assert (type(ignored), ignored.reason) == (Ignored, "foreign_merchant")


@every_slug
def test_each_fault_is_refused_with_its_reason(slug):
    platform, _ = PAIRS[slug]
    private, table = MADE[slug]
    assert FAULTS[slug]
    for how, reason in FAULTS[slug].items():
        raw = faulty_payment(platform, private, table, ORDER, how)
        assert raw.received_at == SENT
        with pytest.raises(BadNotification) as caught:
            parsed(slug, raw)
        assert caught.value.reason == reason, how


@every_slug
def test_a_flipped_refund_is_refused(slug):
    with pytest.raises(BadNotification):
        parsed(slug, tamper(give_back(slug), "flipped_body"))


@every_slug
def test_an_unknown_fault_is_a_mistake(slug):
    platform, _ = PAIRS[slug]
    for how in ("nope", "", *(set(FAULTS["wechat_v3"]) - set(FAULTS[slug]))):
        with pytest.raises(ValueError, match="has no fault"):
            faulty_payment(platform, *MADE[slug], ORDER, how)
    with pytest.raises(ValueError, match="no such fault"):
        tamper(pay(slug), "nope")


@pytest.mark.parametrize("how", ["unknown_serial", "signtest"])
def test_a_fault_of_headers_needs_the_headers(how):
    with pytest.raises(ValueError, match="nothing of the kind"):
        tamper(pay("alipay"), how)


def test_a_body_of_no_platform_cannot_be_flipped():
    with pytest.raises(ValueError, match="nothing to flip"):
        tamper(replace(pay("alipay"), body=b"x"), "flipped_body")


@every_slug
def test_the_sandbox_till_takes_it_in_the_platforms_own_words(slug):
    """The till's success is what the adapter takes for one, and what it answers by itself says the same."""
    _, adapter = PAIRS[slug]
    answer = success(pay(slug).body)
    assert adapter.accepted(answer.status, answer.headers, answer.body)
    assert answer.body == adapter.ack("accepted").body


# WeChat Pay v3.


def test_v3_headers_are_the_documented_ones():
    """R005: timestamp in seconds; the nonce of the header is not that of the resource."""
    raw = pay("wechat_v3")
    assert [name for name, _ in raw.headers] == [
        "Content-Type",
        "Request-ID",
        "Wechatpay-Nonce",
        "Wechatpay-Serial",
        "Wechatpay-Signature",
        "Wechatpay-Signature-Type",
        "Wechatpay-Timestamp",
    ]
    assert raw.header("wechatpay-timestamp") == str(int(SENT.timestamp()))
    assert raw.header("wechatpay-serial").startswith("PUB_KEY_ID_")
    assert raw.header("wechatpay-nonce").encode() not in raw.body
    assert (raw.method, raw.path_tail, raw.received_at) == ("POST", "", SENT)


def test_v3_a_nonce_given_twice_seals_nothing_twice_alike():
    """AES-GCM breaks when one nonce meets two texts: the text decides along."""
    first, second = pay("wechat_v3"), pay("wechat_v3", replace(ORDER, amount_fen=1))
    for field in (b'"nonce":"', b'"id":"'):
        assert first.body.split(field)[1][:12] != second.body.split(field)[1][:12]


def partner(**more):
    _, table = MADE["wechat_v3"]
    kept = {name: table[name] for name in ("apiv3_key", "public_keys")}
    return {**kept, "sp_mchid": "1900000100", "sp_appid": "wxsp00000000000001", **more}


@pytest.mark.parametrize(
    ("more", "sub", "app_ids"),
    [
        ({"sub_mchid": "1900000200"}, "1900000200", ["wxsp00000000000001"]),
        (
            {"sub_mchid": "1900000200", "sub_appid": "wxsub0000000000002"},
            "1900000200",
            ["wxsp00000000000001", "wxsub0000000000002"],
        ),
        ({"sub_mchids": ["1900000300", "1900000200"]}, "1900000200", ["wxsp00000000000001"]),
    ],
)
def test_v3_a_partners_table_makes_a_partners_notification(more, sub, app_ids):
    """R007, R008: one openid under each appid, all of one person."""
    table = partner(**more)
    private, _ = MADE["wechat_v3"]
    event = parsed("wechat_v3", wechat_v3.platform.payment(private, table, ORDER), table)
    assert (event.mch_id, event.sub_mch_id) == ("1900000100", sub)
    assert [(payer.app_id, payer.value) for payer in event.payers] == [(app_id, ORDER.openid) for app_id in app_ids]
    refund = parsed("wechat_v3", wechat_v3.platform.refund(private, table, REFUND), table)
    assert (refund.mch_id, refund.sub_mch_id, refund.refund_fen) == ("1900000100", sub, 280)


def test_v3_the_newest_of_several_apiv3_keys_is_used():
    """R004: the merchant holds both during a rotation; the platform has gone over to the new one."""
    private, table = MADE["wechat_v3"]
    old, new = table["apiv3_key"], "n" * 32
    rest = {name: value for name, value in table.items() if name != "apiv3_key"}
    raw = wechat_v3.platform.payment(private, {**rest, "apiv3_keys": [old, new]}, ORDER)
    assert isinstance(parsed("wechat_v3", raw, {**rest, "apiv3_key": new}), PaymentEvent)
    with pytest.raises(BadNotification, match="undecryptable"):
        parsed("wechat_v3", raw, {**rest, "apiv3_key": old})


# WeChat Pay v2.


@pytest.mark.parametrize("sign_type", ["MD5", "HMAC-SHA256"])
def test_v2_signs_as_the_table_says(sign_type):
    """Regression list no. 17: HMAC-SHA256 as well as MD5."""
    raw = pay("wechat_v2", sign_type=sign_type)
    event = parsed("wechat_v2", raw, {**MADE["wechat_v2"][1], "sign_type": sign_type})
    assert event.transaction_id == ORDER.transaction_id


def test_v2_signs_under_the_tables_key_even_where_it_is_not_the_made_one():
    table = {**MADE["wechat_v2"][1], "api_key": "k" * 32}
    raw = wechat_v2.platform.payment(MADE["wechat_v2"][0], table, ORDER)
    assert isinstance(parsed("wechat_v2", raw, table), PaymentEvent)
    with pytest.raises(BadSignature):
        parsed("wechat_v2", raw)
    bare = {name: value for name, value in table.items() if name != "api_key"}
    assert isinstance(parsed("wechat_v2", wechat_v2.platform.payment(MADE["wechat_v2"][0], bare, ORDER)), PaymentEvent)


def test_v2_a_partners_table_makes_a_partners_notification():
    table = {**MADE["wechat_v2"][1], "sub_mchid": "1900000200", "sub_appid": "wxsub0000000000002"}
    event = parsed("wechat_v2", wechat_v2.platform.payment(MADE["wechat_v2"][0], table, ORDER), table)
    assert (event.mch_id, event.sub_mch_id) == (table["mchid"], "1900000200")
    assert [payer.app_id for payer in event.payers] == [table["appid"], "wxsub0000000000002"]
    refund = parsed("wechat_v2", wechat_v2.platform.refund(MADE["wechat_v2"][0], table, REFUND), table)
    assert refund.sub_mch_id == "1900000200"


@pytest.mark.parametrize("attach", ["]]>", "<a>&amp;", "a]]]]><b", "\t\n"])
def test_v2_any_text_survives_the_xml(attach):
    assert parsed("wechat_v2", pay("wechat_v2", replace(ORDER, attach=attach))).attach == attach


@pytest.mark.parametrize("attach", ["\0", "a\x0b", "\r"])
def test_v2_what_xml_cannot_hold_is_refused_at_once(attach):
    with pytest.raises(ValueError, match="attach"):
        pay("wechat_v2", replace(ORDER, attach=attach))


# Alipay.


@pytest.mark.parametrize(("openid", "kind"), [("2088102169481075", "alipay_user_id"), ("074a1CcTG", "alipay_open_id")])
def test_alipay_tells_an_old_user_id_as_one(openid, kind):
    (payer,) = parsed("alipay", pay("alipay", replace(ORDER, openid=openid))).payers
    assert (payer.id_type, payer.value) == (kind, openid)


@pytest.mark.parametrize("charset", ["gbk", "gb2312", "utf-8"])
def test_alipay_sends_in_any_of_its_charsets(charset):
    platform = alipay.AlipayPlatform(charset)
    raw = platform.payment(*MADE["alipay"], ORDER)
    assert parsed("alipay", raw).attach == ORDER.attach
    assert ("subject=%C9%B3" in raw.body.decode()) is (charset != "utf-8")


def test_alipay_signs_as_the_table_says():
    table = {**MADE["alipay"][1], "sign_type": "RSA"}
    raw = alipay.platform.payment(MADE["alipay"][0], table, ORDER)
    assert isinstance(parsed("alipay", raw, table), PaymentEvent)
    with pytest.raises(BadSignature):
        parsed("alipay", raw)


def test_alipay_tells_the_sellers_address_where_the_table_has_one():
    raw = pay("alipay", seller_email="till@example.com")
    assert b"&seller_email=till%40example.com&" in raw.body
    assert isinstance(parsed("alipay", raw), PaymentEvent)


@pytest.mark.parametrize(("total", "status"), [(280, b"TRADE_SUCCESS"), (1280, b"TRADE_CLOSED")])
def test_alipay_closes_a_trade_that_is_given_back_whole(total, status):
    assert b"&trade_status=" + status in give_back("alipay", replace(REFUND, refunded_total_fen=total)).body


def test_derived_words_keep_their_parts_apart():
    assert derived(12, "a", "bc") != derived(12, "ab", "c")
    assert derived(12, "a") == derived(12, "a")
    assert len(derived(51, "a")) == 51
