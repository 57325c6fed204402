r"""Calls signed with the merchant's key, and answers proven by WeChat Pay's.

Signed are five lines, each ended by `\n`: method, path with query, timestamp, nonce, body. Source: the platform's
签名与验签规则 (`wechatpay-apiv3/wechatpay-skills`). An answer is signed like a notification, and only a 2xx is looked
at so (wechatpay-go `core/client.go`): the body of an error is believed as far as TLS goes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import orjson

from adapters.wechat_v3.verify import verify
from adapters.wechat_v3.wallet.keys import WalletKeys
from adapters.wechat_v3.wire import read_object
from crypto.rsa import sign_sha256
from gateway.contract.adapter import RawNotification
from gateway.contract.errors import BadNotification, Malformed
from gateway.contract.wallet import Call, CallFailed, CallUnknown, Reply

SCHEME: Final = "WECHATPAY2-SHA256-RSA2048"
_AGENT: Final = "drainage-gateway"
_CODE: Final = re.compile(r"[0-9A-Za-z_.-]{1,64}\Z", re.ASCII)
_REQUEST_ID: Final = re.compile(r"[0-9A-Za-z-]{1,64}\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Declined:
    """A 4xx with a code of the platform's; `detail` is its status and request id, for an operator."""

    code: str
    detail: str

    def error(self, *, final: bool = False) -> CallFailed | CallUnknown:
        """What to raise: `final` where the code is one that the platform says once and for all."""
        return CallFailed(self.code, self.detail) if final else CallUnknown(self.code, self.detail)


def signed_call(
    keys: WalletKeys,
    method: Literal["GET", "POST"],
    path: str,
    body: Mapping[str, Any] | None,
    now: datetime,
    nonce: str,
) -> Call:
    """The call of `path` (with its query) and JSON body. Raises CallFailed `unfit` where no key is held."""
    if keys.signer is None:
        raise CallFailed("unfit", "the wallet has no merchant_private_key")
    content = b"" if body is None else orjson.dumps(body)
    timestamp = str(int(now.timestamp()))
    signature = signed(keys, f"{method}\n{path}\n{timestamp}\n{nonce}\n".encode() + content + b"\n")
    headers = [
        ("Accept", "application/json"),
        ("User-Agent", _AGENT),
        (
            "Authorization",
            (
                f'{SCHEME} mchid="{keys.mch_id}",nonce_str="{nonce}",timestamp="{timestamp}",'
                f'serial_no="{keys.serial}",signature="{signature}"'
            ),
        ),
    ]
    if keys.public_key_id:
        # Asks to be answered under the public key, while a merchant changes from certificates to it.
        headers.append(("Wechatpay-Serial", keys.public_key_id))
    if content:
        headers.append(("Content-Type", "application/json"))
    return Call(method, keys.pay + path, tuple(headers), content)


def signed(keys: WalletKeys, text: bytes) -> str:
    """The merchant's signature in base64. Raises CallFailed `unfit` where no key is held."""
    if keys.signer is None:
        raise CallFailed("unfit", "the wallet has no merchant_private_key")
    return base64.b64encode(sign_sha256(keys.signer, text)).decode("ascii")


def answered(keys: WalletKeys, reply: Reply, now: datetime) -> Mapping[str, Any] | Declined:
    """What a 2xx says (nothing, for an empty one), its signature good; or with what code a 4xx declines.

    Raises CallUnknown for all else: `no_answer`, `http_…`, `unverified`, `malformed`, and any code of a 5xx.
    """
    if 200 <= reply.status < 300:  # noqa: PLR2004 - a class of statuses
        try:
            body = verify(RawNotification("POST", "", reply.headers, reply.body, now), keys, now)
        except BadNotification as error:
            raise CallUnknown("unverified", error.reason) from None
        return _object(body) if body else {}
    code = _code(reply)
    if 400 <= reply.status < 500 and code:  # noqa: PLR2004 - a class of statuses
        return Declined(code, _detail(reply))
    raise CallUnknown(code or (f"http_{reply.status}" if reply.status else "no_answer"), _detail(reply))


def malformed(what: str) -> CallUnknown:
    """The error for a signed answer that does not hold what it should."""
    return CallUnknown("malformed", what)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        return read_object(body)
    except Malformed:
        raise malformed("not a JSON object") from None


def _code(reply: Reply) -> str:
    try:
        code = read_object(reply.body).get("code")
    except Malformed:
        return ""
    return code if isinstance(code, str) and _CODE.match(code) else ""


def _detail(reply: Reply) -> str:
    """The platform's message is left out: it may repeat what was sent."""
    request_id = reply.header("Request-ID") or ""
    return f"{reply.status} {request_id}" if _REQUEST_ID.match(request_id) else str(reply.status)
