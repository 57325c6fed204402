"""The sandbox's pages: the till with its faults, a phone for each guest, and what the till received."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, cast

from flask import Blueprint, abort, g, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from gateway import coupons, links
from gateway.auth import tokens
from gateway.auth.tokens import Holder, Issued
from gateway.catalog.directory import Directory, LiveChannel
from gateway.contract.errors import Refused
from gateway.contract.money import Fen, fen_of_yuan
from gateway.contract.store import Row, Tx
from gateway.runtime import Runtime
from gateway.web.pages import staff
from gateway.web.pages.chrome import frame_policy, guard
from gateway.web.sandbox import moves
from gateway.web.sandbox.desk import Desk, Exchange, keep_desk, read_desk

Answer = str | Response | tuple[str, int]

MOST_FEN: Final = 100_000_00
_DEFAULT_AMOUNT: Final = "26.00"
_LINKS_SHOWN: Final = 8


@dataclass(frozen=True, slots=True)
class Gift:
    """A link on a guest's phone: its token, how it stands, and how many things it gives."""

    token: str
    state: str
    items: int
    merchant: str
    at: str


class SandboxPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def sandbox(self) -> Answer:
        """The three panes."""
        return self._page({}, request.args.get("amount", _DEFAULT_AMOUNT))

    def press(self) -> Answer:
        """A button of the till: 303 back to the page, or the page with what is wrong."""
        runtime = self._runtime
        desk = read_desk(runtime.home)
        action = request.form.get("action", "pay")
        if action == "guest":
            desk = desk.with_guest()
            keep_desk(runtime.home, desk)
            return self._back(request.form.get("channel", ""), desk.names[-1])
        if action not in moves.KINDS:
            abort(400)
        guest, slug = request.form.get("guest", ""), request.form.get("channel", "")
        channel = runtime.directory().channel(slug)
        amount = request.form.get("amount", "").strip()
        try:
            fen = fen_of_yuan(amount)
        except ValueError:
            fen = Fen(0)
        if not 0 < fen <= MOST_FEN:
            return self._page({"amount": _("金额请写成 26.00 这样，最多 100000.00")}, amount, 422)
        if guest not in desk.names or channel is None or not channel.spec.sandbox:
            return self._page({"channel": _("没有这个沙盒渠道或客人")}, amount, 422)
        try:
            done = moves.play(runtime, desk, cast("moves.Kind", action), channel, guest, fen, self._origin())
        except Refused as refused:
            return self._page({"channel": self._why(refused)}, amount, refused.status)
        keep_desk(runtime.home, read_desk(runtime.home).with_exchange(done))
        return self._back(slug, guest)

    def phone(self, guest: str) -> Answer:
        """The home screen of a guest's phone: what his payments brought him."""
        frame_policy(frame_ancestors="'self'")
        directory = self._runtime.directory()
        desk = read_desk(self._runtime.home)
        if guest not in desk.names:
            abort(404)
        last = next((one for one in desk.exchanges if one.guest == guest), None)
        return render_template(
            "sandbox_phone.html",
            guest=guest,
            last=last,
            became=moves.became_of(self._runtime, last) if last is not None else "",
            gifts=self._gifts(directory, guest),
            zone=directory.zone(None),
        )

    def use_coupon(self) -> Answer:
        """Go on to `/redeem` with a guest's coupon, signed in as a manager of the coupon's merchant.

        Nobody signs in by this where the circle has a channel that is not a sandbox channel.
        """
        runtime = self._runtime
        directory = runtime.directory()
        code = request.form.get("code", "")
        coupon = runtime.store.read(lambda tx: coupons.by_code(tx, code))
        if coupon is None or not _is_playground(directory, coupon["circle"]):
            abort(404)
        answer = make_response(redirect(url_for("redeem.redeem", code=code), 303))
        who = staff.signed_in(runtime)
        if who is not None and who.may("clerk") and who.sees(coupon["circle"], coupon["merchant"]):
            return answer
        holder = Holder("sandbox", "manager", None, coupon["merchant"])
        now = g.now
        issued: Issued = runtime.store.write(
            lambda tx: tokens.issue(tx, runtime.ids, runtime.random, runtime.accounts.keys, now, "session", holder)
        )
        return staff.enter(answer, issued, now)

    # -- showing it -------------------------------------------------------------------------------------------------

    def _page(self, faults: dict[str, str], amount: str, status: int = 200) -> Answer:
        frame_policy(frame_src="'self'")
        runtime = self._runtime
        directory = runtime.directory()
        desk = read_desk(runtime.home)
        channels = [channel for channel in directory.channels() if channel.spec.sandbox]
        chosen = request.values.get("channel", "")
        guest = request.values.get("guest", "")
        guest = guest if guest in desk.names else desk.names[0]
        last = desk.exchanges[0] if desk.exchanges else None
        zone = directory.zone(None)
        page = render_template(
            "sandbox.html",
            me=staff.signed_in(runtime),
            channels=channels,
            chosen=chosen,
            guests=desk.names,
            guest=guest,
            amount=amount,
            faults=faults,
            zone=zone,
            code=self._usable_code(directory, guest),
            **self._last(directory, desk, last),
        )
        return page, status

    def _last(self, directory: Directory, desk: Desk, last: Exchange | None) -> dict[str, Any]:
        """Pane three: the newest exchange, what became of it, and what the till has of it."""
        channel = directory.channel(last.channel) if last is not None else None
        if last is None or channel is None:
            return {"last": None, "became": "", "till": None, "sent": "", "log": desk.exchanges}
        return {
            "last": last,
            "became": moves.became_of(self._runtime, last),
            "till": moves.at_the_till(channel, last),
            "sent": moves.visible(last.body),
            "log": desk.exchanges,
        }

    def _gifts(self, directory: Directory, guest: str) -> list[Gift]:
        now = g.now

        def ask(tx: Tx) -> list[Row]:
            persons = moves.persons_of(tx, self._runtime, directory, guest)
            return [link for person in persons for link in links.of_person(tx, person, _LINKS_SHOWN)]

        found = []
        for link in sorted(self._runtime.store.read(ask), key=lambda row: str(row["created_at"]), reverse=True):
            merchant = directory.merchant(link["merchant"])
            found.append(
                Gift(
                    token=self._runtime.link_keys.token(link["id"], link["key_id"]),
                    state=links.state_at(link, now),
                    items=len(links.items_of(link)),
                    merchant=merchant.name if merchant is not None else link["merchant"],
                    at=link["created_at"],
                )
            )
        return found[:_LINKS_SHOWN]

    def _usable_code(self, directory: Directory, guest: str) -> str:
        """A coupon that the guest may use, the newest; "" for none."""
        now = g.now

        def ask(tx: Tx) -> list[Row]:
            persons = moves.persons_of(tx, self._runtime, directory, guest)
            return [coupon for person in persons for coupon in coupons.of_person(tx, person)]

        held = [one for one in self._runtime.store.read(ask) if coupons.state_at(one, now) == "claimed"]
        return str(max(held, key=lambda one: str(one["claimed_at"]))["code"]) if held else ""

    def _back(self, channel: str, guest: str) -> Response:
        amount = request.form.get("amount", _DEFAULT_AMOUNT)[:20]
        return redirect(url_for("sandbox.sandbox", channel=channel, guest=guest, amount=amount), 303)

    def _origin(self) -> str:
        return self._runtime.base_url or request.host_url.rstrip("/")

    @staticmethod
    def _why(refused: Refused) -> str:
        if refused.code == "nothing_to_repeat":
            return str(_("请先付一次款"))
        return str(_("这个渠道没有沙盒密钥，请重新执行 apply"))


def sandbox_blueprint(runtime: Runtime) -> Blueprint:
    """The sandbox's own pages, under the name `sandbox`."""
    pages = SandboxPages(runtime)
    blueprint = guard(Blueprint("sandbox", __name__), runtime)
    add = blueprint.add_url_rule
    add("/sandbox", "sandbox", pages.sandbox, methods=["GET"])
    add("/sandbox", "press", pages.press, methods=["POST"])
    add("/sandbox/use", "use_coupon", pages.use_coupon, methods=["POST"])
    add("/sandbox/phone/<guest>/", "phone", pages.phone)
    return blueprint


def _is_playground(directory: Directory, circle: str) -> bool:
    """Whether every channel of the circle is a sandbox channel, and there is one."""
    found: list[LiveChannel] = [channel for channel in directory.channels() if channel.circle.slug == circle]
    return bool(found) and all(channel.spec.sandbox for channel in found)
