"""Any bytes from an upstream end in an answer or a RelayFailed; a request's target and headers out of a WSGI environ."""

import socket
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.relay import RelayFailed, from_environ, raw_target, split_target
from gateway.relay.headers import end_to_end
from gateway.relay.wire import Deadline, Wire

PARTS = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.0 204\n",
        b"HTTP/1.1 100 \r\n\r\n",
        b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Length: 0\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b" folded\r\n",
        b"\r\n",
        b"\n",
        b"3\r\nabc\r\n",
        b"0\r\n",
        b"abc",
        b"\x00\xff",
    ]
)


def answered(stream, method="POST"):
    """The whole of what a Wire makes of these bytes followed by a closed connection."""
    ours, theirs = socket.socketpair()
    feeder = threading.Thread(target=lambda: (theirs.sendall(stream), theirs.close()))
    feeder.start()
    try:
        with Wire(ours, Deadline(20)) as wire:
            head = wire.head(method)
            return head, b"".join(wire.body(head))
    finally:
        feeder.join()


@settings(deadline=None, max_examples=300)
@given(st.lists(PARTS | st.binary(max_size=8), max_size=14).map(b"".join), st.sampled_from(["POST", "HEAD", "GET"]))
def test_any_bytes_are_an_answer_or_broken(stream, method):
    try:
        head, body = answered(stream, method)
    except RelayFailed as failed:
        assert failed.kind == "broken"
    else:
        assert 200 <= head.status <= 999
        assert body in stream or head.chunked
        assert head.length is None or len(body) == head.length
        assert all(name.isascii() and "\n" not in value and "\r" not in value for name, value in head.headers)


@settings(deadline=None)
@given(st.binary(max_size=300), st.lists(st.integers(1, 60), min_size=1, max_size=8))
def test_chunks_of_any_size_are_put_together_again(body, sizes):
    framed, rest, turn = b"", body, 0
    while rest:
        size = sizes[turn % len(sizes)]
        framed += b"%X;ext=1\r\n%b\r\n" % (len(rest[:size]), rest[:size])
        rest, turn = rest[size:], turn + 1
    stream = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + framed + b"0\r\n\r\n"
    assert answered(stream)[1] == body
    with pytest.raises(RelayFailed):
        answered(stream[: -len(b"0\r\n\r\n")])


@pytest.mark.parametrize(
    ("environ", "target"),
    [
        ({"RAW_URI": "/notify/c/a%2Fb?x=%20"}, "/notify/c/a%2Fb?x=%20"),
        ({"RAW_URI": "//x/../y"}, "//x/../y"),
        ({"RAW_URI": "http://gate.example:8000/notify/c?q"}, "/notify/c?q"),
        ({"RAW_URI": "HTTPS://gate.example"}, "/"),
        ({"RAW_URI": "http://gate.example?q=1"}, "/?q=1"),
        ({"RAW_URI": "*"}, "*"),
        ({"REQUEST_URI": "/r"}, "/r"),
        ({"PATH_INFO": "/n/\xe5\xa5\xb6 b", "QUERY_STRING": "a=1"}, "/n/%E5%A5%B6%20b?a=1"),
        ({"SCRIPT_NAME": "/s", "PATH_INFO": "/n"}, "/s/n"),
        ({}, "/"),
    ],
)
def test_R012_the_target_is_taken_as_the_client_wrote_it(environ, target):
    assert raw_target(environ) == target


def test_a_target_is_split_at_the_first_question_mark():
    assert split_target("/a%3Fb?c?d") == ("/a%3Fb", "c?d")
    assert split_target("/a?") == ("/a", "")
    assert split_target("/a") == ("/a", None)


def test_headers_come_out_of_an_environ_with_their_values():
    environ = {
        "REQUEST_METHOD": "POST",
        "HTTP_WECHATPAY_SIGNATURE": "a==,b==",
        "HTTP_X_LATIN": "\xe9",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": "",
        "HTTP_CONTENT_LENGTH": "9",
        "wsgi.input": None,
    }
    assert from_environ(environ) == (
        ("Wechatpay-Signature", "a==,b=="),
        ("X-Latin", "\xe9"),
        ("Content-Type", "application/json"),
    )


def test_connection_names_what_stays_behind_whatever_its_case():
    headers = [("X-A", "1"), ("CONNECTION", "x-a , X-B,"), ("x-b", "2"), ("X-C", "3")]
    assert end_to_end(headers) == [("X-C", "3")]
