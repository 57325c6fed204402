"""The API's documentation (R077): a page an object, one of every error, in both languages, nothing made up."""

import re
import sys
from pathlib import Path

import pytest

from gateway.web.api.codes import codes
from gateway.web.api.messages import MESSAGES
from gateway.web.api.titles import CALLS, OBJECTS
from tests.support.world import World

sys.path.insert(0, str(Path(__file__).parent.parent / "docs"))
from test_docs_words import refusals


@pytest.fixture(params=[False, True])
def either(request, tmp_path):
    made = World(tmp_path, sandbox=request.param)
    yield made
    made.close()


def test_R077_every_code_that_the_code_raises_stands_with_its_status():
    told = {one.code: set(one.statuses) for one in codes()}
    for code, statuses in refusals().items():
        assert statuses <= told.get(code, set()), code
    assert set(MESSAGES) <= set(told)
    assert len(told) == len(codes())


def test_R077_every_code_has_meaning_and_cure_in_both_languages():
    for one in codes():
        for english, chinese in (one.meaning, one.cure):
            assert english.strip(), one.code
            assert not re.search(r"[\u4e00-\u9fff]", english), one.code
            assert re.search(r"[\u4e00-\u9fff]", chinese) or chinese == english, one.code


@pytest.mark.parametrize(("lang", "title"), [("zh", "错误码"), ("en", "Error codes")])
def test_R077_the_page_of_errors_shows_them_in_one_language(world, lang, title):
    page = world.client().get(f"/api/v1/docs/errors?lang={lang}")
    assert page.status_code == 200
    assert f"<h1>{title}</h1>" in page.text
    for one in codes():
        assert f'id="{one.code}"' in page.text
    cures = {"zh": ("请先撤销更晚", "先撤销更晚的合并。"), "en": ("", "Undo the later merge first.")}
    assert cures[lang][1] in page.text
    assert cures["en" if lang == "zh" else "zh"][1] not in page.text


def test_R077_each_object_has_its_page_and_every_call_stands_on_one(either):
    document = either.client().get("/api/v1/openapi.json").json
    seen = set()
    for tag in OBJECTS:
        for lang in ("en", "zh"):
            page = either.client().get(f"/api/v1/docs/{tag}", headers={"Accept-Language": lang})
            assert page.status_code == 200
            assert page.headers["Content-Language"] == ("en" if lang == "en" else "zh-CN")
            assert page.text.count("<h1>") == 1
            assert "style=" not in page.text
            assert "<script>" not in page.text
            seen |= set(re.findall(r'<h3 id="\w+"><code>(\w+ [^<]+)</code>', page.text))
            ids = re.findall(r'id="(\w+)"', page.text)
            assert len(ids) == len(set(ids)), tag
            for target in re.findall(r'href="#(\w+)"', page.text):
                assert target in {*ids, "main"}, (tag, target)
    real = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert seen == real
    names = {one["operationId"] for methods in document["paths"].values() for one in methods.values()}
    assert names <= set(CALLS), "every call is said in Chinese too"
    assert ("/sandbox" in either.client().get("/api/v1/docs/payments").text) == either.sandbox


@pytest.mark.parametrize("tag", ["nothing", "%00", "..%2F", "<b>", "Errors", "x" * 2000, "你好"])
def test_an_object_that_is_none_is_refused_in_the_apis_shape(world, tag):
    answer = world.client().get(f"/api/v1/docs/{tag}")
    assert answer.status_code in {404, 308}
    assert answer.json["code"] == "not_found"


@pytest.mark.parametrize("lang", ["fr", "", "zh-CN<script>", "%00", "e"])
def test_another_language_is_answered_in_one_of_ours(world, lang):
    page = world.client().get(f"/api/v1/docs/errors?lang={lang}")
    assert page.status_code in {200, 400}
    assert "<script>" not in page.text


def test_a_sample_call_is_what_the_api_takes(world):
    """The command of the page, run: the body is accepted, whatever becomes of its made-up values."""
    import json
    import shlex

    page = world.client().get("/api/v1/docs/access?lang=en").text
    (command,) = [
        text
        for text in re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL)
        if text.startswith("curl -sS -X POST &#34;$BASE/api/v1/login")
    ]
    from html import unescape

    parts = shlex.split(unescape(command).replace("\\\n", " "))
    body = json.loads(parts[parts.index("-d") + 1])
    answer = world.client().post("/api/v1/login", json=body)
    assert (answer.status_code, answer.json["code"]) == (401, "unauthorized")
