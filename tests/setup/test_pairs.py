"""The grid of pairs (R040): what a form says becomes the least tables that say it; block mirrors itself."""

import pytest

from gateway.catalog.edit import Moved
from gateway.catalog.rules import directions
from gateway.catalog.specs import Catalog, Circle, Merchant, Pair
from gateway.catalog.storage import Stored
from gateway.web.admin.pairs import _stamp, edits_for

NAMES = ("a", "b", "c")


def name(_channel, secret):
    return secret


def stored(*pairs):
    merchants = [Merchant(slug, "wutong", slug) for slug in NAMES]
    return Stored(1, Catalog.of([Circle("wutong", "梧桐里"), *merchants, *pairs]))


def after(before, wanted):
    """The ways that stand when the form's edits are done."""
    stamp = _stamp(before.catalog, name, "wutong")
    edits = edits_for(before, name, "wutong", stamp, wanted)
    pairs = dict(before.catalog.pairs)
    for one in edits:
        if one.values is None:
            del pairs[one.slug]
            continue
        table = {key: value for key, value in one.values.items() if value is not None}
        old = pairs.get(one.slug)
        giver, taker = table.get("from", old and old.giver), table.get("to", old and old.taker)
        pairs[one.slug] = Pair(one.slug, giver, taker, table.get("both", False), table.get("relation", "allow"))
    found = {}
    for pair in pairs.values():
        for way in directions(pair):
            assert way not in found, "a way is said once"
            found[way] = pair.relation
    return {way: relation for way, relation in found.items() if relation != "allow"}, edits


@pytest.mark.parametrize(
    ("pairs", "wanted", "stands"),
    [
        ((), {("a", "b"): "prefer"}, {("a", "b"): "prefer"}),
        ((), {("a", "b"): "prefer", ("b", "a"): "prefer"}, {("a", "b"): "prefer", ("b", "a"): "prefer"}),
        ((), {("a", "b"): "block"}, {("a", "b"): "block", ("b", "a"): "block"}),
        ((), {("a", "b"): "block", ("b", "a"): "allow"}, {("a", "b"): "block", ("b", "a"): "block"}),
        ((), {("a", "b"): "allow"}, {}),
        (
            (Pair("p", "a", "b", both=True, relation="prefer"),),
            {("a", "b"): "allow", ("b", "a"): "prefer"},
            {("b", "a"): "prefer"},
        ),
        ((Pair("p", "a", "b", both=True, relation="block"),), {("a", "b"): "allow", ("b", "a"): "block"}, {}),
        (
            (Pair("p", "a", "b", both=True, relation="block"),),
            {("a", "b"): "prefer", ("b", "a"): "block"},
            {("a", "b"): "prefer"},
        ),
        (
            (Pair("p", "a", "b", relation="prefer"), Pair("q", "b", "a", relation="prefer")),
            {("a", "b"): "block"},
            {("a", "b"): "block", ("b", "a"): "block"},
        ),
        (
            (Pair("p", "a", "b", relation="prefer"),),
            {("a", "c"): "prefer"},
            {("a", "b"): "prefer", ("a", "c"): "prefer"},
        ),
        ((Pair("p", "b", "a", both=True, relation="prefer"),), {("a", "b"): "allow", ("b", "a"): "allow"}, {}),
    ],
)
def test_R040_what_the_form_says_stands_and_nothing_else(pairs, wanted, stands):
    assert after(stored(*pairs), wanted)[0] == stands


def test_ways_that_did_not_change_are_not_touched():
    before = stored(Pair("p", "a", "b", relation="prefer"))
    assert after(before, {("a", "b"): "prefer", ("b", "a"): "allow", ("a", "c"): "allow"})[1] == []


def test_an_old_form_changes_nothing():
    with pytest.raises(Moved):
        edits_for(stored(Pair("p", "a", "b", relation="prefer")), name, "wutong", "old", {("a", "b"): "block"})


def test_a_name_that_is_taken_elsewhere_gets_a_number():
    before = stored(Pair("a-b", "a", "c", relation="prefer"))
    assert after(before, {("a", "b"): "prefer"})[0] == {("a", "c"): "prefer", ("a", "b"): "prefer"}


def cells(page):
    return next(form for form in page.forms if "stamp" in form["hidden"])


def save(browser, page, **cells_):
    return browser.post("/admin/pairs", {**cells(page)["hidden"], **cells_})


def test_the_grid_saves_without_scripts_and_tells_how_much(world, staff):
    browser = staff.as_("operator", circle="riverside")
    page = browser.get("/admin/pairs")
    # Only the sweets let others give something of theirs; the hotpot's column is hatched and has no field.
    assert set(cells(page)["inputs"]) & {"hotpot>sweets", "sweets>hotpot"} == {"hotpot>sweets"}
    assert "no-consent" in page.html
    answer = save(browser, page, **{"hotpot>sweets": "block"})
    assert answer.status == 303
    assert "1 处改动" in browser.follow(answer).text
    directory = world.another_runtime().directory()
    assert directory.relation("hotpot", "sweets") == directory.relation("sweets", "hotpot") == "block"


def test_a_grid_that_moved_shows_both_versions(staff):
    browser = staff.as_("operator", circle="riverside")
    old = browser.get("/admin/pairs")
    save(browser, old, **{"hotpot>sweets": "prefer"})
    page = save(browser, old, **{"hotpot>sweets": "block"})
    assert (page.status, page.h1) == (409, "内容已被他人修改")
    assert "优先" in page.text


@pytest.mark.parametrize(
    "cell",
    [
        {"hotpot>sweets": "love"},
        {"hotpot>hotpot": "block"},
        {"hotpot>noodles": "block"},
        {"x": "block"},
        {">": "block"},
    ],
)
def test_cells_that_are_none_say_nothing(world, staff, cell):
    browser = staff.as_("operator", circle="riverside")
    assert save(browser, browser.get("/admin/pairs"), **cell).status == 303
    assert world.all("SELECT slug FROM catalog WHERE kind = 'pair'") == []


def test_counts_tell_what_was_sent_and_received(world, staff):
    world.claimed("openid-a")
    text = staff.as_("operator", circle="riverside").get("/admin/pairs").text
    assert "1 → 1" in text
    assert "送出 1 / 收到 0" in text
    assert "送出 0 / 收到 1" in text


def test_beyond_twelve_merchants_one_is_picked(world, staff):
    world.apply("".join(f'[merchant.m{n}]\ncircle = "riverside"\nname = "店{n}"\n' for n in range(12)))
    page = staff.as_("admin").get("/admin/pairs?circle=riverside")
    assert "互推表格" not in page.html
    assert "我送他的" in page.text


def test_a_block_that_one_side_lifts_is_lifted_both_ways():
    standing = after(stored(Pair("p", "a", "b", both=True, relation="block")), {("b", "a"): "allow"})[0]
    assert standing == {}
