"""Key material as people paste it → DER bytes.

Consoles show a PEM block, a PEM block that lost its line breaks, or only the base64 body (Alipay's); editors add
byte order marks and indentation. White space never matters.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from crypto.errors import KeyMaterialError

_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_BYTE_ORDER_MARK: Final = "\ufeff"


def blocks(text: str) -> list[tuple[str, bytes]]:
    """Every PEM block in order as (label, DER); a bare base64 body is one block with the label `""`.

    Raises KeyMaterialError when there is nothing, or when a block is not base64.
    """
    if "-----BEGIN" in text:
        found = [(match.group(1), _decode(match.group(2))) for match in _BLOCK.finditer(text)]
        if not found:
            raise KeyMaterialError("a PEM block that does not end")
        return found
    body = text.replace(_BYTE_ORDER_MARK, "")
    if not body.strip():
        raise KeyMaterialError("empty")
    return [("", _decode(body))]


def single(text: str) -> tuple[str, bytes]:
    """The only block of `text`. Raises KeyMaterialError when there are more, or none."""
    found = blocks(text)
    if len(found) != 1:
        raise KeyMaterialError(f"{len(found)} PEM blocks where one is wanted")
    return found[0]


def armour(label: str, der: bytes) -> str:
    """DER → a PEM block with lines of 64 characters and a newline at its end (RFC 7468)."""
    body = base64.b64encode(der).decode()
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""])


def _decode(body: str) -> bytes:
    if ":" in body:  # "Proc-Type: 4,ENCRYPTED" of the old private key format
        raise KeyMaterialError("a PEM block with headers, such as a password-protected key, is not supported")
    packed = "".join(body.split())
    try:
        return binascii.a2b_base64(packed, strict_mode=True)
    except (binascii.Error, ValueError):
        raise KeyMaterialError("neither PEM nor base64") from None
