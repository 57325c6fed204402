"""A channel's `wallet` table for Alipay, beside its `keys` → what signing in and orders need."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapters.alipay import keys as _channel
from crypto import certs, rsa
from crypto.errors import KeyMaterialError
from gateway.contract import BadConfig
from gateway.contract.wallet import is_endpoint

NAMES: Final = frozenset(
    {
        "app_id",
        "app_private_key",
        "public_keys",
        "certificates",
        "sign_type",
        "app_certificate",
        "root_certificate",
        "endpoint",
    }
)
GATEWAY: Final = "https://openapi.alipay.com"
PAGES: Final = "https://openauth.alipay.com"

_FROM_KEYS: Final = ("public_keys", "certificates", "app_private_key", "sign_type")
_PAGES_OF: Final = {"https://openapi-sandbox.dl.alipaydev.com": "https://openauth-sandbox.dl.alipaydev.com"}
"""Alipay's own sandbox signs customers in at another host."""

_WORD: Final = re.compile(r"[0-9A-Za-z_-]{1,64}\Z", re.ASCII)

Fault = tuple[str, str]


@dataclass(frozen=True, slots=True, repr=False)
class WalletKeys:
    """What calls are signed with and answers proven by.

    `plain` are Alipay's public keys, `by_sn` those of its certificates by `alipay_cert_sn`. `certificate_params` is
    what certificate mode adds to every call. `own_channel`: the app is the one whose notifications the channel takes.
    """

    app_id: str
    signer: rsa.PrivateKey
    plain: tuple[rsa.PublicKey, ...]
    by_sn: Mapping[bytes, rsa.PublicKey]
    certificate_params: Mapping[str, str]
    gateway: str
    pages: str
    own_channel: bool

    def __repr__(self) -> str:
        return f"WalletKeys(app_id={self.app_id!r}, signers={len(self.plain) + len(self.by_sn)})"


def load(wallet: Mapping[str, Any], keys: Mapping[str, Any]) -> WalletKeys:
    """The two tables, secrets already read to strings → keys. A name in both is the wallet's.

    `keys` add something only where they are of the same app: Alipay has a pair of keys an app. Raises BadConfig listing
    every fault by its path inside the wallet table.
    """
    faults: list[Fault] = [
        (str(name), "is not a name that an Alipay wallet knows") for name in wallet if name not in NAMES
    ]
    own = _text(wallet.get("app_id", keys.get("app_id"))) == _text(keys.get("app_id")) != ""
    table = {name: keys[name] for name in _FROM_KEYS if own and name in keys} | dict(wallet)
    app_id = _text(table.get("app_id", keys.get("app_id")))
    if not _WORD.match(app_id):
        faults.append(("app_id", "is missing or not an app's number"))
    if table.get("sign_type", "RSA2") != "RSA2":
        faults.append(("sign_type", "calls are signed with RSA2; change the app to it"))
    plain = _channel.public_keys(table, rsa.MIN_BITS, faults)
    by_sn = _channel.certificates(table, rsa.MIN_BITS, faults)
    if not table.get("public_keys") and not table.get("certificates"):
        faults.append(("public_keys", "Alipay's public keys are wanted here, or its certificates in `certificates`"))
    signer = _channel.private_key(table, rsa.MIN_BITS, faults)
    if "app_private_key" not in table:
        faults.append(("app_private_key", "is missing; every call is signed with it"))
    params = _certificate_params(table, signer, faults)
    gateway = _endpoint(table, faults)
    if faults or signer is None:
        raise BadConfig(faults)
    return WalletKeys(
        app_id=app_id,
        signer=signer,
        plain=plain,
        by_sn=by_sn,
        certificate_params=params,
        gateway=gateway,
        pages=_PAGES_OF.get(gateway, gateway) if "endpoint" in table else PAGES,
        own_channel=own,
    )


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _certificate_params(table: Mapping[str, Any], signer: rsa.PrivateKey | None, faults: list[Fault]) -> dict[str, str]:
    """Certificate mode: the numbers of our app's certificate and of Alipay's roots, both or neither."""
    names = ("app_certificate", "root_certificate")
    if not any(name in table for name in names):
        return {}
    found = {}
    for name in names:
        value = table.get(name)
        if not isinstance(value, str) or not value.strip():
            faults.append((name, "is missing; certificate mode needs app_certificate and root_certificate"))
            continue
        try:
            if name == "root_certificate":
                found["alipay_root_cert_sn"] = certs.alipay_root_cert_sn(value)
                continue
            certificate = certs.load_certificate(value)
            found["app_cert_sn"] = certs.alipay_cert_sn(certificate)
            if signer is not None and certificate.public_key() != signer.public:
                faults.append((name, "belongs to another key than app_private_key"))
        except KeyMaterialError as error:
            faults.append((name, str(error)))
    return found


def _endpoint(table: Mapping[str, Any], faults: list[Fault]) -> str:
    if "endpoint" not in table:
        return GATEWAY
    text = _text(table["endpoint"]).rstrip("/")
    if not is_endpoint(text):
        faults.append(("endpoint", "is not an http(s) address without query"))
    return text
