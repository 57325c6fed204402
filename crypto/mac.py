"""Keyed hashes, and comparing without telling by time."""

from __future__ import annotations

import hashlib
import hmac


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104): 32 bytes."""
    return hmac.digest(key, message, "sha256")


def sha256(message: bytes) -> bytes:
    """SHA-256: 32 bytes."""
    return hashlib.sha256(message).digest()


def equal(left: bytes, right: bytes) -> bool:
    """Whether both are the same; the time taken tells nothing about where they differ."""
    return hmac.compare_digest(left, right)
