"""`/admin/merchants`: circles, their merchants and shops; pausing a merchant; a shop's poster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from flask import Response, flash, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway.auth import Principal
from gateway.catalog.edit import Edit, Moved, fresh_slug
from gateway.catalog.specs import DEFAULT_ZONE, Circle, KindName, Merchant, Shop
from gateway.contract.errors import BadConfig, Refused
from gateway.runtime import Runtime
from gateway.web.admin.desk import Desk, desk_of
from gateway.web.admin.door import Answer, Room
from gateway.web.admin.forms import Field, read_form, shown_of, told
from linkgen import qr

SIZES: Final = ("a4", "90mm")


class MerchantPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """Circles in scope, and in each its merchants with their shops."""
        desk = desk_of(self._runtime, who)
        circles = [
            (circle, [(one, desk.shops(one.slug), _channels(desk, one)) for one in desk.merchants(circle.slug)])
            for circle in desk.circles()
        ]
        return render_template("admin/merchants.html", circles=circles)

    def circle(self, who: Principal, slug: str) -> Answer:
        """A circle's own numbers."""
        desk = desk_of(self._runtime, who)
        found = desk.circle(slug)
        return _editing(
            desk, "circle", found, circle_fields(desk, found), _("商圈：%(name)s", name=found.name), url_for(".index")
        )

    def new_merchant(self, who: Principal, circle: str) -> Answer:
        """One more merchant of a circle."""
        desk = desk_of(self._runtime, who)
        desk.circle(circle)
        return _making(
            desk,
            "merchant",
            merchant_fields(),
            _("新商户"),
            url_for(".index"),
            fixed={"circle": circle},
            done=lambda made: url_for(".merchant", slug=made),
        )

    def merchant(self, who: Principal, slug: str) -> Answer:
        """A merchant: his name, whether he is paused."""
        desk = desk_of(self._runtime, who)
        found = desk.merchant(slug)
        return _editing(
            desk, "merchant", found, merchant_fields(), _("商户：%(name)s", name=found.name), url_for(".index")
        )

    def new_shop(self, who: Principal, slug: str) -> Answer:
        """One more shop of a merchant."""
        desk = desk_of(self._runtime, who)
        desk.merchant(slug)
        return _making(
            desk,
            "shop",
            shop_fields(),
            _("新门店"),
            url_for(".index"),
            fixed={"merchant": slug},
            done=lambda made: url_for(".shop", slug=made),
        )

    def shop(self, who: Principal, slug: str) -> Answer:
        """A shop: its name, its zone."""
        desk = desk_of(self._runtime, who)
        found = desk.shop(slug)
        return _editing(desk, "shop", found, shop_fields(), _("门店：%(name)s", name=found.name), url_for(".index"))

    def poster(self, who: Principal, slug: str) -> Answer:
        """The shop's code on paper: A4, or 90 mm wide for a receipt printer."""
        desk = desk_of(self._runtime, who)
        shop = desk.shop(slug)
        merchant = desk.merchant(shop.merchant)
        size = request.args.get("size", SIZES[0])
        return render_template(
            "admin/poster.html",
            shop=shop,
            merchant=merchant,
            circle=desk.catalog.circles[merchant.circle],
            size=size if size in SIZES else SIZES[0],
            address=shop_address(self._runtime, shop),
        )

    def poster_code(self, who: Principal, slug: str) -> Answer:
        """The code itself, sharp at any size."""
        desk = desk_of(self._runtime, who)
        return Response(qr.svg(shop_address(self._runtime, desk.shop(slug))), mimetype="image/svg+xml")


def shop_address(runtime: Runtime, shop: Shop) -> str:
    """What a shop's static code says (R261)."""
    return f"{runtime.base_url}/s/{shop.slug}"


def circle_fields(desk: Desk, circle: Circle | None) -> list[Field]:
    """A circle's fields; a manager sees them but cannot save."""
    own = {one.slug for one in desk.merchants(circle.slug)} if circle is not None else set()
    items = [(one.slug, one.name) for one in desk.catalog.items.values() if one.merchant in own]
    fields = [
        Field("name", _("名称"), required=True),
        Field("min_amount_fen", _("最低金额"), "yuan", _("低于它的付款不标识、不发券")),
        Field("tag_days", _("标识有效天数"), "whole", _("默认 180 天")),
        Field("last_touch", _("再次付款时延长标识"), "flag"),
        Field(
            "binding",
            _("领取方式"),
            "choice",
            choices=[("oauth", _("钱包登录后领取")), ("bearer", _("持链接即可领取（沙盒用）"))],
        ),
    ]
    if circle is not None:
        fields.append(
            Field("welcome_item", _("首次付款欢迎礼"), "choice", choices=[("", _("不发")), *items]),
        )
    return fields


def merchant_fields() -> list[Field]:
    """A merchant's fields."""
    return [
        Field("name", _("名称"), required=True),
        Field("paused", _("暂停发放"), "flag", _("停止新发；已领的仍可用")),
    ]


def shop_fields() -> list[Field]:
    """A shop's fields."""
    return [
        Field("name", _("名称"), required=True),
        Field("timezone", _("时区"), hint=_("默认 %(zone)s", zone=DEFAULT_ZONE)),
    ]


def _channels(desk: Desk, merchant: Merchant) -> int:
    return sum(1 for one in desk.catalog.channels.values() if one.merchant == merchant.slug)


def _editing(
    desk: Desk, kind: KindName, found: Circle | Merchant | Shop, fields: Sequence[Field], title: str, back: str
) -> Answer:
    """The form over one object: shown, or taken and saved."""
    faults: dict[str, str] = {}
    stamp, shown = desk.stamp(found), shown_of(fields, desk.table(found))
    if request.method == "POST":
        if kind == "circle" and not desk.who.may("operator"):
            raise Refused("forbidden", 403, role="operator")
        filled = read_form(fields)
        stamp, shown, faults = request.form.get("stamp", ""), filled.shown, filled.faults
        if not faults:
            try:
                desk.save([Edit(kind, found.slug, filled.values, stamp or "none")])
            except BadConfig as refused:
                faults = told(refused.faults, f"{kind}.{found.slug}", fields)
            except Moved as moved:
                return desk.moved(moved, fields, filled.shown, request.path)
            else:
                flash(_("已保存"))
                return redirect(request.path, 303)
    page = render_template(
        "admin/edit.html", title=title, fields=fields, shown=shown, faults=faults, stamp=stamp, back=back
    )
    return (page, 422) if faults else page


def _making(
    desk: Desk,
    kind: KindName,
    fields: Sequence[Field],
    title: str,
    back: str,
    *,
    fixed: dict[str, str],
    done: Callable[[str], str],
) -> Answer:
    """The form for one more object: shown, or taken and made."""
    named = [Field("slug", _("代号"), hint=_("小写字母和数字，建好后不能改；可不填")), *fields]
    faults: dict[str, str] = {}
    shown: dict[str, str] = {}
    if request.method == "POST":
        filled = read_form(named)
        shown, faults = filled.shown, filled.faults
        taken = {one.slug for found, one in desk.catalog.specs() if found == kind}
        slug = str(filled.values.pop("slug", None) or fresh_slug(next(iter(fixed.values())), dict.fromkeys(taken)))
        if not faults:
            try:
                desk.save([Edit(kind, slug, {**filled.values, **fixed})])
            except BadConfig as refused:
                faults = told(
                    [
                        (f"{kind}.{slug}.slug" if path == f"{kind}.{slug}" else path, why)
                        for path, why in refused.faults
                    ],
                    f"{kind}.{slug}",
                    named,
                )
            else:
                flash(_("已保存"))
                return redirect(done(slug), 303)
    page = render_template(
        "admin/edit.html", title=title, fields=named, shown=shown, faults=faults, stamp="", back=back
    )
    return (page, 422) if faults else page


def merchants_room(runtime: Runtime) -> Room:
    """Circles, merchants, shops and posters, under the name `admin_merchants`."""
    pages = MerchantPages(runtime)
    room = Room("merchants", __name__, runtime)
    both = ("GET", "POST")
    room.add("/merchants", "index", pages.index, role="manager")
    room.add("/circles/<slug>", "circle", pages.circle, role="operator", methods=both)
    room.add("/circles/<circle>/merchants/new", "new_merchant", pages.new_merchant, role="operator", methods=both)
    room.add("/merchants/<slug>", "merchant", pages.merchant, role="manager", methods=both)
    room.add("/merchants/<slug>/shops/new", "new_shop", pages.new_shop, role="manager", methods=both)
    room.add("/shops/<slug>", "shop", pages.shop, role="manager", methods=both)
    room.add("/shops/<slug>/poster", "poster", pages.poster, role="manager")
    room.add("/shops/<slug>/poster.svg", "poster_code", pages.poster_code, role="manager")
    return room
