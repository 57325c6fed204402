"""What WeChat Pay v3 is answered, and how a POS's answer reads.

Source: the platform's callback guide (`wechatpay-apiv3/wechatpay-skills`, 回调通知处理): 200 or 204 is success,
the body may be empty or `{"code":"SUCCESS"}`; any 4xx or 5xx with `{"code":"FAIL"}` makes it send again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from gateway.contract import Ack, Outcome

_JSON: Final = (("Content-Type", "application/json"),)
_TAKEN: Final = frozenset((200, 204))

ACKS: Final[Mapping[Outcome, Ack]] = {
    "accepted": Ack(200, _JSON, '{"code":"SUCCESS","message":"成功"}'.encode()),
    "refused": Ack(401, _JSON, '{"code":"FAIL","message":"通知未通过验证"}'.encode()),
    "try_later": Ack(503, _JSON, '{"code":"FAIL","message":"请稍后重试"}'.encode()),
}


def accepted(status: int, body: bytes) -> bool:
    """200 or 204, unless the body is a JSON object whose code is FAIL."""
    if status not in _TAKEN:
        return False
    try:
        answer = orjson.loads(body)
    except ValueError:
        return True
    return not (isinstance(answer, dict) and answer.get("code") == "FAIL")
