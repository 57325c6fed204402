"""Each surface, as each kind of reader has it: languages, schemes, sizes down to 320 px, large text, no scripts."""

import pytest

from tests.browser.looking import faults
from tests.browser.surfaces import SURFACES, show

KINDS = {
    "phone-zh-light": {"size": "phone", "language": "zh-CN", "dark": False},
    "phone-en-dark": {"size": "phone", "language": "en", "dark": True},
    "tablet-zh-dark": {"size": "tablet", "language": "zh-CN", "dark": True},
    "desk-en-light": {"size": "desk", "language": "en", "dark": False},
}


MORE = {"desk-zh-light": {"size": "desk", "language": "zh-CN", "dark": False}}
CONSOLE_KINDS = ("phone-en-dark", "desk-zh-light")
"""Who runs the console has a desk, or a phone in a hurry."""

PHONES = ("phone-zh-light", "phone-en-dark")
WIDER = ("tablet-zh-dark", "desk-en-light")
"""Customers hold a phone; every other surface of theirs is looked at on a tablet, every other at a desk."""

CASES = [
    (surface, kind)
    for number, surface in enumerate(SURFACES)
    for kind in (CONSOLE_KINDS if surface.is_console else (*PHONES, WIDER[number % 2]))
]


@pytest.mark.parametrize(("surface", "kind"), CASES, ids=[f"{surface.name}-{kind}" for surface, kind in CASES])
def test_R248_R077_a_surface_is_good_for_everyone(window, house, story, surface, kind):
    look = {**KINDS, **MORE}[kind]
    with window(allow=surface.allow, **look) as w:
        show(w, house, story, surface)
        found = faults(w.page, look["language"])
        w.shot(f"{surface.name}-{kind}")
        assert found == []
        if look["size"] == "phone":
            w.page.set_viewport_size({"width": 320, "height": 640})
            assert not w.is_wider_than_screen()


READ_PLAIN = [surface for surface in SURFACES if not surface.is_console]


@pytest.mark.parametrize("surface", READ_PLAIN, ids=lambda surface: surface.name)
def test_R248_a_surface_holds_in_large_text_and_without_scripts(window, house, story, surface):
    with window(allow=surface.allow, scripts=False) as w:
        show(w, house, story, surface)
        w.page.context.add_cookies([{"name": "text", "value": "large", "url": house.base_url}])
        w.page.reload()
        assert w.page.locator("h1").count() == 1
        assert w.page.locator("html.large").count() == 1
        assert w.page.locator("script:not([src])").count() == 0
