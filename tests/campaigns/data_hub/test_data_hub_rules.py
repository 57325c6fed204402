"""Models, records and chains of the data hub, pure."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaigns.data_hub.handlers import HANDLERS, Dropped, HandlerFailed, assemble, chain_faults
from campaigns.data_hub.models import Field, Model, canonical, digest, for_target, record_faults

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
    ],
)
def test_R212_a_chain_that_cannot_run_is_told_by_its_place(chain, places):
    assert [place for place, _ in chain_faults(chain)] == places


def test_R212_every_handler_is_tried_above():
    assert set(HANDLERS) == {"rename", "drop_if", "default", "remove", "require", "trim", "to_int", "scale"}
