"""What a genuine notification says: fields → one event of ours.

Field names are those of Alipay's asynchronous notification (list in smartwalle/alipay `notify_type.go`); amounts are
yuan with at most two decimals, times are Beijing's without saying so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Final

from adapters.alipay.keys import Keys
from adapters.alipay.verify import Genuine
from gateway.contract import Event, Fen, Ignored, Malformed, Payer, PaymentEvent, RefundEvent
from gateway.contract.money import fen_of_yuan

PROVIDER: Final = "alipay"
_PAID: Final = frozenset({b"TRADE_SUCCESS", b"TRADE_FINISHED"})
_CLOSED: Final = b"TRADE_CLOSED"
_TRADE: Final = b"trade_status_sync"
_LONGEST: Final = 256
# Refund times carry a fraction of a second in Alipay's own samples, the others don't.
_TIME: Final = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?\Z")


def event_of(genuine: Genuine, keys: Keys, received_at: datetime) -> Event:
    """The event, or `Ignored` with one of these reasons:

    - `gateway_message`: a message of the application gateway (rule v2), never a payment
    - `foreign_merchant`: another app's or seller's (R017)
    - `event_type`: signed, but no trade status
    - `unpaid`: created, or closed without payment

    A refund is told by `gmt_refund` or a `refund_fee` above zero: a partial one leaves `trade_status` at
    TRADE_SUCCESS, a full one turns it to TRADE_CLOSED, as does a mere time-out. Raises Malformed.
    """  # noqa: D415 - a list follows
    fields = genuine.fields
    status = fields.get(b"trade_status", b"")
    if genuine.rule == "v2":
        return _ignored(fields, "gateway_message")
    if fields.get(b"app_id") != keys.app_id or not _our_seller(fields, keys):
        return _ignored(fields, "foreign_merchant")
    if not status or fields.get(b"notify_type", _TRADE) != _TRADE:
        return _ignored(fields, "event_type")
    if status in _PAID or status == _CLOSED:
        refunded = _fen(fields, b"refund_fee")
        if refunded or fields.get(b"gmt_refund"):
            return _refund(genuine, keys, refunded, received_at)
        if status in _PAID:
            return _payment(genuine, keys, received_at)
    return _ignored(fields, "unpaid")


def _ignored(fields: Mapping[bytes, bytes], reason: str) -> Ignored:
    told = _word(fields, b"trade_status") or _word(fields, b"notify_type") or ""
    return Ignored(told, reason, _event_id(fields))


def _event_id(fields: Mapping[bytes, bytes]) -> str:
    """The message's own id, which stays over its repeats; the trade's number should it ever be missing."""
    return _word(fields, b"notify_id") or _word(fields, b"trade_no") or ""


def _our_seller(fields: Mapping[bytes, bytes], keys: Keys) -> bool:
    """Whether the trade is this channel's seller's; where no `seller_id` is given, his known address tells."""
    seller = fields.get(b"seller_id")
    if seller:
        return seller == keys.seller_id
    return keys.seller_email is not None and fields.get(b"seller_email") == keys.seller_email


def _payment(genuine: Genuine, keys: Keys, received_at: datetime) -> PaymentEvent:
    fields = genuine.fields
    amount = _fen(fields, b"total_amount")
    if amount is None:
        raise Malformed("no total_amount")
    # Most pay the whole sum: the same text need not be read twice.
    whole = fields.get(b"buyer_pay_amount") == fields[b"total_amount"]
    return PaymentEvent(
        PROVIDER,
        keys.mch_id,
        None,
        _trade_no(fields),
        _text(genuine, b"out_trade_no"),
        _payers(fields, keys.payer_app_id),
        amount,
        amount if whole else _fen(fields, b"buyer_pay_amount"),
        "CNY",  # no currency field exists; Alipay's notifications of mainland trades are in yuan
        # gmt_payment may be left out like any optional field; a signed time near it is better than a lost payment.
        _time(fields, b"gmt_payment") or _time(fields, b"notify_time") or received_at,
        None,
        None,
        None,
        _attach(genuine),
        _event_id(fields),
    )


def _refund(genuine: Genuine, keys: Keys, refunded: Fen | None, received_at: datetime) -> RefundEvent:
    """The refund's own number, in order of trust: `out_biz_no` and `out_request_no` (the merchant's refund request),
    else its moment and sum together, else the message's id.

    Whether `refund_fee` is this refund's sum or all refunds' so far is not settled by any source we know. It goes to
    `refund_fen`, and `refunded_total_fen` stays unknown. A closed trade that tells no sum was given back whole.
    """  # noqa: D205 - one thought
    fields = genuine.fields
    if refunded is None and fields.get(b"trade_status") == _CLOSED:
        refunded = _fen(fields, b"total_amount")
    if not refunded:
        raise Malformed("a refund without its sum")
    moment = _word(fields, b"gmt_refund")
    number = _word(fields, b"out_biz_no") or _word(fields, b"out_request_no")
    return RefundEvent(
        provider=PROVIDER,
        mch_id=keys.mch_id,
        sub_mch_id=None,
        transaction_id=_trade_no(fields),
        out_trade_no=_text(genuine, b"out_trade_no"),
        refund_id=number or (f"{moment}/{refunded}" if moment else _event_id(fields)),
        refund_fen=refunded,
        refunded_total_fen=None,
        refunded_at=_time(fields, b"gmt_refund") or _time(fields, b"notify_time") or received_at,
        event_id=_event_id(fields),
    )


def _payers(fields: Mapping[bytes, bytes], app_id: str) -> tuple[Payer, ...]:
    """The open id before the old user id; apps made since 2023 are given the first alone, old ones the second."""
    found = []
    if open_id := _word(fields, b"buyer_open_id"):
        found.append(Payer(app_id, "alipay_open_id", open_id))
    if user_id := _word(fields, b"buyer_id"):
        found.append(Payer(app_id, "alipay_user_id", user_id))
    return tuple(found)


def _trade_no(fields: Mapping[bytes, bytes]) -> str:
    number = _word(fields, b"trade_no")
    if number is None:
        raise Malformed("no trade_no")
    return number


def _word(fields: Mapping[bytes, bytes], name: bytes) -> str | None:
    """A number or name of Alipay's: printable ASCII. None where absent or blank; Malformed for anything else."""
    value = fields.get(name)
    if not value:
        return None
    try:
        text = value.decode("ascii")
    except UnicodeDecodeError:
        raise _unfit(name) from None
    if len(text) > _LONGEST or not text.isprintable():
        raise _unfit(name)
    return text


def _text(genuine: Genuine, name: bytes) -> str | None:
    """A value that the merchant wrote: printable text in the message's charset. Else as `_word`."""
    value = genuine.fields.get(name)
    if not value:
        return None
    text = value.decode(genuine.codec)  # cannot fail: all that is signed was found to be in that charset
    if len(text) > _LONGEST or not text.isprintable():
        raise _unfit(name)
    return text


def _unfit(name: bytes) -> Malformed:
    return Malformed(f"{name.decode('ascii')} is no plain text")


def _attach(genuine: Genuine) -> str | None:
    """`passback_params` as the merchant gave it (he url-encodes it himself; that layer is his to take off)."""
    value = genuine.fields.get(b"passback_params")
    return value.decode(genuine.codec) if value else None


def _fen(fields: Mapping[bytes, bytes], name: bytes) -> Fen | None:
    """Yuan → fen. None where absent or blank: unknown, not zero. Malformed for anything that is no plain amount."""
    value = fields.get(name)
    if not value:
        return None
    try:
        return fen_of_yuan(value.decode("ascii"))
    except ValueError:
        raise Malformed(f"{name.decode('ascii')} is no amount") from None


def _time(fields: Mapping[bytes, bytes], name: bytes) -> datetime | None:
    """Beijing's wall clock → aware UTC. None where absent or blank; Malformed for anything that is no such time."""
    value = fields.get(name)
    if not value:
        return None
    if not _TIME.match(value):
        raise Malformed(f"{name.decode('ascii')} is no time")
    try:
        return datetime.fromisoformat(value.decode("ascii") + "+08:00").astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise Malformed(f"{name.decode('ascii')} is no time") from None
