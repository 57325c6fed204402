"""What is archived is written to each target by itself, tried again, and written once however often it is tried."""

import base64
import json
import os
import socket
import sqlite3
import stat
from datetime import timedelta

import pytest
import redis

from campaigns.data_hub.deliveries import REST_AFTER, RESTING, rest_after
from campaigns.data_hub.writers import secret_text, signing_key
from crypto.mac import hmac_sha256
from tests.support.hub import HUB

LAKE_ALONE = HUB.replace('targets = ["crm", "lake"]\nkey_as = { crm = "visit_id" }', 'targets = ["lake"]').replace(
    'crm = "amount", ', ""
).replace('map = { crm = "way" }\n', "")  # fmt: skip


def lake(bench, campaign="hub"):
    return bench.folder / "data_hub" / campaign / "visits.db"


def rows_of(path, sql="SELECT * FROM visit ORDER BY key, version"):
    file = sqlite3.connect(path)
    file.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in file.execute(sql)]
    finally:
        file.close()


def deliveries(bench, **query):
    status, body = bench.ask("GET", "/deliveries", query=query)
    assert status == 200
    return {one["target"]: one for one in body["items"]}


# -- an address -------------------------------------------------------------------------------------------------------


def test_R214_a_receiver_gets_its_own_fields_under_its_own_names(bench):
    _, put = bench.put(key="桌 1/a", data={"amt": "8800", "way": "wechat"})
    assert bench.work() == ["", ""]
    ((url, headers, body),) = bench.posted
    assert url == "http://127.0.0.1:9100/in"
    assert json.loads(body) == {"amount": 8800, "way": "wechat", "visit_id": "桌 1/a"}
    assert headers["Idempotency-Key"] == deliveries(bench)["crm"]["delivery"]
    assert headers["X-Drainage-Key"] == "%E6%A1%8C%201%2Fa"
    assert (headers["X-Drainage-Model"], headers["X-Drainage-Version"]) == ("visit", "1")
    assert headers["X-Drainage-Hash"] == put["hash"]
    assert all(value.isascii() and value.isprintable() for value in headers.values())


def test_R214_a_receiver_can_tell_who_calls(bench):
    """The signature of Standard Webhooks 1.0, by the key that the console shows."""
    bench.put()
    bench.work()
    ((_, headers, body),) = bench.posted
    key = base64.b64decode(secret_text(signing_key(bench, "hub", "crm")).removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac_sha256(key, signed)).decode()
    assert int(headers["webhook-timestamp"]) == int(bench.now.timestamp())
    assert signing_key(bench, "hub", "crm") != signing_key(bench, "hub", "erp") != signing_key(bench, "other", "crm")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((500, "status 500"), "status 500"),
        ((301, "status 301"), "status 301"),
        ((422, "status 422"), "status 422"),
        ((None, "refused"), "refused"),
        ((None, ""), "broken"),
    ],
)
def test_R214_one_bad_target_does_not_block_the_others(bench, answer, error):
    bench.answers = [answer]
    bench.put()
    assert sorted(bench.work()) == ["", error]
    found = deliveries(bench)
    assert (found["crm"]["state"], found["crm"]["tries"], found["crm"]["error"]) == ("failed", 1, error)
    assert (found["lake"]["state"], found["lake"]["tries"], found["lake"]["error"]) == ("done", 1, None)
    assert len(rows_of(lake(bench))) == 1


def test_R214_what_failed_is_tried_again_and_done_once(bench):
    bench.answers = [(500, ""), (None, "refused")]
    bench.put()
    bench.work()
    bench.later(seconds=2)
    bench.work()
    assert (deliveries(bench)["crm"]["state"], deliveries(bench)["crm"]["tries"]) == ("failed", 2)
    bench.later(seconds=5)
    assert bench.work() == [""]
    assert (deliveries(bench)["crm"]["state"], deliveries(bench)["crm"]["tries"]) == ("done", 3)
    bench.later(days=4)
    assert bench.work() == []
    assert len(bench.posted) == 3
    assert len({headers["Idempotency-Key"] for _, headers, _ in bench.posted}) == 1
    assert len({body for _, _, body in bench.posted}) == 1


def test_R214_the_same_deed_twice_writes_once(bench):
    """A worker that died after its call is followed by another, which finds it done; so does a late twin."""
    bench.put()
    bench.work()
    payload = {"delivery": deliveries(bench)["crm"]["delivery"], "round": 1}
    from campaigns.data_hub.kind import kind

    assert kind.deeds["deliver"](bench, bench.views["hub"], payload, bench.now) is None
    assert len(bench.posted) == 1
    assert deliveries(bench)["crm"]["tries"] == 1


def test_R214_a_target_that_fails_again_and_again_rests(bench):
    """Nobody calls it meanwhile, so that a dead address costs the worker nothing; one success ends it."""
    bench.answers = [(None, "refused")] * REST_AFTER
    for number in range(REST_AFTER + 2):
        bench.put(key=f"v-{number}")
    became = bench.work()
    assert became.count("refused") == REST_AFTER
    assert became.count(RESTING) == 2
    assert became.count("") == REST_AFTER + 2  # the file next to it
    assert len(bench.posted) == REST_AFTER
    bench.later(seconds=10)
    bench.work()
    assert len(bench.posted) == REST_AFTER
    bench.later(minutes=30)
    bench.work()
    assert set(bench.states().values()) == {"done"}
    (stood,) = bench.all("SELECT failures, failing_since, next_at FROM data_hub_targets WHERE target = 'crm'")
    assert tuple(stood[name] for name in ("failures", "failing_since", "next_at")) == (0, None, None)


def test_R214_a_record_that_is_refused_makes_no_target_rest(bench):
    bench.answers = [(422, "")] * 8
    for number in range(8):
        bench.put(key=f"v-{number}")
    assert RESTING not in bench.work()
    assert len(bench.posted) == 8


def test_R214_rests_grow_and_end():
    rests = [rest_after(failures) for failures in range(REST_AFTER, 60)]
    assert rests[0] == timedelta(seconds=15)
    assert rests == sorted(rests)
    assert rests[-1] == timedelta(minutes=10)


# -- retry ------------------------------------------------------------------------------------------------------------


def test_R214_a_retry_is_tried_at_once_and_once(bench):
    bench.answers = [(None, "refused")] * 20
    bench.put()
    bench.work()
    bench.later(seconds=2)
    id_ = deliveries(bench)["crm"]["delivery"]
    for _ in range(4):
        status, told = bench.ask("POST", f"/deliveries/{id_}/retry")
        assert (status, told["delivery"], told["state"]) == (200, id_, "pending")
    before = len(bench.posted)
    bench.work()
    # Four asked, and the schedule's own was due: one call.
    assert len(bench.posted) == before + 1
    bench.answers = []
    bench.ask("POST", f"/deliveries/{id_}/retry")
    assert bench.work().count("") == 1
    assert deliveries(bench)["crm"]["state"] == "done"
    said = bench.all("SELECT who, action, object FROM audit ORDER BY seq")
    assert {(row["who"], row["action"], row["object"]) for row in said} == {("crm token", "data_hub.retry", id_)}


def test_R214_a_retry_of_what_is_done_sends_nothing(bench):
    bench.put()
    bench.work()
    status, told = bench.ask("POST", f"/deliveries/{deliveries(bench)['crm']['delivery']}/retry")
    assert (status, told["state"], told["tries"]) == (200, "done", 1)
    assert bench.work() == []
    assert len(bench.posted) == 1


def test_R210_a_delivery_is_nobodys_who_is_not_granted_its_model(bench):
    bench.put()
    id_ = deliveries(bench)["crm"]["delivery"]
    assert bench.ask("POST", f"/deliveries/{id_}/retry", who="stranger") == (403, {"code": "no_grant"})
    assert bench.ask("GET", "/deliveries", who="stranger")[1]["items"] == []
    assert bench.ask("POST", "/deliveries/dd_0/retry")[0] == 404
    bench.campaign("other", HUB)
    bench.views["hub"] = bench.views["other"]
    assert bench.ask("POST", f"/deliveries/{id_}/retry")[0] == 404


def test_R214_deliveries_are_listed_by_state_and_page(bench):
    bench.answers = [(500, "")]
    for number in range(3):
        bench.put(key=f"v-{number}")
    assert len(bench.ask("GET", "/deliveries", state="pending")[1]["items"]) == 6
    bench.work()
    assert [one["target"] for one in bench.ask("GET", "/deliveries", state="failed")[1]["items"]] == ["crm"]
    assert len(bench.ask("GET", "/deliveries", state="done")[1]["items"]) == 5
    _, first = bench.ask("GET", "/deliveries", limit=4)
    _, second = bench.ask("GET", "/deliveries", limit=4, cursor=first["next"])
    assert len({one["delivery"] for one in first["items"] + second["items"]}) == 6
    assert second["next"] is None
    assert bench.ask("GET", "/deliveries", state="parked")[1]["code"] == "invalid"
    assert bench.ask("GET", "/deliveries", target="nothing")[1]["items"] == []
    assert bench.ask("GET", "/deliveries", cursor="' OR 1=1 --")[0] == 200


@pytest.mark.parametrize("state", ["paused", "draft", "scheduled"])
def test_R075_a_paused_hub_writes_nothing(bench, state):
    bench.put()
    bench.change(state=state)
    assert set(bench.work()) == {state}
    assert bench.posted == []
    bench.change(state="live")
    bench.later(minutes=5)
    bench.work()
    assert set(bench.states().values()) == {"done"}


@pytest.mark.parametrize("state", ["ended", "archived"])
def test_R075_what_was_taken_in_is_written_even_after_the_end(bench, state):
    bench.put()
    bench.change(state=state)
    bench.work()
    assert set(bench.states().values()) == {"done"}


def test_R214_a_target_that_was_taken_away_is_told_and_may_come_back(bench):
    bench.put()
    bench.campaign("hub", LAKE_ALONE.replace('[targets.crm]\nkind = "http"\nurl = "http://127.0.0.1:9100/in"\n', ""))
    bench.work()
    found = deliveries(bench)
    assert (found["crm"]["state"], found["crm"]["error"], found["lake"]["state"]) == (
        "failed",
        "no_such_target",
        "done",
    )
    bench.campaign("hub", HUB)
    bench.ask("POST", f"/deliveries/{found['crm']['delivery']}/retry")
    bench.work()
    assert deliveries(bench)["crm"]["state"] == "done"


def test_R214_a_mended_map_counts_for_what_still_waits(bench):
    bench.answers = [(422, "")]
    bench.put()
    bench.work()
    bench.campaign("hub", HUB.replace('crm = "amount"', 'crm = "amount_in_fen"'))
    bench.later(seconds=2)
    bench.work()
    assert [sorted(json.loads(body)) for _, _, body in bench.posted] == [
        ["amount", "visit_id"],
        ["amount_in_fen", "visit_id"],
    ]


def test_R211_a_record_of_an_older_version_is_written_as_that_version_says(bench):
    bench.put()
    bench.campaign("hub", HUB.replace("version = 1", "version = 2", 1).replace('crm = "amount"', 'crm = "sum"'))
    bench.put(key="v-2")
    bench.work()
    sent = {json.loads(body)["visit_id"]: json.loads(body) for _, _, body in bench.posted}
    assert sent["v-1"] == {"amount": 8800, "visit_id": "v-1"}
    assert sent["v-2"] == {"sum": 8800, "visit_id": "v-2"}


# -- a file -----------------------------------------------------------------------------------------------------------


def test_R214_a_file_has_a_row_a_key_and_version(bench):
    bench.campaign("hub", LAKE_ALONE)
    bench.put(data={"amt": 100})
    bench.put(version=2, data={"amt": 200})
    bench.work()
    assert [(row["key"], row["version"], row["amount_fen"]) for row in rows_of(lake(bench))] == [
        ("v-1", 1, 100),
        ("v-1", 2, 200),
    ]
    assert stat.S_IMODE(os.stat(lake(bench)).st_mode) == 0o600


def test_R214_writing_a_row_again_changes_nothing(bench):
    bench.campaign("hub", LAKE_ALONE)
    bench.put()
    bench.work()
    before = rows_of(lake(bench))
    bench.store.write(lambda tx: tx.run("UPDATE data_hub_deliveries SET state = 'pending'"))
    bench.store.write(lambda tx: tx.run("UPDATE outbox SET state = 'due', leased_until = NULL"))
    bench.work()
    assert rows_of(lake(bench)) == before
    assert deliveries(bench)["lake"]["tries"] == 2


def test_R211_a_field_more_becomes_a_column_more(bench):
    bench.campaign("hub", LAKE_ALONE)
    bench.put()
    bench.work()
    more = '[models.visit.fields.is_new]\ntype = "bool"\nmap = { lake = "Is_New" }\n'
    bench.campaign("hub", LAKE_ALONE + more)
    bench.put(key="v-2", data={"amt": 5, "is_new": True})
    bench.work()
    assert [(row["amount_fen"], row["Is_New"]) for row in rows_of(lake(bench))] == [(8800, None), (5, 1)]


def test_R214_a_file_that_cannot_be_written_is_a_failure_and_no_more(bench):
    bench.campaign("hub", LAKE_ALONE)
    lake(bench).parent.mkdir(parents=True)
    lake(bench).write_bytes(b"this is no database " * 100)
    bench.put()
    assert bench.work() == ["DatabaseError"]
    assert deliveries(bench)["lake"]["state"] == "failed"


def test_R214_a_file_that_points_elsewhere_is_not_followed(bench, tmp_path):
    bench.campaign("hub", LAKE_ALONE)
    lake(bench).parent.mkdir(parents=True)
    elsewhere = tmp_path / "elsewhere.db"
    lake(bench).symlink_to(elsewhere)
    bench.put()
    assert bench.work() == ["OSError"]
    assert not elsewhere.exists()


def test_R214_names_of_tables_are_only_names(bench):
    odd = LAKE_ALONE.replace("models.visit", 'models."select.from-1"')
    bench.campaign("hub", odd)
    assert bench.put(model="select.from-1")[0] == 201
    assert bench.work() == [""]
    assert len(rows_of(lake(bench), 'SELECT * FROM "select.from-1"')) == 1


# -- a Redis ----------------------------------------------------------------------------------------------------------


def cached(address, prefix="hub:"):
    return LAKE_ALONE.replace(
        'kind = "sqlite"\nfile = "visits.db"', f'kind = "redis"\nurl = "{address}"\nprefix = "{prefix}"'
    )


@pytest.fixture
def cache(redis_address):
    client = redis.Redis.from_url(redis_address, decode_responses=True)
    client.flushdb()
    yield client
    client.close()


def test_R214_a_cache_holds_each_keys_newest_version(bench, redis_address, cache):
    bench.campaign("hub", cached(redis_address))
    _, first = bench.put(data={"amt": 100})
    assert bench.work() == [""]
    assert cache.hgetall("hub:visit:v-1") == {"version": "1", "hash": first["hash"], "data": '{"amount_fen":100}'}
    bench.put(version=3, data={"amt": 300})
    bench.put(version=2, data={"amt": 200})
    assert bench.work() == ["", ""]
    assert json.loads(cache.hget("hub:visit:v-1", "data")) == {"amount_fen": 300}
    assert cache.keys() == ["hub:visit:v-1"]


def test_R214_a_cache_without_an_address_is_the_houses_own(bench, redis_address, cache):
    bench.campaign("hub", cached(redis_address).replace(f'url = "{redis_address}"\n', ""))
    bench.put()
    assert bench.work() == ["no_redis"]
    bench.redis_url = redis_address
    bench.later(seconds=5)
    assert bench.work() == [""]
    assert cache.exists("hub:visit:v-1")


def test_R214_a_cache_that_is_gone_is_a_failure_and_no_more(bench):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    bench.campaign("hub", cached(f"redis://127.0.0.1:{port}/0"))
    bench.put()
    assert bench.work() == ["refused"]
    bench.campaign("hub", cached("redis://10.1.2.3:6379/0"))
    bench.later(seconds=5)
    assert bench.work() == ["forbidden_address"]


def test_R214_without_its_library_a_cache_waits(bench, redis_address, monkeypatch):
    monkeypatch.setattr("campaigns.data_hub.writers.has_redis", lambda: False)
    bench.campaign("hub", cached(redis_address))
    bench.put()
    assert bench.work() == ["no_redis"]


# -- figures ----------------------------------------------------------------------------------------------------------


def test_R210_the_campaign_tells_its_figures(bench):
    from campaigns.data_hub.kind import kind

    bench.answers = [(500, "")]
    bench.put()
    bench.put(key="v-2", data={"amt": 0})
    view = bench.views["hub"]
    assert bench.store.read(lambda tx: kind.counts(tx, view)) == {
        "records": 1, "dropped": 1, "pending": 2, "done": 0, "failed": 0,
    }  # fmt: skip
    bench.work()
    assert bench.store.read(lambda tx: kind.counts(tx, view)) == {
        "records": 1, "dropped": 1, "pending": 0, "done": 1, "failed": 1,
    }  # fmt: skip
