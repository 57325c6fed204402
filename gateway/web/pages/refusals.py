"""Error pages: what happened, what it means, what to do; nothing of the inside, and one answer to every stranger."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any, Final

import structlog
from flask import Flask, g, make_response, render_template, request
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from gateway.contract.errors import Refused, StoreTrouble
from gateway.runtime import Runtime
from gateway.web.pages.roles import role_name

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_SANE_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z", re.ASCII)
_API: Final = "/api/"


def set_up_refusals(app: Flask, runtime: Runtime) -> None:
    """Answer errors with pages. What a program asked under `/api` is put in the API's own shape by the API."""

    def http(error: HTTPException) -> Any:
        return error if request.path.startswith(_API) else _of_http(error, runtime)

    def refused(error: Refused) -> Any:
        return refusal_page(error, runtime)

    def store(error: StoreTrouble) -> Any:
        log.warning("page_without_store", path=request.endpoint, trouble=type(error).__name__)
        return _http_page(HTTPStatus.SERVICE_UNAVAILABLE, runtime)

    app.register_error_handler(HTTPException, http)
    app.register_error_handler(Refused, refused)
    app.register_error_handler(StoreTrouble, store)


def _of_http(error: HTTPException, runtime: Runtime) -> Any:
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:
        return error
    if isinstance(error, CSRFError):
        return cookies_page()
    answer = _http_page(error.code, runtime)
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            answer.headers[name] = value
    return answer


def refusal_page(error: Refused, runtime: Runtime) -> Response:
    """The page of a refusal that no view has turned into a page of its own."""
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        seconds = int(error.facts.get("retry_after_s", 60))
        answer = _page(_("操作太频繁，请 %(n)s 秒后再试", n=seconds), "", error.status)
        answer.headers["Retry-After"] = str(seconds)
        return answer
    if error.status == HTTPStatus.FORBIDDEN and "role" in error.facts:
        role = role_name(str(error.facts["role"]))
        return _page(_("你没有这个权限"), _("需要：%(role)s。请联系管理员。", role=role), error.status)
    return _http_page(error.status, runtime)


def request_id(runtime: Runtime) -> str:
    """The id under which this request is found in the log: the one that came with it if it is sane, else a new one."""
    if "request_id" not in g:
        told = request.headers.get("X-Request-ID", "")
        g.request_id = told if _SANE_ID.match(told) else runtime.ids.new("rq", runtime.clock())
    return str(g.request_id)


def cookies_page() -> Response:
    """The page of a browser that has brought no cookie where one was given to it."""
    return _page(_("请允许 Cookie 后重新打开链接"), "", HTTPStatus.BAD_REQUEST)


def _http_page(status: int, runtime: Runtime) -> Response:
    if status == HTTPStatus.NOT_FOUND:
        # Byte for byte the same for every reason (R056): no id, no cookie.
        return _page(_("这个链接不可用"), _("可能已失效，或不属于当前账号。请从付款后的页面重新打开。"), status)
    if status == HTTPStatus.UNAUTHORIZED:
        return _page(_("请重新登录"), _("登录已过期，刚才的操作没有生效。"), status, sign_in=True)
    if status == HTTPStatus.FORBIDDEN:
        return _page(_("你没有这个权限"), "", status)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        words = _("我们这边出错了，你的付款不受影响")
        return _page(words, "", status, retry=True, request_id=request_id(runtime))
    return _page(_("这个请求无法处理"), _("请返回上一页再试。"), status)


def _page(title: str, words: str, status: int, **more: Any) -> Response:
    # Its links hold nothing of the address that was asked for.
    g.address = ""
    # Whoever is signed in at the console keeps his menu; a stranger there is led to the sign-in before any page.
    who = g.get("principal") if request.path.startswith("/admin") else None
    template = "admin/error.html" if who is not None and who.may("clerk") else "error.html"
    return make_response(render_template(template, title=title, words=words, who=who, me=who, **more), status)
