"""The form of a channel: what it needs by platform, its secrets written and never shown again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from flask import request
from flask_babel import gettext as _

from gateway.catalog.edit import Fault
from gateway.catalog.specs import Channel
from gateway.web.admin.forms import Field, Filled, in_words, read_form

MOST_BYTES: Final = 8 * 1024
"""A key file is smaller; what is larger is something else."""

PAYS: Final = ("they_scan", "we_scan", "both")


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of a channel's `keys` or `wallet` table.

    `is_secret`: written and never shown. `many` is how the table keeps it: "" as it is, `list`, or `named` under the
    key id in the field `<name>_id`.
    """

    name: str
    label: str
    hint: str = ""
    is_secret: bool = False
    is_file: bool = False
    many: str = ""
    table: str = "keys"
    required: bool = True


@dataclass(slots=True)
class ChannelForm:
    """A channel's form as it was sent. `keys` and `wallet` are whole tables, with what was kept laid back."""

    filled: Filled
    keys: dict[str, Any] = field(default_factory=dict)
    wallet: dict[str, Any] = field(default_factory=dict)


def channel_fields() -> list[Field]:
    """The fields that every channel has."""
    return [
        Field(
            "intake",
            _("模式"),
            "choice",
            choices=[("relay", _("转发")), ("copy", _("抄送")), ("poll", _("查询"))],
        ),
        Field("upstream", _("POS 原地址"), hint=_("转发模式：收银系统原来的通知地址")),
    ]


def keys_of(adapter: str) -> list[Key]:
    """What a platform's channel needs; nothing for a third party's adapter, which an apply file sets up."""
    wechat = [
        Key("mchid", _("商户号")),
        Key("appid", _("AppID")),
    ]
    wallet = [
        Key(
            "app_secret", _("公众号 AppSecret"), _("顾客登录用，可不填"), is_secret=True, table="wallet", required=False
        ),
    ]
    if adapter == "wechat_v3":
        return [
            *wechat,
            Key("apiv3_key", _("APIv3 密钥"), _("32 位，只写不读"), is_secret=True),
            Key(
                "public_keys",
                _("平台公钥"),
                _("PEM 文件或文本"),
                is_secret=True,
                is_file=True,
                many="named",
                required=False,
            ),
            Key(
                "certificates",
                _("平台证书"),
                _("没有公钥时用"),
                is_secret=True,
                is_file=True,
                many="list",
                required=False,
            ),
            *wallet,
        ]
    if adapter == "wechat_v2":
        return [*wechat, Key("api_key", _("API 密钥"), _("32 位，只写不读"), is_secret=True), *wallet]
    if adapter == "alipay":
        return [
            Key("app_id", _("应用 AppID")),
            Key("seller_id", _("卖家账号 PID")),
            Key(
                "public_keys",
                _("支付宝公钥"),
                _("PEM 文件或文本"),
                is_secret=True,
                is_file=True,
                many="list",
                required=False,
            ),
            Key(
                "certificates",
                _("支付宝公钥证书"),
                _("没有公钥时用"),
                is_secret=True,
                is_file=True,
                many="list",
                required=False,
            ),
            Key(
                "app_private_key",
                _("应用私钥"),
                _("顾客登录用，可不填"),
                is_secret=True,
                is_file=True,
                table="wallet",
                required=False,
            ),
        ]
    return []


def platforms() -> list[tuple[str, str]]:
    """The adapters that a form can set up."""
    return [("wechat_v3", _("微信支付 APIv3")), ("wechat_v2", _("微信支付 APIv2")), ("alipay", _("支付宝"))]


def read_channel(adapter: str, before: Channel | None, table_before: Mapping[str, Any]) -> ChannelForm:
    """The form that was sent; secrets left empty stay what they are. `table_before` has them as references."""
    form = ChannelForm(read_form(channel_fields()))
    same = before is not None and before.adapter == adapter
    form.keys = dict(table_before.get("keys", {})) if same else {}
    form.wallet = dict(table_before.get("wallet", {})) if same else {}
    for key in keys_of(adapter):
        _read(key, form, is_sandbox=bool(request.form.get("sandbox")))
        if key.name in form.keys and not key.many:
            # Typed anew, it is the one that holds.
            form.keys.pop(f"{key.name}s", None)
    app = "app_id" if adapter == "alipay" else "appid"
    if set(form.wallet) - {app}:
        form.wallet[app] = form.keys.get(app, "")
    else:
        form.wallet = {}
    return form


def _read(key: Key, form: ChannelForm, *, is_sandbox: bool) -> None:
    table = form.wallet if key.table == "wallet" else form.keys
    text = request.form.get(key.name, "").strip()
    upload = request.files.get(key.name)
    if key.is_file and upload is not None and upload.filename:
        body = upload.stream.read(MOST_BYTES + 1)
        try:
            text = body.decode("utf-8").strip() if len(body) <= MOST_BYTES else "\0"
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            form.filled.faults[key.name] = _("%(label)s：这不是 PEM 文本文件", label=key.label)
            return
    if not key.is_secret:
        form.filled.shown[key.name] = text
    if not text:
        # While two are good together, the list `<name>s` stands in the place of the one.
        if key.required and not {key.name, f"{key.name}s"} & set(table) and not is_sandbox:
            form.filled.faults[key.name] = _("请填写%(label)s", label=key.label)
        elif not key.is_secret:
            table.pop(key.name, None)
        return
    if key.many == "named":
        named = request.form.get(f"{key.name}_id", "").strip()
        form.filled.shown[f"{key.name}_id"] = named
        if not named:
            form.filled.faults[f"{key.name}_id"] = _("请填写公钥序列号（PUB_KEY_ID_…）")
            return
        table[key.name] = {named: text}
    else:
        table[key.name] = [text] if key.many == "list" else text


def channel_faults(faults: Sequence[Fault], slug: str, adapter: str) -> dict[str, str]:
    """The rules' faults by field, with the cure where one is known."""
    labels = {one.name: one.label for one in keys_of(adapter)} | {one.key: one.label for one in channel_fields()}
    found: dict[str, str] = {}
    for path, why in faults:
        rest = path.removeprefix(f"channel.{slug}.").split(".")
        name = rest[1] if rest[0] in {"keys", "wallet"} and len(rest) > 1 else rest[0]
        if name == "apiv3_key":
            words = _("解密失败：密钥不是这个商户的 APIv3 密钥（32 位）")
        elif name == "api_key":
            words = _("API 密钥不对：应为 32 位")
        elif name in {"public_keys", "certificates"}:
            cure = _("读不出来：应为 RSA-2048 的 PEM，序列号与平台一致")
            words = f"{labels.get(name, name)}：{cure}"
        elif name == "upstream":
            cure = _("这个地址不能用：%(why)s", why=in_words(why))
            words = f"{labels['upstream']}：{cure}"
        elif name in labels:
            words = f"{labels[name]}：{in_words(why)}"
        else:
            words = f"{in_words(why)} ({path})"
        found.setdefault(name if name in labels else "form", words)
    return found
