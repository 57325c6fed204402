"""A QR code for a receipt printer, as ESC/POS bytes; the printer draws it.

Command bytes: Epson's ESC/POS command reference, `GS ( k` with cn = 49 (QR Code), functions 165, 167, 169, 180 and
181, and `ESC a` (justification). Nearly every 58 and 80 mm receipt printer sold understands them.
"""

from __future__ import annotations

from typing import Final, Literal

_GS_K: Final = b"\x1d(k"
_CENTRE: Final = b"\x1ba\x01"
_LEFT: Final = b"\x1ba\x00"
_LEVEL: Final = {"L": 48, "M": 49, "Q": 50, "H": 51}
# pL and pH count cn, fn, m and the data; the largest symbol holds 7,089 digits.
_MOST_DATA: Final = 7089


def qr_escpos(text: str, *, module_dots: int = 6, level: Literal["L", "M", "Q", "H"] = "M") -> bytes:
    """The bytes that print `text` as a centred QR code, then go back to the left margin.

    `module_dots`: dots a module, 1 to 16; 6 makes a version 4 symbol 25 mm wide at 203 dpi. Raises ValueError for
    text that is empty, too long or not ASCII: printers disagree about any other encoding.
    """
    if not 1 <= module_dots <= 16:  # noqa: PLR2004 - the range of function 167
        raise ValueError("module_dots is 1 to 16")
    if not text or not text.isascii() or len(text) > _MOST_DATA:
        raise ValueError("a printer's QR code takes 1 to 7,089 ASCII characters")
    return b"".join(
        (
            _CENTRE,
            _function(65, b"2\x00"),  # 165: model 2
            _function(67, bytes((module_dots,))),  # 167: size of a module
            _function(69, bytes((_LEVEL[level],))),  # 169: error correction
            _function(80, b"0" + text.encode("ascii")),  # 180: store the data
            _function(81, b"0"),  # 181: print what is stored
            _LEFT,
        )
    )


def _function(number: int, parameters: bytes) -> bytes:
    """`GS ( k pL pH cn fn parameters` for QR codes (cn = 49)."""
    content = bytes((49, number)) + parameters
    return _GS_K + len(content).to_bytes(2, "little") + content
