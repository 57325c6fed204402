"""Uploads in pieces, after tus (https://tus.io/protocols/resumable-upload): the file's own length is how far it came.

Nothing here touches the store: a piece that was synced is there, whatever dies afterwards.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path
from typing import Final

from campaigns.group_buy import film
from gateway.contract.errors import Refused

LARGEST: Final = 200 * 1000 * 1000
PIECE: Final = 4 * 1024 * 1024
LEFT_FREE: Final = 1_000_000_000
"""What an upload leaves on the disk for the store, which takes in payments."""
_ENOUGH: Final = 64
"""So many bytes tell what a file is."""


def offset(path: Path) -> int:
    """How many bytes have come."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def want_room(folder: Path, size: int) -> None:
    """Raises Refused 503 `no_room` where a file of this size would leave the disk nearly full: others live on it."""
    if shutil.disk_usage(folder).free < size + LEFT_FREE:
        raise Refused("no_room", 503)


def append(path: Path, at: int, data: bytes, size: int) -> int:
    """Write a piece; how many bytes there are then.

    Raises Refused 409 `offset` (`offset`: where to go on), 413 `too_large`, 422 `not_a_video` for a file that begins
    with something else.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "r+b") as file:
        # Two requests for the same piece: the second finds the first one's bytes and is refused.
        fcntl.flock(file, fcntl.LOCK_EX)
        here = os.fstat(file.fileno()).st_size
        if at != here:
            raise Refused("offset", 409, offset=here)
        if here + len(data) > size:
            raise Refused("too_large", 413, most_bytes=size)
        if here < _ENOUGH:
            head = file.read(_ENOUGH) + data[:_ENOUGH]
            if (len(head) >= _ENOUGH or here + len(data) == size) and film.sniff(head) is None:
                raise Refused("not_a_video", 422)
        file.seek(here)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        return here + len(data)


def offset_of(header: str) -> int:
    """The header `Upload-Offset` as a number. Raises Refused 400."""
    if not (header.isascii() and header.isdecimal() and len(header) <= 12):  # noqa: PLR2004 - beyond any file
        raise Refused("bad_request", 400, "Upload-Offset must be a whole number")
    return int(header)
