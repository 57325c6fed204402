"""What the sandbox platforms share: words derived from a nonce, so that one order always makes the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from crypto.rsa import PrivateKey, load_private_key
from gateway.contract.clock import BEIJING
from gateway.contract.ids import RandomBytes, base32


def derived(length: int, *parts: str) -> str:
    """`length` (at most 51) letters and digits that `parts` alone decide; ("a", "bc") and ("ab", "c") differ."""
    digest = hashlib.sha256()
    for part in parts:
        octets = part.encode()
        digest.update(len(octets).to_bytes(4, "big") + octets)
    return base32(int.from_bytes(digest.digest(), "big"), length)


def random_digits(count: int, random: RandomBytes) -> str:
    """`count` digits out of `random`."""
    return str(int.from_bytes(random(count), "big") % 10**count).zfill(count)


def random_word(length: int, random: RandomBytes) -> str:
    """`length` lower-case letters and digits out of `random`, five bits each."""
    return base32(int.from_bytes(random(length), "big"), length)


def beijing(moment: datetime, pattern: str) -> str:
    """An aware time on Beijing's wall clock, by a `strftime` pattern."""
    return moment.astimezone(BEIJING).strftime(pattern)


def newest(table: Mapping[str, Any], one: str, several: str) -> str:
    """The secret to use of a table that holds `one`, or during a rotation the list `several`, newest last.

    Raises KeyError when it holds neither.
    """
    return str(table[one] if one in table else table[several][-1])


def sub_merchant(table: Mapping[str, Any]) -> str | None:
    """The sub-merchant that a partner's table names, the first where it names several; None for a direct merchant."""
    if "sub_mchid" in table:
        return str(table["sub_mchid"])
    several = table.get("sub_mchids")
    return str(min(several)) if several else None


@lru_cache(maxsize=64)
def signer(pem: str) -> PrivateKey:
    """A sandbox key, parsed once: parsing costs as much as signing, and a simulated rush signs thousands."""
    return load_private_key(pem)
