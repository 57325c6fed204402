"""What a genuine Alipay notification tells, case by case, and what is answered (R002 R006 R007 R009 R015 R017)."""

from datetime import datetime, timezone

import pytest
from alipay_sender import FIELDS, RECEIVED, parse, raw, send, table, with_body

from adapters.alipay import adapter
from gateway.contract import (
    BadNotification,
    BadSignature,
    Ignored,
    Malformed,
    Payer,
    PaymentEvent,
    RefundEvent,
)

APP = FIELDS["app_id"]
TRADE = FIELDS["trade_no"]
REFUND = {"gmt_refund": "2026-03-02 09:00:00", "refund_fee": "2.80", "out_biz_no": "back-1"}


# What it tells.


def test_r006_paid_is_success_or_finished():
    first, second = (parse(send(trade_status=status)) for status in ("TRADE_SUCCESS", "TRADE_FINISHED"))
    assert isinstance(first, PaymentEvent)
    assert first == second


@pytest.mark.parametrize("status", ["WAIT_BUYER_PAY", "TRADE_CLOSED", "TRADE_PENDING", "trade_success", "未知"])
def test_r006_any_other_status_is_unpaid(status):
    notification = send(trade_status=status)
    if status == "未知":
        with pytest.raises(Malformed):
            parse(notification)
    else:
        assert parse(notification) == Ignored(status, "unpaid", FIELDS["notify_id"])


def test_the_same_trade_under_another_notify_id_is_the_same_payment():
    """R009: the id of the message differs, everything that makes the payment unique does not."""
    first, second = parse(send()), parse(send(notify_id="another"))
    assert (first.event_id, second.event_id) == (FIELDS["notify_id"], "another")
    assert (first.provider, first.mch_id, first.transaction_id) == (
        second.provider,
        second.mch_id,
        second.transaction_id,
    )


def test_r017_another_app_or_seller_is_foreign():
    for changes in (
        {"app_id": "2021000000000009"},
        {"app_id": ""},
        {"app_id": None},
        {"seller_id": "2088000000000000"},
        {"seller_id": None},
        {"seller_id": "", "seller_email": "other@example.com"},
        {"seller_id": None, "seller_email": None},
    ):
        event = parse(send(**changes))
        assert (event.event_type, event.reason) == ("TRADE_SUCCESS", "foreign_merchant"), changes


def test_r017_a_known_address_stands_in_for_an_absent_seller_id():
    """One trade keeps one key: the seller is told by his configured id either way."""
    keys = adapter.load_keys(table(seller_email=FIELDS["seller_email"]))
    assert parse(send(seller_id=None), keys) == parse(send(), keys)
    assert parse(send(seller_id=None, seller_email="other@example.com"), keys).reason == "foreign_merchant"
    # An id that is there counts, whatever the address says.
    assert parse(send(seller_id="2088000000000000"), keys).reason == "foreign_merchant"
    assert parse(send(seller_email="other@example.com"), keys).mch_id == FIELDS["seller_id"]


def test_r017_a_foreign_refund_is_foreign_too():
    assert parse(send(seller_id="2088000000000000", **REFUND)).reason == "foreign_merchant"


def test_r002_the_least_notification_is_a_payment():
    """Regression list no. 13: no optional field is presumed."""
    least = (
        "app_id charset notify_id notify_time notify_type out_trade_no seller_id total_amount trade_no trade_status version"
    ).split()
    event = parse(send({name: FIELDS[name] for name in least}))
    assert event == PaymentEvent(
        provider="alipay",
        mch_id=FIELDS["seller_id"],
        sub_mch_id=None,
        transaction_id=TRADE,
        out_trade_no="till-7/42",
        payers=(),
        amount_fen=1280,
        payer_total_fen=None,
        currency="CNY",
        paid_at=datetime(2026, 3, 1, 4, 0, 5, tzinfo=timezone.utc),
        trade_type=None,
        device_id=None,
        store_id=None,
        attach=None,
        event_id=FIELDS["notify_id"],
    )


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, ["alipay_open_id", "alipay_user_id"]),
        ({"buyer_id": None}, ["alipay_open_id"]),
        ({"buyer_open_id": None}, ["alipay_user_id"]),
        ({"buyer_open_id": ""}, ["alipay_user_id"]),
        ({"buyer_open_id": None, "buyer_id": ""}, []),
    ],
)
def test_r007_every_payer_id_is_told_and_none_makes_him_untaggable(changes, kinds):
    """Regression list no. 1: OpenID-mode apps give no `buyer_id`."""
    event = parse(send(buyer_logon_id="abc***@example.com", **changes))
    assert [payer.id_type for payer in event.payers] == kinds
    assert all(payer.app_id == APP and isinstance(payer, Payer) for payer in event.payers)


@pytest.mark.parametrize(
    ("text", "fen"), [("0.10", 10), ("12", 1200), ("0", 0), ("0.01", 1), ("12.5", 1250), ("9999999999.99", 10**12 - 1)]
)
def test_r002_amounts_in_yuan(text, fen):
    assert parse(send(total_amount=text)).amount_fen == fen


@pytest.mark.parametrize(
    "text",
    [
        "1e2",
        "-1.00",
        "0.001",
        "",
        " 1",
        "1 ",
        "+1",
        "1,00",
        "1.",
        ".1",
        "01",
        "NaN",
        "１",
        "10000000000",
        None,
        "¥1",
        "1\n",
    ],
)
def test_r002_what_is_no_amount_is_malformed(text):
    with pytest.raises(Malformed, match="total_amount"):
        parse(send(total_amount=text))


@pytest.mark.parametrize("text", ["1e2", "-1.00", "0.001", "x"])
def test_a_payer_total_is_an_amount_or_absent(text):
    with pytest.raises(Malformed, match="buyer_pay_amount"):
        parse(send(buyer_pay_amount=text))
    assert parse(send(buyer_pay_amount=None)).payer_total_fen is None
    assert parse(send(buyer_pay_amount="0.00")).payer_total_fen == 0


@pytest.mark.parametrize("name", ["trade_no"])
@pytest.mark.parametrize("value", [None, "", "号", "a\tb", "x" * 257])
def test_r002_no_transaction_number_is_malformed(name, value):
    with pytest.raises(Malformed, match=name):
        parse(send(**{name: value}))


@pytest.mark.parametrize("name", ["buyer_open_id", "buyer_id", "notify_id"])
@pytest.mark.parametrize("value", ["号", "a\x7fb", "a\nb", "x" * 257])
def test_an_id_is_one_plain_word(name, value):
    with pytest.raises(Malformed, match=name):
        parse(send(**{name: value}))


def test_an_order_number_may_be_of_any_script():
    assert parse(send(out_trade_no="单号 7", charset="gbk")).out_trade_no == "单号 7"
    assert parse(send(out_trade_no=None)).out_trade_no is None
    with pytest.raises(Malformed, match="out_trade_no"):
        parse(send(out_trade_no="a\nb"))


def test_without_a_message_id_the_trade_number_stands_in():
    assert parse(send(notify_id=None)).event_id == TRADE


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01 12:00:00", datetime(2026, 3, 1, 4, 0, tzinfo=timezone.utc)),
        ("2026-01-01 00:00:00", datetime(2025, 12, 31, 16, 0, tzinfo=timezone.utc)),
        ("2026-03-01 12:00:00.5", datetime(2026, 3, 1, 4, 0, 0, 500_000, tzinfo=timezone.utc)),
    ],
)
def test_times_are_beijings(text, moment):
    event = parse(send(gmt_payment=text))
    assert event.paid_at == moment
    assert event.paid_at.tzinfo is timezone.utc


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:00",
        "2026-03-01 12:00",
        "2026-03-01 12:00:00Z",
        "2026-03-01 12:00+08",
        "2026-W10-1 12:00:00",
        "2026-02-30 12:00:00",
        "2026-03-01 24:00:01",
        "0001-01-01 00:00:00",
        "20260301120000",
        "yesterday",
        "2026-03-01 12:00:00\n",
        "２026-03-01 12:00:00",
    ],
)
def test_what_is_no_time_is_malformed(text):
    with pytest.raises(Malformed, match="gmt_payment"):
        parse(send(gmt_payment=text))


def test_the_time_of_payment_falls_back_to_the_nearest_that_is_told():
    assert parse(send(gmt_payment=None)).paid_at == datetime(2026, 3, 1, 4, 0, 5, tzinfo=timezone.utc)
    assert parse(send(gmt_payment="", notify_time=None)).paid_at == RECEIVED


# Refunds.


@pytest.mark.parametrize("status", ["TRADE_SUCCESS", "TRADE_CLOSED", "TRADE_FINISHED"])
def test_r015_a_refund_notice_is_no_second_payment(status):
    event = parse(send(trade_status=status, **REFUND))
    assert isinstance(event, RefundEvent)
    assert (event.transaction_id, event.refund_id, event.refund_fen) == (TRADE, "back-1", 280)
    assert event.refunded_total_fen is None
    assert event.refunded_at == datetime(2026, 3, 2, 1, 0, tzinfo=timezone.utc)


def test_r015_two_partial_refunds_are_two():
    numbers = {
        parse(send(**{**REFUND, **changes})).refund_id
        for changes in (
            {},
            {"out_biz_no": "back-2"},
            {"out_biz_no": None, "out_request_no": "request-1"},
            {"out_biz_no": None},
            {"out_biz_no": "", "refund_fee": "2.81"},
            {"out_biz_no": None, "gmt_refund": "2026-03-02 09:00:01"},
            {"out_biz_no": None, "gmt_refund": None},
            {"out_biz_no": None, "gmt_refund": None, "notify_id": "another"},
        )
    }
    assert len(numbers) == 8


def test_a_refund_needs_only_one_sign_of_itself():
    assert isinstance(parse(send(refund_fee="0.01")), RefundEvent)
    assert parse(send(refund_fee="0.01")).refunded_at == datetime(2026, 3, 1, 4, 0, 5, tzinfo=timezone.utc)
    assert parse(send(refund_fee="0.01", notify_time=None)).refunded_at == RECEIVED
    # Closed and given back, without a sum: all of it.
    whole = parse(send(trade_status="TRADE_CLOSED", gmt_refund=REFUND["gmt_refund"]))
    assert (type(whole), whole.refund_fen) == (RefundEvent, 1280)


@pytest.mark.parametrize("fee", [None, "", "0.00", "0"])
def test_no_refund_fee_is_no_refund(fee):
    assert isinstance(parse(send(refund_fee=fee, gmt_refund="")), PaymentEvent)
    assert parse(send(trade_status="TRADE_CLOSED", refund_fee=fee)).reason == "unpaid"


@pytest.mark.parametrize(
    "changes",
    [
        {"gmt_refund": REFUND["gmt_refund"]},
        {"gmt_refund": REFUND["gmt_refund"], "refund_fee": "0.00"},
        {**REFUND, "refund_fee": "-1.00"},
        {**REFUND, "refund_fee": "1e2"},
        {**REFUND, "gmt_refund": "soon"},
        {**REFUND, "out_biz_no": "号"},
        {**REFUND, "trade_no": None},
    ],
)
def test_a_refund_that_cannot_be_told_is_malformed(changes):
    with pytest.raises(Malformed):
        parse(send(**changes))


def test_an_unpaid_trade_has_no_refund():
    assert parse(send(trade_status="WAIT_BUYER_PAY", **REFUND)).reason == "unpaid"


# Other messages.


def test_a_gateway_message_is_genuine_and_ignored():
    """Rule v2 signs `sign_type` too; which rule held tells the family."""
    fields = {
        "notify_type": "servicemarket_order_notify",
        "notify_id": "n-1",
        "app_id": APP,
        "charset": "utf-8",
        "biz_content": '{"a":1}',
        "version": "1.1",
    }
    assert parse(send(fields, rule="v2")) == Ignored("servicemarket_order_notify", "gateway_message", "n-1")
    assert parse(send(rule="v2")).reason == "gateway_message"
    with pytest.raises(BadSignature):
        parse(with_body(send(fields, rule="v2"), b"sign_type=RSA2", b"sign_type=RSA"))


@pytest.mark.parametrize(
    "changes", [{"notify_type": "dut_user_sign"}, {"notify_type": ""}, {"trade_status": None}, {"trade_status": ""}]
)
def test_another_kind_of_message_is_ignored(changes):
    assert parse(send(**changes)).reason == "event_type"


def test_a_missing_notify_type_is_no_hindrance():
    assert isinstance(parse(send(notify_type=None)), PaymentEvent)


@pytest.mark.parametrize("body", [b"{}", b"<xml/>", b'{"sign":"x"}', b"ifCode=alipay&", b"sign=", b"\x1f\x8b"])
def test_a_body_of_another_kind_is_refused(body):
    """Regression list no. 3: the adapter knows its kind of body and does not guess."""
    with pytest.raises(BadNotification):
        parse(raw(body))


# Answers.


@pytest.mark.parametrize("body", [b"success", b"SUCCESS", b"Success\n", b" success\r\n"])
def test_a_till_that_took_it(body):
    """Jeepay answers in capitals and lives."""
    assert adapter.accepted(200, (), body)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"fail"),
        (200, b"<html>success</html>"),
        (200, b"success!"),
        (200, b"\xef\xbb\xbfsuccess"),
        (200, b'"success"'),
        (201, b"success"),
        (204, b""),
        (302, b"success"),
        (500, b"success"),
    ],
)
def test_a_till_that_did_not(status, body):
    assert not adapter.accepted(status, (), body)


def test_our_success_is_seven_bytes_exactly():
    """Regression list no. 9: exact bytes; no newline, no BOM, no HTML."""
    ack = adapter.ack("accepted")
    assert (ack.status, ack.body, len(ack.body)) == (200, b"success", 7)
    assert adapter.ack("refused").body == b"fail" == adapter.ack("try_later").body
