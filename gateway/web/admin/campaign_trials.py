"""`/admin/campaigns/<campaign>/simulate`: a campaign tried out on past days, as it stands or as one would have it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from flask import abort, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway import jobs, trying_out
from gateway.auth import Principal
from gateway.catalog.specs import Campaign
from gateway.contract.errors import BadConfig
from gateway.contract.store import Tx
from gateway.jobs import Job
from gateway.runtime import Runtime
from gateway.trying_out.draft import fault_lines
from gateway.trying_out.job import surroundings_of
from gateway.web.admin.desk import Desk, desk_of
from gateway.web.admin.door import Answer, Room
from gateway.web.admin.job_pages import JobKind
from gateway.web.pages.roles import guest

_FIELDS = ("first", "second")
"""The names of the two drafts' texts in the form."""


class TrialPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def simulate(self, who: Principal, campaign: str) -> Answer:
        """Choose days and one or two drafts; or, with `job`, read what came out."""
        desk = desk_of(self._runtime, who)
        spec = desk.catalog.campaigns.get(campaign)
        if spec is None or spec.circle not in {circle.slug for circle in desk.circles()}:
            abort(404)
        today = g.now.astimezone(desk.zone)
        yesterday = f"{today - timedelta(days=1):%Y-%m-%d}"
        values: dict[str, Any] = {
            "campaign": spec,
            "title": self._title(spec),
            "texts": {"first": trying_out.table_text(spec), "second": ""},
            "compare": False,
            "begin": yesterday,
            "end": yesterday,
            "today": f"{today:%Y-%m-%d}",
            "faults": {},
            "zone": desk.zone,
            "result": None,
        }
        if request.method == "POST":
            return self._begin(who, desk, spec, values)
        id_ = request.args.get("job")
        if id_:
            job = self._runtime.store.read(lambda tx: jobs.look(tx, id_))
            if job is None or job.kind != trying_out.KIND or job.params["campaign"] != spec.slug or job.state != "done":
                abort(404)
            texts = [text or values["texts"]["first"] for text in job.params["drafts"]]
            values |= {
                "result": shown(desk, job.result),
                "begin": job.params["from"],
                "end": job.params["to"],
                "texts": dict(zip(_FIELDS, [*texts, ""], strict=False)),
                "compare": len(texts) > 1,
            }
        return render_template("admin/campaign_trial.html", **values)

    def _begin(self, who: Principal, desk: Desk, spec: Campaign, values: dict[str, Any]) -> Answer:
        form = request.form
        compare = bool(form.get("compare"))
        texts = {name: form.get(name, "").replace("\r\n", "\n") for name in _FIELDS}
        first, last = form.get("from", ""), form.get("to", "")
        faults: dict[str, str] = {}
        try:
            begin, _end = trying_out.days_of(first, last, desk.zone)
            if begin > g.now:
                faults["from"] = _("这一天还没有到")
        except BadConfig as refused:
            words = {"from": _("请选一天"), "to": _("从第一天起，最多 31 天")}
            faults |= {key: words[key] for key, _words in refused.faults}
        for name in _FIELDS[: 1 + compare]:
            try:
                trying_out.draft_of(desk.catalog, surroundings_of(self._runtime), spec, texts[name])
            except BadConfig as refused:
                faults[name] = "; ".join(fault_lines(refused, spec.slug))
        if faults:
            again = {"texts": texts, "compare": compare, "begin": first, "end": last, "faults": faults}
            return render_template("admin/campaign_trial.html", **{**values, **again}), 422
        now: datetime = g.now
        params = {
            "campaign": spec.slug,
            "from": first,
            "to": last,
            "drafts": [texts[name] for name in _FIELDS[: 1 + compare]],
        }

        def start(tx: Tx) -> str:
            return jobs.start(tx, self._runtime.ids, now, trying_out.KIND, params, who.name, circle=spec.circle)

        return redirect(url_for("admin_jobs.show", job_id=self._runtime.store.write(start)), 303)

    def _title(self, spec: Campaign) -> str:
        kind = self._runtime.campaigns.kind(spec.kind)
        return str(_(kind.pages.title)) if kind is not None and kind.pages is not None else spec.kind


def shown(desk: Desk, result: Mapping[str, Any]) -> dict[str, Any]:
    """What came out, with names and pseudonyms for ids, the commonest reason first."""
    merchants = desk.catalog.merchants

    def draft(one: Mapping[str, Any]) -> dict[str, Any]:
        samples = [
            {
                **sample,
                "merchant": merchants[sample["merchant"]].name if sample["merchant"] in merchants else "—",
                "guest": guest(sample["person"]),
            }
            for sample in one["samples"]
        ]
        given = [
            {"receiver": receiver, "unit": unit, "amount": amount}
            for key, amount in sorted(one["given"].items())
            for receiver, unit in (key.split(":", 1),)
        ]
        return {
            **one,
            "verdicts": _ranked(one["verdicts"]),
            "reversals": _ranked(one["reversals"]),
            "samples": samples,
            "given": given,
        }

    return {**result, "real": _ranked(result["real"]), "drafts": [draft(one) for one in result["drafts"]]}


def _ranked(counts: Mapping[str, int]) -> list[dict[str, Any]]:
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [
        {"outcome": key.partition(":")[0], "reason": key.partition(":")[2], "n": count_of} for key, count_of in ranked
    ]


def trials_room(runtime: Runtime) -> Room:
    """Trials, under the name `admin_campaign_trials`; reached from the campaign's own page."""
    pages = TrialPages(runtime)
    room = Room("campaign_trials", __name__, runtime)
    both = ("GET", "POST")
    room.add("/campaigns/<campaign>/simulate", "simulate", pages.simulate, role="operator", methods=both)
    room.job(trying_out.KIND, JobKind(lambda: _("演练一个活动"), _address))
    return room


def _address(job: Job) -> str | None:
    return url_for("admin_campaign_trials.simulate", campaign=job.params["campaign"], job=job.id)
