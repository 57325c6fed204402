"""The conformance kit. A subclass gives the adapter and one genuine notification; the tests come with it."""

from __future__ import annotations

import builtins
import contextlib
import socket
from dataclasses import fields, replace
from datetime import timedelta, timezone
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.conformance import mutate
from adapters.conformance.samples import NOT_AMOUNTS, SETTINGS
from adapters.conformance.surface import SurfaceConformance
from gateway.contract import (
    Adapter,
    BadNotification,
    Ignored,
    PaymentEvent,
    RawNotification,
    RefundEvent,
    StaleTimestamp,
)

_EVENTS: Final = (PaymentEvent, RefundEvent, Ignored)


class AdapterConformance(SurfaceConformance):
    """The tests; see `AdapterHooks` for what to write."""

    # The genuine one.

    def test_it_is_an_adapter(self) -> None:
        """It fills the protocol, and its optional attributes have their types."""
        assert isinstance(self.adapter, Adapter)
        assert self.adapter.slug.isascii()
        assert isinstance(getattr(self.adapter, "provider", self.adapter.slug), str)
        assert isinstance(getattr(self.adapter, "stale_after_s", None), int | None)

    def test_genuine_gives_the_expected_event(self) -> None:
        """R001, R002: every field, with its exact type."""
        event = self.adapter.parse(self.genuine(), self.keys(), self.now())
        assert event == self.expected()
        assert isinstance(event, PaymentEvent)
        for field in fields(event):
            assert type(getattr(event, field.name)) is type(getattr(self.expected(), field.name)), field.name
        assert event.paid_at.tzinfo is timezone.utc

    def test_refund_gives_the_expected_event(self) -> None:
        """R015: a refund is a refund, never a payment."""
        raw = self.refund()
        if raw is None:
            assert self.expected_refund() is None
            return
        event = self.adapter.parse(raw, self.keys(), raw.received_at)
        assert isinstance(event, RefundEvent)
        assert event == self.expected_refund()

    def test_same_input_same_event(self) -> None:
        """R009: a repeated notification tells the same, id included, also under keys loaded anew."""
        first = self.adapter.parse(self.genuine(), self.keys(), self.now())
        again = self.adapter.parse(self.genuine(), self.keys(), self.now() + timedelta(seconds=1))
        assert first == again
        assert first.event_id

    def test_it_does_no_io(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No socket and no file is opened while parsing."""
        keys = self.keys()

        def refuse(*_args: object, **_named: object) -> None:
            raise AssertionError("an adapter does no I/O")

        monkeypatch.setattr(socket, "socket", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        monkeypatch.setattr(builtins, "open", refuse)
        assert self.adapter.parse(self.genuine(), keys, self.now()) == self.expected()

    # Damage.

    def test_every_signed_bit_counts(self) -> None:
        """R003: a turned bit in a signed part is refused."""
        raw, keys, now = self.genuine(), self.keys(), self.now()
        for part in self.signed_parts(raw):
            for damaged in mutate.flipped(raw, part):
                with pytest.raises(BadNotification):
                    self.adapter.parse(damaged, keys, now)

    def test_any_turned_bit_is_refused_or_changes_nothing(self) -> None:
        """R003: whatever is turned, no other event comes out."""
        raw, keys, now = self.genuine(), self.keys(), self.now()
        outcomes = [self.same_or_refused(one, keys, now) for one in mutate.flipped(raw, slice(0, len(raw.body)))]
        assert not all(outcomes)

    def test_truncated_bodies_are_refused(self) -> None:
        """Cut at every byte; the empty body too. A cut of unsigned white space may change nothing."""
        keys, now = self.keys(), self.now()
        outcomes = [self.same_or_refused(one, keys, now) for one in mutate.truncated(self.genuine())]
        assert not any(outcomes[: len(outcomes) * 9 // 10])

    @pytest.mark.parametrize(
        "body", [b"", b"\0", b"\xff\xfe", b"\xc3\x28", b"{}", b"[]", b"null", b"<", b"=&=", b"a" * 65536, b"[" * 65536]
    )
    def test_bodies_of_no_shape_are_refused(self, body: bytes) -> None:
        """Empty, huge, deep, not UTF-8: refused within the family."""
        with pytest.raises(BadNotification):
            self.adapter.parse(replace(self.genuine(), body=body), self.keys(), self.now())

    def test_contents_of_no_shape_are_refused_though_signed(self) -> None:
        """The same, rightly signed: refused, or Ignored, and never a payment."""
        keys, now = self.keys(), self.now()
        for content in (b"", b"\0", b"\xff\xfe", b"\xc3\x28", b"{}", b"[]", b"null", b"1", b'""', b"[" * 30000):
            raw = self.rightly_signed(content)
            if raw is None:
                continue
            try:
                event = self.adapter.parse(raw, keys, now)
            except BadNotification:
                continue
            assert isinstance(event, Ignored), content

    # Headers.

    def test_signature_headers_may_not_be_missing_or_doubled(self) -> None:
        """R003: dropped, doubled with the same value, doubled with another: two signatures are no signature."""
        raw, keys, now = self.genuine(), self.keys(), self.now()
        for name in self.signature_headers:
            value = raw.header(name) or ""
            for damaged in (
                mutate.without_header(raw, name),
                mutate.doubled_header(raw, name, value),
                mutate.doubled_header(raw, name.upper(), "x"),
                mutate.with_header(raw, name, f"{value},{value}"),
                mutate.with_header(raw, name, ""),
            ):
                with pytest.raises(BadNotification):
                    self.adapter.parse(damaged, keys, now)

    def test_signature_headers_may_not_change(self) -> None:
        """R003: each character of each of them counts."""
        raw, keys, now = self.genuine(), self.keys(), self.now()
        for name in self.signature_headers:
            for value in mutate.damaged_values(raw.header(name) or ""):
                damaged = mutate.with_header(raw, name, value)
                # The last character of base64 may have bits that nobody reads.
                assert not self.same_or_refused(damaged, keys, now) or value[-3:] != (raw.header(name) or "")[-3:]

    def test_other_headers_do_not_matter(self) -> None:
        """Letter case of names, order, headers that we do not know, none of the others at all."""
        raw, keys, now = self.genuine(), self.keys(), self.now()
        ours = {name.lower() for name in self.signature_headers}
        only = tuple(pair for pair in raw.headers if pair[0].lower() in ours)
        stranger = mutate.doubled_header(mutate.doubled_header(raw, "X-Stranger", "\xff"), "", "")
        for changed in (
            *mutate.recased(raw),
            replace(raw, headers=raw.headers[::-1]),
            replace(raw, headers=only),
            stranger,
        ):
            assert self.adapter.parse(changed, keys, now) == self.expected()

    # Time, keys, merchants.

    def test_stale_and_future_are_refused(self) -> None:
        """R005: `stale_after_s` away from the clock is too much, one second less is not; both ways."""
        window = getattr(self.adapter, "stale_after_s", None)
        raw, keys = self.genuine(), self.keys()
        if window is None:
            years = timedelta(days=3650)
            assert self.adapter.parse(raw, keys, self.now() + years) == self.expected()
            return
        for sign in (1, -1):
            near, far = (self.now() + sign * timedelta(seconds=s) for s in (window - 1, window))
            assert self.adapter.parse(raw, keys, near) == self.expected()
            with pytest.raises(StaleTimestamp):
                self.adapter.parse(raw, keys, far)

    def test_foreign_merchant_is_ignored(self) -> None:
        """R017: genuine, but not this channel's."""
        event = self.adapter.parse(self.genuine(), self.adapter.load_keys(self.foreign_keys_table()), self.now())
        assert isinstance(event, Ignored)
        assert event.reason == "foreign_merchant"

    def test_refusals_have_their_exact_class(self) -> None:
        """Each fault that the subclass lists (unknown key, another algorithm, …)."""
        keys, now = self.keys(), self.now()
        for what, raw, kind in self.refusals():
            with pytest.raises(BadNotification) as caught:
                self.adapter.parse(raw, keys, now)
            assert type(caught.value) is kind, what

    def test_amounts_are_whole_and_sane(self) -> None:
        """R002: what is no amount is refused, though rightly signed."""
        keys, now = self.keys(), self.now()
        tried = 0
        for amount in NOT_AMOUNTS:
            raw = self.with_amount(amount)
            if raw is not None:
                tried += 1
                with pytest.raises(BadNotification):
                    self.adapter.parse(raw, keys, now)
        assert tried

    # Anything at all.

    def test_random_bytes_stay_in_the_family(self) -> None:
        """Random bodies, headers, and rightly signed contents raise BadNotification or give an event."""
        genuine, keys, now = self.genuine(), self.keys(), self.now()
        text = st.text(st.characters(max_codepoint=255), max_size=40)
        names = st.sampled_from([name for name, _ in genuine.headers] or ["X"]) | text

        def survives(raw: RawNotification | None) -> None:
            if raw is None:
                return
            with contextlib.suppress(BadNotification):
                assert isinstance(self.adapter.parse(raw, keys, now), _EVENTS)

        @SETTINGS
        @given(st.binary(max_size=300), st.lists(st.tuples(names, text), max_size=8), st.integers(0, 4000))
        def check(noise: bytes, headers: list[tuple[str, str]], place: int) -> None:
            survives(replace(genuine, body=noise))
            survives(replace(genuine, body=genuine.body[:place] + noise + genuine.body[place:]))
            survives(replace(genuine, headers=tuple(headers)))
            survives(replace(genuine, headers=(*genuine.headers, *headers)))
            survives(self.rightly_signed(noise))

        check()
