"""Bearer texts of 128 bits: 22 characters that need no escaping in a URL.

A link's token is derived, so that the link can be shown again while the store holds only its digest; other tokens
are random.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Final

from crypto.mac import hmac_sha256, sha256

_SIZE: Final = 16
# 128 bits are 21 characters and two bits: the last character has only four values.
_SHAPE: Final = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]\Z", re.ASCII)


def link_token(key: bytes, link_id: str) -> str:
    """The token of a link: the first 16 bytes of HMAC-SHA256(`key`, `link_id`) in URL-safe base64, unpadded."""
    return _text(hmac_sha256(key, link_id.encode())[:_SIZE])


def new_token(random: Callable[[int], bytes]) -> str:
    """A fresh token from `random`, which gives that many unpredictable bytes."""
    return _text(random(_SIZE))


def token_digest(token: str) -> bytes:
    """SHA-256 of a token: what the store looks it up by. Without salt, for 128 random bits need none."""
    return sha256(token.encode())


def looks_like_token(text: str) -> bool:
    """Whether `text` could be a token at all; a cheap refusal before the store is asked."""
    return _SHAPE.match(text) is not None


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
