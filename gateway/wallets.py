"""Which identity an openid stands for: the one that a payment through the channel would have told (R007)."""

from __future__ import annotations

from typing import Final

from gateway.catalog.channel_rules import keys_table
from gateway.catalog.directory import LiveChannel
from gateway.contract.errors import Refused
from gateway.contract.events import Payer

_LONGEST: Final = 128
_APP_ID_NAMES: Final = ("appid", "sp_appid", "sub_appid", "app_id")
"""Where a channel's `keys` table names the app that its openids belong to; the first that is there counts.

A partner's notifications give the openid under the service provider's appid, and where they give it under the
sub-merchant's alone, that is the one (WeChat Pay partner notifications, `payer.sp_openid` and `payer.sub_openid`).
"""


def payer_of(channel: LiveChannel, openid: str) -> Payer:
    """The payer whom a payment through `channel` would name by `openid`.

    Raises Refused `invalid` (422): not 1 to 128 printable ASCII characters, or the channel names no app.
    """
    if not (0 < len(openid) <= _LONGEST and openid.isascii() and openid.isprintable() and " " not in openid):
        raise Refused("invalid", 422, "not an openid", fields={"openid": "1 to 128 printable characters"})
    keys = keys_table(channel.spec)
    app_id = next((str(keys[name]) for name in _APP_ID_NAMES if keys.get(name)), "")
    if not app_id:
        raise Refused("invalid", 422, "the channel names no app", fields={"channel": "names no app of its own"})
    id_type = "alipay_open_id" if channel.provider == "alipay" else "openid"
    return Payer(app_id.strip(), id_type, openid)
