"""What the wallets' twins share: faults that are played once, replies that never come, numbers made of words.

A fault is armed by `state.put("fault", <call>, {"name": <fault>})`; `<call>` is the name of the wallet's member that
makes the call (`exchange`, `prepay`, `query`, `close`, `refund`, `query_refund`, `transfer`, `query_transfer`), or
`authorize` or `pay`; under `*` the next call of any kind plays it. Faults that every server-side call knows are in
`EVERY`, those of one call in the twin's `faults`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from gateway.contract.wallet import Reply, TwinState

ANY: Final = "*"
EVERY: Final[Mapping[str, str]] = {
    "bad_signature": "done, and answered with a signature that is wrong",
    "bad_gateway": "not done: an HTML page with the status 502 from something in between",
    "drop": "done, but the connection ends without an answer (a reply of the status 0)",
}
"""Faults of any call → what happens."""

DROPPED: Final = Reply(0, (), b"")
"""No answer at all. Whoever carries it to a socket closes the connection instead of answering."""

BAD_GATEWAY: Final = Reply(
    502,
    (("Content-Type", "text/html"),),
    b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>",
)


def take_fault(state: TwinState, call: str) -> str:
    """The fault that this call is to play, "" for none; it is played once."""
    for key in (call, ANY):
        kept = state.get("fault", key)
        if kept and kept.get("name"):
            state.put("fault", key, {})
            return str(kept["name"])
    return ""


def digits(count: int, *parts: str) -> str:
    """`count` digits (at most 30) that `parts` alone decide."""
    return str(int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest(), "big") % 10**count).zfill(count)


def changed(kept: Mapping[str, Any], **facts: Any) -> dict[str, Any]:
    """What is kept, with some facts anew."""
    return {**kept, **facts}


def spoiled(signature: str) -> str:
    """A signature that looks like one and is wrong."""
    first = "A" if signature[:1] != "A" else "B"
    return first + signature[1:]
