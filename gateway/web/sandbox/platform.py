"""The wallets' platforms, played by their twins: what our calls reach, the sign-in page, and what they tell us after.

Only sandbox channels have one, at `/sandbox/platform/<channel>/…`; what it signs with lies in the home alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from socket import SHUT_RDWR
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import requests
import structlog
from flask import Blueprint, Response, abort, g, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from gateway import sandbox
from gateway.catalog.channel_rules import wallet_platform
from gateway.catalog.directory import LiveChannel, LiveWallet
from gateway.contract.errors import Refused
from gateway.contract.store import Store, Tx
from gateway.contract.wallet import Reply, SignInFailed, Twin, TwinEvent, TwinRequest
from gateway.relay import raw_target, split_target
from gateway.runtime import Runtime
from gateway.web.pages.chrome import frame_policy
from gateway.web.pages.wallet import PHONE
from gateway.web.sandbox.desk import openid_of, read_desk

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PREFIX: Final = "/sandbox/platform/"
LONGEST: Final = 64 * 1024
_AS: Final = "as"
_CODE_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Kept:
    """A twin's memory for one channel, in the store: the same for every process (`TwinState`)."""

    store: Store
    channel: str

    def get(self, kind: str, key: str) -> Mapping[str, Any] | None:
        """What is kept, or None."""
        row = self.store.read(
            lambda tx: tx.one(
                "SELECT value FROM twin_state WHERE channel = :channel AND kind = :kind AND key = :key",
                {"channel": self.channel, "kind": kind, "key": key},
            )
        )
        return json.loads(row["value"]) if row is not None else None

    def put(self, kind: str, key: str, value: Mapping[str, Any]) -> None:
        """Keep, over what was there."""
        self.store.write(
            lambda tx: tx.run(
                f"{_INSERT} ON CONFLICT (channel, kind, key) DO UPDATE SET value = excluded.value",
                self._row(kind, key, value),
            )
        )

    def add(self, kind: str, key: str, value: Mapping[str, Any]) -> bool:
        """Keep if nothing is there; whether it was kept."""

        def work(tx: Tx) -> bool:
            return bool(tx.run(f"{_INSERT} ON CONFLICT (channel, kind, key) DO NOTHING", self._row(kind, key, value)))

        return self.store.write(work)

    def _row(self, kind: str, key: str, value: Mapping[str, Any]) -> dict[str, str]:
        return {"channel": self.channel, "kind": kind, "key": key, "value": json.dumps(dict(value))}


@dataclass(frozen=True, slots=True)
class Stage:
    """One channel's twin with all that it plays by."""

    twin: Twin
    channel: LiveChannel
    wallet: LiveWallet
    private: Mapping[str, str] = field(repr=False)
    table: Mapping[str, Any] = field(repr=False)
    state: Kept = field(repr=False)

    @property
    def sign_in_path(self) -> str:
        """The path of the sign-in page, after the twin's own prefix."""
        assert self.wallet.seam is not None  # `stage_of` has looked
        page = urlsplit(self.wallet.seam.authorize_url(self.wallet.keys, self.wallet.endpoint, "0")).path
        return page.removeprefix(urlsplit(self.wallet.endpoint).path)


def stage_of(runtime: Runtime, slug: str) -> Stage:
    """The twin of a sandbox channel's wallet. Raises Refused `not_found` (404) where there is none."""
    directory = runtime.directory()
    channel = directory.channel(slug)
    wallet = directory.wallet_of(channel.circle.slug, slug) if channel is not None else None
    if channel is None or not channel.spec.sandbox or wallet is None or wallet.seam is None:
        raise Refused("not_found", 404)
    twin = runtime.registry.twins.get(wallet_platform(channel.spec.wallet))
    made = runtime.home.sandbox_keys(slug)
    if twin is None or made is None or made.wallet is None:
        raise Refused("not_found", 404)
    return Stage(twin, channel, wallet, made.wallet.private, channel.spec.wallet, Kept(runtime.store, slug))


def deliver(runtime: Runtime, channel: LiveChannel, events: Iterable[TwinEvent], now: datetime) -> None:
    """Tell what happened at the twin to its `notify_url`, signed by the channel's own sandbox platform.

    Each is told once. One that is not heard is found by asking, as with the platform itself; nothing is raised.
    """
    for event in events:
        if urlsplit(event.notify_url)[:2] != urlsplit(runtime.base_url)[:2]:
            # The sandbox's signature is good for this gateway alone, and its requests go nowhere else.
            log.warning("twin_tells_no_one_else", channel=channel.spec.slug)
            continue
        try:
            raw = sandbox.notification_of(runtime, channel, event, now)
            answer = sandbox.post(raw, event.notify_url)
            log.info("twin_told", channel=channel.spec.slug, kind=event.kind, status=answer.status_code)
        except (requests.RequestException, Refused) as trouble:
            log.warning("twin_not_heard", channel=channel.spec.slug, kind=event.kind, trouble=type(trouble).__name__)


class PlatformPages:
    """The views over one runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def answer(self, channel: str, rest: str) -> AnyResponse:  # noqa: ARG002 - the raw path is read instead
        """A call of ours, or a browser at the sign-in page."""
        stage = stage_of(self._runtime, channel)
        path = split_target(raw_target(request.environ))[0].removeprefix(f"{PREFIX}{channel}")
        if request.method == "GET" and path == stage.sign_in_path:
            return self._sign_in(stage, request.args.get(_AS))
        request.max_content_length = LONGEST
        query, body = request.query_string.decode("latin-1"), request.get_data()
        asked = TwinRequest(request.method, path, query, tuple(request.headers.items()), body)
        now = self._runtime.clock()
        told = stage.twin.answer(stage.private, stage.table, asked, stage.state, now)
        response = _carried(told.reply)
        if told.events:
            # As the platform does it: the answer first, then the notification.
            response.call_on_close(lambda: deliver(self._runtime, stage.channel, told.events, now))
        return response

    def on_phone(self, guest: str, channel: str, rest: str) -> AnyResponse:
        """The sign-in page on a guest's own phone, where it asks nothing: his wallet knows him."""
        frame_policy(frame_ancestors="'self'")
        stage = stage_of(self._runtime, channel)
        if f"/{rest}" != stage.sign_in_path:
            abort(404)
        return self._sign_in(stage, guest)

    def _sign_in(self, stage: Stage, guest: str | None) -> AnyResponse:
        g.address = ""
        asked = request.args.to_dict()
        asked.pop(_AS, None)
        names = read_desk(self._runtime.home).names
        if guest is None:
            ways = {name: f"{request.path}?{urlencode({**asked, _AS: name})}" for name in names}
            return make_response(render_template("sandbox_wallet.html", ways=ways, platform=stage.wallet.platform))
        if guest not in names:
            abort(404)
        code = self._runtime.random(_CODE_BYTES).hex()
        failed = ""
        try:
            url = stage.twin.authorize(stage.table, asked, openid_of(guest), stage.state, self._runtime.clock(), code)
        except SignInFailed as refused:
            failed = refused.code
        else:
            # The domain that is entered at the platform is this gateway's own.
            failed = "" if urlsplit(url)[:2] == urlsplit(self._runtime.base_url)[:2] else "10003"
        if failed:
            page = render_template("sandbox_wallet.html", failed=failed, platform=stage.wallet.platform)
            return make_response(page, HTTPStatus.BAD_REQUEST)
        return redirect(url, 302)


def platform_blueprint(runtime: Runtime) -> Blueprint:
    """The twins, under the name `platform`. Programs call them: no form token, no session."""
    pages = PlatformPages(runtime)
    blueprint = Blueprint("platform", __name__)
    add = blueprint.add_url_rule
    add(f"{PREFIX}<channel>/<path:rest>", "answer", pages.answer, methods=["GET", "POST"])
    add(f"{PHONE}<guest>/platform/<channel>/<path:rest>", "on_phone", pages.on_phone, methods=["GET"])
    return blueprint


def _carried(reply: Reply) -> Response:
    if reply.status == 0:
        # The twin hangs up: whoever called is to learn nothing. Where the server shows its socket, that is done.
        sock = request.environ.get("gunicorn.socket") or request.environ.get("werkzeug.socket")
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(SHUT_RDWR)
        return Response(status=HTTPStatus.GATEWAY_TIMEOUT, headers={"Connection": "close"})
    return Response(reply.body, reply.status, list(reply.headers))


_INSERT: Final = "INSERT INTO twin_state (channel, kind, key, value) VALUES (:channel, :kind, :key, :value)"
