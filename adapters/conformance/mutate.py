"""Small damages to a notification, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from gateway.contract import RawNotification


def flipped(raw: RawNotification, part: slice) -> Iterator[RawNotification]:
    """Every bit of `part` of the body turned, one at a time."""
    body = raw.body
    for place in range(*part.indices(len(body))):
        for bit in range(8):
            damaged = bytearray(body)
            damaged[place] ^= 1 << bit
            yield replace(raw, body=bytes(damaged))


def truncated(raw: RawNotification) -> Iterator[RawNotification]:
    """The body cut after each of its bytes but the last; the first is empty."""
    for end in range(len(raw.body)):
        yield replace(raw, body=raw.body[:end])


def without_header(raw: RawNotification, name: str) -> RawNotification:
    """The header is gone."""
    return replace(raw, headers=tuple(pair for pair in raw.headers if pair[0].lower() != name.lower()))


def with_header(raw: RawNotification, name: str, value: str) -> RawNotification:
    """The header has another value, or is new."""
    return replace(without_header(raw, name), headers=(*without_header(raw, name).headers, (name, value)))


def doubled_header(raw: RawNotification, name: str, value: str) -> RawNotification:
    """The header occurs once more, at the end, with `value`."""
    return replace(raw, headers=(*raw.headers, (name, value)))


def recased(raw: RawNotification) -> Iterator[RawNotification]:
    """Header names in lower case, in upper case, and in mixed case."""
    for change in (str.lower, str.upper, str.swapcase):
        yield replace(raw, headers=tuple((change(name), value) for name, value in raw.headers))


def damaged_values(value: str) -> Iterator[str]:
    """A header's value with one character replaced, for each of them, and cut or extended at both ends."""
    for place, old in enumerate(value):
        yield value[:place] + ("A" if old != "A" else "B") + value[place + 1 :]
    yield from (value[1:], value[:-1], value + "A", "A" + value)
