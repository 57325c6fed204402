"""The payment platforms, written a second time from their protocols: what they send, signed and encrypted.

Shares no line with the gateway, so that a mistake made there is not made here as well. Only the standard library and
`cryptography`. Keys are made at import of a platform and live as long as the process.

Protocol facts: WeChat Pay APIv3 callbacks are signed over `timestamp\\nnonce\\nbody\\n` by RSA-2048 PKCS #1 v1.5 with
SHA-256 and encrypted by AES-256-GCM; APIv2 signs sorted `k=v&…&key=` by MD5 or HMAC-SHA256 and encrypts refunds by
AES-256-ECB under the MD5 of the key; Alipay signs the sorted, decoded form without `sign` and `sign_type` (RSA2).
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import itertools
import json
import os
import time
from dataclasses import dataclass, field, replace
from urllib.parse import quote_plus

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID

CHINA = dt.timezone(dt.timedelta(hours=8))
Headers = tuple[tuple[str, str], ...]

_count = itertools.count(1)
# Distinct between test processes that run beside each other, since one of them may share a store with none.
_RUN = f"{os.getpid() % 100000:05d}{int(time.monotonic() * 1000) % 10**7:07d}"


def fresh_openid() -> str:
    """An openid nobody had before: 28 characters, as WeChat's."""
    return f"oE2E{_RUN}{next(_count):08d}canY"


def fresh_transaction() -> str:
    """A transaction number nobody had before: 28 digits."""
    return f"42000{_RUN}{next(_count):011d}"


@dataclass(frozen=True)
class Sent:
    """One notification as the platform puts it on the wire."""

    headers: Headers
    body: bytes
    transaction: str = ""

    def with_header(self, name: str, value: str | None) -> Sent:
        """The same with one header replaced, or dropped (None)."""
        kept = tuple((n, v) for n, v in self.headers if n.lower() != name.lower())
        return replace(self, headers=kept if value is None else (*kept, (name, value)))

    def with_body(self, body: bytes) -> Sent:
        return replace(self, body=body)


@dataclass(frozen=True)
class Signer:
    """An RSA key pair of a platform."""

    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048), repr=False)

    def sign(self, message: bytes, digest: hashes.HashAlgorithm | None = None) -> str:
        return base64.b64encode(self.key.sign(message, padding.PKCS1v15(), digest or hashes.SHA256())).decode()

    @property
    def public_pem(self) -> str:
        kind = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.key.public_key().public_bytes(serialization.Encoding.PEM, kind).decode()

    def certificate(self, serial: int) -> str:
        """A certificate of this key, signed by itself, valid around now."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "platform of the checks")])
        now = dt.datetime.now(dt.timezone.utc)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(serial)
            .not_valid_before(now - dt.timedelta(days=30))
            .not_valid_after(now + dt.timedelta(days=300))
            .sign(self.key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM).decode()


STRANGER = Signer()
"""A key that no channel trusts."""


# -- WeChat Pay APIv3 -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WeChatV3:
    """APIv3's sender. `partner` sends the service provider's shape; `certificate` signs under a certificate's serial."""

    mchid: str = "1900000109"
    appid: str = "wxd678efh567hg6787"
    sub_mchid: str = "1900000209"
    sub_appid: str = "wxsub8888888888888"
    partner: bool = False
    certificate: bool = False
    apiv3_key: str = "e2e-apiv3-key-0123456789abcdefgh"
    signer: Signer = field(default_factory=Signer)
    serial_number: int = 0x1DDE55AD98ED71D6EDD4A4A16996DE7B47773A8C
    key_id: str = "PUB_KEY_ID_0119000001092024101500111200000001"
    provider: str = "wechat"
    adapter: str = "wechat_v3"

    @property
    def serial(self) -> str:
        return f"{self.serial_number:X}" if self.certificate else self.key_id

    def payment(
        self,
        openid: str,
        fen: int = 2500,
        transaction: str | None = None,
        *,
        event_type: str = "TRANSACTION.SUCCESS",
        original_type: str = "transaction",
        **changes: object,
    ) -> Sent:
        """A payment; `changes` go into the decrypted resource."""
        transaction = transaction or fresh_transaction()
        shop: dict[str, object] = {"mchid": self.mchid, "appid": self.appid}
        payer = {"openid": openid}
        if self.partner:
            shop = {"sp_mchid": self.mchid, "sp_appid": self.appid, "sub_mchid": self.sub_mchid}
            shop["sub_appid"] = self.sub_appid
            payer = {"sp_openid": openid, "sub_openid": "sub" + openid[3:]}
        resource = {
            **shop,
            "out_trade_no": "OUT" + transaction[-20:],
            "transaction_id": transaction,
            "trade_type": "JSAPI",
            "trade_state": "SUCCESS",
            "trade_state_desc": "支付成功",
            "bank_type": "OTHERS",
            "attach": "",
            "success_time": _rfc3339(),
            "payer": payer,
            "amount": {"total": fen, "payer_total": fen, "currency": "CNY", "payer_currency": "CNY"},
            **changes,
        }
        return self.seal(resource, transaction, event_type, original_type, "支付成功")

    def refund(self, transaction: str, fen: int, of_fen: int, number: str | None = None, **changes: object) -> Sent:
        """A refund of `fen` out of a payment of `of_fen`."""
        shop = {"mchid": self.mchid}
        if self.partner:
            shop = {"sp_mchid": self.mchid, "sub_mchid": self.sub_mchid}
        number = number or fresh_transaction().replace("42000", "50300", 1)
        resource = {
            **shop,
            "out_trade_no": "OUT" + transaction[-20:],
            "transaction_id": transaction,
            "out_refund_no": "R" + number[-20:],
            "refund_id": number,
            "refund_status": "SUCCESS",
            "success_time": _rfc3339(),
            "user_received_account": "支付用户零钱",
            "amount": {"total": of_fen, "refund": fen, "payer_total": of_fen, "payer_refund": fen},
            **changes,
        }
        return self.seal(resource, transaction, "REFUND.SUCCESS", "refund", "退款成功")

    def seal(self, resource: dict[str, object], transaction: str, event: str, original: str, summary: str) -> Sent:
        """Encrypt and sign now."""
        nonce, aad = os.urandom(6).hex(), original
        plain = json.dumps(resource, ensure_ascii=False, separators=(",", ":")).encode()
        ciphertext = AESGCM(self.apiv3_key.encode()).encrypt(nonce.encode(), plain, aad.encode())
        body = {
            "id": f"EV-{os.urandom(14).hex()}",
            "create_time": _rfc3339(),
            "resource_type": "encrypt-resource",
            "event_type": event,
            "summary": summary,
            "resource": {
                "original_type": original,
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": base64.b64encode(ciphertext).decode(),
                "associated_data": aad,
                "nonce": nonce,
            },
        }
        return self.signed(json.dumps(body, ensure_ascii=False).encode(), transaction)

    def signed(self, body: bytes, transaction: str = "", *, age_s: int = 0, signer: Signer | None = None) -> Sent:
        """`body` with its headers, signed `age_s` seconds ago."""
        timestamp, nonce = str(int(time.time()) - age_s), os.urandom(16).hex()
        signature = (signer or self.signer).sign(b"%s\n%s\n%s\n" % (timestamp.encode(), nonce.encode(), body))
        headers = (
            ("Content-Type", "application/json"),
            ("Request-ID", "08F" + os.urandom(12).hex().upper()),
            ("Wechatpay-Nonce", nonce),
            ("Wechatpay-Serial", self.serial),
            ("Wechatpay-Signature", signature),
            ("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048"),
            ("Wechatpay-Timestamp", timestamp),
            ("User-Agent", "Mozilla/4.0"),
            ("Accept", "*/*"),
        )
        return Sent(headers, body, transaction)

    def wrong(self, openid: str) -> dict[str, Sent]:
        """What must change nothing, each by its name."""
        good = self.payment(openid)
        other_key = replace(self, apiv3_key="another-apiv3-key-0123456789abcd")
        return {
            "one byte of the body": good.with_body(good.body.replace(b"JSAPI", b"x").replace(b'"id"', b'"iD"')),
            "a line end behind the body": good.with_body(good.body + b"\n"),
            "a stranger's key": self.signed(good.body, signer=STRANGER),
            "300 s old": self.signed(good.body, age_s=301),
            "300 s ahead": self.signed(good.body, age_s=-305),
            "a probe": good.with_header("Wechatpay-Signature", "WECHATPAY/SIGNTEST/" + "A" * 300),
            "no signature": good.with_header("Wechatpay-Signature", None),
            "no base64": good.with_header("Wechatpay-Signature", "%%%"),
            "an unknown key id": good.with_header("Wechatpay-Serial", "PUB_KEY_ID_0000000000000000000000000000009"),
            "an unknown serial": good.with_header("Wechatpay-Serial", "7777777777777777777777777777777777777777"),
            "another signature type": good.with_header("Wechatpay-Signature-Type", "WECHATPAY2-SM2-WITH-SM3"),
            "a foreign decryption key": other_key.payment(openid),
            "no JSON": self.signed(b"<xml/>"),
            "an empty body": self.signed(b""),
            "bytes": self.signed(bytes(range(256))),
        }

    def foreign(self, openid: str) -> Sent:
        """Genuine, but another merchant's."""
        return replace(self, mchid="1666666666", sub_mchid="1666666667").payment(openid)

    def unpaid(self, openid: str) -> Sent:
        return self.payment(openid, trade_state="PAYERROR")

    def keys(self, name: str) -> tuple[str, dict[str, str]]:
        """The channel's keys table as TOML lines, and the key files it names."""
        lines = [f'apiv3_key = {{ file = "{name}.key" }}']
        if self.partner:
            lines += [f'sp_mchid = "{self.mchid}"', f'sp_appid = "{self.appid}"']
            lines += [f'sub_mchid = "{self.sub_mchid}"', f'sub_appid = "{self.sub_appid}"']
        else:
            lines += [f'mchid = "{self.mchid}"', f'appid = "{self.appid}"']
        if self.certificate:
            lines.append(f'certificates = [{{ file = "{name}.pem" }}]')
            pem = self.signer.certificate(self.serial_number)
        else:
            lines.append(f'public_keys = {{ {self.key_id} = {{ file = "{name}.pem" }} }}')
            pem = self.signer.public_pem
        return "\n".join(lines), {f"{name}.key": self.apiv3_key + "\n", f"{name}.pem": pem}


# -- WeChat Pay APIv2 -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class WeChatV2:
    """APIv2's sender; `hashing` is how its notifications are signed."""

    mchid: str = "1230000109"
    appid: str = "wx2421b1c4370ec43b"
    api_key: str = "e2eApiKeyOf32Characters012345678"
    hashing: str = "MD5"
    provider: str = "wechat"
    adapter: str = "wechat_v2"

    def fields(self, openid: str, fen: int = 2500, transaction: str | None = None, **changes: str) -> dict[str, str]:
        transaction = transaction or fresh_transaction()
        return {
            "appid": self.appid,
            "attach": "支付测试",
            "bank_type": "CFT",
            "cash_fee": str(fen),
            "fee_type": "CNY",
            "is_subscribe": "Y",
            "mch_id": self.mchid,
            "nonce_str": os.urandom(16).hex(),
            "openid": openid,
            "out_trade_no": "OUT" + transaction[-20:],
            "result_code": "SUCCESS",
            "return_code": "SUCCESS",
            "time_end": _beijing("%Y%m%d%H%M%S"),
            "total_fee": str(fen),
            "trade_type": "JSAPI",
            "transaction_id": transaction,
            **changes,
        }

    def sign(self, fields: dict[str, str]) -> str:
        text = "&".join(f"{k}={fields[k]}" for k in sorted(fields) if fields[k] and k != "sign")
        text += f"&key={self.api_key}"
        if self.hashing == "MD5":
            return hashlib.md5(text.encode()).hexdigest().upper()
        return hmac.new(self.api_key.encode(), text.encode(), hashlib.sha256).hexdigest().upper()

    def signed(self, fields: dict[str, str]) -> Sent:
        if self.hashing != "MD5":
            fields = {**fields, "sign_type": "HMAC-SHA256"}
        return self.wire({**fields, "sign": self.sign(fields)})

    @staticmethod
    def wire(fields: dict[str, str]) -> Sent:
        inner = "".join(f"<{k}><![CDATA[{v}]]></{k}>\n" for k, v in fields.items())
        headers = (("Content-Type", "text/xml"), ("User-Agent", "Mozilla/4.0"), ("Accept", "*/*"))
        return Sent(headers, f"<xml>{inner}</xml>".encode(), fields.get("transaction_id", ""))

    def payment(self, openid: str, fen: int = 2500, transaction: str | None = None, **changes: str) -> Sent:
        return self.signed(self.fields(openid, fen, transaction, **changes))

    def refund(self, transaction: str, fen: int, of_fen: int, number: str | None = None, **changes: str) -> Sent:
        """Not signed: encrypted under the MD5 of the API key."""
        number = number or fresh_transaction().replace("42000", "50300", 1)
        inner = {
            "out_refund_no": "R" + number[-20:],
            "out_trade_no": "OUT" + transaction[-20:],
            "refund_account": "REFUND_SOURCE_RECHARGE_FUNDS",
            "refund_fee": str(fen),
            "refund_id": number,
            "refund_recv_accout": "支付用户零钱",
            "refund_request_source": "API",
            "refund_status": "SUCCESS",
            "settlement_refund_fee": str(fen),
            "settlement_total_fee": str(of_fen),
            "success_time": _beijing("%Y-%m-%d %H:%M:%S"),
            "total_fee": str(of_fen),
            "transaction_id": transaction,
            **changes,
        }
        plain = "<root>" + "".join(f"<{k}><![CDATA[{v}]]></{k}>" for k, v in inner.items()) + "</root>"
        outer = {
            "return_code": "SUCCESS",
            "appid": self.appid,
            "mch_id": self.mchid,
            "nonce_str": os.urandom(16).hex(),
            "req_info": self._encrypted(plain.encode()),
        }
        return replace(self.wire(outer), transaction=transaction)

    def _encrypted(self, plain: bytes) -> str:
        key = hashlib.md5(self.api_key.encode()).hexdigest().encode()
        gap = 16 - len(plain) % 16
        encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
        return base64.b64encode(encryptor.update(plain + bytes([gap]) * gap) + encryptor.finalize()).decode()

    def wrong(self, openid: str) -> dict[str, Sent]:
        good = self.payment(openid)
        unsigned = self.fields(openid)
        dtd = b'<!DOCTYPE xml [<!ENTITY e SYSTEM "file:///etc/passwd">]>'
        return {
            "another amount": good.with_body(
                good.body.replace(b"<total_fee><![CDATA[2500", b"<total_fee><![CDATA[2501")
            ),
            "a field more": good.with_body(good.body.replace(b"</xml>", b"<new>1</new></xml>")),
            "no sign": self.wire(unsigned),
            "an empty sign": self.wire({**unsigned, "sign": ""}),
            "another key": replace(self, api_key="anotherApiKeyOf32Characters01234").payment(openid),
            "a DTD": good.with_body(dtd + good.body),
            "a bomb": good.with_body(b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><xml>&b;</xml>'),
            "no XML": good.with_body(b"{}"),
            "cut short": good.with_body(good.body[:-9]),
            "an empty body": good.with_body(b""),
            "a refund of another key": replace(self, api_key="anotherApiKeyOf32Characters01234").refund("4", 1, 1),
        }

    def foreign(self, openid: str) -> Sent:
        return replace(self, mchid="1666666666").payment(openid)

    def unpaid(self, openid: str) -> Sent:
        return self.payment(openid, result_code="FAIL")

    def keys(self, name: str) -> tuple[str, dict[str, str]]:
        lines = f'mchid = "{self.mchid}"\nappid = "{self.appid}"\napi_key = {{ file = "{name}.key" }}'
        if self.hashing != "MD5":
            lines += '\nsign_type = "HMAC-SHA256"'
        return lines, {f"{name}.key": self.api_key}


# -- Alipay ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Alipay:
    """Alipay's sender; `charset` is the one it declares and uses, `openid_only` leaves `buyer_id` out as new apps do."""

    app_id: str = "2021000118623587"
    seller_id: str = "2088102175794899"
    charset: str = "utf-8"
    openid_only: bool = True
    signer: Signer = field(default_factory=Signer)
    provider: str = "alipay"
    adapter: str = "alipay"

    def fields(self, openid: str, fen: int = 2500, transaction: str | None = None, **changes: str) -> dict[str, str]:
        transaction = transaction or fresh_transaction()
        yuan = _yuan(fen)
        made = {
            "gmt_create": _beijing("%Y-%m-%d %H:%M:%S"),
            "charset": self.charset,
            "gmt_payment": _beijing("%Y-%m-%d %H:%M:%S"),
            "notify_time": _beijing("%Y-%m-%d %H:%M:%S"),
            "subject": "牛肉面 100% 加面&加汤=香",
            "buyer_open_id": openid,
            "body": "",
            "version": "1.0",
            "notify_id": os.urandom(17).hex(),
            "fund_bill_list": f'[{{"amount":"{yuan}","fundChannel":"PCREDIT"}}]',
            "notify_type": "trade_status_sync",
            "out_trade_no": "OUT" + transaction[-20:],
            "total_amount": yuan,
            "trade_status": "TRADE_SUCCESS",
            "trade_no": transaction,
            "auth_app_id": self.app_id,
            "receipt_amount": yuan,
            "point_amount": "0.00",
            "buyer_pay_amount": yuan,
            "app_id": self.app_id,
            "seller_id": self.seller_id,
        }
        if not self.openid_only:
            made["buyer_id"] = "2088" + str(int(hashlib.sha256(openid.encode()).hexdigest(), 16) % 10**12).zfill(12)
        return {**made, **changes}

    def signed(self, fields: dict[str, str], *, signer: Signer | None = None, sign_type: str = "RSA2") -> Sent:
        text = "&".join(f"{k}={fields[k]}" for k in sorted(fields))
        digest = hashes.SHA256() if sign_type == "RSA2" else hashes.SHA1()
        sign = (signer or self.signer).sign(text.encode(self.charset), digest)
        return self.wire([*fields.items(), ("sign_type", sign_type), ("sign", sign)], fields.get("trade_no", ""))

    def wire(self, pairs: list[tuple[str, str]], transaction: str) -> Sent:
        body = "&".join(f"{k}={quote_plus(v.encode(self.charset))}" for k, v in pairs)
        headers = (
            ("Content-Type", f"application/x-www-form-urlencoded; charset={self.charset.upper()}"),
            ("User-Agent", "Mozilla/4.0"),
        )
        return Sent(headers, body.encode(), transaction)

    def payment(self, openid: str, fen: int = 2500, transaction: str | None = None, **changes: str) -> Sent:
        return self.signed(self.fields(openid, fen, transaction, **changes))

    def refund(self, transaction: str, fen: int, of_fen: int, number: str | None = None, **changes: str) -> Sent:
        """A refund: a full one closes the trade, a partial one keeps TRADE_SUCCESS."""
        status = "TRADE_CLOSED" if fen >= of_fen else "TRADE_SUCCESS"
        refund = {
            "trade_status": status,
            "gmt_refund": _beijing("%Y-%m-%d %H:%M:%S") + ".123",
            "refund_fee": _yuan(fen),
            "out_biz_no": number or "RF" + fresh_transaction()[-20:],
        }
        return self.signed(self.fields("o" + transaction, of_fen, transaction, **{**refund, **changes}))

    def wrong(self, openid: str) -> dict[str, Sent]:
        good = self.payment(openid)
        fields = self.fields(openid)
        legacy = self.signed(fields, sign_type="RSA")
        return {
            "another amount": good.with_body(good.body.replace(b"total_amount=25.00", b"total_amount=25.01")),
            "a field more": good.with_body(good.body + b"&extra=1"),
            "a field less": good.with_body(good.body.replace(b"point_amount=0.00&", b"")),
            "an amount twice": good.with_body(good.body + b"&total_amount=25.00"),
            "a stranger's key": self.signed(fields, signer=STRANGER),
            "SHA-1 although RSA2 is agreed": legacy,
            "no sign": self.wire([*fields.items(), ("sign_type", "RSA2")], ""),
            "an empty sign": self.wire([*fields.items(), ("sign_type", "RSA2"), ("sign", "")], ""),
            "no sign type": good.with_body(good.body.replace(b"&sign_type=RSA2", b"")),
            "an unknown charset": good.with_body(good.body.replace(b"charset=", b"charset=klingon-")),
            "cut short": good.with_body(good.body[: len(good.body) // 2]),
            "an empty body": good.with_body(b""),
            "bytes": good.with_body(bytes(range(256))),
        }

    def foreign(self, openid: str) -> Sent:
        return replace(self, seller_id="2088666666666666").payment(openid)

    def unpaid(self, openid: str) -> Sent:
        return self.payment(openid, trade_status="WAIT_BUYER_PAY")

    def keys(self, name: str) -> tuple[str, dict[str, str]]:
        # As the console shows it: the bare base64 body without the PEM frame.
        bare = "".join(self.signer.public_pem.split("-----")[2].split())
        lines = f'app_id = "{self.app_id}"\nseller_id = "{self.seller_id}"\nsign_type = "RSA2"\n'
        return lines + f'public_keys = [{{ file = "{name}.pub" }}]', {f"{name}.pub": bare + "\n"}


Platform = WeChatV3 | WeChatV2 | Alipay


def _rfc3339() -> str:
    return dt.datetime.now(CHINA).isoformat(timespec="seconds")


def _beijing(shape: str) -> str:
    return dt.datetime.now(CHINA).strftime(shape)


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"
