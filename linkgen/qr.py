"""QR codes as SVG and PNG: black on white, level M, a quiet zone of four modules, full-size symbols only.

The library would raise the error level when there is room (`boost_error`) and pick Micro QR for short texts; both are
off, so that size follows from length alone and every phone reads the result.
"""

from __future__ import annotations

import io

import segno

_QUIET_ZONE = 4


def svg(text: str, *, scale: int = 4, title: str | None = None) -> str:
    """`text` as a self-contained `<svg>` element for use inside HTML; `scale` is units a module.

    `title` names it for screen readers. Raises ValueError when `text` is empty or longer than a QR code holds.
    """
    out = io.BytesIO()
    _symbol(text).save(
        out,
        kind="svg",
        scale=scale,
        border=_QUIET_ZONE,
        dark="#000",
        light="#fff",
        xmldecl=False,
        nl=False,
        title=title,
    )
    return out.getvalue().decode()


def png(text: str, *, scale: int = 8) -> bytes:
    """`text` as a PNG file of `scale` pixels a module. Raises ValueError as `svg` does."""
    out = io.BytesIO()
    _symbol(text).save(out, kind="png", scale=scale, border=_QUIET_ZONE, dark="#000", light="#fff")
    return out.getvalue()


def version(text: str) -> int:
    """The QR version (1 to 40) that `text` needs; printed receipts want at most 4."""
    return int(_symbol(text).version)


def _symbol(text: str) -> segno.QRCode:
    if not text:
        raise ValueError("nothing to encode")
    return segno.make(text, error="m", micro=False, boost_error=False)
