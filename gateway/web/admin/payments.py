"""`/admin/payments`: payments by filter or number, newest first, in pages that cost the same however many there are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import g, render_template, request, url_for
from flask_babel import gettext as _

from gateway.auth import Principal
from gateway.catalog.directory import Directory
from gateway.contract.money import MAX_FEN, fen_of_yuan
from gateway.contract.store import Row, Tx
from gateway.reading import search
from gateway.reading.search import Filters
from gateway.runtime import Runtime
from gateway.web.admin import payment_page
from gateway.web.admin.addresses import changing, paging
from gateway.web.admin.door import Answer, Room
from gateway.web.admin.payments_words import place_name, state_words, wallet_name
from gateway.web.admin.periods import Period, period, preset_links, zone_of
from gateway.web.pages.fragments import fragment
from gateway.web.pages.roles import guest
from gateway.web.pages.wording import money
from linkgen.codes import normalise

EVERY_S: Final = 15
FILTERS: Final = ("day", "from", "to", "shop", "wallet", "state", "reason", "min", "max")
_COUNTED: Final = 100
_LONGEST: Final = 64
_WORD: Final = re.compile(r"[a-z_]{1,40}\Z")
_CURSOR: Final = re.compile(r"pay_[0-9a-f]{32}\Z")


@dataclass(frozen=True, slots=True)
class Asked:
    """What an address asks for: the filters, what they are called, and what is wrong with them."""

    filters: Filters
    when: Period
    faults: Mapping[str, str]


class PaymentList:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """The list, or what a number leads to."""
        directory = self._runtime.directory()
        number = request.args.get("q", "").strip()[:_LONGEST]
        if number:
            return self._by_number(directory, who, number)
        asked = self._asked(directory, who)
        merchants, before, after = who.merchants(directory), cursor("before"), cursor("after")

        def read(tx: Tx) -> tuple[search.Found, dict[str, int]]:
            found = search.page(tx, merchants, asked.filters, before=before, after=after)
            return found, search.times_told(tx, [row["id"] for row in found.rows])

        found, told = self._runtime.store.read(read)
        following = paging(".index", request.args, FILTERS, "before", found.older)
        previous = paging(".index", request.args, FILTERS, "after", found.newer)
        newest = found.rows[0]["id"] if found.rows else "pay_"
        status = 422 if asked.faults else 200
        at_front = not before and not after
        news = url_for(".news", since=newest, **_kept()) if at_front and not asked.faults else ""
        return self._page(directory, who, asked, found.rows, told, previous, following, news=news), status

    def news(self, who: Principal) -> Answer:
        """How many payments have come since the list was shown: a line that leads to them, and nothing moves."""
        directory = self._runtime.directory()
        asked, since = self._asked(directory, who), request.args.get("since", "")
        if not since.startswith("pay_"):
            since = "pay_"
        merchants = who.merchants(directory)
        n = self._runtime.store.read(lambda tx: search.newer_than(tx, merchants, asked.filters, since, _COUNTED))
        return fragment(render_template("admin/_news.html", n=n, most=_COUNTED, address=url_for(".index", **_kept())))

    def _by_number(self, directory: Directory, who: Principal, number: str) -> Answer:
        merchants, code = who.merchants(directory), normalise(number)

        def read(tx: Tx) -> tuple[list[Row], dict[str, int]]:
            rows = search.by_number(tx, merchants, number, code)
            return rows, search.times_told(tx, [row["id"] for row in rows])

        rows, told = self._runtime.store.read(read)
        nothing_asked = Asked(Filters(), Period(), {})
        return self._page(directory, who, nothing_asked, rows, told, "", "", number=number)

    def _page(
        self,
        directory: Directory,
        who: Principal,
        asked: Asked,
        rows: Any,
        told: Mapping[str, int],
        previous: str,
        following: str,
        *,
        number: str = "",
        news: str = "",
    ) -> str:
        address = changing(".index", request.args, FILTERS)
        return render_template(
            "admin/payments.html",
            rows=[shown(directory, row, told) for row in rows],
            number=number,
            asked=asked,
            values={name: request.args.get(name, "") for name in FILTERS},
            faults=asked.faults,
            chips=_chips(directory, asked, address),
            clear=url_for(".index"),
            presets=preset_links(asked.when.preset, lambda name: address(day=name, **{"from": None, "to": None})),
            shops=shop_choices(directory, who),
            wallets=[("", _("全部")), *((slug, wallet_name(slug)) for slug in _providers(directory, who))],
            states=[("", _("全部")), *((state, state_words(state)) for state in search.STATES)],
            is_filtered=bool(number) or any(request.args.get(name) for name in FILTERS),
            previous=previous,
            following=following,
            news=news,
            every=EVERY_S,
            zone=zone_of(who, directory),
        )

    def _asked(self, directory: Directory, who: Principal) -> Asked:
        faults: dict[str, str] = {}
        when = period(request.args, g.now, zone_of(who, directory), faults)
        least, most = _fen("min", faults), _fen("max", faults)
        if least is not None and most is not None and most < least:
            faults["max"] = _("最高金额不能低于最低金额")
        shop, merchant = place_asked(directory, who, request.args.get("shop", ""))
        state, reason = request.args.get("state", ""), request.args.get("reason", "").strip()
        if reason and not _WORD.match(reason):
            faults["reason"] = _("原因是小写英文和下划线，例如 budget")
        return Asked(
            Filters(
                since=when.since,
                until=when.until,
                shop=shop,
                merchant=merchant,
                provider=request.args.get("wallet", ""),
                state=state if state in search.STATES else "",
                reason=reason if "reason" not in faults else "",
                at_least_fen=least,
                at_most_fen=most if "max" not in faults else None,
            ),
            when,
            faults,
        )


def payments_room(runtime: Runtime) -> Room:
    """Payments, under the name `admin_payments`."""
    room = Room("payments", __name__, runtime)
    pages = PaymentList(runtime)
    room.add("/payments", "index", pages.index, role="manager")
    room.add("/payments/news", "news", pages.news, role="manager")
    payment_page.add_to(room, runtime)
    return room


def shown(directory: Directory, row: Row, told: Mapping[str, int]) -> dict[str, Any]:
    """One payment as a row of the list."""
    state = search.state_of(json.loads(row["decisions"]))
    return {
        "id": row["id"],
        "number": row["transaction_id"],
        "at": row["received_at"],
        "place": place_name(directory, row),
        "wallet": wallet_name(row["provider"]),
        "amount_fen": row["amount_fen"],
        "refunded_fen": row["refunded_fen"],
        "guest": guest(row["payer"]),
        "state": state,
        "words": state_words(state),
        "told": told.get(row["id"], 1),
    }


def shop_choices(directory: Directory, who: Principal) -> list[tuple[str, str]]:
    """The merchants in scope and their shops, to choose from: `m:<merchant>` or `s:<shop>`."""
    merchants = who.merchants(directory)
    found = [("", _("全部"))]
    for slug, merchant in sorted(directory.catalog.merchants.items()):
        if merchants is not None and slug not in merchants:
            continue
        found.append((f"m:{slug}", merchant.name))
        found += [
            (f"s:{shop.slug}", f"— {shop.name}")
            for shop in sorted(directory.catalog.shops.values(), key=lambda shop: shop.slug)
            if shop.merchant == slug
        ]
    return found


def place_asked(directory: Directory, who: Principal, text: str) -> tuple[str, str]:
    """(shop, merchant) of a choice of `shop_choices`; what is not in scope narrows to nothing that exists."""
    if not text:
        return "", ""
    known = {value for value, _words in shop_choices(directory, who)}
    sort, _colon, slug = text.partition(":")
    if text not in known:
        return "", "-"
    if sort == "m":
        return "", slug
    shop = directory.shop(slug)
    return slug, shop.merchant if shop is not None else "-"


def cursor(name: str) -> str:
    """A cursor of the address; "" for what is none of ours."""
    text = request.args.get(name, "")
    return text if _CURSOR.match(text) else ""


def _kept() -> dict[str, Any]:
    return {name: request.args[name] for name in FILTERS if request.args.get(name)}


def _fen(name: str, faults: dict[str, str]) -> int | None:
    text = request.args.get(name, "").strip().replace(",", "").replace("¥", "")
    if not text:
        return None
    try:
        fen = int(fen_of_yuan(text))
    except ValueError:
        fen = -1
    if not 0 <= fen <= MAX_FEN:
        faults[name] = _("金额请写成 26.00 这样")
        return None
    return fen


def _providers(directory: Directory, who: Principal) -> list[str]:
    merchants = who.merchants(directory)
    return sorted(
        {live.provider for live in directory.channels() if merchants is None or live.merchant.slug in merchants}
    )


def _chips(directory: Directory, asked: Asked, address: Any) -> list[tuple[str, str]]:
    """What is filtered by, in words, each with the list without it."""
    filters, when = asked.filters, asked.when
    chips = []
    if when.preset:
        words = {name: text for (text, _at, _now), name in zip(preset_links("", str), _PRESETS, strict=True)}
        chips.append((words[when.preset], address(day=None)))
    if when.first or when.last:
        chips.append((f"{when.first or '…'} – {when.last or '…'}", address(**{"from": None, "to": None})))
    if filters.shop or filters.merchant:
        shop, merchant = directory.shop(filters.shop), directory.merchant(filters.merchant)
        name = shop.name if shop is not None else merchant.name if merchant is not None else request.args["shop"]
        chips.append((name, address(shop=None)))
    if filters.provider:
        chips.append((wallet_name(filters.provider), address(wallet=None)))
    if filters.state:
        chips.append((state_words(filters.state), address(state=None)))
    if filters.reason:
        chips.append((filters.reason, address(reason=None)))
    if filters.at_least_fen is not None:
        chips.append((f"≥ {money(filters.at_least_fen)}", address(min=None)))
    if filters.at_most_fen is not None:
        chips.append((f"≤ {money(filters.at_most_fen)}", address(max=None)))
    return chips


_PRESETS: Final = ("today", "yesterday", "7", "30")
