"""A channel's `keys` table for WeChat Pay v3 → parsed keys, every fault at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from crypto.aead import Aead
from crypto.certs import load_certificate
from crypto.errors import KeyMaterialError
from crypto.rsa import PrivateKey, PublicKey, load_private_key, load_public_key
from gateway.contract import BadConfig

PUBLIC_KEY_PREFIX: Final = "PUB_KEY_ID_"
APIV3_KEY_BYTES: Final = 32
_DIRECT: Final = ("mchid", "appid")
_PARTNER: Final = ("sp_mchid", "sp_appid")
_NAMES: Final = frozenset(
    (
        *_DIRECT,
        *_PARTNER,
        "sub_mchid",
        "sub_mchids",
        "sub_appid",
        "apiv3_key",
        "apiv3_keys",
        "public_keys",
        "certificates",
        "merchant_private_key",
        "merchant_serial",
    )
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """What `verify` and `parse` need of one channel, parsed once.

    `mch_id` and `app_id` are the merchant's, or the service provider's where `partner`; `sub_mch_ids` are the
    sub-merchants that belong to the channel, `sub_app_id` their appid where one is known. `verifiers` maps what
    `Wechatpay-Serial` may say (`PUB_KEY_ID_…`, or a certificate's serial in upper-case hexadecimal without leading
    zeros) to its key. `aeads` holds one context per APIv3 key, all valid together while a merchant rotates.
    """

    mch_id: str
    app_id: str
    partner: bool
    sub_mch_ids: frozenset[str]
    sub_app_id: str | None
    verifiers: Mapping[str, PublicKey]
    aeads: tuple[Aead, ...]
    merchant_private_key: PrivateKey | None
    merchant_serial: str | None

    def __repr__(self) -> str:
        return f"Keys(mch_id={self.mch_id!r}, app_id={self.app_id!r}, signers={sorted(self.verifiers)!r})"


def load_keys(table: Mapping[str, Any]) -> Keys:
    """The table, secrets already read to strings → keys.

    Raises BadConfig listing every fault by its path inside the table: unknown names, missing or empty values, both
    shapes of merchant at once, an APIv3 key that has not 32 bytes, keys that do not parse or are not RSA-2048.
    """
    reader = Reader(table)
    reader.unknown_names(_NAMES, "wechat_v3")
    partner = any(name in table for name in (*_PARTNER, "sub_mchid", "sub_mchids", "sub_appid"))
    if partner:
        for name in _DIRECT:
            if name in table:
                reader.fault(name, "belongs to a direct merchant, while other names here are a service provider's")
    names = _PARTNER if partner else _DIRECT
    mch_id, app_id = (reader.text(name) for name in names)
    keys = Keys(
        mch_id=mch_id,
        app_id=app_id,
        partner=partner,
        sub_mch_ids=reader.sub_merchants() if partner else frozenset(),
        sub_app_id=reader.text("sub_appid") if "sub_appid" in table else None,
        verifiers=reader.verifiers(),
        aeads=reader.aeads(),
        merchant_private_key=reader.private_key(),
        merchant_serial=reader.text("merchant_serial").upper() if "merchant_serial" in table else None,
    )
    if reader.faults:
        raise BadConfig(reader.faults)
    return keys


class Reader:
    """Reads the table and collects what is wrong with it. A message never repeats a value."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self.table = table
        self.faults: list[tuple[str, str]] = []

    def fault(self, path: str, message: str) -> None:
        """Note what is wrong."""
        self.faults.append((path, message))

    def unknown_names(self, known: Collection[str], whose: str) -> None:
        """A fault for every name that is none of `known`."""
        for name in self.table:
            if name not in known:
                self.fault(str(name), f"is not a name that {whose} knows")

    def text(self, name: str) -> str:
        """The text under a name, trimmed; a fault and "" where there is none."""
        return self._clean(name, self.table.get(name))

    def sub_merchants(self) -> frozenset[str]:
        """The numbers under `sub_mchid` or `sub_mchids`."""
        if "sub_mchids" in self.table:
            if "sub_mchid" in self.table:
                self.fault("sub_mchids", "stands beside sub_mchid; one of them is wanted")
            return frozenset(self._each("sub_mchids", lambda text: text))
        return frozenset((self.text("sub_mchid"),))

    def aeads(self) -> tuple[Aead, ...]:
        """A context for each APIv3 key."""

        def one(text: str) -> Aead:
            raw = text.encode()
            if len(raw) != APIV3_KEY_BYTES:
                raise KeyMaterialError(f"has {len(raw)} bytes; an APIv3 key has {APIV3_KEY_BYTES}")
            return Aead(raw)

        if "apiv3_keys" in self.table:
            if "apiv3_key" in self.table:
                self.fault("apiv3_keys", "stands beside apiv3_key; one of them is wanted")
            return tuple(self._each("apiv3_keys", one))
        made = self._made("apiv3_key", self.table.get("apiv3_key"), one)
        return () if made is None else (made,)

    def verifiers(self) -> dict[str, PublicKey]:
        """The keys of `public_keys` and `certificates` by what `Wechatpay-Serial` says for them."""
        found: dict[str, PublicKey] = {}
        if "public_keys" not in self.table and "certificates" not in self.table:
            self.fault("public_keys", "is missing; WeChat Pay's public key, or `certificates`, is wanted")
        public_keys = self.table.get("public_keys", {})
        if not isinstance(public_keys, Mapping) or ("public_keys" in self.table and not public_keys):
            self.fault("public_keys", "is not a table of key id = public key")
            public_keys = {}
        for key_id, value in public_keys.items():
            path = f"public_keys.{key_id}"
            if not str(key_id).startswith(PUBLIC_KEY_PREFIX):
                self.fault(path, f"is not a key id as WeChat Pay shows it ({PUBLIC_KEY_PREFIX}…)")
            key = self._made(path, value, load_public_key)
            if key is not None:
                found[str(key_id)] = key
        if "certificates" in self.table:
            for serial, key in self._each("certificates", _certificate):
                if serial in found and found[serial] != key:
                    self.fault("certificates", f"holds two certificates with the serial {serial}")
                found[serial] = key
        return found

    def private_key(self) -> PrivateKey | None:
        """The merchant's own key, which comes with its serial or not at all."""
        for name, other in (("merchant_private_key", "merchant_serial"), ("merchant_serial", "merchant_private_key")):
            if name in self.table and other not in self.table:
                self.fault(other, f"is missing; {name} is of use only with it")
        if "merchant_private_key" not in self.table:
            return None
        return self._made("merchant_private_key", self.table["merchant_private_key"], load_private_key)

    def _clean(self, path: str, value: Any) -> str:
        if value is None:
            self.fault(path, "is missing")
        elif not isinstance(value, str):
            self.fault(path, "is not text")
        elif not value.strip():
            self.fault(path, "is empty")
        else:
            return value.strip()
        return ""

    def _made(self, path: str, value: Any, make: Callable[[str], T]) -> T | None:
        text = self._clean(path, value)
        if not text:
            return None
        try:
            return make(text)
        except KeyMaterialError as error:
            self.fault(path, str(error))
            return None

    def _each(self, name: str, make: Callable[[str], T]) -> list[T]:
        values = self.table[name]
        if not isinstance(values, (list, tuple)) or not values:
            self.fault(name, "is not a list with something in it")
            return []
        made = (self._made(f"{name}.{place}", value, make) for place, value in enumerate(values))
        return [one for one in made if one is not None]


def _certificate(text: str) -> tuple[str, PublicKey]:
    certificate = load_certificate(text)
    return certificate.serial, certificate.public_key()
