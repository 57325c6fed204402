"""A channel's `wallet` table for WeChat, beside its `keys` → what signing in and orders need."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from adapters.wechat_v3.keys import PUBLIC_KEY_PREFIX, Reader
from crypto.rsa import PrivateKey, PublicKey
from gateway.contract import BadConfig, Secret
from gateway.contract.wallet import is_endpoint

NAMES: Final = frozenset(
    {
        "appid",
        "app_secret",
        "endpoint",
        "mchid",
        "sp_mchid",
        "sp_appid",
        "sub_mchid",
        "sub_appid",
        "merchant_private_key",
        "merchant_serial",
        "public_keys",
        "certificates",
        "transfer_scene",
    }
)
SCENES: Final = ("1000",)
"""The scenes of transfers that we can report on: 现金营销."""
PAGES: Final = "https://open.weixin.qq.com"
API: Final = "https://api.weixin.qq.com"
PAY: Final = "https://api.mch.weixin.qq.com"

_FROM_KEYS: Final = NAMES - {"appid", "app_secret", "endpoint", "transfer_scene"}
# They stand inside quotes of a header and between the signs of a query.
_WORD: Final = re.compile(r"[0-9A-Za-z_-]{1,64}\Z", re.ASCII)
_SECRET: Final = re.compile(r"[!-~]{1,128}\Z", re.ASCII)


@dataclass(frozen=True, slots=True, repr=False)
class WalletKeys:
    """What calls are made with and answers proven by.

    `app_id` is the app that customers sign in to. `mch_id` signs (a service provider's, where `partner`), and where
    it is a partner's, `sub_mch_id` is who is paid and `sp_app_id` the provider's own app. `signer` is None where the
    wallet is for signing in alone, `transfer_scene` "" where no money is sent to customers. `pages`, `api` and `pay`
    are the origins of WeChat's three hosts.
    """

    app_id: str
    app_secret: Secret[str]
    mch_id: str
    partner: bool
    sub_mch_id: str
    sp_app_id: str
    signer: PrivateKey | None
    serial: str
    verifiers: Mapping[str, PublicKey]
    pages: str
    api: str
    pay: str
    transfer_scene: str = ""

    @property
    def of_sub_merchant(self) -> bool:
        """Whether customers sign in to the sub-merchant's app, and not to the service provider's."""
        return self.partner and self.app_id != self.sp_app_id

    @property
    def public_key_id(self) -> str:
        """The id of WeChat Pay's public key, "" in certificate mode; of several the one given last."""
        return next((serial for serial in reversed([*self.verifiers]) if serial.startswith(PUBLIC_KEY_PREFIX)), "")

    def __repr__(self) -> str:
        return f"WalletKeys(app_id={self.app_id!r}, mch_id={self.mch_id!r}, signers={sorted(self.verifiers)!r})"


def load(wallet: Mapping[str, Any], keys: Mapping[str, Any]) -> WalletKeys:
    """The two tables, secrets already read to strings → keys. A name in both is the wallet's.

    `keys` of another platform's channel add nothing. Raises BadConfig listing every fault by its path inside the
    wallet table: unknown names, no app or secret, words with strange signs, half a signing key, keys that do not parse,
    a signing key without WeChat Pay's own, an app that is neither the provider's nor the sub-merchant's.
    """
    reader = Reader({**_inherited(keys), **wallet})
    Reader.unknown_names(_only(reader, wallet), NAMES, "a WeChat wallet")
    table = reader.table
    partner = any(name in table for name in ("sp_mchid", "sub_mchid", "sub_appid"))
    app_id = _word(reader, "appid")
    secret = reader.text("app_secret")
    if secret and not _SECRET.match(secret):
        reader.fault("app_secret", "is not the secret of an app")
    wants_orders = "merchant_private_key" in table or "merchant_serial" in table
    mch_id = _word(reader, "sp_mchid" if partner else "mchid") if wants_orders else ""
    sp_app_id = _word(reader, "sp_appid") if wants_orders and partner else str(table.get("sp_appid", "")).strip()
    sub_app_id = _word(reader, "sub_appid") if "sub_appid" in table else ""
    if partner and sub_app_id and app_id not in (sp_app_id, sub_app_id):
        reader.fault("appid", "is neither the sp_appid nor the sub_appid, so it would sign in strangers")
    made = WalletKeys(
        app_id=app_id,
        app_secret=Secret(secret),
        mch_id=mch_id,
        partner=partner,
        sub_mch_id=_word(reader, "sub_mchid") if "sub_mchid" in table else "",
        sp_app_id=sp_app_id,
        signer=reader.private_key(),
        serial=_word(reader, "merchant_serial").upper() if "merchant_serial" in table else "",
        verifiers=reader.verifiers() if wants_orders or "public_keys" in table or "certificates" in table else {},
        transfer_scene=_scene(reader),
        **_origins(reader),
    )
    if reader.faults:
        raise BadConfig(reader.faults)
    return made


def _inherited(keys: Mapping[str, Any]) -> dict[str, Any]:
    """What a WeChat channel's own keys say of the merchant; a v2 partner's names are turned into those of v3."""
    if "mchid" not in keys and "sp_mchid" not in keys:
        return {}
    found = {name: value for name, value in keys.items() if name in _FROM_KEYS}
    several = keys.get("sub_mchids")
    if isinstance(several, (list, tuple)) and "sub_mchid" not in found:
        if len(several) == 1:
            found["sub_mchid"] = several[0]
        else:
            # Whom a customer pays then is not told; the wallet table has to name him.
            found.setdefault("sp_mchid", keys.get("mchid"))
    if "sp_mchid" not in keys and any(name in found for name in ("sub_mchid", "sub_appid", "sp_mchid")):
        found["sp_mchid"] = found.pop("mchid", None)
        found["sp_appid"] = keys.get("appid")
    return found


def _only(reader: Reader, wallet: Mapping[str, Any]) -> Reader:
    """A reader of the wallet table alone, which notes its faults with `reader`'s."""
    alone = Reader(wallet)
    alone.faults = reader.faults
    return alone


def _word(reader: Reader, name: str) -> str:
    text = reader.text(name)
    if text and not _WORD.match(text):
        reader.fault(name, "has other signs than letters, digits, - and _, or too many")
    return text


def _scene(reader: Reader) -> str:
    if "transfer_scene" not in reader.table:
        return ""
    scene = reader.text("transfer_scene")
    if scene and scene not in SCENES:
        reader.fault("transfer_scene", f"is not a scene that is known here: {', '.join(SCENES)}")
    return scene


def _origins(reader: Reader) -> dict[str, str]:
    """Where the three hosts are: WeChat's own, or all of them at `endpoint`."""
    if "endpoint" not in reader.table:
        return {"pages": PAGES, "api": API, "pay": PAY}
    endpoint = reader.text("endpoint").rstrip("/")
    if endpoint and not is_endpoint(endpoint):
        reader.fault("endpoint", "is not an http(s) address without query")
    return {"pages": endpoint, "api": endpoint, "pay": endpoint}
