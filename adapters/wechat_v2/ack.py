"""What WeChat Pay v2 is answered, and how a POS's answer reads.

Source: the v2 payment-result notice (doc/v2/merchant/4011937248): `return_code` SUCCESS in XML, or it is sent again;
the HTTP status alone says nothing. A wrong answer here made one product's notifications repeat for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from adapters.wechat_v2.wire import read_xml
from gateway.contract import Ack, Malformed, Outcome

_XML: Final = (("Content-Type", "text/xml; charset=utf-8"),)


def _answer(code: str, message: str) -> bytes:
    return (
        f"<xml><return_code><![CDATA[{code}]]></return_code><return_msg><![CDATA[{message}]]></return_msg></xml>"
    ).encode()


ACKS: Final[Mapping[Outcome, Ack]] = {
    "accepted": Ack(200, _XML, _answer("SUCCESS", "OK")),
    "refused": Ack(200, _XML, _answer("FAIL", "签名失败")),
    "try_later": Ack(503, _XML, _answer("FAIL", "请稍后重试")),
}


def accepted(status: int, body: bytes) -> bool:
    """A status of success and a `return_code` of SUCCESS in the body."""
    if not 200 <= status < 300:  # noqa: PLR2004 - HTTP's own border
        return False
    try:
        return read_xml(body, "xml").get("return_code") == "SUCCESS"
    except Malformed:
        return False
