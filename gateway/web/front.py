"""The front door: notifications and proxied hosts are answered here, lean; everything else is Flask's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from gateway.catalog.directory import LiveHost
from gateway.contract.errors import StoreTrouble
from gateway.intake.proxy import Proxy
from gateway.relay import Upstream, raw_target, split_target
from gateway.relay.answer import status_line
from gateway.runtime import Runtime
from gateway.web.notify import Notify

StartResponse = Callable[..., Any]
WsgiApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]

_PREFIX: Final = "/notify/"


class Front:
    """The WSGI application of one process. `pages` is the Flask application behind it."""

    def __init__(self, runtime: Runtime, notify: Notify, proxy: Proxy, pages: WsgiApp) -> None:
        self.runtime = runtime
        self._notify = notify
        self._proxy = proxy
        self.pages = pages

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        path, query = split_target(raw_target(environ))
        try:
            directory = self.runtime.directory()
        except StoreTrouble:
            # Started while the store is gone and with no copy of the catalogue: nothing is known of any channel.
            if path.startswith(_PREFIX):
                return _plain(start_response, 503, "not ready")
            return self.pages(environ, start_response)
        host = directory.host(_host(environ))
        if host is not None:
            return self._on_a_channels_host(host, path, query, environ, start_response)
        if path.startswith(_PREFIX):
            slug, _, tail = path[len(_PREFIX) :].partition("/")
            channel = directory.channel(slug)
            if channel is None:
                return _plain(start_response, 404, "no such channel")
            has_tail = len(path) > len(_PREFIX) + len(slug)
            return self._notify(environ, start_response, channel, f"/{tail}" if has_tail else "", query)
        return self.pages(environ, start_response)

    def _on_a_channels_host(
        self, host: LiveHost, path: str, query: str | None, environ: dict[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        """Transparent mode: the whole path goes to the upstream's origin; a notify path is taken in as well."""
        channel, is_notification = host.channel_for(path)
        if is_notification:
            return self._notify(environ, start_response, channel, path, query, whole_path=True)
        upstream = Upstream.of(channel.spec.slug, channel.upstream, channel.spec.timeout_ms)
        return self._proxy(environ, start_response, upstream)


def _host(environ: dict[str, Any]) -> str:
    """The Host header's name in small letters, without its port."""
    host = str(environ.get("HTTP_HOST", "")).lower()
    if host.startswith("["):
        return host.partition("]")[0].removeprefix("[")
    return host.partition(":")[0]


def _plain(start_response: StartResponse, status: int, words: str) -> Iterable[bytes]:
    body = words.encode()
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        # The body was not read; this connection can't be used again.
        ("Connection", "close"),
    ]
    start_response(status_line(status), headers)
    return [body]
