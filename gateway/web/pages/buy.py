"""`/buy/<item>`: buying an item with the wallet whose browser this is; `/me/orders`: what became of it.

The page of an order asks the wallet's own browser for the money. What that browser answers proves nothing: the page
looks at our own state until the platform has told it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast, get_args

from flask import Blueprint, Response, abort, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from crypto.tokens import looks_like_token, new_token
from gateway import orders, people
from gateway.buying import Buying, rows
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Circle, Item, Merchant
from gateway.contract.clock import from_text
from gateway.contract.errors import Refused
from gateway.contract.store import Row, Tx
from gateway.contract.wallet import Platform
from gateway.runtime import Runtime
from gateway.tills import Till, can_be_paid, tills_of
from gateway.web.pages import cards, customer, wallet
from gateway.web.pages.chrome import guard
from gateway.web.pages.customer import Customer
from gateway.web.pages.fragments import fragment
from gateway.web.pages.me.visitor import Visitor, visitor, watcher
from gateway.web.pages.user_agent import kind_of

Answer = str | AnyResponse | tuple[str, int]

EVERY_S: Final = 2
SLOW_S: Final = 10
SLOW_AFTER_S: Final = 30
PAGE: Final = 20
_FRESH: Final = "bought"
_TRIED: Final = "buy_tried"
_LONGEST_SLUG: Final = 100


@dataclass(frozen=True, slots=True)
class Goods:
    """An item for sale with its surroundings. `left` None: without end."""

    item: Item
    merchant: Merchant
    circle: Circle
    left: int | None = None

    @property
    def is_paused(self) -> bool:
        """Whether nobody can buy it for the time being."""
        return self.item.paused or self.merchant.paused

    @property
    def most(self) -> int:
        """So many can be bought at once."""
        return orders.MOST_UNITS if self.left is None else max(min(self.left, orders.MOST_UNITS), 0)

    @property
    def card(self) -> cards.Card:
        """The coupon that one unit is."""
        item = self.item
        return cards.Card(
            state="paused" if self.is_paused else "gone" if not self.most else "offer",
            title=item.name,
            merchant=self.merchant.name,
            kind=item.kind,
            value_fen=item.value_fen,
            percent_off=item.percent_off,
            cap_fen=item.cap_fen,
            min_spend_fen=item.min_spend_fen,
        )


class BuyPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._buying = Buying(runtime)

    # -- what there is ----------------------------------------------------------------------------------------------

    def shelf(self) -> Answer:
        """What can be bought in a circle, by default the one signed in for; anyone may look."""
        directory = self._runtime.directory()
        here = customer.signed_in(g.now)
        slug = request.args.get("circle", "")[:_LONGEST_SLUG] or (here.circle if here is not None else "")
        if not slug:
            selling = [one for one in directory.catalog.circles.values() if self._for_sale(directory, one)]
            if len(selling) > 1:
                return render_template("buy/circles.html", circles=selling)
            slug = selling[0].slug if selling else ""
        circle = directory.circle(slug)
        if circle is None:
            abort(404)
        return render_template("buy/shelf.html", circle=circle, goods=self._for_sale(directory, circle))

    def item(self, item: str) -> Answer:
        """GET: one item, how many of it, and the button that orders it."""
        goods, here = self._at(item)
        return self._page(goods, here)

    def order(self, item: str) -> Answer:
        """POST: order it and tell the platform, then 303 to the order's page; the same form is the same order."""
        _, here = self._at(item)
        form, quantity = request.form.get("once", ""), request.form.get("quantity", "")
        if not looks_like_token(form) or not (quantity.isascii() and quantity.isdigit() and len(quantity) < 4):  # noqa: PLR2004 - MOST_UNITS has three digits
            abort(400)
        try:
            made = self._buying.order(item, int(quantity), here.person, here.platform, form, g.now)
        except Refused as refused:
            if refused.code not in {"sold_out", "not_for_sale", "no_till", "too_many"}:
                raise
            return self._page(self._again(item), here, refused=refused.code), refused.status
        self._buying.announce(made, g.now)
        session[customer.slot(_FRESH)] = made
        return redirect(url_for(".show", order=made), 303)

    # -- what became of it ------------------------------------------------------------------------------------------

    def orders(self) -> Answer:
        """GET: one's own orders, newest first."""
        here = visitor(self._runtime)
        before = request.args.get("before", "")[:_LONGEST_SLUG]
        marks, params = people.in_group(here.who)
        found = self._runtime.store.read(
            lambda tx: tx.all(
                f"SELECT * FROM orders WHERE person IN ({marks}) AND (:before = '' OR id < :before) "
                "ORDER BY id DESC LIMIT :most",
                {**params, "before": before, "most": PAGE + 1},
            )
        )
        directory = self._runtime.directory()
        listed = self._runtime.store.read(lambda tx: [self._told(tx, directory, order) for order in found[:PAGE]])
        return render_template(
            "buy/orders.html",
            orders=listed,
            older=found[PAGE - 1]["id"] if len(found) > PAGE else "",
            newer=bool(before),
            circle=here.circle(directory),
            zone=directory.zone(None),
        )

    def show(self, order: str) -> Answer:
        """GET: one order; where it awaits its money, with the button that asks the wallet for it."""
        here = visitor(self._runtime)
        told = self._one(here, order)
        fresh = session.get(customer.slot(_FRESH)) == order
        if fresh:
            session.pop(customer.slot(_FRESH))
        pay = self._pay(here.customer, told) if told["step"] == "pay" else {}
        return render_template(
            "buy/order.html", **told, **pay, auto=fresh, every=EVERY_S, slow=SLOW_S, slow_after=SLOW_AFTER_S
        )

    def live(self, order: str) -> Response:
        """GET: the part that tells how it stands, for the page that lies open."""
        told = self._one(watcher(self._runtime), order)
        return fragment(render_template("buy/_order.html", **told))

    def again(self, order: str) -> Answer:
        """POST: another try after the platform declined, or the first for an order that was made elsewhere."""
        here = visitor(self._runtime)
        try:
            self._buying.again(order, here.who.id, here.customer.platform, g.now)
        except Refused as refused:
            if refused.code not in {"expired", "no_till"}:
                raise
        else:
            self._buying.announce(order, g.now)
            session[customer.slot(_FRESH)] = order
        return redirect(url_for(".show", order=order), 303)

    # -- finding ----------------------------------------------------------------------------------------------------

    def _goods(self, directory: Directory, slug: str) -> Goods | None:
        item = directory.item(slug)
        merchant = directory.merchant(item.merchant) if item is not None else None
        circle = directory.circle(merchant.circle) if merchant is not None else None
        if item is None or merchant is None or circle is None or item.price_fen <= 0:
            return None
        if item.stock is None:
            return Goods(item, merchant, circle)
        row = self._runtime.store.read(lambda tx: tx.one("SELECT taken FROM stock WHERE item = :i", {"i": slug}))
        return Goods(item, merchant, circle, item.stock - (int(row["taken"]) if row is not None else 0))

    def _for_sale(self, directory: Directory, circle: Circle) -> list[Goods]:
        found = (self._goods(directory, item.slug) for item in directory.items_of(circle.slug))
        return [one for one in found if one is not None and can_be_paid(directory, one.merchant.slug)]

    def _again(self, slug: str) -> Goods:
        goods = self._goods(self._runtime.directory(), slug)
        if goods is None:
            abort(404)
        return goods

    def _at(self, slug: str) -> tuple[Goods, Customer]:
        """The item and who looks at it, signed in with the account that the item's merchant is paid by."""
        runtime = self._runtime
        directory = runtime.directory()
        goods = self._again(slug)
        till = _till(directory, goods.merchant.slug)
        here = request.full_path.rstrip("?")
        want = wallet.Want(goods.circle.slug, here, here, till.slug if till is not None else None)
        who = wallet.ask(runtime, want)
        tried = session.pop(customer.slot(_TRIED), "")
        known = till is None or self._buying.till_for(slug, who.platform, who.person) is not None
        if not known and tried != slug and request.method == "GET":
            # Signed in by another account of the circle: once more, by the one that takes the money.
            session[customer.slot(_TRIED)] = slug
            customer.leave()
            who = wallet.ask(runtime, want)
        return goods, who

    def _one(self, here: Visitor, order: str) -> dict[str, Any]:
        directory = self._runtime.directory()

        def read(tx: Tx) -> dict[str, Any]:
            row = orders.order_of(tx, order)
            if row["person"] not in here.who.group:
                raise Refused("not_found", 404)
            return self._told(tx, directory, row)

        return self._runtime.store.read(read)

    # -- telling ----------------------------------------------------------------------------------------------------

    def _page(self, goods: Goods, here: Customer, refused: str = "") -> str:
        runtime = self._runtime
        directory = runtime.directory()
        wanted = request.values.get("quantity", "1")
        quantity = min(max(int(wanted) if wanted.isascii() and wanted.isdigit() else 1, 1), max(goods.most, 1))

        def read(tx: Tx) -> tuple[int | None, list[Row]]:
            who = people.look_up(tx, here.person)
            missing = orders.units_to_next_link(tx, directory, here.person, goods.circle.slug, g.now)
            return missing, rows.open_orders(tx, *people.in_group(who), g.now) if who is not None else []

        missing, waiting = runtime.store.read(read)
        can_pay = kind_of(request.headers.get("User-Agent", "")).can_pay or bool(g.get("guest", ""))
        till = self._buying.till_for(goods.item.slug, here.platform, here.person)
        return render_template(
            "buy/item.html",
            goods=goods,
            item=goods.item,
            merchant=goods.merchant,
            circle=goods.circle,
            quantity=quantity,
            total=goods.item.price_fen * quantity,
            missing=missing,
            waiting=[self._named(directory, order) for order in waiting],
            once=new_token(runtime.random),
            can_pay=can_pay and till is not None,
            others=_platforms(directory, goods.merchant.slug) if till is None else (),
            refused=refused,
            zone=directory.zone(None),
        )

    @staticmethod
    def _named(directory: Directory, order: Row) -> dict[str, Any]:
        item = directory.item(order["item"])
        return {"id": order["id"], "name": item.name if item is not None else order["item"], "row": order}

    def _told(self, tx: Tx, directory: Directory, order: Row) -> dict[str, Any]:
        """Everything that a page says of one order. `step` is where it stands, in our own words."""
        bought = rows.purchase_of(tx, order["id"])
        returned = rows.paybacks_of(tx, order["id"])
        merchant = directory.merchant(order["merchant"])
        link = tx.one("SELECT id, key_id, state FROM links WHERE source_order = :id", {"id": order["id"]})
        return {
            **self._named(directory, order),
            "order": order,
            "step": step_of(order, bought, returned, is_over=from_text(order["expires_at"]) <= g.now),
            "bought": bought,
            "link": customer.to("me.open_link", link=link["id"])
            if link is not None and link["state"] in {"issued", "opened"}
            else "",
            "merchant": merchant,
            "circle": directory.circle(order["circle"]),
            "back_fen": sum(one["fen"] for one in returned if one["state"] == "done"),
            "under_way_fen": sum(one["fen"] for one in returned if one["state"] not in {"done", "closed"}),
            "zone": directory.zone(None),
        }

    def _pay(self, here: Customer, told: Mapping[str, Any]) -> dict[str, Any]:
        """What the page needs to ask for the money: the wallet's own bridge, in the sandbox's phone a cashier."""
        found = self._buying.bridge(told["bought"], g.now)
        if found is None:
            return {}
        till, bridge = found
        if g.get("guest", ""):
            return {"cashier": customer.to("cashier.show", order=told["id"])}
        kind = kind_of(request.headers.get("User-Agent", ""))
        may = kind.can_pay and kind.platform == till.wallet.slug and here.platform == till.wallet.slug
        return {"platform": till.wallet.slug, "bridge": bridge if may else None}


def step_of(order: Row, bought: Row | None, returned: list[Row], *, is_over: bool) -> str:
    """Pure: where an order stands, for its page.

    `new`: the platform has not answered yet; `pay`: it awaits its money; `declined`: the platform will not have it;
    `closing`: its time is over and the platform is asked; `returning` and `late`: its money goes, or went, back for
    want of stock; the rest are the order's own states.
    """
    state = str(order["state"])
    if state == "created":
        if bought is None or bought["state"] == "failed":
            return "closing" if is_over else "declined" if bought is not None else "unasked"
        if is_over:
            return "closing"
        return "pay" if bought["state"] == "announced" else "new"
    if state == "refunded" and order["closed_reason"] == orders.LATE:
        return "late" if all(one["state"] in {"done", "closed"} for one in returned) else "returning"
    return state


def buy_blueprint(runtime: Runtime) -> Blueprint:
    """Buying and one's own orders, under the name `buy`."""
    pages = BuyPages(runtime)
    blueprint = guard(Blueprint("buy", __name__), runtime)
    blueprint.context_processor(lambda: {"home": customer.to("me.home")})
    add = blueprint.add_url_rule
    add("/buy", "shelf", pages.shelf)
    add("/buy/<item>", "item", pages.item, methods=["GET"])
    add("/buy/<item>", "order", pages.order, methods=["POST"])
    add("/me/orders", "orders", pages.orders)
    add("/me/orders/<order>", "show", pages.show)
    add("/me/orders/<order>/live", "live", pages.live)
    add("/me/orders/<order>/pay", "again", pages.again, methods=["POST"])
    return blueprint


def _till(directory: Directory, merchant: str) -> Till | None:
    """Where this browser could pay the merchant: by its own wallet, in the sandbox's phone by any."""
    own = kind_of(request.headers.get("User-Agent", "")).platform
    platforms = (own,) if own is not None else _platforms(directory, merchant)
    found = [till for platform in platforms for till in tills_of(directory, merchant, platform)]
    return found[0] if found else None


def _platforms(directory: Directory, merchant: str) -> tuple[Platform, ...]:
    """The wallets that the merchant can be paid by."""
    every = cast("tuple[Platform, ...]", get_args(Platform))
    return tuple(platform for platform in every if tills_of(directory, merchant, platform))
