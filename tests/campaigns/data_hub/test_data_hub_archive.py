"""Records come in, once a key and version, and go out by a cursor; on both databases."""

import json
import threading

import pytest

from campaigns.data_hub.models import digest
from tests.support.hub import HUB, SPRING


def items(answer):
    status, body = answer
    assert status == 200
    return body["items"]


def shown(answer):
    return [{name: one[name] for name in ("key", "version", "data")} for one in items(answer)]


def selected(bench, campaign, who="crm token"):
    """The visits as another campaign selects them."""
    return bench.ask("GET", "/models/visit/data", who=who, query={"campaign": campaign})


# -- in ---------------------------------------------------------------------------------------------------------------


def test_R213_a_record_is_assembled_and_archived_under_its_hash(bench):
    status, body = bench.put(data={"amt": "8800", "way": "wechat"})
    assert status == 201
    made = {"amount_fen": 8800, "way": "wechat"}
    assert body == {"record": body["record"], "hash": digest(made), "state": "archived"}
    (row,) = bench.all("SELECT * FROM data_hub_records")
    assert json.loads(row["data"]) == made
    assert (row["id"], row["key"], row["version"], row["hash"]) == (body["record"], "v-1", 1, digest(made))


def test_R213_what_is_owed_stands_in_the_archive_first(bench):
    bench.put()
    (record,) = bench.all("SELECT id, state FROM data_hub_records")
    assert record["state"] == "archived"
    assert bench.posted == []
    owed = bench.all("SELECT record, state, tries FROM data_hub_deliveries")
    assert [tuple(row[name] for name in ("record", "state", "tries")) for row in owed] == [
        (record["id"], "pending", 0)
    ] * 2


def test_R215_the_same_key_and_version_is_the_same_record(bench):
    first = bench.put()
    assert bench.put() == (200, first[1])
    assert bench.put(data={"amt": 1})[1] == {**first[1], "differs": True}
    assert bench.put(data={"anything": [1]})[0] == 200
    assert bench.put(version=2)[0] == 201
    assert bench.put(key="v-2")[0] == 201
    assert len(bench.all("SELECT 1 FROM data_hub_records")) == 3
    assert len(bench.all("SELECT 1 FROM data_hub_deliveries")) == 6


def test_R212_a_dropped_record_is_remembered_and_goes_nowhere(bench):
    status, body = bench.put(data={"amt": 0})
    assert (status, body["state"], body["handler"]) == (201, "dropped", "drop_if")
    assert bench.put(data={"amt": 0}) == (200, body)
    assert shown(bench.ask("GET", "/models/visit/data")) == []
    assert bench.all("SELECT 1 FROM data_hub_deliveries") == []


def test_R212_a_failing_handler_is_named_and_nothing_is_kept(bench):
    status, body = bench.put(data={"amt": "many"})
    assert (status, body["code"], body["handler"]) == (422, "handler_failed", "to_int")
    assert bench.put(data={"amt": 1, "amount_fen": 2})[1]["handler"] == "rename"
    assert bench.all("SELECT 1 FROM data_hub_records") == []


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ({}, {"amount_fen"}),
        ({"amt": -1}, {"amount_fen"}),
        ({"amt": 1, "stranger": 2, "way": 3}, {"stranger", "way"}),
        ({"amt": 1, "way": "a\x00b"}, {"way"}),
        ({"amt": 1, "way": {"deep": 1}}, {"way"}),
        ({"amt": 2**70}, {"data"}),
        ({"amt": 1, "way": "\ud800"}, {"data"}),
    ],
)
def test_R211_what_does_not_hold_is_refused_by_its_fields(bench, data, fields):
    status, body = bench.put(data=data)
    assert (status, body["code"], set(body["fields"])) == (422, "invalid", fields)
    assert bench.all("SELECT 1 FROM data_hub_records") == []


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"key", "version", "data"}),
        ({"key": "", "version": 1, "data": {}}, {"key"}),
        ({"key": "x" * 201, "version": 1, "data": {}}, {"key"}),
        ({"key": 1, "version": 1, "data": {}}, {"key"}),
        ({"key": "a\x00", "version": 1, "data": {}}, {"key"}),
        ({"key": "a", "version": True, "data": {}}, {"version"}),
        ({"key": "a", "version": -1, "data": {}}, {"version"}),
        ({"key": "a", "version": 2**53, "data": {}}, {"version"}),
        ({"key": "a", "version": 1.0, "data": {}}, {"version"}),
        ({"key": "a", "version": "1", "data": {}}, {"version"}),
        ({"key": "a", "version": 1, "data": []}, {"data"}),
        ({"key": "a", "version": 1, "data": {"amt": 1}, "more": 1}, {"more"}),
        ({"key": "a", "version": 1, "data": {"amt": 1}, "source": 5}, {"source"}),
        ({"key": "a", "version": 1, "data": {"amt": 1}, "cursor": "9"}, {"source"}),
    ],
)
def test_R215_a_body_of_another_shape_is_refused(bench, body, fields):
    status, told = bench.ask("POST", "/models/visit/records", body)
    assert (status, told["code"], set(told["fields"])) == (422, "invalid", fields)


def test_R210_unknown_models_are_404_and_ungranted_ones_403(bench):
    assert bench.put(model="nothing")[0] == 404
    assert bench.put(model="secret", data={"a": 1})[:1] == (403,)
    assert bench.ask("GET", "/models/nothing/data")[0] == 404
    assert bench.ask("GET", "/models/secret/data") == (403, {"code": "no_grant"})
    assert bench.ask("GET", "/models/secret")[0] == 403
    assert bench.ask("GET", "/models/secret/sources")[0] == 403
    assert bench.ask("GET", "/models/visit/data", who="stranger")[0] == 403
    assert [one["model"] for one in items(bench.ask("GET", "/models"))] == ["visit"]
    assert items(bench.ask("GET", "/models", who="stranger")) == []


@pytest.mark.parametrize("state", ["draft", "scheduled", "paused", "ended", "archived"])
def test_R075_records_come_in_while_the_hub_is_open(bench, state):
    bench.put()
    bench.change(state=state)
    assert bench.put(key="v-2") == (409, {"code": "not_live"})
    assert len(items(bench.ask("GET", "/models/visit/data"))) == 1


def test_R215_one_of_many_at_once_is_the_first(bench):
    """Twelve pushes of one record and of three others: each is archived once, and numbers have no gap."""
    answers, start = [], threading.Barrier(12)

    def push(number):
        start.wait()
        answers.append(bench.put(key=f"v-{number % 4}"))

    threads = [threading.Thread(target=push, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _ in answers) == [200] * 8 + [201] * 4
    assert len({body["record"] for _, body in answers}) == 4
    rows = bench.all("SELECT seq FROM data_hub_records ORDER BY seq")
    assert [row["seq"] for row in rows] == [1, 2, 3, 4]
    assert len(bench.all("SELECT 1 FROM data_hub_deliveries")) == 8


# -- many at once -----------------------------------------------------------------------------------------------------


def test_R215_a_batch_takes_each_record_by_itself(bench):
    records = [
        {"key": "v-1", "version": 1, "data": {"amt": 1}},
        {"key": "v-2", "version": 1, "data": {"amt": "many"}},
        {"key": "v-3", "version": 1, "data": {}},
        {"key": "v-1", "version": 1, "data": {"amt": 1}},
        {"key": "v-4", "version": 1, "data": {"amt": 0}},
        {"key": 5},
        "nothing",
    ]
    status, body = bench.ask("POST", "/models/visit/batches", {"records": records, "source": "till", "cursor": "c-7"})
    assert status == 200
    assert [one["status"] for one in body["items"]] == [201, 422, 422, 200, 201, 422, 422]
    assert body["items"][1]["handler"] == "to_int"
    assert set(body["items"][2]["fields"]) == {"amount_fen"}
    assert len(bench.all("SELECT 1 FROM data_hub_records")) == 2
    (source,) = items(bench.ask("GET", "/models/visit/sources"))
    assert (source["source"], source["cursor"], source["records"]) == ("till", "c-7", 2)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"records": []},
        {"records": {}},
        {"records": [{}] * 201},
        {"records": [{}], "x": 1},
        {"records": [{}], "cursor": 1},
    ],
)
def test_R215_a_batch_of_another_shape_is_refused(bench, body):
    assert bench.ask("POST", "/models/visit/batches", body)[1]["code"] == "invalid"


def test_R215_a_source_is_told_how_far_it_has_come(bench):
    bench.put(source="till", cursor="2026-11-22T04:00:00Z")
    bench.put(key="v-2", source="till")
    bench.put(key="v-2", source="till", cursor="2026-11-22T05:00:00Z")
    (source,) = items(bench.ask("GET", "/models/visit/sources"))
    assert (source["cursor"], source["records"]) == ("2026-11-22T05:00:00Z", 2)


# -- out --------------------------------------------------------------------------------------------------------------


def test_R215_a_reader_goes_on_where_he_was(bench):
    for number in range(5):
        bench.put(key=f"v-{number}", data={"amt": number + 1})
    _, first = bench.ask("GET", "/models/visit/data", limit=2)
    assert [one["key"] for one in first["items"]] == ["v-0", "v-1"]
    _, second = bench.ask("GET", "/models/visit/data", limit=2, cursor=first["next"])
    _, third = bench.ask("GET", "/models/visit/data", limit=2, cursor=second["next"])
    assert ([one["key"] for one in third["items"]], third["next"]) == (["v-4"], None)
    bench.put(key="v-5")
    _, later = bench.ask("GET", "/models/visit/data", cursor=third["cursor"])
    assert [one["key"] for one in later["items"]] == ["v-5"]
    _, empty = bench.ask("GET", "/models/visit/data", cursor=later["cursor"])
    assert empty == {"items": [], "next": None, "cursor": later["cursor"]}


@pytest.mark.parametrize(
    "query", [{"cursor": "x"}, {"cursor": "-1"}, {"cursor": "9" * 30}, {"limit": 0}, {"limit": 501}, {"limit": "١"}]
)
def test_R215_a_cursor_that_was_never_given_is_refused(bench, query):
    assert bench.ask("GET", "/models/visit/data", **query)[1]["code"] == "invalid"


def test_R210_data_is_what_was_archived(bench):
    bench.put(data={"amt": 8800, "way": "wechat"})
    assert shown(bench.ask("GET", "/models/visit/data")) == [
        {"key": "v-1", "version": 1, "data": {"amount_fen": 8800, "way": "wechat"}}
    ]


def test_R210_a_campaign_selects_version_and_fields(bench):
    bench.campaign("spring", SPRING)
    bench.put(data={"amt": 8800, "way": "wechat"})
    newer = HUB.replace("version = 1", "version = 2", 1) + (
        '[models.visit.fields.table_no]\nmodule = "till"\ntype = "text"\nrequired = true\n'
    )
    bench.campaign("hub", newer)
    bench.put(key="v-2", data={"amt": 100, "way": "alipay", "table_no": "A1"})
    assert [one["data"] for one in items(bench.ask("GET", "/models/visit/data"))] == [
        {"amount_fen": 8800, "way": "wechat"},
        {"amount_fen": 100, "way": "alipay", "table_no": "A1"},
    ]
    for who in ("crm token", "spring token"):
        found = selected(bench, "spring", who)
        assert [one["data"] for one in items(found)] == [{"amount_fen": 8800}, {"amount_fen": 100}]


def test_R210_a_selection_of_a_newer_version_leaves_out_what_does_not_hold_under_it(bench):
    bench.put(data={"amt": 8800})
    newer = (
        HUB.replace("version = 1", "version = 2", 1)
        + '[models.visit.fields.table_no]\ntype = "text"\nrequired = true\n'
    )
    bench.campaign("hub", newer)
    bench.put(key="v-2", data={"amt": 100, "table_no": "A1"})
    bench.campaign("autumn", SPRING.replace("version = 1", "version = 2").replace('fields = ["amount_fen"]', ""))
    assert [one["key"] for one in items(selected(bench, "autumn"))] == ["v-2"]


def test_R210_a_selection_opens_nothing_to_others(bench):
    bench.campaign("spring", SPRING)
    bench.put()
    assert bench.ask("GET", "/models/visit/data", who="spring token")[0] == 403
    assert bench.put(key="v-2", who="spring token")[0] == 403
    assert selected(bench, "spring", "stranger")[0] == 403


@pytest.mark.parametrize(
    ("text", "more", "status"),
    [
        (SPRING, {"circle": "hillside"}, 404),
        (SPRING, {"state": "paused"}, 409),
        (SPRING, {"state": "draft"}, 409),
        (SPRING.replace("select.visit", "select.others"), {}, 404),
        (SPRING.replace("version = 1", "version = 7"), {}, 404),
    ],
)
def test_R210_a_campaign_that_selects_nothing_here_is_refused(bench, text, more, status):
    bench.put()
    bench.campaign("spring", text, **more)
    assert selected(bench, "spring")[0] == status
    assert selected(bench, "nothing")[0] == 404


# -- definitions ------------------------------------------------------------------------------------------------------


def test_R211_each_definition_is_stored_and_never_changed(bench):
    assert bench.sweep() == 2
    assert bench.sweep() == 0
    bench.campaign("hub", HUB + '[models.visit.fields.table_no]\nmodule = "till"\ntype = "text"\n')
    assert bench.put(data={"amt": 1, "table_no": "A1"})[0] == 201
    bench.campaign("hub", HUB.replace("version = 1", "version = 2", 1))
    assert bench.sweep() == 1
    _, told = bench.ask("GET", "/models/visit")
    assert [(one["version"], one["revision"]) for one in told["versions"]] == [(2, 1), (1, 2), (1, 1)]
    assert told["version"] == 2
    assert set(told["fields"]) == {"amount_fen", "way"}
    (record,) = bench.all("SELECT model_version, revision FROM data_hub_records")
    assert (record["model_version"], record["revision"]) == (1, 2)


def test_R215_old_records_go_when_their_time_is_over_and_their_numbers_do_not_come_back(bench):
    bench.campaign("hub", HUB.replace("version = 1", "version = 1\nkeep_days = 30", 1))
    bench.put()
    bench.put(key="v-2", data={"amt": 0})
    bench.later(days=31)
    bench.put(key="v-3")
    assert len(bench.all("SELECT 1 FROM data_hub_records")) == 3
    bench.sweep()
    # What still waits to be written stays.
    assert {row["key"] for row in bench.all("SELECT key FROM data_hub_records")} == {"v-1", "v-3"}
    bench.work()
    bench.sweep()
    assert {row["key"] for row in bench.all("SELECT key FROM data_hub_records")} == {"v-3"}
    assert {row["record"] for row in bench.all("SELECT record FROM data_hub_deliveries")} == {
        row["id"] for row in bench.all("SELECT id FROM data_hub_records")
    }
    bench.later(days=31)
    bench.sweep()
    assert bench.put(key="v-4")[0] == 201
    assert [row["seq"] for row in bench.all("SELECT seq FROM data_hub_records")] == [4]
