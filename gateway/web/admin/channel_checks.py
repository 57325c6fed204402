"""The three live checks of a channel, as both its page and the setting up show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from flask_babel import gettext as _

from gateway.catalog.directory import LiveChannel
from gateway.contract.clock import from_text
from gateway.contract.store import Tx
from gateway.runtime import Runtime
from gateway.setup import checks, selftest
from gateway.setup.checks import Check
from gateway.setup.selftest import SLACK, Seen


@dataclass(frozen=True, slots=True)
class Hop:
    """One step of the test notification: done, failed, waiting or left out, with its words."""

    state: str
    words: str


@dataclass(frozen=True, slots=True)
class Checks:
    """What the three checks say now. `self_fault` and `clock` are "" where all is well."""

    self_test: Check | None
    self_fault: str
    notice: Check | None
    hops: list[Hop]
    seen: Seen
    seen_fault: str
    clock: str
    is_sandbox: bool
    relays: bool


def read_checks(runtime: Runtime, live: LiveChannel) -> Checks:
    """The checks of a channel as they stand."""
    slug = live.spec.slug

    def read(tx: Tx) -> tuple[Check | None, Check | None, Seen]:
        changed = tx.one("SELECT updated_at FROM catalog WHERE kind = 'channel' AND slug = :slug", {"slug": slug})
        since = from_text(changed["updated_at"]) if changed is not None else None
        return (
            checks.latest(tx, slug, "self"),
            checks.latest(tx, slug, "notice"),
            selftest.what_was_seen(tx, runtime, live, since),
        )

    self_test, notice, seen = runtime.store.read(read)
    return Checks(
        self_test,
        _self_fault(self_test, live),
        notice,
        _hops(notice, live),
        seen,
        _seen_fault(seen, live),
        _clock(notice, seen),
        live.spec.sandbox,
        bool(live.upstream),
    )


def values(runtime: Runtime, live: LiveChannel, zone: tzinfo, now: datetime) -> dict[str, Any]:
    """What the template part of the checks needs."""
    return {
        "checks": read_checks(runtime, live),
        "channel": live.spec,
        "zone": zone,
        "now": now,
    }


def _self_fault(check: Check | None, live: LiveChannel) -> str:
    if check is None or check.state == "ok":
        return ""
    why = check.facts.get("why")
    fields = check.facts.get("fields", [])
    if why == "adapter":
        return str(_("没有安装 %(adapter)s 这个接口", adapter=live.spec.adapter))
    if why == "keys" and "apiv3_key" in fields:
        return str(_("解密失败：密钥不是这个商户的 APIv3 密钥（32 位）"))
    if why == "keys":
        return str(_("密钥读不出来，请检查：%(fields)s", fields="、".join(fields) or "—"))
    if why == "merchant":
        return str(_("样例能解开，但商户号或 AppID 对不上"))
    return str(_("样例解不开，请重新填写密钥"))


def _hops(check: Check | None, live: LiveChannel) -> list[Hop]:
    if check is None:
        return []
    facts = check.facts
    arrived = "came" in facts
    if arrived:
        hops = [Hop("done", _("入口收到"))]
    elif check.state == "sent":
        hops = [Hop("now", _("等待入口收到"))]
    elif facts.get("unreached") == "not_ours":
        hops = [Hop("failed", _("通知地址不是本网关：请检查域名和反向代理"))]
    else:
        hops = [
            Hop("failed", _("从本机打不开通知地址：请检查域名、证书和反向代理；也可能只是本机访问不到自己的公网地址"))
        ]
    if not live.upstream:
        return [*hops, Hop("skipped", _("不经过 POS"))]
    if facts.get("relay"):
        hops.append(Hop("failed", _relay_fault(str(facts["relay"]), live)))
    elif facts.get("status") is not None:
        hops.append(Hop("done", _("POS 回 %(status)s，%(ms)s ms", status=facts["status"], ms=facts["ms"])))
        same = facts.get("gone") == facts.get("sent") and facts.get("came", facts.get("sent")) == facts.get("sent")
        hops.append(
            Hop("done", _("内容逐字节一致"))
            if same
            else Hop("failed", _("内容变了：入口前面的代理改动了通知，请让它原样转发"))
        )
    elif check.state in {"sent", "arrived"}:
        hops.append(Hop("now", _("等待 POS 应答")))
    return hops


def _relay_fault(kind: str, live: LiveChannel) -> str:
    if kind == "timeout":
        return str(_("POS 没有应答（%(s)s 秒）", s=f"{live.spec.timeout_ms / 1000:g}"))
    if kind == "refused":
        return str(_("POS 连不上：请检查 POS 原地址和网络"))
    if kind == "forbidden_address":
        return str(_("POS 地址在内网且未放行：请管理员加入 [relay] allow"))
    return str(_("POS 的应答不完整，或证书无效：请检查 POS 原地址"))


def _seen_fault(seen: Seen, live: LiveChannel) -> str:
    if seen.refused == "undecryptable":
        return str(_("解密失败：密钥不是这个商户的 APIv3 密钥（32 位）"))
    if seen.refused == "unknown_key":
        return str(_("验签失败：没有平台用的那把公钥或证书，请核对序列号"))
    if seen.refused == "bad_signature":
        if live.spec.adapter == "wechat_v2":
            return str(_("验签失败：API 密钥不是这个商户的"))
        return str(_("验签失败：平台公钥不对，或有人在冒充平台"))
    return ""


def _clock(notice: Check | None, seen: Seen) -> str:
    """How far our clock is off, by the platform's own word, else by the POS's."""
    off = seen.clock_off_s
    if off is None and seen.refused == "stale_timestamp":
        return str(_("时钟不准，请校时"))
    if off is None and notice is not None:
        told = notice.facts.get("clock_off_s")
        off = told if isinstance(told, int) else None
    if off is None or abs(off) < SLACK.total_seconds():
        return ""
    return str(_("时钟差 %(n)s 分钟，请校时", n=round(abs(off) / 60)))
