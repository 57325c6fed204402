"""The tests of what surrounds parsing: the `keys` table, the answers, and that no secret shows."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.conformance.hooks import AdapterHooks
from adapters.conformance.samples import NOT_AMOUNTS, SETTINGS
from gateway.contract import BadConfig, BadNotification, Outcome, RawNotification

_OUTCOMES: Final[tuple[Outcome, ...]] = ("accepted", "refused", "try_later")


class SurfaceConformance(AdapterHooks):
    """Inherited by `AdapterConformance`."""

    def test_random_tables_raise_bad_config_only(self) -> None:
        """A table of any shape gives keys or BadConfig with paths, never another error."""
        right = self.keys_table()
        scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
        value = st.recursive(
            scalar, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
        )

        @SETTINGS
        @given(st.dictionaries(st.sampled_from(sorted(right)) | st.text(max_size=8), value, max_size=4))
        def check(changed: dict[str, Any]) -> None:
            faults: list[tuple[str, str]] | None = None
            try:
                self.adapter.load_keys({**right, **changed})
            except BadConfig as error:
                faults = error.faults
            assert faults is None or (faults and all(isinstance(path, str) and message for path, message in faults))

        check()

    # Secrecy and answers.

    def test_nothing_secret_is_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        """R016: not in a repr, not in an exception, not in a log; the payer's ids neither."""
        caplog.set_level(logging.DEBUG)
        keys, now = self.keys(), self.now()
        hidden = [*self.secrets(), *(payer.value for payer in self.expected().payers)]
        assert hidden
        shown = [repr(keys), str(keys), repr(self.adapter), repr(self.adapter.parse(self.genuine(), keys, now))]
        raws: list[RawNotification] = [raw for _, raw, _ in self.refusals()]
        raws += [replace(self.genuine(), body=body) for body in (b"", self.genuine().body[:-9], b"\xff")]
        raws += [raw for raw in (self.with_amount(amount) for amount in NOT_AMOUNTS) if raw is not None]
        for raw in raws:
            with pytest.raises(BadNotification) as caught:
                self.adapter.parse(raw, keys, now)
            shown += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
        for path in _paths(self.keys_table()):
            with pytest.raises(BadConfig) as refused:
                self.adapter.load_keys(_spoiled(self.keys_table(), path))
            shown.append(str(refused.value))
        shown.append(caplog.text)
        for secret in hidden:
            assert not any(secret in text for text in shown)

    def test_answers_are_exact(self) -> None:
        """R001: platforms compare bytes; an answer of ours that fails is one that the platform sends again for."""
        accepted: Callable[..., bool] | None = getattr(self.adapter, "accepted", None)
        event = self.expected()
        for outcome in _OUTCOMES:
            wanted = self.acks()[outcome]
            for given_event in (None, event):
                ack = self.adapter.ack(outcome, given_event)
                assert (ack.status, ack.body) == (wanted.status, wanted.body)
                assert ack.headers == wanted.headers
            if accepted is not None:
                assert accepted(wanted.status, wanted.headers, wanted.body) is (outcome == "accepted")

    def test_unknown_names_in_the_table_are_faults(self) -> None:
        """Every fault at once, each by its path."""
        with pytest.raises(BadConfig) as caught:
            self.adapter.load_keys({**self.keys_table(), "first_stranger": "x", "second_stranger": "x"})
        assert {"first_stranger", "second_stranger"} <= {path for path, _ in caught.value.faults}

    def test_an_empty_table_is_refused(self) -> None:
        """No key and no algorithm is a refusal, never an acceptance (a webhook without its secret set)."""
        with pytest.raises(BadConfig):
            self.adapter.load_keys({})


def _paths(table: Mapping[str, Any]) -> list[str]:
    return [name for name, value in table.items() if isinstance(value, str) and "key" in name]


def _spoiled(table: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**table, name: {"nested": table[name]}}
