"""`/admin/items`: what links give; each item's form beside the very card that a customer sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flask import flash, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway.auth import Principal
from gateway.catalog.edit import Edit, Moved, fresh_slug
from gateway.catalog.specs import Item, Merchant
from gateway.claiming import Offered
from gateway.contract.errors import BadConfig
from gateway.contract.store import Tx
from gateway.runtime import Runtime
from gateway.web.admin.desk import Desk, desk_of
from gateway.web.admin.door import Answer, Room
from gateway.web.admin.forms import Field, Filled, read_form, shown_of, told
from gateway.web.pages import cards


class ItemPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """Every item in scope with its stock, whether others may give it, whether it is paused."""
        desk = desk_of(self._runtime, who)
        merchant = request.args.get("merchant", "")
        items = [one for one in desk.items() if not merchant or one.merchant == merchant]
        taken = self._runtime.store.read(_taken)
        rows = [(one, desk.catalog.merchants[one.merchant], taken.get(one.slug, 0)) for one in items]
        return render_template(
            "admin/items.html",
            rows=sorted(rows, key=lambda row: (row[1].name, row[0].name)),
            merchants=desk.merchants(),
            choices=[("", _("全部")), *((one.slug, one.name) for one in desk.merchants())],
            merchant=merchant,
        )

    def new(self, who: Principal) -> Answer:
        """One more item of a merchant in scope."""
        desk = desk_of(self._runtime, who)
        merchants = desk.merchants()
        fields = [
            Field("merchant", _("商户"), "choice", choices=[(one.slug, one.name) for one in merchants], required=True),
            Field("slug", _("代号"), hint=_("小写字母和数字，建好后不能改；可不填")),
            *item_fields(),
        ]
        shown = {"merchant": request.args.get("merchant", ""), "kind": "coupon", "offer": "own", "value_fen": "5.00"}
        if request.method == "GET":
            item = Item("new", shown["merchant"] or (merchants[0].slug if merchants else ""), _("新券"), value_fen=500)
            return self._page(desk, item, fields, shown, {}, "", _("新物品"))
        filled = read_form(fields)
        merchant = desk.merchant(str(filled.values.get("merchant") or ""))
        taken = {one.slug: one for one in desk.catalog.items.values()}
        slug = str(filled.values.pop("slug", None) or fresh_slug(merchant.slug, taken))
        faults = filled.faults
        if not faults and "preview" not in request.form:
            try:
                desk.save([Edit("item", slug, filled.values)])
            except BadConfig as refused:
                path = f"item.{slug}"
                faults = told([(f"{path}.slug" if at == path else at, why) for at, why in refused.faults], path, fields)
            else:
                flash(_("已保存"))
                return redirect(url_for(".item", slug=slug), 303)
        return self._page(
            desk, _drafted(Item("new", merchant.slug, ""), filled), fields, filled.shown, faults, "", _("新物品")
        )

    def item(self, who: Principal, slug: str) -> Answer:
        """One item: its form and its card."""
        desk = desk_of(self._runtime, who)
        found = desk.item(slug)
        fields = item_fields()
        title = _("物品：%(name)s", name=found.name)
        if request.method == "GET":
            return self._page(desk, found, fields, shown_of(fields, desk.table(found)), {}, desk.stamp(found), title)
        filled = read_form(fields)
        stamp, faults = request.form.get("stamp", ""), filled.faults
        if not faults and "preview" not in request.form:
            try:
                desk.save([Edit("item", slug, filled.values, stamp or "none")])
            except BadConfig as refused:
                faults = told(refused.faults, f"item.{slug}", fields)
            except Moved as moved:
                return desk.moved(moved, fields, filled.shown, request.path)
            else:
                flash(_("已保存"))
                return redirect(request.path, 303)
        return self._page(desk, _drafted(found, filled), fields, filled.shown, faults, stamp, title)

    def _page(
        self,
        desk: Desk,
        item: Item,
        fields: Sequence[Field],
        shown: dict[str, str],
        faults: dict[str, str],
        stamp: str,
        title: str,
    ) -> Answer:
        owner = desk.catalog.merchants.get(item.merchant) or Merchant(item.merchant, "", "")
        state = self._runtime.store.read(lambda tx: _stock(tx, item.slug))
        page = render_template(
            "admin/item.html",
            title=title,
            fields=fields,
            shown=shown,
            faults=faults,
            stamp=stamp,
            card=cards.of_item(Offered(item, owner, "paused" if item.paused or owner.paused else "open")),
            stock=state,
            counts=self._runtime.store.read(lambda tx: _counts(tx, item.slug)),
            zone=desk.zone,
        )
        return (page, 422) if faults else page


def item_fields() -> list[Field]:
    """An item's fields."""
    kinds = [("coupon", _("券")), ("points", _("积分")), ("gift", _("礼品"))]
    where = [
        ("own", _("只在本店送")),
        ("elsewhere", _("只在别家送（同意别家代发）")),
        ("both", _("本店和别家都送（同意别家代发）")),
    ]
    return [
        Field("name", _("名称"), required=True),
        Field("kind", _("类型"), "choice", choices=kinds),
        Field("value_fen", _("面值"), "yuan", _("与折扣二选一")),
        Field("percent_off", _("折扣减百分之"), "whole", _("15 即 8.5 折")),
        Field("cap_fen", _("折扣封顶"), "yuan"),
        Field("min_spend_fen", _("满多少可用"), "yuan"),
        Field("stock", _("库存"), "whole", _("不填为不限")),
        Field("valid_days", _("领取后有效天数"), "whole", _("默认 14 天")),
        Field("offer", _("在哪里送"), "choice", _("选别家即为同意，记入审计"), where),
        Field("weight", _("抽中权重"), "whole", _("0 为不作赠品，默认 1")),
        Field("exclusive_group", _("互斥组"), hint=_("同组的一次只送一件")),
        Field("price_fen", _("售价"), "yuan", _("0 为不出售")),
        Field("transferable", _("可转赠一次"), "flag"),
        Field("stackable", _("可与其他券同用"), "flag"),
        Field("paused", _("暂停"), "flag", _("停止新发；已领的仍可用")),
    ]


def _drafted(item: Item, filled: Filled) -> Item:
    """The item as the form has it, as far as it could be read: what the card beside the form shows."""
    known = {name: value for name, value in filled.values.items() if value is not None}
    kept = {name: value for name, value in known.items() if name in Item.__dataclass_fields__ and name != "slug"}
    return replace(item, **kept)


def _taken(tx: Tx) -> dict[str, int]:
    return {row["item"]: int(row["taken"]) for row in tx.all("SELECT item, taken FROM stock")}


def _stock(tx: Tx, item: str) -> tuple[int | None, int]:
    """(how many there are, how many are taken)."""
    row = tx.one("SELECT total, taken FROM stock WHERE item = :item", {"item": item})
    return (row["total"], int(row["taken"])) if row is not None else (None, 0)


def _counts(tx: Tx, item: str) -> dict[str, int]:
    """How many coupons of the item are in which state."""
    rows = tx.all("SELECT state, count(*) AS n FROM coupons WHERE item = :item GROUP BY state", {"item": item})
    return {row["state"]: int(row["n"]) for row in rows}


def items_room(runtime: Runtime) -> Room:
    """Items, under the name `admin_items`."""
    pages = ItemPages(runtime)
    room = Room("items", __name__, runtime)
    room.add("/items", "index", pages.index, role="manager")
    room.add("/items/new", "new", pages.new, role="manager", methods=("GET", "POST"))
    room.add("/items/<slug>", "item", pages.item, role="manager", methods=("GET", "POST"))
    return room
