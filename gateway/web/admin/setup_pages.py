"""`/admin/setup/<step>`: a merchant from nothing to his first gifts; each step an address of its own, and saved."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway.auth import Principal
from gateway.catalog.edit import Edit, Moved, fresh_slug
from gateway.catalog.specs import Channel, Circle, Merchant
from gateway.contract.errors import BadConfig, Refused
from gateway.contract.store import Tx
from gateway.runtime import Runtime
from gateway.setup import progress, selftest
from gateway.web.admin import channel_checks
from gateway.web.admin.channel_forms import (
    PAYS,
    ChannelForm,
    channel_faults,
    channel_fields,
    keys_of,
    platforms,
    read_channel,
)
from gateway.web.admin.channels import fresh_channel, notify_address
from gateway.web.admin.desk import Desk, desk_of
from gateway.web.admin.door import Answer, Room
from gateway.web.admin.forms import Field, read_form, shown_of, told

STEPS: Final = ("circle", "merchant", "channel", "item", "live")


class SetupPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """The merchants in scope and how far each is."""
        desk = desk_of(self._runtime, who)
        rows = [(one, desk.catalog.circles[one.circle], self._next(desk, one)) for one in desk.merchants()]
        return render_template("admin/setup.html", rows=rows, titles=titles())

    def step(self, who: Principal, step: str) -> Answer:
        """One step, shown or taken."""
        desk = desk_of(self._runtime, who)
        steps: Mapping[str, Callable[[Desk], Answer]] = {
            "circle": self._circle,
            "merchant": self._merchant,
            "channel": self._channel,
            "item": self._item,
            "live": self._live,
        }
        return steps[step](desk) if step in steps else abort(404)

    # -- the steps --------------------------------------------------------------------------------------------------

    def _circle(self, desk: Desk) -> Answer:
        fields = [
            Field("name", _("商圈名称"), required=True),
            Field("slug", _("代号"), hint=_("小写字母和数字，建好后不能改；可不填")),
            Field(
                "binding",
                _("领取方式"),
                "choice",
                choices=[("oauth", _("钱包登录后领取")), ("bearer", _("持链接即可领取（沙盒用）"))],
            ),
        ]
        may_make = desk.who.may("operator") and desk.who.circle is None
        values: dict[str, Any] = {"circles": desk.circles(), "may_make": may_make, "fields": fields}
        if request.method == "GET":
            return self._page("circle", None, shown={"binding": "oauth"}, faults={}, **values)
        if not may_make:
            raise Refused("forbidden", 403, role="operator")
        filled = read_form(fields)
        slug = str(filled.values.pop("slug", None) or fresh_slug("circle", dict(desk.catalog.circles)))
        faults = filled.faults or self._save(desk, [Edit("circle", slug, filled.values)], f"circle.{slug}", fields)
        if faults:
            return self._page("circle", None, shown=filled.shown, faults=faults, **values)
        return redirect(url_for(".step", step="merchant", circle=slug), 303)

    def _merchant(self, desk: Desk) -> Answer:
        slug = request.values.get("merchant", "")
        merchant = desk.merchant(slug) if slug else None
        circle = desk.circle(merchant.circle if merchant is not None else request.values.get("circle", ""))
        fields = merchant_step_fields(desk, is_new=merchant is None)
        values: dict[str, Any] = {"circle": circle, "fields": fields}
        if request.method == "GET":
            shown = {"timezone": "Asia/Shanghai", **shown_of(fields, {"min_amount_fen": circle.min_amount_fen})}
            if merchant is not None:
                shown["name"] = merchant.name
            return self._page("merchant", merchant, shown=shown, faults={}, stamp=_stamp(desk, merchant), **values)
        if merchant is None and not desk.who.may("operator"):
            raise Refused("forbidden", 403, role="operator")
        filled = read_form(fields)
        faults = filled.faults
        made = slug or str(filled.values.get("slug") or fresh_slug(circle.slug, dict(desk.catalog.merchants)))
        if not faults:
            edits = _merchant_edits(desk, circle, merchant, made, filled.values)
            try:
                faults = self._save(desk, edits, f"merchant.{made}", fields)
            except Moved as moved:
                return desk.moved(moved, fields, filled.shown, request.full_path)
        if faults:
            return self._page(
                "merchant", merchant, shown=filled.shown, faults=faults, stamp=request.form.get("stamp", ""), **values
            )
        return redirect(url_for(".step", step="channel", merchant=made), 303)

    def _channel(self, desk: Desk) -> Answer:
        merchant = desk.merchant(request.values.get("merchant", ""))
        own = [one for one in desk.channels() if one.merchant == merchant.slug]
        wanted = request.values.get("channel", "")
        before = desk.channel(wanted) if wanted else None
        if before is not None and before.merchant != merchant.slug:
            abort(404)
        if before is None and own and not request.values.get("new") and request.method == "GET":
            before = own[0]
        adapter = request.values.get("adapter") or (before.adapter if before is not None else "wechat_v3")
        if request.method == "POST":
            return self._save_channel(desk, merchant, before, adapter)
        shown = _shown_channel(before)
        return self._channel_page(desk, merchant, before, adapter, shown, {})

    def _save_channel(self, desk: Desk, merchant: Merchant, before: Channel | None, adapter: str) -> Answer:
        if not desk.who.may("operator"):
            raise Refused("forbidden", 403, role="operator")
        if "pays" in request.form:
            return self._save_pays(merchant, before)
        if not keys_of(adapter):
            abort(400)
        form = read_channel(adapter, before, desk.table(before) if before is not None else {})
        slug, values = self._channel_values(desk, merchant, before, adapter, form)
        faults = dict(form.filled.faults)
        if values.get("intake") == "relay" and not values.get("upstream"):
            faults.setdefault("upstream", _("转发模式要填 POS 原地址"))
        if not faults:
            stamp = (request.form.get("stamp") or "none") if before is not None else ""
            try:
                desk.save([Edit("channel", slug, values, stamp)])
            except BadConfig as refused:
                faults = channel_faults(refused.faults, slug, adapter)
            except Moved as moved:
                return desk.moved(moved, channel_fields(), form.filled.shown, request.full_path)
        if faults:
            return self._channel_page(desk, merchant, before, adapter, form.filled.shown, faults)
        live = fresh_channel(self._runtime, slug)
        if live is not None:
            selftest.run_self_test(self._runtime, live, g.now, desk.who.name)
        return redirect(url_for(".step", step="channel", merchant=merchant.slug, channel=slug), 303)

    def _save_pays(self, merchant: Merchant, before: Channel | None) -> Answer:
        pays, now = request.form["pays"], g.now
        if pays not in PAYS:
            abort(400)
        self._runtime.store.write(lambda tx: progress.note(tx, merchant.slug, now, pays=pays))
        slug = before.slug if before is not None else None
        return redirect(url_for(".step", step="channel", merchant=merchant.slug, channel=slug), 303)

    def _channel_values(
        self, desk: Desk, merchant: Merchant, before: Channel | None, adapter: str, form: ChannelForm
    ) -> tuple[str, dict[str, Any]]:
        """(the channel's name, what its table is to say)."""
        platform = "alipay" if adapter == "alipay" else "wechat"
        wanted = f"{merchant.slug}-{platform}"
        slug = before.slug if before is not None else fresh_slug(wanted, dict(desk.catalog.channels))
        values = {
            **form.filled.values,
            "merchant": merchant.slug,
            "adapter": adapter,
            "keys": form.keys or None,
            "wallet": form.wallet or None,
            "sandbox": bool(request.form.get("sandbox")) and self._runtime.config.sandbox.enabled,
        }
        shops = desk.shops(merchant.slug)
        if before is None and shops:
            values["shop"] = shops[0].slug
        if values.get("intake") != "relay":
            values["upstream"] = None
        return slug, values

    def _channel_page(
        self,
        desk: Desk,
        merchant: Merchant,
        before: Channel | None,
        adapter: str,
        shown: dict[str, str],
        faults: dict[str, str],
    ) -> Answer:
        live = fresh_channel(self._runtime, before.slug) if before is not None else None
        zone = self._runtime.directory().zone(before.shop if before is not None else None)
        state = self._runtime.store.read(lambda tx: progress.look(tx, merchant.slug))
        checks = channel_checks.values(self._runtime, live, zone, g.now) if live is not None else {}
        kept = _kept(desk, before) if before is not None and before.adapter == adapter else set()
        return self._page(
            "channel",
            merchant,
            **checks,
            shown=shown,
            faults=faults,
            stamp=_stamp(desk, before),
            own=[one for one in desk.channels() if one.merchant == merchant.slug],
            before=before,
            adapter=adapter,
            platforms=platforms(),
            fields=channel_fields(),
            keys=keys_of(adapter),
            kept=kept,
            pays=state.pays,
            in_setup=True,
            address=notify_address(self._runtime, before.slug) if before is not None else "",
            may_edit=desk.who.may("operator"),
            sandbox_enabled=self._runtime.config.sandbox.enabled,
        )

    def _item(self, desk: Desk) -> Answer:
        merchant = desk.merchant(request.values.get("merchant", ""))
        items = [one for one in desk.items() if one.merchant == merchant.slug]
        has_offer = any(one.circle == merchant.circle for one in desk.catalog.offers.values())
        fields = item_step_fields(with_budget=desk.who.may("operator") and not has_offer)
        shown = {
            "name": _("满 20 减 5"),
            "value_fen": "5.00",
            "min_spend_fen": "20.00",
            "stock": "100",
            "offer": "both",
            "budget_fen": "100.00",
        }
        values: dict[str, Any] = {"fields": fields, "items": items}
        if request.method == "GET":
            return self._page("item", merchant, shown=shown, faults={}, **values)
        filled = read_form(fields)
        faults = filled.faults
        budget = filled.values.pop("budget_fen", None)
        slug = fresh_slug(f"{merchant.slug}-gift", dict(desk.catalog.items))
        edits = [Edit("item", slug, {**filled.values, "merchant": merchant.slug})]
        if budget is not None:
            offer = fresh_slug(merchant.circle, dict(desk.catalog.offers))
            edits.append(Edit("offer", offer, {"circle": merchant.circle, "budget_fen": budget}))
        faults = faults or self._save(desk, edits, f"item.{slug}", fields)
        if faults:
            return self._page("item", merchant, shown=filled.shown, faults=faults, **values)
        flash(_("已保存"))
        return redirect(url_for(".step", step="live", merchant=merchant.slug), 303)

    def _live(self, desk: Desk) -> Answer:
        merchant = desk.merchant(request.values.get("merchant", ""))
        now: datetime = g.now
        if request.method == "POST":
            edit = Edit("merchant", merchant.slug, {"paused": False}, request.form.get("stamp") or "none")

            def note(tx: Tx) -> None:
                progress.note(tx, merchant.slug, now, is_live=True)

            try:
                if merchant.paused:
                    desk.save([edit], note)
                else:
                    self._runtime.store.write(note)
            except Moved:
                flash(_("内容已被他人修改"), "warn")
            return redirect(url_for(".step", step="live", merchant=merchant.slug), 303)
        state = self._runtime.store.read(lambda tx: progress.look(tx, merchant.slug))
        own = [one for one in desk.channels() if one.merchant == merchant.slug]
        found = [fresh_channel(self._runtime, one.slug) for one in own]
        lives = [(one, channel_checks.read_checks(self._runtime, one)) for one in found if one is not None]
        since = state.live_at
        seen = (
            self._runtime.store.read(lambda tx: progress.payments_since(tx, merchant.slug, since))
            if since is not None
            else 0
        )
        return self._page(
            "live",
            merchant,
            stamp=_stamp(desk, merchant),
            lives=lives,
            items=[one for one in desk.items() if one.merchant == merchant.slug],
            live_at=state.live_at,
            is_watched=since is not None and now - since < progress.WATCHED_FOR,
            seen=seen,
            watched=progress.WATCHED_PAYMENTS,
            channel=own[0] if own else None,
            zone=desk.zone,
            faults={},
        )

    # -- what they share --------------------------------------------------------------------------------------------

    def _page(self, step: str, merchant: Merchant | None, **values: Any) -> Answer:
        done = self._done(merchant)
        names = titles()
        whose = merchant.slug if merchant is not None else None
        steps = [(names[one], url_for(".step", step=one, merchant=whose), one in done) for one in STEPS]
        page = render_template(
            f"admin/setup_{step}.html",
            step=step,
            merchant=merchant,
            steps=steps,
            current=STEPS.index(step),
            **values,
        )
        return (page, 422) if values.get("faults") else page

    def _done(self, merchant: Merchant | None) -> set[str]:
        """The steps that are behind a merchant."""
        if merchant is None:
            return set()
        catalog = self._runtime.directory().catalog
        done = {"circle", "merchant"}
        if any(one.merchant == merchant.slug for one in catalog.channels.values()):
            done.add("channel")
        if any(one.merchant == merchant.slug for one in catalog.items.values()):
            done.add("item")
        if not merchant.paused:
            done.add("live")
        return done

    def _next(self, desk: Desk, merchant: Merchant) -> str:
        """The step where a merchant goes on; "" where nothing is left."""
        has_channel = any(one.merchant == merchant.slug for one in desk.catalog.channels.values())
        has_item = any(one.merchant == merchant.slug for one in desk.catalog.items.values())
        if not has_channel:
            return "channel"
        if not has_item:
            return "item"
        return "live" if merchant.paused else ""

    def _save(self, desk: Desk, edits: list[Edit], path: str, fields: list[Field]) -> dict[str, str]:
        """Save; the faults by field. Raises Moved."""
        try:
            desk.save(edits)
        except BadConfig as refused:
            return told([(f"{at}.slug" if at == path else at, why) for at, why in refused.faults], path, fields)
        return {}


def titles() -> dict[str, str]:
    """What the steps are called."""
    return {
        "circle": _("商圈"),
        "merchant": _("商户"),
        "channel": _("渠道"),
        "item": _("物品"),
        "live": _("上线"),
    }


def merchant_step_fields(desk: Desk, *, is_new: bool) -> list[Field]:
    """The merchant step's fields; what is the circle's only for those who may change it."""
    fields = [Field("name", _("商户名称"), required=True)]
    if is_new:
        fields += [
            Field("slug", _("代号"), hint=_("小写字母和数字，建好后不能改；可不填")),
            Field("shop", _("第一家门店的名称"), required=True),
            Field("timezone", _("时区")),
        ]
    if desk.who.may("operator"):
        fields.append(Field("min_amount_fen", _("最低金额"), "yuan", _("整个商圈共用：低于它的付款不标识、不发券")))
    return fields


def item_step_fields(*, with_budget: bool) -> list[Field]:
    """The first item's fields, from a template."""
    fields = [
        Field("name", _("名称"), required=True),
        Field("value_fen", _("面值"), "yuan", required=True),
        Field("min_spend_fen", _("满多少可用"), "yuan"),
        Field("stock", _("库存"), "whole", _("不填为不限")),
        Field(
            "offer",
            _("在哪里送"),
            "choice",
            _("选别家即为同意，记入审计"),
            [
                ("own", _("只在本店送")),
                ("elsewhere", _("只在别家送（同意别家代发）")),
                ("both", _("本店和别家都送（同意别家代发）")),
            ],
        ),
    ]
    if with_budget:
        fields.append(Field("budget_fen", _("商圈总预算"), "yuan", _("先小后大，随时可加")))
    return fields


def _merchant_edits(
    desk: Desk, circle: Circle, merchant: Merchant | None, slug: str, values: Mapping[str, Any]
) -> list[Edit]:
    edits = []
    least = values.get("min_amount_fen")
    if desk.who.may("operator") and least is not None and least != circle.min_amount_fen:
        edits.append(Edit("circle", circle.slug, {"min_amount_fen": least}, desk.stamp(circle)))
    if merchant is not None:
        stamp = request.form.get("stamp") or "none"
        return [*edits, Edit("merchant", slug, {"name": values["name"]}, stamp)]
    # Paused until he goes live: payments are seen and tagged meanwhile, none of his items is given.
    made = {"name": values["name"], "circle": circle.slug, "paused": True}
    shop = {"name": values["shop"], "merchant": slug, "timezone": values.get("timezone")}
    named = fresh_slug(f"{slug}-1", dict(desk.catalog.shops))
    return [*edits, Edit("merchant", slug, made), Edit("shop", named, shop)]


def _shown_channel(before: Channel | None) -> dict[str, str]:
    if before is None:
        return {"intake": "relay"}
    plain = {name: str(value) for name, value in before.keys.items() if isinstance(value, str)}
    public = {one.name for one in keys_of(before.adapter) if not one.is_secret}
    named = before.keys.get("public_keys")
    signer = {"public_keys_id": next(iter(named), "")} if isinstance(named, Mapping) else {}
    return {
        **{name: value for name, value in plain.items() if name in public},
        **signer,
        "intake": before.intake,
        "upstream": before.upstream,
        "sandbox": "1" if before.sandbox else "",
    }


def _kept(desk: Desk, before: Channel) -> set[str]:
    """The names of secrets that are stored already."""
    table = desk.table(before)
    return {*table.get("keys", {}), *table.get("wallet", {})}


def _stamp(desk: Desk, spec: Channel | Merchant | None) -> str:
    """The stamp that a refused form keeps is the one that it came with."""
    if request.method == "POST" and "stamp" in request.form:
        return request.form["stamp"]
    return desk.stamp(spec) if spec is not None else ""


def setup_room(runtime: Runtime) -> Room:
    """Setting up, under the name `admin_setup`."""
    pages = SetupPages(runtime)
    room = Room("setup", __name__, runtime)
    room.add("/setup", "index", pages.index, role="manager")
    room.add("/setup/<step>", "step", pages.step, role="manager", methods=("GET", "POST"))
    return room
