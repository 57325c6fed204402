"""Scans that a till kept without a line (R064).

`/redeem/queued` merges them, `/redeem/conflicts` lists what did not go through until a manager has looked at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import abort, g, jsonify, redirect, render_template, request, url_for
from pydantic import ValidationError
from werkzeug.wrappers import Response

from gateway.contract.errors import Refused
from gateway.offline import Offline, Settled
from gateway.runtime import Runtime
from gateway.web.api.models import KeptScans
from gateway.web.pages import scans, staff
from gateway.web.pages.cards import shop_name
from gateway.web.pages.counter import Counter, why_no_password

Answer = str | Response | tuple[str, int]

_LONGEST_PASSWORD: Final = 1000


@dataclass(frozen=True, slots=True)
class Conflict:
    """One line of the list, ready for the template."""

    told: Settled
    shop: str
    first_shop: str
    owner: str
    tail: str


class QueuePages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._offline = Offline(runtime.store, runtime.redeeming)

    def queued(self) -> Answer:
        """Merge what `queue.js` kept. The form's `scans` is JSON as the API's `POST /scans` takes it."""
        counter = self._counter("clerk")
        try:
            sent = KeptScans.model_validate_json(request.form.get("scans", ""))
        except ValidationError:
            abort(422)
        merchants = counter.who.merchants(counter.directory)
        try:
            done = self._offline.merge(
                sent.as_scans(lambda slug: _shop_of(counter, slug, merchants)),
                sent.sent_at,
                counter.clerk(),
                counter.who.merchant,
                counter.who.token_id,
                g.now,
            )
        except Refused as refused:
            # For a script: where to come again, in a word and not in a page.
            answer = jsonify({"code": refused.code})
            answer.status_code = refused.status
            answer.headers["Retry-After"] = str(refused.facts.get("retry_after_s", 60))
            return answer
        return jsonify({"results": [{"nonce": one.nonce, "outcome": one.outcome} for one in done]})

    def conflicts(self) -> Answer:
        """GET: the list. POST: `seen` a conflict (a manager), or `confirm` a held scan with one's password."""
        counter = self._counter("clerk")
        if request.method == "GET":
            return self._list(counter, {})
        nonce = request.form.get("nonce", "")
        if request.form.get("do") != "confirm":
            staff.require(self._runtime, "manager")
            self._offline.acknowledge(nonce, counter.clerk(), g.now)
        else:
            try:
                counter = counter.confirm_password(request.form.get("password", "")[:_LONGEST_PASSWORD])
            except Refused as refused:
                return self._list(counter, {f"password-{nonce}": why_no_password(refused)}), refused.status
            self._offline.confirm(nonce, counter.clerk(), counter.who.token_id, g.now)
        return redirect(url_for("redeem.conflicts"), 303)

    def open_conflicts(self, counter: Counter) -> list[Settled]:
        """What waits on the list for whoever stands there."""
        return self._offline.conflicts(counter.clerk())

    def _counter(self, role: Any) -> Counter:
        return Counter(self._runtime, self._runtime.directory(), staff.require(self._runtime, role))

    def _list(self, counter: Counter, faults: Mapping[str, str]) -> str:
        directory = counter.directory
        listed = []
        for one in self.open_conflicts(counter):
            owner = directory.merchant(one.owner or "")
            first_shop = shop_name(directory, one.first.shop) if one.first is not None else ""
            listed.append(
                Conflict(
                    one,
                    shop_name(directory, one.shop),
                    first_shop,
                    owner.name if owner else "",
                    scans.tail_of(one.tail),
                )
            )
        return render_template(
            "conflicts.html",
            me=counter.who,
            device=counter.who.merchant or counter.who.circle or "all",
            conflicts=listed,
            faults=faults,
            zone=directory.zone(None),
        )


def _shop_of(counter: Counter, slug: str | None, merchants: frozenset[str] | None) -> str | None:
    """The shop, where it is one of his."""
    shop = counter.directory.shop(slug) if slug else None
    return shop.slug if shop is not None and (merchants is None or shop.merchant in merchants) else None
