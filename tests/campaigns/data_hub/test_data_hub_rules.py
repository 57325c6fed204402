"""Models, records and chains of the data hub, pure."""

import ast
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.data_hub import handlers
from campaigns.data_hub.handlers import HANDLERS, Dropped, HandlerFailed, assemble, chain_faults
from campaigns.data_hub.models import (
    Field,
    Model,
    Rule,
    canonical,
    definition,
    digest,
    for_target,
    from_definition,
    in_shape,
    record_faults,
)

VISIT = Model(
    "visit",
    1,
    {
        "amount_fen": Field("amount_fen", "payment", "int", required=True, map={"crm": "amount", "lake": "fen"}),
        "note": Field("note", "payment", "text", map={"crm": "note"}),
        "is_new": Field("is_new", "tag", "bool"),
        "at": Field("at", "payment", "time", map={"lake": "at"}),
    },
    (),
    ("crm", "lake"),
    frozenset(),
)
scalars = st.one_of(st.integers(-(2**53), 2**53), st.text(max_size=5), st.booleans(), st.none())


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ({"amount_fen": 1}, []),
        ({"amount_fen": 1, "note": "x", "is_new": False, "at": "2026-11-22T12:00:00+08:00"}, []),
        ({"amount_fen": 0, "note": None}, []),
        ({}, ["amount_fen"]),
        ({"amount_fen": None}, ["amount_fen"]),
        ({"amount_fen": True}, ["amount_fen"]),
        ({"amount_fen": 1.5}, ["amount_fen"]),
        ({"amount_fen": "1"}, ["amount_fen"]),
        ({"amount_fen": 2**53}, ["amount_fen"]),
        ({"amount_fen": 1, "note": 7}, ["note"]),
        ({"amount_fen": 1, "note": "x" * 4001}, ["note"]),
        ({"amount_fen": 1, "is_new": 1}, ["is_new"]),
        ({"amount_fen": 1, "at": "2026-11-22T12:00:00"}, ["at"]),
        ({"amount_fen": 1, "at": "yesterday"}, ["at"]),
        ({"amount_fen": 1, "at": 5}, ["at"]),
        ({"amount_fen": 1, "at": "2026-11-22T12:00:00Z"}, []),
        ({"amount_fen": 1, "at": "20261122T120000+0800"}, ["at"]),
        ({"amount_fen": 1, "at": "2026-13-22T12:00:00Z"}, ["at"]),
        ({"amount_fen": 1, "at": "2026-11-22T12:00:00Z\n"}, ["at"]),
        ({"amount_fen": 1, "note": "a\x00b"}, ["note"]),
        ({"amount_fen": 1, "note": "\ud800"}, ["note"]),
        ({"amount_fen": 1, "note": ["x"]}, ["note"]),
        ({"amount_fen": {"x": 1}}, ["amount_fen"]),
        ({"stranger": 1}, ["stranger", "amount_fen"]),
    ],
)
def test_R211_a_record_is_held_against_its_fields(data, names):
    assert [name for name, _ in record_faults(VISIT, data)] == names


@given(st.dictionaries(st.text(max_size=5), scalars, max_size=6))
def test_R213_the_canonical_spelling_knows_no_order(data):
    backwards = dict(reversed(data.items()))
    assert canonical(data) == canonical(backwards)
    assert digest(data) == digest(backwards)
    assert json.loads(canonical(data)) == data


def test_R213_another_value_is_another_hash():
    assert digest({"a": 1}) != digest({"a": "1"}) != digest({"a": True})


def test_R214_each_target_gets_its_own_fields_under_its_own_names():
    data = {"amount_fen": 5, "note": "x", "is_new": True}
    assert for_target(VISIT, "crm", data) == {"amount": 5, "note": "x"}
    assert for_target(VISIT, "lake", data) == {"fen": 5}
    assert for_target(VISIT, "nobody", data) == {}


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ({"handler": "rename", "from": "amt", "to": "amount_fen"}, {"amt": 1, "b": 2}, {"amount_fen": 1, "b": 2}),
        ({"handler": "rename", "from": "amt", "to": "amount_fen"}, {"b": 2}, {"b": 2}),
        ({"handler": "drop_if", "field": "a", "equals": 0}, {"a": 1}, {"a": 1}),
        ({"handler": "drop_if", "field": "a", "equals": 0}, {"a": False}, {"a": False}),
        ({"handler": "drop_if", "field": "a", "equals": 0}, {}, {}),
        ({"handler": "default", "field": "a", "value": 7}, {}, {"a": 7}),
        ({"handler": "default", "field": "a", "value": 7}, {"a": None}, {"a": 7}),
        ({"handler": "default", "field": "a", "value": 7}, {"a": 0}, {"a": 0}),
        ({"handler": "remove", "field": "a"}, {"a": 1, "b": 2}, {"b": 2}),
        ({"handler": "require", "field": "a"}, {"a": 0}, {"a": 0}),
        ({"handler": "trim", "field": "a"}, {"a": " x "}, {"a": "x"}),
        ({"handler": "trim", "field": "a"}, {"a": 3}, {"a": 3}),
        ({"handler": "to_int", "field": "a"}, {"a": "-12"}, {"a": -12}),
        ({"handler": "to_int", "field": "a"}, {"a": 12}, {"a": 12}),
        ({"handler": "to_int", "field": "a"}, {}, {}),
        ({"handler": "scale", "field": "a", "by": 100}, {"a": 12}, {"a": 1200}),
        ({"handler": "scale", "field": "a", "by": 100}, {}, {}),
        ({"handler": "rename", "from": "a", "to": "a"}, {"a": 1}, {"a": 1}),
        ({"handler": "drop_if", "field": "a", "equals": 0}, {"a": 0.0}, {"a": 0.0}),
        ({"handler": "fail_if", "field": "a", "equals": "x"}, {"a": "y"}, {"a": "y"}),
        ({"handler": "fail_if", "field": "a", "equals": 1}, {"a": True}, {"a": True}),
        ({"handler": "round_to", "field": "a", "unit": 10}, {"a": 14}, {"a": 10}),
        ({"handler": "round_to", "field": "a", "unit": 10}, {"a": 15}, {"a": 20}),
        ({"handler": "round_to", "field": "a", "unit": 10}, {"a": -15}, {"a": -20}),
        ({"handler": "round_to", "field": "a", "unit": 10}, {"a": -14}, {"a": -10}),
        ({"handler": "round_to", "field": "a", "unit": 10}, {"b": 1}, {"b": 1}),
        ({"handler": "sum", "fields": ["a", "b"], "into": "c"}, {"a": 1, "b": 2}, {"a": 1, "b": 2, "c": 3}),
        ({"handler": "sum", "fields": ["a", "b"], "into": "a"}, {"a": 1, "b": None}, {"a": 1, "b": None}),
        ({"handler": "sum", "fields": ["a", "b"], "into": "c"}, {"x": 1}, {"x": 1}),
        ({"handler": "mask", "field": "a", "keep": 4}, {"a": "13912345678"}, {"a": "*******5678"}),
        ({"handler": "mask", "field": "a", "keep": 4}, {"a": "5678"}, {"a": "****"}),
        ({"handler": "mask", "field": "a", "keep": 0}, {"a": "张三"}, {"a": "**"}),
        ({"handler": "mask", "field": "a", "keep": 4}, {"a": ""}, {"a": ""}),
        ({"handler": "mask", "field": "a", "keep": 4}, {}, {}),
        ({"handler": "map_values", "field": "a", "values": {"wx": "wechat"}}, {"a": "wx"}, {"a": "wechat"}),
        ({"handler": "map_values", "field": "a", "values": {"1": "one"}}, {"a": 1}, {"a": "one"}),
        ({"handler": "map_values", "field": "a", "values": {"true": 1}}, {"a": True}, {"a": 1}),
        ({"handler": "map_values", "field": "a", "values": {"1": 5}, "other": 0}, {"a": True}, {"a": 0}),
        ({"handler": "map_values", "field": "a", "values": {"1": 5}, "other": 0}, {"a": [1]}, {"a": 0}),
        ({"handler": "map_values", "field": "a", "values": {"1": 5}}, {}, {}),
    ],
)
def test_R212_what_each_handler_makes_of_a_record(rule, before, after):
    kept = dict(before)
    assert list(chain_faults([rule])) == []
    assert assemble([rule], before) == after
    assert before == kept


@pytest.mark.parametrize(
    ("rule", "data"),
    [
        ({"handler": "rename", "from": "a", "to": "b"}, {"a": 1, "b": 2}),
        ({"handler": "require", "field": "a"}, {}),
        ({"handler": "require", "field": "a"}, {"a": None}),
        ({"handler": "to_int", "field": "a"}, {"a": "1.5"}),
        ({"handler": "to_int", "field": "a"}, {"a": "１"}),
        ({"handler": "to_int", "field": "a"}, {"a": "--1"}),
        ({"handler": "to_int", "field": "a"}, {"a": True}),
        ({"handler": "scale", "field": "a", "by": 2}, {"a": "1"}),
        ({"handler": "scale", "field": "a", "by": 2}, {"a": True}),
        ({"handler": "scale", "field": "a", "by": 10}, {"a": 10**17}),
        ({"handler": "to_int", "field": "a"}, {"a": "9" * 5000}),
        ({"handler": "to_int", "field": "a"}, {"a": ""}),
        ({"handler": "to_int", "field": "a"}, {"a": "-"}),
        ({"handler": "to_int", "field": "a"}, {"a": {}}),
        ({"handler": "fail_if", "field": "a", "equals": "x"}, {"a": "x"}),
        ({"handler": "round_to", "field": "a", "unit": 10}, {"a": "15"}),
        ({"handler": "round_to", "field": "a", "unit": 10}, {"a": 1.5}),
        ({"handler": "round_to", "field": "a", "unit": 10**17}, {"a": 10**18 - 1}),
        ({"handler": "sum", "fields": ["a", "b"], "into": "c"}, {"a": 1, "b": "2"}),
        ({"handler": "sum", "fields": ["a", "b"], "into": "c"}, {"a": 10**18 - 1, "b": 1}),
        ({"handler": "mask", "field": "a", "keep": 4}, {"a": 13912345678}),
        ({"handler": "map_values", "field": "a", "values": {"wx": "wechat"}}, {"a": "alipay"}),
        ({"handler": "map_values", "field": "a", "values": {"wx": "wechat"}}, {"a": {"wx": 1}}),
    ],
)
def test_R212_a_failing_handler_stops_the_chain_and_is_named(rule, data):
    with pytest.raises(HandlerFailed) as failed:
        assemble([rule, {"handler": "default", "field": "after", "value": 1}], data)
    assert failed.value.handler == rule["handler"]


def test_R212_a_dropped_record_goes_no_further():
    with pytest.raises(Dropped) as dropped:
        assemble([{"handler": "drop_if", "field": "a", "equals": 0}, {"handler": "require", "field": "b"}], {"a": 0})
    assert dropped.value.handler == "drop_if"


def test_R212_handlers_run_in_their_order():
    chain = [{"handler": "rename", "from": "amt", "to": "fen"}, {"handler": "scale", "field": "fen", "by": 100}]
    assert assemble(chain, {"amt": 3}) == {"fen": 300}
    assert assemble(chain[::-1], {"amt": 3}) == {"fen": 3}


@pytest.mark.parametrize(
    ("chain", "places"),
    [
        ([], []),
        ([{"handler": "eval"}], ["chain.0.handler"]),
        ([{"handler": "os.system"}], ["chain.0.handler"]),
        ([{}], ["chain.0.handler"]),
        ([{"handler": "remove", "field": "a"}, {"handler": "rename", "from": "a"}], ["chain.1.to"]),
        ([{"handler": "scale", "field": "a", "by": "2"}], ["chain.0.by"]),
        ([{"handler": "scale", "field": "a", "by": True}], ["chain.0.by"]),
        ([{"handler": "drop_if", "field": "a", "equals": [1]}], ["chain.0.equals"]),
        ([{"handler": "remove", "field": "a", "code": "x"}], ["chain.0.code"]),
        (["remove"], ["chain.0"]),
        ([None], ["chain.0"]),
        ([{"handler": ["remove"]}], ["chain.0.handler"]),
        ([{"handler": "__class__"}], ["chain.0.handler"]),
        ([{"handler": "remove", "field": ""}], ["chain.0.field"]),
        ([{"handler": "remove", "field": 1}], ["chain.0.field"]),
        ([{"handler": "scale", "field": "a", "by": 10**18}], ["chain.0.by"]),
        ([{"handler": "round_to", "field": "a", "unit": 0}], ["chain.0.unit"]),
        ([{"handler": "round_to", "field": "a"}], ["chain.0.unit"]),
        ([{"handler": "mask", "field": "a", "keep": -1}], ["chain.0.keep"]),
        ([{"handler": "sum", "fields": [], "into": "a"}], ["chain.0.fields"]),
        ([{"handler": "sum", "fields": "ab", "into": "a"}], ["chain.0.fields"]),
        ([{"handler": "map_values", "field": "a", "values": {}}], ["chain.0.values"]),
        ([{"handler": "map_values", "field": "a", "values": {"x": [1]}}], ["chain.0.values"]),
        ([{"handler": "map_values", "field": "a", "values": {"x": 1}, "other": 1.5}], ["chain.0.other"]),
    ],
)
def test_R212_a_chain_that_cannot_run_is_told_by_its_place(chain, places):
    assert [place for place, _ in chain_faults(chain)] == places


def test_R212_every_handler_is_tried_above():
    tried = {
        "rename", "drop_if", "fail_if", "default", "remove", "require", "trim", "to_int", "scale", "round_to", "sum",
        "mask", "map_values",
    }  # fmt: skip
    assert set(HANDLERS) == tried


# -- R211: rules and definitions --------------------------------------------------------------------------------------


def ruled(type_, **bounds):
    return Model("m", 1, {"a": Field("a", "", type_, rule=Rule(**bounds))}, (), (), frozenset())


@pytest.mark.parametrize(
    ("model", "value", "holds"),
    [
        (ruled("int", min=0), 0, True),
        (ruled("int", min=0), -1, False),
        (ruled("int", max=10), 10, True),
        (ruled("int", max=10), 11, False),
        (ruled("int", one_of=(1, 2)), 2, True),
        (ruled("int", one_of=(1, 2)), 3, False),
        (ruled("text", longest=3), "abc", True),
        (ruled("text", longest=3), "abcd", False),
        (ruled("text", one_of=("wx", "ali")), "ali", True),
        (ruled("text", one_of=("wx", "ali")), "cash", False),
        (ruled("int", min=0), "x", False),
        (ruled("int", min=0), None, True),
    ],
)
def test_R211_a_fields_rule_bounds_its_value(model, value, holds):
    assert (list(record_faults(model, {"a": value})) == []) is holds


def test_R211_a_stored_definition_is_the_model_again():
    model = Model(
        "visit", 3, {**VISIT.fields, "way": Field("way", "tag", "text", rule=Rule(longest=9, one_of=("wx",)))},
        ({"handler": "trim", "field": "way"},), ("crm",), frozenset(), {"crm": "id"},
    )  # fmt: skip
    assert from_definition("visit", 3, json.loads(json.dumps(definition(model)))) == model


def test_R211_who_is_granted_is_no_part_of_a_definition():
    assert "token" not in json.dumps(definition(Model("m", 1, VISIT.fields, (), (), frozenset({"token"}))))


# -- R210: what a selection shows -------------------------------------------------------------------------------------


def test_R210_a_version_shows_the_fields_it_knows_and_a_selection_some_of_them():
    data = {"amount_fen": 5, "note": "x", "of_later": 1}
    assert in_shape(VISIT, data) == {"amount_fen": 5, "note": "x"}
    assert in_shape(VISIT, data, ("note", "of_later")) == {"note": "x"}


@pytest.mark.parametrize("data", [{"note": "x"}, {"amount_fen": "5"}, {"amount_fen": 5, "is_new": "yes"}])
def test_R210_a_record_that_does_not_hold_under_the_version_is_not_shown(data):
    assert in_shape(VISIT, data) is None


def test_R214_a_target_to_which_nothing_is_mapped_gets_every_field():
    model = Model("m", 1, {"a": Field("a", "", "int"), "b": Field("b", "", "int")}, (), ("lake",), frozenset())
    assert for_target(model, "lake", {"a": 1}) == {"a": 1}
    assert for_target(model, "stranger", {"a": 1}) == {}


# -- whatever comes ---------------------------------------------------------------------------------------------------

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["a", "b", "amount_fen"])
scalar_settings = st.integers(-(10**17), 10**17) | st.text(max_size=4) | st.booleans()
chains = st.lists(
    st.one_of(
        st.fixed_dictionaries({"handler": st.just("rename"), "from": fields, "to": fields}),
        st.fixed_dictionaries(
            {"handler": st.sampled_from(["drop_if", "fail_if"]), "field": fields, "equals": scalar_settings}
        ),
        st.fixed_dictionaries({"handler": st.just("default"), "field": fields, "value": scalar_settings}),
        st.fixed_dictionaries({"handler": st.sampled_from(["remove", "require", "trim", "to_int"]), "field": fields}),
        st.fixed_dictionaries({"handler": st.just("scale"), "field": fields, "by": st.integers(-(10**17), 10**17)}),
        st.fixed_dictionaries({"handler": st.just("round_to"), "field": fields, "unit": st.integers(1, 10**17)}),
        st.fixed_dictionaries({"handler": st.just("mask"), "field": fields, "keep": st.integers(0, 20)}),
        st.fixed_dictionaries(
            {"handler": st.just("sum"), "fields": st.lists(fields, min_size=1, max_size=3), "into": fields}
        ),
        st.fixed_dictionaries(
            {
                "handler": st.just("map_values"),
                "field": fields,
                "values": st.dictionaries(st.text(max_size=2), scalar_settings, min_size=1, max_size=3),
            }
        ),
    ),
    max_size=5,
)


@given(chains, st.dictionaries(fields | st.text(max_size=3), anything, max_size=4))
def test_R212_no_chain_and_no_record_break_the_assembly(chain, data):
    """Whatever comes is made into something, dropped, or refused by a named handler; what holds can be archived."""
    assert list(chain_faults(chain)) == []
    try:
        made = assemble(chain, data)
    except (Dropped, HandlerFailed) as ended:
        assert ended.handler in HANDLERS
        return
    if not list(record_faults(VISIT, made)):
        assert json.loads(canonical(made)) == made


@given(st.lists(anything, max_size=4))
def test_R212_any_chain_is_run_or_told_wrong(chain):
    faults = list(chain_faults(chain))
    if not faults:
        assert all(rule["handler"] in HANDLERS for rule in chain)
    assert all(place.startswith("chain.") and words for place, words in faults)


@pytest.mark.parametrize(
    "name", ["os.system", "builtins.eval", "campaigns.data_hub.handlers._rename", "__import__('os')", "__class__", ""]
)
def test_R212_a_chain_brings_no_code(name):
    """Handlers are looked up in the registry and nowhere else; the module knows no way to import or evaluate."""
    assert [place for place, _ in chain_faults([{"handler": name}])] == ["chain.0.handler"]
    tree = ast.parse(Path(handlers.__file__).read_text("utf-8"))
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert called.isdisjoint({"eval", "exec", "compile", "__import__", "getattr", "globals", "vars", "import_module"})
