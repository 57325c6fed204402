"""The POS's answer is written behind the platform's: whoever asks within that moment waits for it (R012)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from gateway.contract.clock import to_text
from gateway.web.api.payments import JUST_NOW, relay_note_is_due

NOW = datetime(2026, 11, 22, 4, 5, 6, tzinfo=timezone.utc)


def _directory(upstream="http://127.0.0.1:9/pay", answer="mirror"):
    channel = SimpleNamespace(upstream=upstream, spec=SimpleNamespace(answer=answer))
    return SimpleNamespace(channel=lambda slug: channel if slug == "c" else None)


def _payment(state="none", channel="c", ago=timedelta()):
    return {"relay_state": state, "channel": channel, "received_at": to_text(NOW - ago)}


def test_R012_a_relayed_payment_that_just_came_owes_a_note():
    assert relay_note_is_due(_payment(), _directory(), NOW)


@pytest.mark.parametrize(
    ("payment", "directory"),
    [
        (_payment(state="answered"), _directory()),
        (_payment(state="failed"), _directory()),
        (_payment(ago=JUST_NOW + timedelta(seconds=1)), _directory()),
        (_payment(channel="gone"), _directory()),
        (_payment(), _directory(upstream="")),
        (_payment(), _directory(answer="ack")),
    ],
)
def test_R012_nobody_waits_for_a_note_that_will_not_come(payment, directory):
    assert not relay_note_is_due(payment, directory, NOW)
