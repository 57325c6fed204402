"""`/admin/export`: a table as a file, made by a job, kept for a day; every download is written down."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from flask import Response, abort, flash, g, redirect, render_template, request, send_file, url_for
from flask_babel import gettext as _

from crypto.tokens import new_token
from gateway import jobs
from gateway.auth import Principal
from gateway.chores import export
from gateway.contract.clock import to_text
from gateway.contract.store import Tx
from gateway.jobs import Job
from gateway.runtime import Runtime
from gateway.web.admin.door import Answer, Room, noting
from gateway.web.admin.job_pages import JobKind, may_see
from gateway.web.admin.periods import period, preset_links, zone_of

_LONGEST_REASON: Final = 200
_SHOWN: Final = 20


class ExportPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """The form, for the data set of the address, and the files of the last day."""
        return self._page(who, request.args.get("data", "payments"), {})

    def start(self, who: Principal) -> Answer:
        """Begin the job. Columns about persons need a reason."""
        name = request.form.get("data", "")
        data = export.DATA_SETS.get(name)
        if data is None:
            abort(404)
        directory, faults = self._runtime.directory(), dict[str, str]()
        when = period(request.form, g.now, zone_of(who, directory), faults)
        chosen = [column for column in data.columns if column in request.form.getlist("columns")]
        reason = request.form.get("reason", "").strip()[:_LONGEST_REASON]
        if not chosen:
            faults["columns"] = _("请至少选一列")
        if data.personal & set(chosen) and not reason:
            faults["reason"] = _("导出个人相关的列需要写明原因")
        if faults:
            return self._page(who, name, faults), 422
        merchants, now = who.merchants(directory), g.now
        params = {
            "data": name,
            "columns": chosen,
            "since": to_text(when.since) if when.since is not None else None,
            "until": to_text(when.until) if when.until is not None else None,
            "merchants": sorted(merchants) if merchants is not None else None,
        }
        once, runtime, note = request.form.get("key", "")[:64] or None, self._runtime, noting(self._runtime, who)

        def write(tx: Tx) -> str:
            job = jobs.start(
                tx, runtime.ids, now, export.NAME, params, who.name, circle=who.circle, merchant=who.merchant, once=once
            )
            note(tx, "export.begin", job, after={**params, "reason": reason})
            return job

        return redirect(url_for("admin_jobs.show", job_id=runtime.store.write(write)), 303)

    def show(self, who: Principal, job_id: str) -> Answer:
        """A file that is ready, and until when."""
        job, path = self._job(who, job_id)
        return render_template(
            "admin/export_file.html",
            job=job,
            is_there=path is not None,
            until=job.created_at + export.KEPT_FOR,
            zone=zone_of(who, self._runtime.directory()),
        )

    def download(self, who: Principal, job_id: str) -> Answer:
        """The file. The audit row is written before the first byte leaves."""
        job, path = self._job(who, job_id)
        if path is None:
            flash(_("文件已不在，请重新导出。"), "warn")
            return redirect(url_for(".show", job_id=job.id), 303)
        note = noting(self._runtime, who)
        facts = {"data": job.params["data"], "rows": job.result.get("rows"), "columns": job.params["columns"]}
        self._runtime.store.write(lambda tx: note(tx, "export.download", job.id, after=facts))
        answer: Response = send_file(
            path, mimetype="text/csv", as_attachment=True, download_name=f"{job.params['data']}.csv", conditional=False
        )
        return answer

    # -- finding it ---------------------------------------------------------------------------------------------------

    def _job(self, who: Principal, job_id: str) -> tuple[Job, Path | None]:
        """The export and its file; None once a day is over, or where it lies on another machine."""
        job = self._runtime.store.read(lambda tx: jobs.look(tx, job_id))
        if job is None or job.kind != export.NAME or not may_see(self._runtime, who, job) or job.state != "done":
            abort(404)
        path = export.file_of(self._runtime, job.id)
        if g.now >= job.created_at + export.KEPT_FOR or not path.is_file():
            return job, None
        return job, path

    def _page(self, who: Principal, name: str, faults: dict[str, str]) -> str:
        data = export.DATA_SETS.get(name)
        if data is None:
            abort(404)
        values = request.values
        chosen = values.getlist("columns") or [one for one in data.columns if one not in data.personal]
        when = period(values, g.now, zone_of(who, self._runtime.directory()), {})
        newest = self._runtime.store.read(lambda tx: jobs.newest(tx, export.NAME, _SHOWN * 5))
        files = [job for job in newest if may_see(self._runtime, who, job) and g.now < job.created_at + export.KEPT_FOR]
        return render_template(
            "admin/export.html",
            name=name,
            sets=[(data_name(one), url_for(".index", data=one), one == name) for one in export.DATA_SETS],
            presets=preset_links(when.preset, lambda day: url_for(".index", data=name, day=day)),
            day=when.preset,
            values={"from": when.first, "to": when.last, "reason": values.get("reason", "")},
            columns=[(one, column_name(one), one in data.personal, one in chosen) for one in data.columns],
            files=[_shown(job) for job in files[:_SHOWN]],
            key=new_token(self._runtime.random),
            faults=faults,
            zone=zone_of(who, self._runtime.directory()),
        )


def export_room(runtime: Runtime) -> Room:
    """Exports, under the name `admin_export`."""
    pages = ExportPages(runtime)
    room = Room("export", __name__, runtime)
    room.add("/export", "index", pages.index, role="manager")
    room.add("/export/start", "start", pages.start, role="manager", methods=("POST",))
    room.add("/export/<job_id>", "show", pages.show, role="manager")
    room.add("/export/<job_id>/file", "download", pages.download, role="manager")
    room.job(export.NAME, JobKind(lambda: _("导出"), lambda job: url_for("admin_export.show", job_id=job.id)))
    return room


def data_name(name: str) -> str:
    """What a data set is called."""
    return str({"payments": _("付款"), "links": _("链接"), "redemptions": _("核销")}.get(name, name))


def column_name(name: str) -> str:
    """What a column is called."""
    words = {
        "received_at": _("收到时间"),
        "paid_at": _("付款时间"),
        "merchant": _("商户"),
        "shop": _("门店"),
        "channel": _("渠道"),
        "provider": _("平台"),
        "transaction_id": _("交易号"),
        "out_trade_no": _("订单号"),
        "amount_fen": _("金额"),
        "refunded_fen": _("已退金额"),
        "tag_before": _("付款前的标识"),
        "tag_after": _("付款后的标识"),
        "relay_state": _("转发结果"),
        "relay_status": _("POS 状态码"),
        "payer": _("付款人编号"),
        "created_at": _("发出时间"),
        "purpose": _("给谁"),
        "items": _("物品"),
        "state": _("状态"),
        "expires_at": _("到期"),
        "opened_at": _("打开时间"),
        "claimed_at": _("领取时间"),
        "closed_at": _("结束时间"),
        "closed_reason": _("结束原因"),
        "at": _("时间"),
        "item": _("物品代号"),
        "name": _("物品名称"),
        "kind": _("种类"),
        "discount_fen": _("优惠金额"),
        "by": _("经手人"),
        "reversed_at": _("撤销时间"),
        "reversed_by": _("撤销人"),
        "reason": _("原因"),
        "coupon": _("券码"),
    }
    return str(words.get(name, name))


def _shown(job: Job) -> dict[str, Any]:
    there = job.state == "done"
    endpoint = "admin_export.show" if there else "admin_jobs.show"
    return {"job": job, "name": data_name(job.params["data"]), "address": url_for(endpoint, job_id=job.id)}
