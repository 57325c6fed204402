"""`/admin/offers`: the core rule's numbers and budgets of each circle, and their rehearsal on a day that was."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from flask import abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway import jobs
from gateway.auth import Principal
from gateway.catalog.edit import Edit, Moved, fresh_slug
from gateway.catalog.specs import Circle, Offer
from gateway.contract.errors import BadConfig
from gateway.contract.store import Tx
from gateway.jobs import Job
from gateway.runtime import Runtime
from gateway.setup import rehearsal
from gateway.setup.bench import spent
from gateway.web.admin.desk import Desk, desk_of
from gateway.web.admin.door import Answer, Room
from gateway.web.admin.forms import Field, read_form, shown_of, told
from gateway.web.admin.job_pages import JobKind
from gateway.web.pages.roles import guest

_SECOND: Final = "b_"
"""Before the names of the second draft's fields."""


class OfferPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """Every circle in scope, its budgets' use, by kind."""
        desk = desk_of(self._runtime, who)
        rows = [(circle, _offer_of(desk, circle.slug), self._budgets(desk, circle.slug)) for circle in desk.circles()]
        return render_template("admin/offers.html", rows=rows)

    def offer(self, who: Principal, circle: str) -> Answer:
        """One circle's numbers."""
        desk = desk_of(self._runtime, who)
        found = desk.circle(circle)
        offer = _offer_of(desk, circle)
        groups = offer_groups(desk, found)
        fields = [one for _title, part in groups for one in part]
        stamp = desk.stamp(offer) if offer.slug else ""
        shown = shown_of(fields, desk.table(offer))
        faults: dict[str, str] = {}
        if request.method == "POST":
            filled = read_form(fields)
            stamp, shown, faults = request.form.get("stamp", ""), filled.shown, filled.faults
            slug = offer.slug or fresh_slug(circle, dict.fromkeys(desk.catalog.offers))
            if not faults:
                try:
                    edit = Edit(
                        "offer", slug, {**filled.values, "circle": circle}, stamp or ("none" if offer.slug else "")
                    )
                    desk.save([edit])
                except BadConfig as refused:
                    faults = told(refused.faults, f"offer.{slug}", fields)
                except Moved as moved:
                    return desk.moved(moved, fields, filled.shown, request.path)
                else:
                    flash(_("已保存"))
                    return redirect(request.path, 303)
        page = render_template(
            "admin/offer.html",
            circle=found,
            groups=groups,
            shown=shown,
            faults=faults,
            stamp=stamp,
            budgets=self._budgets(desk, circle),
        )
        return (page, 422) if faults else page

    def simulate(self, who: Principal, circle: str) -> Answer:
        """Choose a day and one or two drafts; or, with `job`, read what came out."""
        desk = desk_of(self._runtime, who)
        found = desk.circle(circle)
        fields = draft_fields()
        live = {**desk.table(_offer_of(desk, circle)), "min_amount_fen": found.min_amount_fen}
        today = g.now.astimezone(desk.zone)
        values = {
            "circle": found,
            "fields": fields,
            "second": _renamed(fields),
            "shown": shown_of(fields, live),
            "shown_second": {},
            "faults": {},
            "day": f"{today - timedelta(days=1):%Y-%m-%d}",
            "today": f"{today:%Y-%m-%d}",
            "zone": desk.zone,
        }
        if request.method == "POST":
            return self._begin(who, desk, values)
        id_ = request.args.get("job")
        job = self._runtime.store.read(lambda tx: jobs.look(tx, id_)) if id_ else None
        if id_ and (job is None or job.kind != rehearsal.KIND or job.circle != circle or job.state != "done"):
            abort(404)
        result = _result(desk, job) if job is not None else None
        if job is not None:
            values |= {"day": job.params["day"], "shown": shown_of(fields, job.params["drafts"][0])}
        return render_template("admin/simulate.html", result=result, **values)

    def _begin(self, who: Principal, desk: Desk, values: dict[str, Any]) -> Answer:
        circle: Circle = values["circle"]
        first, second = read_form(values["fields"]), read_form(values["second"])
        day = request.form.get("day", "")
        faults = dict(first.faults)
        try:
            begin, _end = rehearsal.day_of(day, desk.zone)
            if begin > g.now:
                faults["day"] = _("这一天还没有到")
        except BadConfig:
            faults["day"] = _("请选一天")
        tables = [{key: value for key, value in first.values.items() if value is not None}]
        if request.form.get("compare"):
            faults |= second.faults
            tables.append({key[len(_SECOND) :]: one for key, one in second.values.items() if one is not None})
        if not faults:
            for prefix, table in zip(("", _SECOND), tables, strict=False):
                faults |= _draft_faults(circle.slug, table, values["fields"], prefix)
        if faults:
            shown = {"shown": first.shown, "shown_second": second.shown, "day": day, "faults": faults}
            return render_template("admin/simulate.html", result=None, **{**values, **shown}), 422
        now: datetime = g.now
        ids, params = self._runtime.ids, {"circle": circle.slug, "day": day, "drafts": tables}

        def start(tx: Tx) -> str:
            return jobs.start(tx, ids, now, rehearsal.KIND, params, who.name, circle=circle.slug)

        return redirect(url_for("admin_jobs.show", job_id=self._runtime.store.write(start)), 303)

    def _budgets(self, desk: Desk, circle: str) -> dict[str, tuple[int, int]]:
        day = f"{g.now.astimezone(desk.zone):%Y-%m-%d}"
        return self._runtime.store.read(lambda tx: spent(tx, circle, day))


def offer_groups(desk: Desk, circle: Circle) -> list[tuple[str, list[Field]]]:
    """An offer's fields in groups, limits of each kind apart."""
    own = {one.slug for one in desk.merchants(circle.slug)}
    items = [(one.slug, one.name) for one in desk.catalog.items.values() if one.merchant in own]
    none = _("0 或不填为不限")
    return [
        (
            _("送什么"),
            [
                Field("own", _("本店的件数"), "whole", _("默认 1")),
                Field("elsewhere", _("别家的件数"), "whole", _("默认 2")),
                Field("link_days", _("领取期限（天）"), "whole", _("默认 7")),
            ],
        ),
        (
            _("每人上限"),
            [
                Field("per_person_per_day", _("每人每天"), "whole", none),
                Field("per_person_per_week", _("每人每周"), "whole", none),
                Field("per_person", _("每人总共"), "whole", none),
            ],
        ),
        (
            _("预算"),
            [
                Field("budget_fen", _("总预算"), "yuan", none),
                Field("budget_fen_per_day", _("每天预算"), "yuan", none),
                Field("source_budget_fen", _("介绍奖励预算"), "yuan", none),
            ],
        ),
        (
            _("买得多"),
            [
                Field("bought_threshold", _("买超过几件送链接"), "whole", _("0 或不填为不送")),
                Field("bought_days", _("统计几天内"), "whole", _("默认 90")),
                Field("bought_repeat", _("每超过一次都送"), "flag"),
            ],
        ),
        (
            _("介绍新客"),
            [
                Field("source_item", _("介绍奖励"), "choice", choices=[("", _("不发")), *items]),
                Field("source_first_payments", _("新客前几笔付款有效"), "whole", _("默认 1")),
            ],
        ),
    ]


def draft_fields() -> list[Field]:
    """The numbers that a rehearsal may change."""
    return [
        Field("own", _("本店的件数"), "whole"),
        Field("elsewhere", _("别家的件数"), "whole"),
        Field("min_amount_fen", _("最低金额"), "yuan"),
        Field("per_person_per_day", _("每人每天"), "whole"),
        Field("per_person_per_week", _("每人每周"), "whole"),
        Field("per_person", _("每人总共"), "whole"),
        Field("budget_fen", _("总预算"), "yuan"),
        Field("budget_fen_per_day", _("每天预算"), "yuan"),
    ]


def reason_words(reason: str) -> str:
    """What became of a payment, in words."""
    words = {
        "issued": _("发链接"),
        "first_payment": _("首次付款，只标识"),
        "below_minimum": _("低于最低金额"),
        "opted_out": _("已退出"),
        "untaggable": _("认不出付款人"),
        "refunded": _("已退款"),
        "no_inventory": _("没有可发的物品"),
        "limit_day": _("到了每人每天上限"),
        "limit_week": _("到了每人每周上限"),
        "limit_total": _("到了每人总上限"),
        "budget": _("预算用完"),
    }
    return str(words.get(reason, reason))


def dropped_words(reason: str) -> str:
    """Why an item was not chosen."""
    words = {
        "paused": _("已暂停"),
        "weight": _("不作赠品"),
        "consent": _("未同意"),
        "relation": _("互推设为不"),
        "stock": _("无库存"),
        "held": _("客人已持有"),
        "exclusive_group": _("互斥"),
        "enough": _("已够数"),
    }
    return str(words.get(reason, reason))


def _offer_of(desk: Desk, circle: str) -> Offer:
    return next((one for one in desk.catalog.offers.values() if one.circle == circle), Offer("", circle))


def _renamed(fields: list[Field]) -> list[Field]:
    return [Field(f"{_SECOND}{one.key}", one.label, one.sort, one.hint) for one in fields]


def _draft_faults(circle: str, table: Mapping[str, Any], fields: list[Field], prefix: str) -> dict[str, str]:
    """Faults of a draft by the rules of an offer."""
    try:
        rehearsal.draft_of(circle, table)
    except BadConfig as refused:
        found = told(refused.faults, "offer.draft", fields)
        return {f"{prefix}{key}" if key != "form" else key: words for key, words in found.items()}
    return {}


def _result(desk: Desk, job: Job) -> dict[str, Any]:
    """What came out, in words and names."""
    result = job.result

    def shown(outcome: Mapping[str, Any]) -> dict[str, Any]:
        reasons = [(reason_words(one), n) for one, n in sorted(outcome["reasons"].items(), key=lambda pair: -pair[1])]
        samples = [
            {
                **one,
                "merchant": _named(desk.catalog.merchants, one["merchant"]),
                "guest": guest(one["person"]),
                "words": reason_words(one["reason"]),
                "items": [_named(desk.catalog.items, slug) for slug in one["items"]],
                "why": [f"{dropped_words(word)} {n}" for word, n in sorted(one["dropped"].items())],
            }
            for one in outcome["samples"]
        ]
        return {**outcome, "reasons": reasons, "samples": samples}

    drafts = [shown(one) for one in result["drafts"]]
    return {"real": shown(result["real"]), "drafts": drafts, "day": result["day"]}


def _named(group: Mapping[str, Any], slug: str) -> str:
    found = group.get(slug)
    return str(found.name) if found is not None else slug


def offers_room(runtime: Runtime) -> Room:
    """Offers and their rehearsal, under the name `admin_offers`."""
    pages = OfferPages(runtime)
    room = Room("offers", __name__, runtime)
    both = ("GET", "POST")
    room.add("/offers", "index", pages.index, role="operator")
    room.add("/offers/<circle>", "offer", pages.offer, role="operator", methods=both)
    room.add("/offers/<circle>/simulate", "simulate", pages.simulate, role="operator", methods=both)
    room.job(rehearsal.KIND, JobKind(lambda: _("演练一天的付款"), _address))
    return room


def _address(job: Job) -> str | None:
    return url_for("admin_offers.simulate", circle=job.params["circle"], job=job.id)
