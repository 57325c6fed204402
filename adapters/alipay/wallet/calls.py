"""Calls signed with the app's key, and answers proven by Alipay's.

Signed is every parameter but `sign`, `sign_type` included, sorted by name, `k=v` joined by `&`, before any encoding
(alipay/alipay-sdk-nodejs-all `src/util.ts`). Of an answer the inner object's own bytes are signed, so they are cut out
and never written anew (`src/alipay.ts` getSignStr).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, NoReturn
from urllib.parse import urlencode

from adapters.alipay.wallet.keys import WalletKeys
from crypto.errors import SignatureMismatch
from crypto.rsa import sign_sha256, verify_sha256
from gateway.contract.clock import BEIJING
from gateway.contract.wallet import Call, CallFailed, CallUnknown, Reply

CLOCK: Final = "%Y-%m-%d %H:%M:%S"
_OK: Final = "10000"
_ERROR: Final = "error_response"
_AGENT: Final = "drainage-gateway"
_CODE: Final = re.compile(r"[0-9A-Za-z_.-]{1,64}\Z", re.ASCII)
_HTTP_OK: Final = 200
_SIGNS_LONGEST: Final = 1024
_BLANK: Final = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Declined:
    """A signed answer whose code is no success. `code` is the gateway's, `sub_code` the business's ("" for none)."""

    code: str
    sub_code: str

    @property
    def word(self) -> str:
        """The more telling of the two."""
        return self.sub_code or self.code

    def error(self, *, final: bool = False) -> CallFailed | CallUnknown:
        """What to raise: `final` where the code is one that the platform says once and for all."""
        return CallFailed(self.word, self.code) if final else CallUnknown(self.word, self.code)


class _Member(NamedTuple):
    value: Any
    raw: str


def signed_call(
    keys: WalletKeys,
    method: str,
    now: datetime,
    *,
    content: Mapping[str, Any] | None = None,
    form: Mapping[str, str] | None = None,
    notify_url: str = "",
) -> Call:
    """The call of an API. `content` goes as `biz_content`, `form` as parameters of its own."""
    public = {
        "app_id": keys.app_id,
        "method": method,
        "format": "JSON",
        "charset": "utf-8",
        "sign_type": "RSA2",
        "timestamp": now.astimezone(BEIJING).strftime(CLOCK),
        "version": "1.0",
        "notify_url": notify_url,
        **keys.certificate_params,
    }
    own = dict(form or {})
    if content is not None:
        own["biz_content"] = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    public = {name: value for name, value in public.items() if value}
    every = {**public, **own}
    text = "&".join(f"{name}={every[name]}" for name in sorted(every))
    public["sign"] = base64.b64encode(sign_sha256(keys.signer, text.encode())).decode("ascii")
    headers = (
        ("Accept", "application/json"),
        ("User-Agent", _AGENT),
        ("Content-Type", "application/x-www-form-urlencoded;charset=utf-8"),
    )
    # As the platform's own SDK does: what every call has stands in the query, where the charset is read first.
    return Call("POST", f"{keys.gateway}/gateway.do?{urlencode(public)}", headers, urlencode(own).encode("ascii"))


def answered(keys: WalletKeys, reply: Reply, method: str, *, unsigned_no: bool = False) -> Mapping[str, Any] | Declined:
    """What the answer's inner object says, or with what code it declines; its signature is good in both cases.

    `unsigned_no`: a refusal without any signature is believed, which is for calls that move no money. Raises
    CallUnknown for all else: `no_answer`, `http_…`, `unverified`, `malformed`, the code of an unsigned error.
    """
    if reply.status != _HTTP_OK:
        raise CallUnknown(f"http_{reply.status}" if reply.status else "no_answer")
    members = _members(reply.body)
    name = f"{method.replace('.', '_')}_response"
    inner = members.get(name) or members.get(_ERROR)
    if inner is None or not isinstance(inner.value, dict):
        raise malformed("no answer to this call")
    told: Mapping[str, Any] = inner.value
    declined = _declined(told, is_error=name not in members)
    if declined is not None and "sign" not in members:
        if unsigned_no:
            return declined
        raise declined.error()
    try:
        _verify(keys, members, inner.raw.encode())
    except SignatureMismatch:
        raise CallUnknown("unverified", "not signed by Alipay") from None
    return told if declined is None else declined


def malformed(what: str) -> CallUnknown:
    """The error for an answer that does not hold what it should."""
    return CallUnknown("malformed", what)


def _declined(told: Mapping[str, Any], *, is_error: bool) -> Declined | None:
    code = told.get("code")
    # The answer of alipay.system.oauth.token has no code when all is well.
    if not is_error and code in (None, _OK):
        return None
    words = (code, told.get("sub_code"))
    found = [word if isinstance(word, str) and _CODE.match(word) else "" for word in words]
    return Declined(found[0] or "no_code", found[1])


def _verify(keys: WalletKeys, members: Mapping[str, _Member], signed: bytes) -> None:
    """Raises SignatureMismatch."""
    sign = members["sign"].value if "sign" in members else None
    if not isinstance(sign, str) or not 0 < len(sign) <= _SIGNS_LONGEST:
        raise SignatureMismatch("no signature")
    try:
        signature = binascii.a2b_base64(sign.encode("ascii"), strict_mode=True)
    except ValueError:
        raise SignatureMismatch("not base64") from None
    named = members["alipay_cert_sn"].value if "alipay_cert_sn" in members else None
    candidates = keys.plain
    if isinstance(named, str) and named.encode(errors="replace") in keys.by_sn:
        candidates = (keys.by_sn[named.encode()],)
    elif named is None:
        candidates = (*keys.plain, *keys.by_sn.values())
    for key in candidates:
        try:
            verify_sha256(key, signature, signed)
        except SignatureMismatch:
            continue
        return
    raise SignatureMismatch("no key held fits")


def _members(body: bytes) -> dict[str, _Member]:
    """The members of a JSON object with their text as it came. Raises CallUnknown `malformed`, also for a double."""
    try:
        return _split(body.decode("utf-8"))
    except (ValueError, RecursionError, IndexError):
        raise malformed("not a JSON object") from None


def _split(text: str) -> dict[str, _Member]:
    """Raises ValueError, RecursionError and, where the text just ends, IndexError."""
    decode = json.JSONDecoder(object_pairs_hook=_no_doubles, parse_constant=_no_constant).raw_decode
    found: dict[str, _Member] = {}
    at = _expect(text, _skip(text, 0), "{")
    if text[_skip(text, at)] == "}":
        at = _skip(text, at) + 1
    else:
        while True:
            name, at = decode(text, _skip(text, at))
            if not isinstance(name, str) or name in found:
                raise ValueError("a name that is none, or there twice")
            start = _skip(text, _expect(text, _skip(text, at), ":"))
            value, at = decode(text, start)
            found[name] = _Member(value, text[start:at])
            at = _skip(text, at)
            if text[at] == "}":
                at += 1
                break
            at = _expect(text, at, ",")
    if _skip(text, at) != len(text):
        raise ValueError("something behind the object")
    return found


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _BLANK:
        at += 1
    return at


def _expect(text: str, at: int, sign: str) -> int:
    if text[at] != sign:
        raise ValueError(f"no {sign}")
    return at + 1


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name is given twice")
    return made


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")
