"""`/admin/payouts`: money on its way out, the second pair of eyes, the bank's file and its results (R113, R115)."""

from __future__ import annotations

import re
from typing import Any, Final

from flask import Response, abort, flash, g, redirect, render_template, request, url_for
from flask_babel import gettext as _

from gateway.auth import Principal
from gateway.catalog.directory import Directory
from gateway.contract.errors import Refused
from gateway.contract.store import Row, Tx
from gateway.payouts import bank, rows
from gateway.runtime import Runtime
from gateway.web.admin.addresses import paging
from gateway.web.admin.door import Answer, Room
from gateway.web.admin.periods import zone_of
from gateway.web.pages.browser import address
from gateway.web.pages.roles import guest

_PAGE: Final = 50
_BATCHES: Final = 10
_STATES: Final = ("held", "sent", "unknown", "settled", "failed")
_BATCH: Final = re.compile(r"bf_[0-9a-f]{32}\Z")
_SHOWN_FAULTS: Final = 20
_LONGEST_PASSWORD: Final = 1024
_TAIL: Final = 8
"""So much of a long number tells it from others."""


class PayoutPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def index(self, who: Principal) -> Answer:
        """The list, newest first, and the bank's files."""
        return self._page(who, [])

    def show(self, who: Principal, payout: str) -> Answer:
        """One payout and what may be done about it."""
        return self._one(who, payout, "")

    def approve(self, who: Principal, payout: str) -> Answer:
        """The second pair of eyes; above the limit, with the password given just now (R205)."""
        runtime, now = self._runtime, g.now
        row = self._find(who, payout)
        password = request.form.get("password", "")[:_LONGEST_PASSWORD]
        try:
            if self._wants_password(who, row):
                if not password:
                    return self._one(who, payout, "password"), 401
                runtime.accounts.reauthenticate(who, who.name, password, address(runtime), now)
            runtime.store.write(lambda tx: runtime.paying_out.approve_payout(tx, payout, who.name, now))
        except Refused as refused:
            if refused.code not in {"same_person", "not_waiting", "unauthorized"}:
                raise
            return self._one(who, payout, refused.code), refused.status
        flash(_("已复核，付款会马上发出。"))
        return redirect(url_for(".show", payout=payout), 303)

    def take(self, who: Principal) -> Answer:
        """A new bank file of what waits."""
        runtime, now = self._runtime, g.now
        circles = who.circles(runtime.directory())
        batch = runtime.store.write(lambda tx: bank.take(tx, runtime.paying_out, runtime.ids, circles, who.name, now))
        if batch is None:
            flash(_("现在没有等待银行的付款。"), "warn")
        else:
            flash(_("银行文件已生成，请下载并交给银行。"))
        return redirect(url_for(".index"), 303)

    def download(self, who: Principal, batch: str) -> Answer:
        """The file; each download is written down."""
        if not _BATCH.match(batch):
            abort(404)
        runtime, now = self._runtime, g.now
        circles = who.circles(runtime.directory())
        vault = runtime.vault()
        text = runtime.store.write(lambda tx: bank.text_of(tx, vault, batch, circles, who.name, now))
        answer = Response(text, mimetype="text/csv")
        answer.headers["Content-Disposition"] = f'attachment; filename="{batch}.csv"'
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def results(self, who: Principal) -> Answer:
        """The bank's results: all of them count, or none."""
        runtime, now = self._runtime, g.now
        circles = who.circles(runtime.directory())
        file = request.files.get("file")
        data = file.stream.read(bank.LONGEST + 1) if file is not None else b""
        try:
            said = bank.read_results(data)
            moved = runtime.store.write(lambda tx: bank.settle(tx, runtime.paying_out, said, circles, who.name, now))
        except Refused as refused:
            if refused.code != "invalid":
                raise
            return self._page(who, list(refused.facts["fields"].items())), 422
        flash(_("已记下 %(n)s 笔银行结果。", n=moved))
        return redirect(url_for(".index"), 303)

    # -- telling ------------------------------------------------------------------------------------------------------

    def _page(self, who: Principal, faults: list[tuple[str, str]]) -> str:
        directory = self._runtime.directory()
        circles = who.circles(directory)
        state = request.args.get("state", "")
        state = state if state in _STATES else ""
        before = request.args.get("before", "")
        before = before if rows.is_payout(before) else ""

        def read(tx: Tx) -> tuple[list[Row], list[Row], int]:
            waiting = rows.for_bank(tx, circles, bank.MOST)
            found = rows.listed(tx, state=state, circles=circles, before=before, most=_PAGE + 1)
            return found, rows.open_batches(tx, circles, _BATCHES), len(waiting)

        found, batches, waiting = self._runtime.store.read(read)
        edge = found[_PAGE - 1]["id"] if len(found) > _PAGE else ""
        return render_template(
            "admin/payouts.html",
            rows=[_shown(row, directory) for row in found[:_PAGE]],
            states=[(_("全部"), url_for(".index"), not state)]
            + [(word, url_for(".index", state=one), one == state) for one, word in _state_words()],
            is_filtered=bool(state),
            batches=[dict(row) for row in batches],
            waiting=waiting,
            faults=faults[:_SHOWN_FAULTS],
            more_faults=max(len(faults) - _SHOWN_FAULTS, 0),
            following=paging(".index", request.args, ("state",), "before", edge),
            zone=zone_of(who, directory),
        )

    def _one(self, who: Principal, payout: str, refused: str) -> str:
        row = self._find(who, payout)
        return render_template(
            "admin/payout.html",
            one={
                **_shown(row, self._runtime.directory()),
                "begun_by": row["begun_by"],
                "approved_by": row["approved_by"],
            },
            may_approve=row["state"] == "held" and row["reason"] == rows.WAITING and row["begun_by"] != who.name,
            refused=refused,
            wants_password=self._wants_password(who, row),
            zone=zone_of(who, self._runtime.directory()),
        )

    def _wants_password(self, who: Principal, row: Row) -> bool:
        most = self._runtime.accounts.most_without_password(who, g.now)
        return most is not None and row["amount_fen"] > most

    def _find(self, who: Principal, payout: str) -> Row:
        row = self._runtime.store.read(lambda tx: rows.payout(tx, payout)) if rows.is_payout(payout) else None
        circles = who.circles(self._runtime.directory())
        if row is None or (circles is not None and row["circle"] not in circles):
            abort(404)
        return row


def payouts_room(runtime: Runtime) -> Room:
    """Payouts, under the name `admin_payouts`."""
    pages = PayoutPages(runtime)
    room = Room("payouts", __name__, runtime)
    room.add("/payouts", "index", pages.index, role="operator")
    room.add("/payouts/bank-file", "take", pages.take, role="operator", methods=("POST",))
    room.add("/payouts/bank-file/<batch>", "download", pages.download, role="operator")
    room.add("/payouts/bank-result", "results", pages.results, role="operator", methods=("POST",))
    room.add("/payouts/<payout>", "show", pages.show, role="operator")
    room.add("/payouts/<payout>/approve", "approve", pages.approve, role="operator", methods=("POST",))
    return room


def _state_words() -> list[tuple[str, str]]:
    return [
        ("held", _("待发出")),
        ("sent", _("已发出")),
        ("unknown", _("等平台答复")),
        ("settled", _("已到账")),
        ("failed", _("未付成")),
    ]


def _shown(row: Row, directory: Directory) -> dict[str, Any]:
    names = ("id", "campaign", "way", "shown", "amount_fen", "state", "reason", "detail", "created_at", "moved_at")
    return {
        **{name: row[name] for name in names},
        "who": guest(row["person"]) if row["person"] else _holder(row, directory),
    }


def _holder(row: Row, directory: Directory) -> str:
    """Whose account it is, where nobody is known: a merchant or clerk by his name, else the end of a long number."""
    kind, _sep, rest = row["account"].partition(":")
    name = rest.partition(":")[0]
    merchant = directory.merchant(name) if kind == "merchant" else None
    if merchant is not None:
        return str(merchant.name)
    return f"{kind} …{name[-_TAIL:]}" if len(name) > 2 * _TAIL else name
