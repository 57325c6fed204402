"""Addresses that customers open. Pure text; tokens are made elsewhere (R050)."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

PRINTED_URL_BYTES: Final = 62
"""What a version 4 QR code at level M holds in byte mode (ISO/IEC 18004, table 7).

The largest that a 58 mm receipt prints with modules a phone reads. `https://` + `/c/` + 22 characters of token leave
29 bytes for host and path prefix of the base URL; `fits_print` says whether an address still holds to it.
"""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}\Z", re.ASCII)


def claim_url(base_url: str, token: str) -> str:
    """`https://host` + a claim token → `https://host/c/<token>`. Raises ValueError for a base or token that is none."""
    return _join(base_url, "c", token)


def invite_url(base_url: str, token: str) -> str:
    """`https://host` + an invitation's token → `https://host/i/<token>`. Raises ValueError as `claim_url` does."""
    return _join(base_url, "i", token)


def fits_print(url: str) -> bool:
    """Whether the QR code of `url` stays at version 4, level M."""
    return len(url.encode()) <= PRINTED_URL_BYTES


def _join(base_url: str, kind: str, token: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ValueError("a base URL is http(s)://host[:port][/prefix], nothing more")
    if not _TOKEN.match(token):
        # The token is a secret: the message does not repeat it.
        raise ValueError("a token is 22 URL-safe characters")
    return f"{base_url.rstrip('/')}/{kind}/{token}"
