"""The body of a notification: `application/x-www-form-urlencoded` bytes → fields as bytes, decoded once.

Nothing is turned into text here. What Alipay signs is the bytes of the values in the sender's charset, so the check
works on those bytes, whatever the charset is; text is made later, of the few values that are kept.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Mapping
from typing import Final

from gateway.contract import Malformed

MAX_BODY: Final = 65_536
"""A notification is some 2 KiB; 64 KiB is also where the gateway stops."""

CODECS: Final = {b"utf-8": "utf-8", b"gbk": "gbk", b"gb2312": "gbk"}
"""Alipay's names for its charsets → ours. GBK contains GB2312, and senders that say the latter write the former."""

# Form decoding in two passes of C: `%41` turned to `=41` is quoted-printable (RFC 2045 section 6.7), for which the
# standard library has a decoder. The form's own marks move out of its way: `=` to NUL, `&` to SOH, `+` to a space.
_MARKS: Final = bytes.maketrans(b"%=&+", b"=\x00\x01 ")
_ALL_BUT_MARKS: Final = bytes(octet for octet in range(256) if octet not in b"%=&")


class Form:
    """A decoded form. `fields` maps names to values; both are bytes, and blank values are kept: they are signed."""

    __slots__ = ("_lines", "fields")

    def __init__(self, lines: list[bytes], fields: Mapping[bytes, bytes]) -> None:
        """`lines` are `name NUL value`, in the order of their names."""
        self._lines = lines
        self.fields = fields

    def text_without(self, names: Iterable[bytes]) -> bytes:
        """`name=value` of every field but `names`, sorted by name, joined by `&`: the shape that Alipay signs."""
        lines = self._lines.copy()
        for name in names:
            value = self.fields.get(name)
            if value is not None:
                lines.remove(name + b"\x00" + value)
        return b"&".join(lines).replace(b"\x00", b"=")

    def codec(self) -> str:
        """The Python codec of the message. Raises Malformed where `charset` is absent or none of Alipay's."""
        codec = CODECS.get(self.fields.get(b"charset", b"").lower())
        if codec is None:
            raise Malformed("charset absent or unknown")
        return codec


def read_form(body: bytes) -> Form:
    """The form in `body`, percent-decoded exactly once.

    Raises Malformed for what is no form, for a broken percent escape, for the characters NUL and SOH, for a name
    given twice (two readers would choose differently) and beyond `MAX_BODY`.
    """
    if len(body) > MAX_BODY:
        raise Malformed("body too large")
    if b"\n" in body or b"\r" in body:  # an encoder writes %0D%0A; the decoder below would join lines
        raise Malformed("a line break within the form")
    marks = body.translate(None, _ALL_BUT_MARKS)
    shape = marks.replace(b"%", b"")
    if shape != b"=&" * (len(shape) // 2) + b"=":
        body = _regular(body)
        marks = body.translate(None, _ALL_BUT_MARKS)
        shape = marks.replace(b"%", b"")
    decoded = binascii.a2b_qp(body.translate(_MARKS))
    # Every escape of three bytes became one; the decoder leaves a broken one longer than that.
    if len(decoded) != len(body) - 2 * (len(marks) - len(shape)):
        raise Malformed("a broken percent escape")
    lines = decoded.split(b"\x01")
    parts = decoded.replace(b"\x01", b"\x00").split(b"\x00")
    if 2 * len(lines) != len(parts) or len(parts) != len(shape) + 1:
        raise Malformed("a control character")
    fields = dict(zip(parts[::2], parts[1::2], strict=True))
    if len(fields) != len(lines):
        raise Malformed("a field is given twice")
    lines.sort()  # NUL sorts before every other byte, so this is the order of the names
    return Form(lines, fields)


def _regular(body: bytes) -> bytes:
    """The same form with exactly one `=` in each pair, as browsers read a lax one: no empty pairs, a name alone has
    a blank value, a bare `=` belongs to the value.
    """  # noqa: D205 - one thought
    pairs = [pair.partition(b"=") for pair in body.split(b"&") if pair]
    if not pairs:
        raise Malformed("an empty form")
    return b"&".join([name + b"=" + value.replace(b"=", b"%3D") for name, _, value in pairs])
