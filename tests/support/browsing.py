"""Browsers for page tests: they fill in forms as people's do, and a page tells what a test asks of it."""

import re
from html.parser import HTMLParser

from flask import Flask

from gateway.web.admin import register_admin
from gateway.web.api import register_api
from gateway.web.pages import chrome, register_pages
from gateway.web.sandbox import register_sandbox
from tests.support.world import BASE_URL, PASSWORD, World


class Page(HTMLParser):
    """What a test asks of a page: its forms, its coupons, its words."""

    def __init__(self, response) -> None:
        super().__init__()
        self.response = response
        self.status = response.status_code
        self.html = response.get_data(as_text=True)
        self.forms: list[dict[str, object]] = []
        self.coupons: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.titles: list[str] = []
        self._words: list[str] = []
        self._open: list[str] = []
        self.feed(self.html)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "form":
            action, method = values.get("action"), values.get("method", "get")
            self.forms.append({"action": action, "method": method, "inputs": {}, "hidden": {}})
        if tag in {"input", "select", "textarea"} and self.forms and "name" in values:
            self.forms[-1]["inputs"][values["name"]] = values.get("value") or ""
            if values.get("type") == "hidden":
                self.forms[-1]["hidden"][values["name"]] = values.get("value") or ""
        if "data-coupon" in values:
            self.coupons.append(values["data-coupon"])
        if tag == "a":
            self.links.append(values.get("href") or "")
        if tag not in {"meta", "link", "input", "img", "br", "option", "path", "rect"}:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data):
        if "h1" in self._open:
            self.titles.append(data.strip())
        if not {"script", "style", "title"} & set(self._open):
            self._words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self._words))

    @property
    def h1(self) -> str:
        return " ".join(part for part in self.titles if part)

    def form(self, action: str | None = None):
        """The form with this action; without one, the form that posts to the page itself."""
        return next(form for form in self.forms if form["action"] == action and form["method"] == "post")


class Browser:
    """One browser: it keeps cookies, follows nothing by itself, and speaks the language it is set to."""

    def __init__(self, app: Flask, language: str = "zh-CN") -> None:
        self.client = app.test_client()
        self.headers = {"Accept-Language": language}

    def get(self, path: str, **more) -> Page:
        return Page(self.client.get(path, headers={**self.headers, **more.pop("headers", {})}, **more))

    def post(self, path: str, data=None, **more) -> Page:
        return Page(
            self.client.post(path, data=data or {}, headers={**self.headers, **more.pop("headers", {})}, **more)
        )

    def send(self, page: Page, path: str, action: str | None = None, **values) -> Page:
        """Fill in the form of `page` that leads to `action` (none: to `path` itself), and send it."""
        form = page.form(action)
        return self.post(action or path, {**form["hidden"], **values})

    def file(self, path: str) -> tuple[bytes, dict[str, str]]:
        """A static file or image: its bytes and headers."""
        with self.client.get(path) as answer:
            assert answer.status_code == 200, path
            return answer.data, dict(answer.headers)

    def follow(self, page: Page) -> Page:
        assert page.status in {302, 303}, page.text[:300]
        return self.get(page.response.headers["Location"])

    def sign_in(self, name: str, password: str = PASSWORD) -> "Browser":
        page = self.get("/login")
        answer = self.send(page, "/login", username=name, password=password)
        assert answer.status == 303, answer.text
        return self


def pages_of(world: World) -> Flask:
    app = Flask("gateway.web", root_path=str(chrome.STATIC.parent))
    app.config.update(SERVER_NAME=BASE_URL.removeprefix("https://"), PREFERRED_URL_SCHEME="https")
    register_api(app, world.runtime)
    register_pages(app, world.runtime)
    register_admin(app, world.runtime)
    register_sandbox(app, world.runtime)
    return app


def link_token(world: World, openid: str, **pay) -> str:
    number = len(world.all("SELECT id FROM payments"))
    world.pay(f"P{number}", openid, **pay)
    world.pay(f"P{number + 1}", openid, **pay)
    link = world.links()[-1]
    return world.runtime.link_keys.token(link["id"])
