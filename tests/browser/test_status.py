"""The status page and the webhooks' room in a real browser: they fit, and complain of nothing."""

import pytest

from tests.browser.test_console import sign_in


@pytest.mark.parametrize(("size", "dark"), [("desk", False), ("phone", True)])
def test_R070_the_status_page_fits_its_screen_and_names_its_state(window, story, boss, size, dark):
    assert story.open_link()
    with window(size, dark=dark) as w:
        sign_in(w, boss)
        for name, path in {"status": "/status", "webhooks": "/admin/webhooks"}.items():
            w.page.goto(path)
            assert w.page.locator("h1").count() == 1, name
            w.shot(name)
            assert not w.is_wider_than_screen(), name
        w.page.goto("/status")
        assert w.page.title()[0] in "●▲■‖○"
