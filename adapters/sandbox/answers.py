"""What the sandbox till answers: the words a payment platform waits for, its refusals, and the ways a till breaks.

The exact bodies: WeChat Pay APIv3 `{"code":"SUCCESS","message":"成功"}`, APIv2 `return_code` SUCCESS in XML (both from
WeChat Pay's notification pages), Alipay the seven characters `success`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Literal

Kind = Literal["ok", "fail", "status", "hang", "reset", "garbage", "trickle", "huge"]

MODES: Final = ("ok", "fail", "status:NNN", "hang", "reset", "garbage", "trickle", "huge")
HUGE_BYTES: Final = 2 * 1024 * 1024
"""More than any till's answer may be (1 MiB)."""

GARBAGE: Final = b"\x16\x03\x01\x00\x00NOT-HTTP \xff\xfe\r\r\n\n"
"""Bytes that no HTTP client can take for an answer."""

_STATUS = re.compile(r"status:([2-5][0-9]{2})\Z", re.ASCII)
_BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


@dataclass(frozen=True, slots=True)
class Mode:
    """How the till behaves; `status` only where `kind` is `status`."""

    kind: Kind
    status: int = 200

    def __str__(self) -> str:
        return f"status:{self.status}" if self.kind == "status" else self.kind


def mode_of(text: str) -> Mode:
    """A mode by its name, as in `MODES` (`status:200` to `status:599`). Raises ValueError for anything else."""
    if match := _STATUS.match(text):
        return Mode("status", int(match.group(1)))
    if text == "status" or text not in MODES:
        raise ValueError(f"not a mode; one of {', '.join(MODES)}")
    return Mode(text)  # type: ignore[arg-type]  # MODES holds the names of Kind


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer; headers in order, repeats allowed. Its framing is added when it is encoded."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def head(self, *, keep_alive: bool) -> bytes:
        """Status line and headers, with the empty line that ends them."""
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Unassigned"
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{name}: {value}" for name, value in self.headers)]
        if self.status not in _BODILESS:
            lines.append(f"Content-Length: {len(self.body)}")
        if not keep_alive:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def payload(self, method: str) -> bytes:
        """The body bytes that follow the head, none where HTTP forbids them."""
        return b"" if method == "HEAD" or self.status in _BODILESS else self.body


def _json(status: int, body: str) -> Answer:
    return Answer(status, (("Content-Type", "application/json; charset=utf-8"),), body.encode())


def _xml(code: str, message: str) -> Answer:
    body = f"<xml><return_code><![CDATA[{code}]]></return_code><return_msg><![CDATA[{message}]]></return_msg></xml>"
    return Answer(200, (("Content-Type", "text/xml; charset=utf-8"),), body.encode())


def _text(body: str) -> Answer:
    return Answer(200, (("Content-Type", "text/plain; charset=utf-8"),), body.encode())


def success(body: bytes) -> Answer:
    """The success that the platform which sent `body` waits for: JSON for JSON, XML for XML, else Alipay's word."""
    match body.lstrip()[:1]:
        case b"{":
            return _json(200, '{"code":"SUCCESS","message":"成功"}')
        case b"<":
            return _xml("SUCCESS", "OK")
        case _:
            return _text("success")


def failure(body: bytes) -> Answer:
    """The refusal in that platform's words; WeChat Pay APIv3 reads the status, the others the body."""
    match body.lstrip()[:1]:
        case b"{":
            return _json(500, '{"code":"FAIL","message":"失败"}')
        case b"<":
            return _xml("FAIL", "till out of order")
        case _:
            return _text("fail")


def answer_of(mode: Mode, body: bytes) -> Answer:
    """The answer that `mode` gives to a request of this body; the broken modes break while sending it."""
    if mode.kind == "fail":
        return failure(body)
    if mode.kind == "status":
        return Answer(mode.status, (("Content-Type", "text/plain; charset=utf-8"),), f"status {mode.status}".encode())
    if mode.kind == "huge":
        return Answer(200, (("Content-Type", "text/plain; charset=utf-8"),), b"x" * HUGE_BYTES)
    return success(body)
