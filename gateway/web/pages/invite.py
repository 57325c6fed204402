"""`/i/<token>`: an invitation that another customer shares (R025). Looking changes nothing; confirming tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, get_args

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from gateway import people
from gateway.catalog.directory import Directory
from gateway.catalog.specs import Circle
from gateway.contract.errors import Refused
from gateway.runtime import Runtime
from gateway.sharing import Outcome
from gateway.wallets import payer_of
from gateway.web.pages import browser, customer, wallet
from gateway.web.pages.chrome import guard

Answer = str | Response | tuple[str, int]

_OUTCOMES: Final = frozenset(get_args(Outcome))
_LONGEST: Final = 200


class InvitePages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def show(self, token: str | None = None) -> Answer:
        """GET: who invites whom into what is told by the circle's name alone."""
        directory = self._runtime.directory()
        token, circle = self._which(directory, token)
        if self._takes_word(circle):
            return self._form(directory, circle, {}, "", "")
        self._signed_in(circle, token)
        return render_template("invite.html", circle=circle, faults={})

    def confirm(self, token: str | None = None) -> Answer:
        """POST: the person confirms, as whom his wallet has shown. In the sandbox his word may do."""
        runtime = self._runtime
        directory = runtime.directory()
        token, circle = self._which(directory, token)
        if self._takes_word(circle):
            return self._confirm_by_word(directory, circle, token)
        visitor = self._signed_in(circle, token)
        outcome = runtime.sharing.confirm_person(circle, token, visitor.person, g.now)
        return redirect(url_for(".outcome", outcome=outcome), 303)

    def _signed_in(self, circle: Circle, token: str) -> customer.Customer:
        number = browser.keep_link(token, self._runtime, browser.INVITES)
        g.address = url_for(".show_kept", n=number)
        return wallet.ask(self._runtime, wallet.Want(circle.slug, target=g.address, shown=f"/i/{token}"))

    def _confirm_by_word(self, directory: Directory, circle: Circle, token: str) -> Answer:
        runtime = self._runtime
        openid, slug = request.form.get("openid", "")[:_LONGEST], request.form.get("channel", "")[:_LONGEST]
        channel = directory.channel(slug)
        if channel is None or channel.circle.slug != circle.slug:
            faults = {"channel": _("没有这个渠道")}
            return self._form(directory, circle, faults, openid, slug), 422
        try:
            payer = payer_of(channel, openid)
        except Refused:
            return self._form(directory, circle, {"openid": _("请填写 1 到 128 个字母或数字")}, openid, slug), 422
        known_by = people.identities(runtime.vault(), channel.provider, [payer])
        outcome = runtime.sharing.confirm(circle, token, known_by, g.now)
        return redirect(url_for(".outcome", outcome=outcome), 303)

    def outcome(self, outcome: str) -> Answer:
        """What became of it. The page holds nothing of anyone, so its address may be shown to all."""
        if outcome not in _OUTCOMES:
            abort(404)
        mine = customer.to("me.home") if customer.has("me.home") else ""
        return render_template("invited.html", outcome=outcome, mine=mine)

    def _which(self, directory: Directory, token: str | None) -> tuple[str, Circle]:
        """The invitation asked for, by itself or by its number in this browser, and where it leads."""
        kept = None if token is not None else browser.kept_link(request.args.get("n"), browser.INVITES)
        wanted = token if token is not None else kept
        if wanted is None:
            abort(404)
        try:
            circle = directory.circle(self._runtime.sharing.look(wanted, g.now))
        except Refused:
            if kept is None:
                browser.count_failed_look_up(self._runtime)
            abort(404)
        if circle is None:
            abort(404)
        return wanted, circle

    def _takes_word(self, circle: Circle) -> bool:
        """Whether he may say who he is; on a phone of the sandbox that is known."""
        return circle.binding == "bearer" and self._runtime.config.sandbox.enabled and not g.get("guest", "")

    def _form(self, directory: Directory, circle: Circle, faults: Mapping[str, str], openid: str, channel: str) -> str:
        channels = [live.spec.slug for live in directory.channels() if live.circle.slug == circle.slug]
        return render_template(
            "invite.html", circle=circle, faults=faults, by_word=True, openid=openid, channel=channel, channels=channels
        )


def invite_blueprint(runtime: Runtime) -> Blueprint:
    """The invitation's pages, under the name `invite`."""
    pages = InvitePages(runtime)
    blueprint = guard(Blueprint("invite", __name__), runtime)
    add = blueprint.add_url_rule
    add("/i/<token>", "show", pages.show, methods=["GET"])
    add("/i/<token>", "confirm", pages.confirm, methods=["POST"])
    add("/i", "show_kept", pages.show, methods=["GET"])
    add("/i", "confirm_kept", pages.confirm, methods=["POST"])
    add("/i/outcome/<outcome>", "outcome", pages.outcome)
    return blueprint
