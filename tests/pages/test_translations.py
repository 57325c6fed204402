"""Every text of a page is in both languages, and what is served is compiled from what is written (R077)."""

import io
import re
import runpy
from pathlib import Path

import pytest
from babel.messages.mofile import read_mo, write_mo
from babel.messages.pofile import read_po

import gateway
from tests.support.browsing import Browser

ROOT = Path(gateway.__file__).parent
WORDS = runpy.run_path(str(ROOT.parent / "tools" / "words"))
CATALOGUES = WORDS["catalogues"]()
HAN = re.compile(r"[\u4e00-\u9fff]")


def catalogue(path):
    with path.open("rb") as file:
        return read_po(file, locale="en")


def entries():
    return [entry for path in CATALOGUES.values() for entry in catalogue(path) if entry.id]


def faults(used, written, *, whole=True):
    """The tool's word on texts that are said in these rooms and stand in these catalogues."""
    said = {(None, text): dict.fromkeys(rooms, "a file") for text, rooms in used.items()}
    found = WORDS["faults"](said, {(None, text): list(homes) for text, homes in written.items()}, whole=whole)
    return [line.partition(":")[0] for line in found]


def test_R077_every_text_is_translated_once_where_it_belongs_and_no_translation_is_left_over():
    assert WORDS["faults"](WORDS["used"](), WORDS["written"](), whole=WORDS["is_whole"]()) == []
    assert [entry.id for entry in entries() if not entry.string or entry.fuzzy] == []


def test_R245_texts_of_the_campaigns_are_looked_at():
    rooms = set().union(*WORDS["used"]().values())
    kinds = {
        f"campaign {folder.name}" for folder in (ROOT.parent / "campaigns").glob("*") if (folder / "kind.py").exists()
    }
    assert {"gateway", *kinds} == rooms


A, B = "campaign one", "campaign other"


@pytest.mark.parametrize(
    ("rooms", "homes", "fault"),
    [
        (["gateway"], ["core"], None),
        (["gateway", A, B], ["admin"], None),
        (["gateway", A], ["campaigns"], None),
        ([A, B], ["campaigns"], None),
        ([A], [A], None),
        (["gateway"], [], "missing, in a file"),
        ([A], [], "missing, in a file"),
        ([], ["core"], "not used, in core"),
        ([], [A], f"not used, in {A}"),
        ([], ["campaigns"], "not used, in campaigns"),
        ([A], [A, "core"], f"twice, in {A} and core"),
        ([A, B], [A, B], f"twice, in {A} and {B}"),
        (["gateway"], [A], f"in {A}, said by gateway"),
        (["gateway", A], [A], f"in {A}, said by {A} and gateway"),
        ([A, B], [A], f"in {A}, said by {A} and {B}"),
        ([A, B], ["core"], f"in core, said by {A} and {B}"),
        ([A], [B], f"in {B}, said by {A}"),
        ([A], ["campaigns"], f"in campaigns, said by {A}"),
        ([A], ["core"], f"in core, said by {A}"),
    ],
)
def test_R245_a_text_stands_where_taking_out_a_campaign_leaves_it(rooms, homes, fault):
    """What two campaigns say is the gateway's to keep: without the one, the other still has its English."""
    assert faults({"词": rooms} if rooms else {}, {"词": homes} if homes else {}) == ([fault] if fault else [])


@pytest.mark.parametrize("rooms", [[], [A]])
def test_R245_where_a_campaign_was_taken_out_what_it_shared_may_be_left_over(rooms):
    used = {"词": rooms} if rooms else {}
    assert faults(used, {"词": ["campaigns"]}, whole=False) == []
    assert faults(used, {"词": ["core"]}, whole=False) != []


def test_R077_translations_keep_their_places_and_are_english():
    for entry in entries():
        assert sorted(re.findall(r"%\(\w+\)s|\{\w+\}", entry.id)) == sorted(
            re.findall(r"%\(\w+\)s|\{\w+\}", entry.string)
        ), entry.id
        assert not HAN.search(entry.string), entry.id


@pytest.mark.parametrize("path", CATALOGUES.values(), ids=CATALOGUES)
def test_R077_the_compiled_catalogue_is_fresh(path):
    made = io.BytesIO()
    write_mo(made, catalogue(path))
    made.seek(0)
    with path.with_suffix(".mo").open("rb") as file:
        kept = {(entry.context, entry.id): entry.string for entry in read_mo(file) if entry.id}
    fresh = {(entry.context, entry.id): entry.string for entry in read_mo(made) if entry.id}
    assert kept == fresh, "run: .venv/bin/python tools/words"


def nested(deep):
    """What stands between brackets, with brackets in it `deep` levels down."""
    return r"[^()]*" if not deep else rf"(?:[^()]|\({nested(deep - 1)}\))*"


def test_R077_templates_hold_no_text_of_their_own():
    """What is Chinese in a template stands in a translated text, or names a language in itself."""
    ours = (ROOT / "web" / "templates").rglob("*.html")
    theirs = (ROOT.parent / "campaigns").glob("*/templates/**/*.html")
    for path in (*ours, *theirs):
        bare = re.sub(rf"\b(?:p?gettext|_)\({nested(4)}\)", "", path.read_text("utf-8"))
        assert HAN.findall(bare.replace(">中文<", "")) == [], str(path)


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
