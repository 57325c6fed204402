"""Every text of a page is in both languages, and what is served is compiled from what is written (R077)."""

import io
import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po
from conftest import Browser

import gateway

ROOT = Path(gateway.__file__).parent
FOLDER = ROOT / "translations" / "en" / "LC_MESSAGES"
METHODS = [("templates/**.html", "jinja2"), ("pages/**.py", "python"), ("sandbox/**.py", "python")]
KEYWORDS = {"_": None, "gettext": None, "pgettext": ((1, "c"), 2)}
HAN = re.compile(r"[\u4e00-\u9fff]")


def catalogue():
    with (FOLDER / "messages.po").open("rb") as file:
        return read_po(file, locale="en")


def used():
    return {
        (context, text)
        for _, _, text, _, context in extract_from_dir(str(ROOT / "web"), method_map=METHODS, keywords=KEYWORDS)
    }


def test_R077_every_text_is_translated_and_no_translation_is_left_over():
    written = {(entry.context, entry.id): entry for entry in catalogue() if entry.id}
    assert set(written) == used()
    assert [key for key, entry in written.items() if not entry.string or entry.fuzzy] == []


def test_R077_translations_keep_their_places_and_are_english():
    for entry in catalogue():
        if entry.id:
            assert sorted(re.findall(r"%\(\w+\)s|\{\w+\}", entry.id)) == sorted(
                re.findall(r"%\(\w+\)s|\{\w+\}", entry.string)
            ), entry.id
            assert not HAN.search(entry.string), entry.id


def test_R077_the_compiled_catalogue_is_fresh():
    made = io.BytesIO()
    write_mo(made, catalogue())
    made.seek(0)
    with (FOLDER / "messages.mo").open("rb") as file:
        kept = {(entry.context, entry.id): entry.string for entry in read_mo(file) if entry.id}
    fresh = {(entry.context, entry.id): entry.string for entry in read_mo(made) if entry.id}
    assert kept == fresh, "run: pybabel compile -d gateway/translations"


def test_R077_templates_hold_no_text_of_their_own():
    """What is Chinese in a template stands in a translated text, or names a language in itself."""
    for path in (ROOT / "web" / "templates").glob("*.html"):
        bare = re.sub(r"p?gettext\([^)]*\)|_\((?:[^()]|\([^()]*\))*\)", "", path.read_text("utf-8"))
        assert HAN.findall(bare.replace(">中文<", "")) == [], path.name


@pytest.mark.parametrize(
    ("query", "cookie", "header", "language"),
    [
        ("", None, "", "zh-CN"),
        ("", None, "fr-FR", "zh-CN"),
        ("", None, "en-GB,en;q=0.9", "en"),
        ("", None, "zh-TW,en;q=0.5", "zh-CN"),
        ("", None, "en;q=0.4,zh;q=0.9", "zh-CN"),
        ("", "en", "zh-CN", "en"),
        ("", "xx", "en", "en"),
        ("lang=zh-CN", "en", "en", "zh-CN"),
        ("lang=en", None, "zh-CN", "en"),
        ("lang=xx", None, "en", "en"),
        ("lang=../en", None, "", "zh-CN"),
    ],
)
def test_R077_the_language_is_chosen_by_address_then_cookie_then_header(app, query, cookie, header, language):
    browser = Browser(app, header)
    if cookie:
        browser.client.set_cookie("lang", cookie, domain="pay.example.com")
    page = browser.get(f"/login?{query}")
    assert f'<html lang="{language}">' in page.html
    assert page.h1 == {"en": "Sign in", "zh-CN": "登录"}[language]
    assert page.response.headers["Content-Language"] == language


def test_R077_a_choice_lasts(app):
    browser = Browser(app)
    browser.get("/login?lang=en")
    assert browser.get("/login").h1 == "Sign in"
    browser.get("/login?text=large")
    assert 'class="large"' in browser.get("/login").html
    browser.get("/login?text=normal")
    assert 'class="large"' not in browser.get("/login").html


def test_R077_switching_keeps_the_page_and_its_other_choices(browser):
    links = browser.get("/login?x=1&lang=en").links
    assert "?x=1&text=large" in links
    assert "?x=1&lang=zh-CN" in links
