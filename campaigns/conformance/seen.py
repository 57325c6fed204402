"""The tests of a kind's pages, as a stranger meets them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from campaigns.conformance.calls import filled
from campaigns.conformance.furnished import Furnished
from campaigns.conformance.stage import Stage


class SeenContract(Furnished):
    """Inherited by `CampaignContract`."""

    @pytest.fixture
    def browser(self, stage: Stage) -> Any:
        """A browser that nobody is signed in with."""
        import gateway.web
        from gateway.web.admin import register_admin
        from gateway.web.pages import register_pages

        app = Flask("gateway.web", root_path=str(Path(gateway.web.__file__).parent))
        register_pages(app, stage.runtime)
        register_admin(app, stage.runtime)
        return app.test_client()

    def test_strangers_see_a_page_or_a_door(self, browser: Any) -> None:
        """Every page that may be read: a page with one heading, a way to sign in, or a plain refusal; never a fault."""
        pages = self.kind.pages
        if pages is None:
            pytest.skip("the kind has no pages")
        for page in pages.customer:
            if "GET" not in page.methods:
                continue
            for part in ("nothing", "..%2f..%2fetc", "%00", "'\"<script>", "a" * 300):
                answer = browser.get(filled(page.path, part), headers={"User-Agent": "kit"})
                assert answer.status_code < 500, (page.path, part)  # noqa: PLR2004
                if answer.mimetype == "text/html" and answer.status_code != 303:  # noqa: PLR2004
                    html = answer.get_data(as_text=True)
                    if answer.status_code not in range(300, 400):
                        assert len(re.findall(r"<h1[ >]", html)) == 1, (page.path, part)
                    assert "<script>" not in html, (page.path, part)
                    assert not re.search(r"\son[a-z]+=|\sstyle=|javascript:", html), (page.path, part)

    def test_forms_without_their_token_do_nothing(self, stage: Stage, browser: Any) -> None:
        """A POST from another site is refused, and writes nothing."""
        pages = self.kind.pages
        if pages is None:
            pytest.skip("the kind has no pages")
        before = {name: rows for name, rows in stage.dump().items() if name.startswith(f"{self.kind.slug}_")}
        for page in pages.customer:
            for method in set(page.methods) - {"GET", "HEAD"}:
                answer = browser.open(filled(page.path), method=method, data={"kit": "1"})
                assert answer.status_code in {302, 303, 400, 403, 404, 405, 410, 415, 429}, (page.path, method)
        after = stage.dump()
        assert {name: after[name] for name in before} == before

    def test_the_console_is_closed_to_strangers(self, browser: Any) -> None:
        """A page of the console asks who is there first."""
        pages = self.kind.pages
        for page in pages.console if pages is not None else ():
            answer = browser.get(f"/admin/campaigns/trial{filled(page.path)}")
            assert answer.status_code in {302, 303, 401, 403, 404, 405}, page.path
            assert "trial" not in answer.get_data(as_text=True) or answer.status_code in {302, 303}
