"""Every text of a page is in both languages, and what is served is compiled from what is written (R077)."""

import io
import re
from pathlib import Path

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

import gateway
from tests.support.browsing import Browser

ROOT = Path(gateway.__file__).parent
CATALOGUES = sorted(ROOT.glob("translations/*/en/LC_MESSAGES/messages.po"))
METHODS = [("templates/**.html", "jinja2"), ("**.py", "python")]
KEYWORDS = {"_": None, "gettext": None, "pgettext": ((1, "c"), 2)}
HAN = re.compile(r"[\u4e00-\u9fff]")


def catalogue(path):
    with path.open("rb") as file:
        return read_po(file, locale="en")


def entries():
    return [entry for path in CATALOGUES for entry in catalogue(path) if entry.id]


def used():
    return {
        (context, text)
        for _, _, text, _, context in extract_from_dir(str(ROOT / "web"), method_map=METHODS, keywords=KEYWORDS)
    }


def test_R077_every_text_is_translated_once_and_no_translation_is_left_over():
    written = [(entry.context, entry.id) for entry in entries()]
    assert sorted(written, key=str) == sorted(used(), key=str)
    assert [entry.id for entry in entries() if not entry.string or entry.fuzzy] == []


def test_R077_translations_keep_their_places_and_are_english():
    for entry in entries():
        assert sorted(re.findall(r"%\(\w+\)s|\{\w+\}", entry.id)) == sorted(
            re.findall(r"%\(\w+\)s|\{\w+\}", entry.string)
        ), entry.id
        assert not HAN.search(entry.string), entry.id


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-4])
def test_R077_the_compiled_catalogue_is_fresh(path):
    made = io.BytesIO()
    write_mo(made, catalogue(path))
    made.seek(0)
    with path.with_suffix(".mo").open("rb") as file:
        kept = {(entry.context, entry.id): entry.string for entry in read_mo(file) if entry.id}
    fresh = {(entry.context, entry.id): entry.string for entry in read_mo(made) if entry.id}
    assert kept == fresh, "run: .venv/bin/python tools/words"


def test_R077_templates_hold_no_text_of_their_own():
    """What is Chinese in a template stands in a translated text, or names a language in itself."""
    for path in (ROOT / "web" / "templates").rglob("*.html"):
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
