"""A channel proven: the self-test over real adapters, the marked test notification through the real intake and relay."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO

import pytest
import requests

from adapters.sandbox.alipay import platform as alipay
from adapters.sandbox.wechat_v2 import platform as wechat_v2
from adapters.sandbox.wechat_v3 import platform as wechat_v3
from gateway.catalog.edit import Edit, edit
from gateway.intake.bucket import Buckets
from gateway.intake.spool import Spool
from gateway.relay import Guard, Relay
from gateway.setup import checks, selftest
from gateway.setup.bench import workshop
from gateway.web.admin.channels import fresh_channel
from gateway.web.notify import Notify

PLATFORMS = {"wechat_v3": wechat_v3, "wechat_v2": wechat_v2, "alipay": alipay}


@contextmanager
def till(status=200, body=b"ok"):
    """A POS that remembers what it got."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"])), dict(self.headers)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/notify", got
    finally:
        server.shutdown()
        server.server_close()


def make(world, adapter="wechat_v3", *, sandbox=False, upstream="http://127.0.0.1:9/x", intake="relay", **keys):
    """A channel with keys as a merchant would paste them."""
    table = {"merchant": "noodles", "adapter": adapter, "sandbox": sandbox, "intake": intake}
    if intake == "relay":
        table["upstream"] = upstream
    if not sandbox:
        _, made = PLATFORMS[adapter].new_keys()
        table["keys"] = {**made, **keys}
    bench = workshop(world.runtime, "x")
    object.__setattr__(bench.surroundings, "check_upstream", lambda _url: None)
    edit([Edit("channel", "chan", table)], bench, world.clock())
    return fresh_channel(world.runtime, "chan")


def self_test(world, live):
    selftest.run_self_test(world.runtime, live, world.clock(), "x")
    return world.store.read(lambda tx: checks.latest(tx, "chan", "self"))


@pytest.mark.parametrize("adapter", sorted(PLATFORMS))
@pytest.mark.parametrize("sandbox", [False, True])
def test_keys_of_each_platform_open_a_sample(real, adapter, sandbox):
    found = self_test(real, make(real, adapter, sandbox=sandbox))
    assert (found.state, found.facts) == ("ok", {"sample": True})


def test_a_self_test_writes_no_secret(real):
    live = make(real)
    self_test(real, live)
    (row,) = real.all("SELECT * FROM setup_checks")
    assert live.spec.keys["apiv3_key"] not in str(tuple(row[key] for key in row.keys()))


def test_an_adapter_that_is_gone_is_told(real):
    live = make(real)
    from dataclasses import replace

    found = self_test(real, replace(live, spec=replace(live.spec, adapter="gone")))
    assert (found.state, found.facts["why"]) == ("failed", "adapter")


def test_keys_that_do_not_load_name_the_field(real):
    live = make(real)
    from dataclasses import replace

    broken = replace(live.spec, keys={**live.spec.keys, "apiv3_key": "short"})
    found = self_test(real, replace(live, spec=broken))
    assert (found.state, found.facts) == ("failed", {"why": "keys", "fields": ["apiv3_key"]})


def test_beyond_ten_tests_a_minute_none_is_made(real):
    from gateway.contract.errors import Refused

    live = make(real, "wechat_v2")
    for _ in range(checks.MOST_A_MINUTE):
        self_test(real, live)
    with pytest.raises(Refused) as refused:
        self_test(real, live)
    assert refused.value.status == 429


class House:
    """The intake of a world, reached as `requests` would reach it."""

    def __init__(self, world, monkeypatch, tmp_path, *, lose=False):
        self.world = world
        runtime = world.runtime
        spool = Spool(tmp_path / "spool", 1 << 20, runtime.keyring.local.seal, runtime.keyring.local.open)
        self.relay = Relay(Guard(["127.0.0.0/8"]))
        self.notify = Notify(runtime, self.relay, spool, Buckets(tmp_path / "buckets", 10, 1))
        self.lose = lose
        self.seen = []
        monkeypatch.setattr(selftest, "_post", self.post)

    def post(self, raw, url):
        if self.lose:
            raise requests.ConnectionError
        self.seen.append((raw, url))
        return self.send(raw)

    def send(self, raw, body=None):
        body = raw.body if body is None else body
        environ = {
            "REQUEST_METHOD": "POST",
            "wsgi.input": BytesIO(body),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_ADDR": "192.0.2.7",
        }
        for name, value in raw.headers:
            key = name.upper().replace("-", "_")
            environ["CONTENT_TYPE" if key == "CONTENT_TYPE" else f"HTTP_{key}"] = value
        answered = []
        live = fresh_channel(self.world.runtime, "chan")
        self.notify(environ, lambda status, _headers: answered.append(status), live, "", None)
        return int(answered[0].split()[0])


@pytest.fixture
def house(real, monkeypatch, tmp_path):
    return House(real, monkeypatch, tmp_path)


def notice(world, live):
    selftest.send_test(world.runtime, live, world.clock(), "x")
    return world.store.read(lambda tx: checks.latest(tx, "chan", "notice"))


@pytest.mark.parametrize(
    ("adapter", "sandbox"), [("wechat_v3", False), ("wechat_v3", True), ("wechat_v2", False), ("alipay", False)]
)
def test_R012_a_test_arrives_is_answered_and_is_identical_and_changes_no_number(real, house, adapter, sandbox):
    with till(400, b"FAIL") as (url, got):
        found = notice(real, make(real, adapter, sandbox=sandbox, upstream=url))
    assert found.state == "answered"
    assert found.facts["status"] == 400
    assert found.facts["sent"] == found.facts["came"] == found.facts["gone"]
    assert got[0][1] == house.seen[0][0].body
    assert got[0][2][checks.HEADER]
    for table in ("deliveries", "payments", "relay_attempts", "persons", "tags", "incidents", "breakers"):
        assert real.all(f"SELECT * FROM {table}") == []


@pytest.mark.parametrize("adapter", sorted(PLATFORMS))
def test_a_real_channels_test_is_never_genuine_to_who_holds_the_real_keys(real, house, adapter):
    """A POS must not book it as a payment."""
    from gateway.contract.errors import BadNotification

    with till() as (url, _got):
        live = make(real, adapter, upstream=url)
        notice(real, live)
    raw, _url = house.seen[0]
    with pytest.raises(BadNotification):
        live.adapter.parse(raw, live.keys, real.clock())


def test_a_test_that_is_sent_again_is_an_ordinary_notice(real, house):
    with till() as (url, _got):
        notice(real, make(real, upstream=url))
        raw, _url = house.seen[0]
        house.send(raw)
    assert [row["outcome"] for row in real.all("SELECT outcome FROM deliveries")] == ["refused"]


@pytest.mark.parametrize("mark", ["", "x", "ck_1.", "ck_1.00", ".", "é.1", "a" * 5000])
def test_a_made_up_mark_opens_nothing(real, house, mark):
    with till() as (url, _got):
        live = make(real, upstream=url)
        raw, _ = selftest._sample(real.runtime, live, real.clock(), own_keys=False)
        from dataclasses import replace

        house.send(replace(raw, headers=(*raw.headers, (checks.HEADER, mark))))
    assert [row["outcome"] for row in real.all("SELECT outcome FROM deliveries")] == ["refused"]


def test_a_mark_holds_for_its_own_body_alone(real, house):
    with till() as (url, _got):
        live = make(real, upstream=url)
        house.lose = True
        notice(real, live)
        raw, _ = selftest._sample(real.runtime, live, real.clock(), own_keys=False)
        check = real.store.read(lambda tx: checks.latest(tx, "chan", "notice"))
        token = checks.mark(real.runtime.keyring.test_key(), check.id, "chan", b"another body")
        from dataclasses import replace

        house.send(replace(raw, headers=(*raw.headers, (checks.HEADER, token))))
    assert len(real.all("SELECT id FROM deliveries")) == 1


def test_a_pos_that_is_not_there_is_told_by_its_fault(real, house):
    found = notice(real, make(real, upstream="http://127.0.0.1:9/x"))
    assert (found.state, found.facts["relay"], "came" in found.facts) == ("failed", "refused", True)
    assert real.all("SELECT * FROM breakers") == []


def test_where_our_own_address_cannot_be_reached_the_pos_is_asked_all_the_same(real, house, monkeypatch):
    house.lose = True
    monkeypatch.setattr(selftest, "Guard", lambda _allow: Guard(["127.0.0.0/8"]))
    with till() as (url, got):
        found = notice(real, make(real, upstream=url))
    assert (found.state, found.facts["unreached"], found.facts["status"]) == ("failed", "ConnectionError", 200)
    assert len(got) == 1


def test_R011_a_copy_channel_needs_no_pos(real, house):
    found = notice(real, make(real, intake="copy"))
    assert (found.state, found.facts["relays"]) == ("answered", False)


def test_what_the_platform_refused_since_the_last_change_is_told_and_forgotten_after_it(real):
    live = make(real, "wechat_v3", intake="copy")
    now = real.clock()
    from gateway.contract.errors import Undecryptable

    raw, _ = selftest._sample(real.runtime, live, now, own_keys=False)
    real.runtime.intake.quarantine(live, raw, Undecryptable("x"), now)
    seen = real.store.read(lambda tx: selftest.what_was_seen(tx, real.runtime, live, now))
    assert (seen.refused, seen.payment) == ("undecryptable", None)
    real.clock.move(minutes=1)
    later = real.clock()
    assert real.store.read(lambda tx: selftest.what_was_seen(tx, real.runtime, live, later)).refused is None


def test_a_stale_notice_tells_how_far_the_clock_is_off(real):
    live = make(real, "wechat_v3", intake="copy")
    from datetime import timedelta

    from gateway.contract.errors import StaleTimestamp

    raw, _ = selftest._sample(real.runtime, live, real.clock() - timedelta(minutes=6), own_keys=False)
    from dataclasses import replace

    raw = replace(raw, received_at=real.clock())
    real.runtime.intake.quarantine(live, raw, StaleTimestamp("x"), real.clock())
    seen = real.store.read(lambda tx: selftest.what_was_seen(tx, real.runtime, live, None))
    assert seen.clock_off_s == 360


def test_old_checks_are_dropped(real):
    self_test(real, make(real, "wechat_v2"))
    real.clock.move(days=31)
    assert real.store.write(lambda tx: checks.drop_old(tx, real.clock(), 10)) == 1
    assert real.all("SELECT id FROM setup_checks") == []
