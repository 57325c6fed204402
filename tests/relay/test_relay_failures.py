"""R013, R010: a POS that fails in any way costs its caller a clear status, in time, and nobody else anything."""

import contextlib
import socket
import ssl
import struct
import threading

import pytest
from raw_server import OK, reply, server_tls

from gateway.contract import DrainageError
from gateway.relay import Guard, Relay, RelayFailed, RelayLimits, Upstream, answer_parts, failure_parts
from gateway.relay.names import Names

LOOPBACK = ["127.0.0.0/8"]
HEAD = b"HTTP/1.1 200 OK\r\n"


def hang(conn, server):
    server.release.wait()


def close_at_once(conn, server):
    pass


def reset(after=b""):
    def behave(conn, server):
        conn.sendall(after)
        # An RST instead of a FIN.
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return behave


def trickle(first, piece, limit=100_000):
    """`piece` every 20 ms: always something, never the whole, within anybody's patience."""

    def behave(conn, server):
        conn.sendall(first)
        for _ in range(limit):
            if server.release.wait(0.02):
                return
            conn.sendall(piece)

    return behave


def flood(first):
    def behave(conn, server):
        conn.sendall(first)
        with contextlib.suppress(OSError):
            for _ in range(80):
                conn.sendall(b"\0" * 65536)

    return behave


def failure(relay, server, notification, timeout_ms=4000, **options):
    with pytest.raises(RelayFailed) as caught:
        relay.forward(Upstream.of("hotpot", server.url("/pay"), timeout_ms), notification(), **options)
    assert isinstance(caught.value, DrainageError)
    return caught.value


@pytest.mark.parametrize(
    "behave",
    [
        close_at_once,
        reset(),
        reset(HEAD + b"Content-Length: 10\r\n\r\nhalf"),
        reply(HEAD + b"Content-Length: 10\r\n\r\nhalf"),
        reply(HEAD + b"Content-Le"),
        reply(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel"),
        reply(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
        reply(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello!\r\n0\r\n\r\n"),
        reply(HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n"),
        reply(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n"),
        reply(HEAD + b"Transfer-Encoding: chunked\r\n\r\n\r\n"),
        reply(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        reply(HEAD + b"Transfer-Encoding: identity\r\n\r\n"),
        reply(HEAD + b"Content-Length: +5\r\n\r\nhello"),
        reply(HEAD + b"Content-Length: -1\r\n\r\n"),
        reply(HEAD + b"Content-Length: 5_0\r\n\r\nhello"),
        reply(HEAD + b"Content-Length: 5\r\nContent-Length: 4\r\n\r\nhello"),
        reply(HEAD + b"Content-Length: 5, 6\r\n\r\nhello"),
        reply(HEAD + b"Content-Length:\r\n\r\nhello"),
        reply(HEAD + b"no colon\r\n\r\n"),
        reply(HEAD + b": no name\r\n\r\n"),
        reply(HEAD + b"X Y: 1\r\n\r\n"),
        reply(HEAD + b" folded onto nothing\r\n\r\n"),
        reply(HEAD + b"X: " + b"x" * 70_000 + b"\r\n\r\n"),
        reply(HEAD + b"X: 1\r\n" * 20_000 + b"\r\n"),
        reply(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"),
        reply(b"HTTP/1.1 100 Continue\r\n\r\n" * 50),
        reply(b"HTTP/1.1 099 Low\r\n\r\n"),
        reply(b"HTTP/1.1 20 Short\r\n\r\n"),
        reply(b"HTTP/1.1 2000 Long\r\n\r\n"),
        reply(b"HTTP/2 200\r\n\r\n"),
        reply(b"ICY 200 OK\r\n\r\n"),
        reply(b"SSH-2.0-OpenSSH_9.2\r\n"),
        reply(b"\r\n" + HEAD + b"\r\n"),
        reply(bytes(range(256)) * 400),
        reply(b"\n" * 100_000),
        reply(b"x" * 100_000),
        reply(HEAD + b"Content-Length: 1048577\r\n\r\n"),
        reply(HEAD + b"Content-Length: 999999999999999999999\r\n\r\n"),
        flood(HEAD + b"Content-Length: 5242880\r\n\r\n"),
        flood(HEAD + b"\r\n"),
        flood(HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffff\r\n"),
    ],
)
def test_R013_an_answer_that_cannot_be_handed_on_is_502(pos, relay, notification, behave):
    failed = failure(relay, pos(behave), notification)
    assert (failed.kind, failed.status) == ("broken", 502)


def test_an_answer_of_exactly_one_mebibyte_is_handed_on(pos, relay, notification):
    server = pos(reply(HEAD + b"\r\n" + b"x" * (1 << 20)))
    assert len(relay.forward(Upstream.of("c", server.url()), notification()).body) == 1 << 20


@pytest.mark.parametrize(
    "behave",
    [
        hang,
        trickle(b"", b"H"),
        trickle(HEAD, b"X: 1\r\n"),
        trickle(b"HTTP/1.1 100 Continue\r\n\r\n", b"H"),
        trickle(HEAD + b"Content-Length: 100000\r\n\r\n", b"x"),
        trickle(HEAD + b"\r\n", b"x"),
        trickle(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        trickle(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: 1\r\n"),
    ],
)
def test_R010_a_silent_or_trickling_pos_is_504_at_the_deadline(pos, relay, notification, behave):
    failed = failure(relay, pos(behave), notification, timeout_ms=200)
    assert (failed.kind, failed.status) == ("timeout", 504)


def test_R010_a_pos_that_reads_nothing_is_504(pos, relay, notification):
    server = pos(hang, read=False)
    big = notification(b"x" * (64 << 20))
    with pytest.raises(RelayFailed) as caught:
        relay.forward(Upstream.of("c", server.url(), 200), big)
    assert caught.value.kind == "timeout"


def test_R010_a_pos_whose_backlog_is_full_is_504(relay, notification):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = []
        try:
            for _ in range(8):
                filler = socket.socket()
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
                fillers.append(filler)
            with pytest.raises(RelayFailed) as caught:
                relay.forward(Upstream.of("c", f"http://127.0.0.1:{port}", 200), notification())
            assert caught.value.status == 504
        finally:
            for filler in fillers:
                filler.close()


def test_nobody_listening_is_502(relay, notification):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(RelayFailed) as caught:
            relay.forward(Upstream.of("c", f"http://127.0.0.1:{unused.getsockname()[1]}"), notification())
    assert (caught.value.kind, caught.value.status) == ("refused", 502)


def test_the_next_address_is_tried_when_the_first_is_dead(pos, notification):
    server = pos()
    relay = Relay(Guard([*LOOPBACK, "::1"], Names(lambda _: ["::1", "127.0.0.1"])))
    assert relay.forward(Upstream.of("c", f"http://pos.test:{server.port}/"), notification()).body == b"ok"


def test_a_refusal_before_the_body_was_read_is_the_answer(pos, relay, notification):
    def refuse(conn, server):
        conn.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        conn.shutdown(socket.SHUT_WR)
        server.release.wait()

    server = pos(refuse, read=False)
    answer = relay.forward(Upstream.of("c", server.url()), notification(b"x" * 65536))
    assert (answer.status, answer.body) == (413, b"no")


def test_R012_tls_answers_when_the_certificate_is_the_names_own(pos, notification, authority):
    server = pos(tls=server_tls(*authority("pos.test")))
    relay = trusting(authority.path)
    answer = relay.forward(Upstream.of("c", f"https://pos.test:{server.port}/pay"), notification(b"body"))
    assert answer.body == b"ok"
    request = server.requests.popleft()
    assert (request.body, request.all("host")) == (b"body", [f"pos.test:{server.port}"])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("other.test", {}),
        ("pos.test.evil.test", {}),
        ("pos.test", {"self_signed": True}),
        ("pos.test", {"days": (-30, -1)}),
        ("pos.test", {"days": (1, 30)}),
    ],
)
def test_R012_a_certificate_that_does_not_hold_gets_no_request(pos, notification, authority, name, options):
    server = pos(tls=server_tls(*authority(name, **options)))
    with pytest.raises(RelayFailed) as caught:
        trusting(authority.path).forward(Upstream.of("c", f"https://pos.test:{server.port}/"), notification())
    assert (caught.value.kind, caught.value.status) == ("broken", 502)
    assert "certificate" in caught.value.detail
    assert not server.requests


def test_R012_by_default_only_the_systems_authorities_are_trusted(pos, notification, authority):
    server = pos(tls=server_tls(*authority("pos.test")))
    relay = Relay(Guard(LOOPBACK, Names(lambda _: ["127.0.0.1"])))
    with pytest.raises(RelayFailed, match="certificate"):
        relay.forward(Upstream.of("c", f"https://pos.test:{server.port}/"), notification())


def test_tls_towards_a_plain_or_silent_server_fails_in_time(pos, notification, authority):
    plain = pos(reply(OK), read=False)
    relay = trusting(authority.path)
    with pytest.raises(RelayFailed) as caught:
        relay.forward(Upstream.of("c", f"https://pos.test:{plain.port}/"), notification())
    assert caught.value.kind == "broken"
    silent = pos(hang, read=False)
    with pytest.raises(RelayFailed) as caught:
        relay.forward(Upstream.of("c", f"https://pos.test:{silent.port}/", 200), notification())
    assert caught.value.kind == "timeout"


def test_metrics_hear_of_every_outcome(pos, notification):
    heard = []
    relay = Relay(Guard(LOOPBACK), finished=lambda *what: heard.append(what))
    server = pos()
    server.plan(reply(OK), close_at_once)
    relay.forward(Upstream.of("c", server.url()), notification())
    failure(relay, server, notification)
    assert [(name, outcome) for name, outcome, _ in heard] == [("c", "answered"), ("hotpot", "broken")]
    assert all(seconds >= 0 for _, _, seconds in heard)


@pytest.mark.parametrize("kind", ["timeout", "refused", "broken", "breaker_open", "bulkhead_full", "forbidden_address"])
def test_a_failure_is_told_without_address_or_cause(kind):
    failed = RelayFailed(kind, "10.0.0.7: connection refused")
    parts = failure_parts(failed)
    assert parts.status.startswith(str(failed.status))
    assert b"10.0.0.7" not in parts.body
    assert ("Content-Length", str(len(parts.body))) in parts.headers


@pytest.mark.parametrize("timeout_ms", [199, 4001, 0, -1])
def test_a_deadline_outside_the_contract_is_refused(timeout_ms):
    with pytest.raises(ValueError, match="200 to 4000"):
        Upstream.of("c", "https://pos.example", timeout_ms)


def test_unknown_statuses_have_a_status_line(pos, relay, notification):
    server = pos(reply(b"HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n"))
    assert answer_parts(relay.forward(Upstream.of("c", server.url()), notification()), "POST").status == "799 Unknown"


def test_R013_a_dead_pos_takes_its_own_slots_and_nobody_elses(pos, notification):
    """Eight requests hang at one POS; the ninth is turned away at once, another merchant is served."""
    dead, alive = pos(hang), pos()
    relay = Relay(Guard(LOOPBACK), limits=RelayLimits(slots=8, patience_s=0))
    upstream = Upstream.of("dead", dead.url(), 4000)
    outcomes = []

    def request():
        with pytest.raises(RelayFailed) as caught:
            relay.forward(upstream, notification())
        outcomes.append(caught.value.kind)

    threads = [threading.Thread(target=request) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert dead.arrived.acquire(timeout=30)
    with pytest.raises(RelayFailed) as caught:
        relay.forward(upstream, notification())
    assert (caught.value.kind, caught.value.status) == ("bulkhead_full", 503)
    assert relay.forward(Upstream.of("alive", alive.url()), notification()).body == b"ok"
    dead.release.set()
    for thread in threads:
        thread.join()
    assert outcomes == ["broken"] * 8
    assert dead.connections == 8


def test_R013_the_breaker_opens_lets_trials_through_and_closes_when_the_pos_is_back(pos, notification):
    now = [1000.0]
    changes = []
    relay = Relay(Guard(LOOPBACK), breaker_changed=lambda *what: changes.append(what), monotonic=lambda: now[0])
    server = pos(close_at_once)
    upstream = Upstream.of("hotpot", server.url())
    for _ in range(5):
        assert failure(relay, server, notification).kind == "broken"
    assert changes == [("hotpot", "open")]
    assert relay.breaker_is_open("hotpot")
    assert (failure(relay, server, notification).kind, server.connections) == ("breaker_open", 5)
    now[0] += 5
    assert (failure(relay, server, notification).kind, server.connections) == ("broken", 6)
    assert failure(relay, server, notification).kind == "breaker_open"
    server.plan(reply(OK))
    now[0] += 5
    assert relay.forward(upstream, notification()).status == 200
    assert changes == [("hotpot", "open"), ("hotpot", "closed")]
    assert not relay.breaker_is_open("hotpot")
    assert not relay.breaker_is_open("never seen")


def test_another_address_starts_with_a_clean_slate_and_says_so(pos, notification):
    changes = []
    relay = Relay(
        Guard(LOOPBACK), limits=RelayLimits(failures_to_open=1), breaker_changed=lambda *what: changes.append(what)
    )
    failure(relay, pos(close_at_once), notification)
    assert relay.breaker_is_open("hotpot")
    assert relay.forward(Upstream.of("hotpot", pos().url()), notification()).status == 200
    assert not relay.breaker_is_open("hotpot")
    assert changes == [("hotpot", "open"), ("hotpot", "closed")]


def test_whole_paths_to_the_same_pos_share_its_breaker(pos, notification):
    relay = Relay(Guard(LOOPBACK), limits=RelayLimits(failures_to_open=1))
    server = pos(close_at_once)
    failure(relay, server, notification)
    with pytest.raises(RelayFailed, match="breaker_open"):
        relay.forward(Upstream.of("hotpot", server.url("/pay")).origin, notification(tail="/pay"))
    assert server.connections == 1


def test_a_forbidden_address_is_not_the_poses_failure(pos, notification):
    changes = []
    relay = Relay(Guard(LOOPBACK, Names(lambda _: ["10.0.0.1"])), breaker_changed=lambda *what: changes.append(what))
    for _ in range(6):
        with pytest.raises(RelayFailed) as caught:
            relay.forward(Upstream.of("c", "http://pos.test/"), notification())
        assert (caught.value.kind, caught.value.status) == ("forbidden_address", 502)
    assert changes == []


def trusting(root):
    return Relay(Guard(LOOPBACK, Names(lambda _: ["127.0.0.1"])), tls=ssl.create_default_context(cafile=root))


def test_a_process_out_of_descriptors_says_so_in_the_family(relay, notification, monkeypatch):
    def none_left(*_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(socket, "socket", none_left)
    with pytest.raises(RelayFailed, match="Too many open files"):
        relay.forward(Upstream.of("c", "http://127.0.0.1:9"), notification())
