"""A payment's story in words: the steps of its timeline, as far as whoever looks may see them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Final, Literal

from flask_babel import gettext as _
from markupsafe import Markup

from gateway.catalog.directory import Directory
from gateway.contract.store import Row
from gateway.reading.story import LinkStory, Story, decided_at
from gateway.web.admin.payments_words import place_name, wallet_name
from gateway.web.pages.language import language
from gateway.web.pages.roles import guest
from gateway.web.pages.ways_words import line_of
from gateway.web.pages.wording import as_time, last_minute, moment, money

Mark = Literal["done", "now", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Step:
    """One line: when (store text), how it stands, who or what did it, what happened, why, and what is folded away."""

    at: str
    state: Mark
    actor: str
    words: str | Markup
    why: Sequence[str] = ()
    more: Sequence[str] = ()
    more_title: str = ""
    link: str = ""


_HIDDEN: Final = ("enough",)


class Teller:
    """Tells stories to one reader: `merchants` are those he sees (None: all), others' are `另一家店`."""

    def __init__(self, directory: Directory, merchants: frozenset[str] | None, zone: tzinfo, now: datetime) -> None:
        self._directory = directory
        self._merchants = merchants
        self._zone = zone
        self._now = now

    def steps(self, story: Story) -> list[Step]:
        """The whole timeline, in the order in which things follow from each other."""
        steps = [self._received(story), *self._identity(story)]
        payer_links = [link for link in story.links if link.row["purpose"] != "source"]
        for link in payer_links:
            steps += self._issued(link)
        if not payer_links:
            steps += self._refused(story)
        steps += self._relays(story)
        steps += [step for link in payer_links for step in self._after(link)]
        steps += self._reward(story)
        steps += self._refunds(story)
        return steps

    # -- what came in -----------------------------------------------------------------------------------------------

    def _received(self, story: Story) -> Step:
        payment, told = story.payment, story.deliveries
        again = [row for row in told if row["outcome"] == "seen"]
        words = _("%(wallet)s　验签 ✓ 解密 ✓　首次（非重复）", wallet=wallet_name(payment["provider"]))
        why = [_("平台又通知了 %(n)s 次，只算一次", n=len(again))] if again else []
        at = told[0]["received_at"] if told else payment["received_at"]
        more = [f"{self._clock(row['received_at'])} · {row['id']}" for row in again]
        return Step(at, "done", _("收到通知"), words, why, more)

    def _identity(self, story: Story) -> Iterator[Step]:
        payment, at = story.payment, decided_at(story.payment)
        if payment["person"] is None:
            yield Step(at, "skipped", _("身份"), _("通知里没有付款人标识"))
            return
        words = guest(payment["payer"])
        if payment["sub_mch_id"]:
            # A partner's payments name the payer under the partner's own app, so his shops share their guests.
            words = _("%(guest)s（同一服务商 openid）", guest=words)
        yield Step(at, "done", _("身份"), words)
        yield self._tag(story, at)

    def _tag(self, story: Story, at: str) -> Step:
        said = {one["reason"] for one in story.decisions if one["rule"] == "tag"}
        actor = _("标识")
        if "first_payment" in said:
            until = self._until(story.tag["expires_at"]) if story.tag is not None else ""
            why = [_("有效至 %(t)s", t=until)] if until else []
            return Step(at, "done", actor, _("首次付款：已标识，下次付款开始有礼"), why)
        if "already_tagged" in said and story.source is not None:
            return Step(at, "done", actor, self._tagged(story))
        refusals = {
            "opted_out": _("客人已退出，付款不再记录"),
            "below_minimum": _("没有标识：低于门槛金额"),
            "refunded": _("没有标识：付款已退回"),
        }
        return Step(at, "skipped", actor, next((refusals[word] for word in refusals if word in said), _("没有标识")))

    def _tagged(self, story: Story) -> str:
        source, tag = story.source or {}, story.tag
        by = guest(source.get("id")) if source.get("type") == "payer" else self._name(source.get("id", ""))
        mode = _("主动") if source.get("mode") == "active" else _("被动")
        if tag is None:
            return str(_("已标识：由 %(by)s（%(mode)s）", by=by, mode=mode))
        return str(
            _(
                "已标识：%(day)s 由 %(by)s（%(mode)s）；有效至 %(t)s",
                day=self._day(tag["created_at"]),
                by=by,
                mode=mode,
                t=self._day(tag["expires_at"]),
            )
        )

    # -- the link ---------------------------------------------------------------------------------------------------

    def _issued(self, link: LinkStory) -> Iterator[Step]:
        row, choice = link.row, link.choice
        dropped: dict[str, int] = dict(choice.get("dropped", {}))
        considered = int(choice.get("considered", 0))
        left = considered - sum(n for reason, n in dropped.items() if reason not in _HIDDEN)
        reasons = [f"{_why_dropped(reason)} {n}" for reason, n in sorted(dropped.items()) if reason not in _HIDDEN]
        words = _(
            "%(all)s 件 → 过滤后 %(left)s%(why)s → 选 %(n)s（种子 %(seed)s）",
            all=considered,
            left=left,
            why="：" + " · ".join(reasons) if reasons else "",
            n=len(link.items),
            seed=str(choice.get("seed", ""))[-4:],
        )
        chosen = [self._item(slug) for slug in link.items]
        counts = [f"{_why_dropped(reason)} {n}" for reason, n in sorted(dropped.items())]
        yield Step(row["created_at"], "done", _("选物"), words, (), [*chosen, *counts])
        if link.holds:
            # All of a link's budgets hold the same sum; the one with the least left is the one that counts.
            hold = min(link.holds, key=lambda one: one.left_fen if one.left_fen is not None else 0)
            held = _("预算占用 %(fen)s（剩 %(left)s）· 已落盘", fen=money(hold.fen), left=_money(hold.left_fen))
        else:
            held = _("不占预算 · 已落盘")
        yield Step(row["created_at"], "done", _("发链接"), held, link=row["id"])

    def _refused(self, story: Story) -> Iterator[Step]:
        said = next(
            (one for one in story.decisions if one["rule"] == "payer_link" and one["reason"] != "first_payment"), None
        )
        if said is not None:
            yield Step(decided_at(story.payment), "failed", _("发链接"), self.refusal(story, said["reason"]))

    def refusal(self, story: Story, reason: str) -> str:
        """Why there is no link, in one sentence."""
        offer = self._directory.offer(story.payment["circle"])
        only_daily = bool(offer.budget_fen_per_day) and not offer.budget_fen
        words = {
            "budget": _("没有发链接：本活动今日预算已用完") if only_daily else _("没有发链接：本活动预算已用完"),
            "no_inventory": _("没有发链接：没有可发的物品"),
            "limit_day": _("没有发链接：这位客人今天已达上限"),
            "limit_week": _("没有发链接：这位客人本周已达上限"),
            "limit_total": _("没有发链接：这位客人已达总上限"),
            "refunded": _("没有发链接：付款已退回"),
        }
        return str(words.get(reason, _("没有发链接：%(reason)s", reason=reason)))

    def _after(self, link: LinkStory) -> Iterator[Step]:
        row = link.row
        for reach in sorted(link.reaches, key=lambda reach: reach.at):
            yield Step(reach.at, "done" if reach.state == "shown" else "failed", _("送达"), line_of(reach))
        if row["opened_at"]:
            opened = _("已打开 %(t)s", t=self._clock(row["opened_at"]))
            yield Step(row["opened_at"], "done", _("送达"), opened)
        if link.state in {"issued", "opened"}:
            words = _("有效至 %(t)s", t=self._until(row["expires_at"]))
            yield Step("", "now", _("等待领取"), words, link=row["id"])
        elif link.state == "claimed":
            yield Step(row["claimed_at"], "done", _("已领取"), _("%(n)s 张券", n=len(link.coupons)))
            yield from self._redeemed(link)
        else:
            words = {
                "expired": _("到期没有领取，预算已退回"),
                "revoked": _("已撤销，预算已退回"),
                "superseded": _("已被新链接代替"),
            }[link.state]
            why = [_why_closed(row["closed_reason"])] if link.state == "revoked" and row["closed_reason"] else []
            yield Step(row["closed_at"] or row["expires_at"], "failed", _("链接"), words, why)

    def _redeemed(self, link: LinkStory) -> Iterator[Step]:
        for row in link.redemptions:
            mine = self._sees(row["merchant"])
            shop = self._directory.shop(row["shop"]) if row["shop"] else None
            place = (shop.name if shop is not None else self._name(row["merchant"])) if mine else _("另一家店")
            words = f"{self._item(row['item'])} · {place}"
            if mine and row["discount_fen"]:
                words += f" · {money(-row['discount_fen'])}"
            yield Step(row["at"], "done", _("核销"), words, [row["by"]] if mine else ())
            if row["reversed_at"]:
                why = [text for text in (row["reversed_by"], row["reason"]) if text] if mine else ()
                yield Step(row["reversed_at"], "skipped", _("撤销"), words, why)
        for coupon in link.coupons:
            if coupon["state"] in {"void", "expired"}:
                word = _("已作废") if coupon["state"] == "void" else _("已过期")
                yield Step(coupon["closed_at"] or "", "skipped", word, self._item(coupon["item"]))

    def _reward(self, story: Story) -> Iterator[Step]:
        for link in story.links:
            if link.row["purpose"] == "source":
                words = _("%(guest)s 得到介绍奖励", guest=guest(link.row["person"]))
                yield Step(
                    link.row["created_at"], "done", _("介绍人"), words, (), [self._item(one) for one in link.items]
                )
                yield from self._after(link)

    # -- the till and the money ---------------------------------------------------------------------------------------

    def _relays(self, story: Story) -> Iterator[Step]:
        actor = _("转发 POS")
        live = self._directory.channel(story.payment["channel"])
        if not story.relays and live is not None and not live.upstream:
            yield Step("", "skipped", actor, _("这条渠道不经我们转发"))
        for row in story.relays:
            name = _("重放 POS") if row["replay"] else actor
            if row["outcome"] == "answered":
                ok = row["status"] is not None and row["status"] < 400  # noqa: PLR2004 - HTTP's own classes
                words = _("%(status)s，%(ms)s ms，逐字节一致", status=row["status"], ms=row["ms"])
                yield Step(row["at"], "done" if ok else "failed", name, words)
            else:
                words = _("POS 没有应答（%(why)s，%(ms)s ms）", why=row["outcome"], ms=row["ms"])
                yield Step(row["at"], "failed", name, words)

    def _refunds(self, story: Story) -> Iterator[Step]:
        for row in story.refunds:
            state: Mark = "failed" if row["state"] == "excess" else "done"
            why = [_("退款超过付款")] if row["state"] == "excess" else ()
            yield Step(row["received_at"], state, _("退款"), money(-row["refund_fen"]), why)

    # -- words ------------------------------------------------------------------------------------------------------

    def _sees(self, merchant: str) -> bool:
        return self._merchants is None or merchant in self._merchants

    def _name(self, merchant: str) -> str:
        if not self._sees(merchant):
            return str(_("另一家店"))
        found = self._directory.merchant(merchant)
        return found.name if found is not None else merchant

    def _item(self, slug: str) -> str:
        item = self._directory.item(slug)
        if item is not None and not self._sees(item.merchant):
            return str(_("另一家店的物品"))
        return item.name if item is not None else slug

    def _clock(self, text: str) -> str:
        return f"{as_time(text).astimezone(self._zone):%H:%M:%S}"

    def _until(self, text: str) -> str:
        return moment(last_minute(as_time(text)), self._zone, self._now, language())

    def _day(self, text: str) -> str:
        at, today = as_time(text).astimezone(self._zone), self._now.astimezone(self._zone)
        return f"{at:%m-%d}" if at.year == today.year else f"{at:%Y-%m-%d}"


def headline(directory: Directory, payment: Row) -> str:
    """Number, place and sum of a payment, for the head of its page."""
    number = str(payment["transaction_id"])
    short = f"{number[:4]}…{number[-4:]}" if len(number) > 12 else number  # noqa: PLR2004 - as in the list's cards
    return f"{short} · {place_name(directory, payment)} · {money(payment['amount_fen'])}"


def _money(fen: int | None) -> str:
    return money(fen) if fen is not None else "—"


def _why_dropped(reason: str) -> str:
    words = {
        "held": _("客人已持有"),
        "exclusive_group": _("互斥"),
        "stock": _("无库存"),
        "consent": _("未同意"),
        "relation": _("不互推"),
        "paused": _("已暂停发放"),
        "weight": _("不作赠品"),
        "enough": _("已够数"),
    }
    return str(words.get(reason, reason))


def _why_closed(reason: str) -> str:
    return str({"refunded": _("付款已退回"), "staff": _("由员工撤销")}.get(reason, reason))
