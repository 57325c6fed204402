"""A photo of a coupon's code → what the code says. Nothing of the photo is kept.

Pillow and zxing-cpp are an extra: where they are missing, `is_available` is False and the page offers no photo.
"""

from __future__ import annotations

import threading
from io import BytesIO
from typing import Any, Final

from gateway.contract.errors import Refused

zxingcpp: Any
try:
    import zxingcpp
    from PIL import Image, ImageOps
except ImportError:  # pragma: no cover - depends on what is installed
    zxingcpp = None

LIMIT: Final = 8 * 1024 * 1024
"""Bytes of a photo: what telephones take is 2 to 6 MiB."""

MOST_PIXELS: Final = 25_000_000
_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_SIDE: Final = 1600
_SIDES: Final = (_SIDE, 800)
_AT_ONCE: Final = 2
_working: Final = threading.BoundedSemaphore(_AT_ONCE)


def is_available() -> bool:
    """Whether photos can be read here."""
    return zxingcpp is not None


def codes_in(photo: bytes) -> list[str]:
    """The text of each QR or bar code in a photo, each once, in the order found; [] for none.

    Raises Refused: `bad_photo` (422) for what is no image or a huge one, `busy` (503) while others are being read.
    """
    if not _working.acquire(timeout=5):
        raise Refused("busy", 503, "too many photos at once; try again", retry_after_s=1)
    try:
        image = _grey(photo)
        for side in _SIDES:
            # Smaller once more: a blurred photo is often sharp enough at half its size.
            found = _read(image, side)
            if found:
                return found
        return []
    finally:
        _working.release()


def _grey(photo: bytes) -> Any:
    """The photo in grey, upright and no larger than needed.

    The header's size is looked at before a pixel is unpacked, so that a small file cannot become a huge image.
    """
    try:
        with Image.open(BytesIO(photo), formats=_FORMATS) as image:
            _bound(image.width * image.height)
            # A JPEG is unpacked at a fraction of its size at once.
            image.draft("L", (_SIDE, _SIDE))
            grey: Any = ImageOps.exif_transpose(image).convert("L")
    except Refused:
        raise
    except Exception:  # noqa: BLE001 - a decoder's faults have no common kind
        # Whatever a broken or hostile file makes the decoder raise, it is a file that cannot be read.
        raise Refused("bad_photo", 422, "no image") from None
    grey.thumbnail((_SIDE * 2, _SIDE * 2))
    return grey


def _bound(pixels: int) -> None:
    if pixels > MOST_PIXELS:
        raise Refused("bad_photo", 422, "too many pixels")


def _read(image: Any, side: int) -> list[str]:
    small = image.copy()
    small.thumbnail((side, side))
    found = zxingcpp.read_barcodes(small)
    return list(dict.fromkeys(one.text for one in found if one.text))
