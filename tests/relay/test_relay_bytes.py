"""R012: what reaches the POS is what the platform sent, and what the POS says comes back."""

import gzip

import pytest
from raw_server import reply

from gateway.contract import Refused
from gateway.relay import Hop, Upstream, answer_parts

WECHAT_HEADERS = (
    (
        "Wechatpay-Signature",
        "CtcbzwtQjN8rnOXItEBJ5aQFSnIXESeV28Pr2YEmf9wsDQ8Nx25ytW6FXBCAFdrr0mgqngX3AD9gNzjnNHzSGTPBSsaEkIfhPF4b8YRRTpny88tNLyprXA0GU5ID3DkZHpjFkX1hAp/D0fva2GKjGRLtvYbtUk/OLYqFuzbjt3yOBzJSKQqJsvbXILffgAmX4pKql+Ln+6UPvSCeKwznvtPaEx+9nMBmKu7Wpbqm/+2ksc0XwjD+xlvlECkCxfD/OJ4gN3IurE0fpjxIkvHDiinQmk51BI7zQD8k1znU7r/spPqB+vZjc5ep6DC5wZUpFu5vJ8MoNKjCu8wnzyCFdA==",
    ),
    ("Wechatpay-Timestamp", "1554209980"),
    ("Content-Type", "application/json; charset=utf-8"),
    ("Request-ID", "08F78BB5AF0610D302189F8C8B5A20E4-0"),
)
GBK = "subject=奶茶&trade_status=TRADE_SUCCESS".encode("gbk")
XML = "<xml><return_code><![CDATA[SUCCESS]]></return_code>\r\n<attach>外卖</attach></xml>\n".encode()


def send(relay, server, raw, path="/pay/wx", **options):
    return relay.forward(Upstream.of("hotpot", server.url(path)), raw, **options)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", XML, GBK, b"a=1&b=%2B&a=2", bytes(range(256)) * 256, b"\r\n\r\n0\r\n\r\n", gzip.compress(b"packed")],
    ids=["empty", "json", "xml", "gbk", "form", "all bytes, 64 KiB", "looks like framing", "gzip"],
)
def test_R012_the_body_arrives_byte_for_byte(pos, relay, notification, body):
    server = pos()
    assert send(relay, server, notification(body)).body == b"ok"
    request = server.requests.popleft()
    assert request.body == body
    assert request.all("content-length") == [str(len(body))]
    assert request.all("transfer-encoding") == []


@pytest.mark.parametrize(
    ("upstream", "tail", "query", "expected"),
    [
        ("/pay/wx", "", None, "/pay/wx"),
        ("/pay/wx", "/a%2Fb", None, "/pay/wx/a%2Fb"),
        ("/pay/wx", "/%E5%A5%B6%e8%8c%b6/", None, "/pay/wx/%E5%A5%B6%e8%8c%b6/"),
        ("/pay/wx", "//x;v=1/./y", None, "/pay/wx//x;v=1/./y"),
        ("/pay/wx", "/a/../b", None, "/pay/wx/a/../b"),
        ("/pay/wx", "/%zz%", None, "/pay/wx/%zz%"),
        ("/pay/wx", "/\xe5\xa5\xb6", None, "/pay/wx/\xe5\xa5\xb6"),
        ("/pay/wx/", "/a", None, "/pay/wx//a"),
        ("", "", None, "/"),
        ("/", "/x", None, "/x"),
        ("", "/x", "", "/x?"),
        ("/pay", "", "a=%20&a=+&b", "/pay?a=%20&a=+&b"),
        ("/p?route=wx", "", None, "/p?route=wx"),
        ("/p?route=wx", "/t", "b=2?3", "/p/t?route=wx&b=2?3"),
    ],
)
def test_R012_path_tail_and_query_arrive_as_they_came(pos, relay, notification, upstream, tail, query, expected):
    server = pos()
    send(relay, server, notification(tail=tail), upstream, query=query)
    assert server.requests.popleft().target == expected


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"])
def test_R012_any_method_is_relayed(pos, relay, notification, method):
    server = pos()
    send(relay, server, notification(b"", method=method))
    request = server.requests.popleft()
    assert request.method == method
    assert request.all("content-length") == (["0"] if method in ("POST", "PUT", "PATCH") else [])


def test_R012_headers_keep_value_order_and_repeats(pos, relay, notification):
    server = pos()
    headers = (
        *WECHAT_HEADERS,
        ("X-Twice", "1"),
        ("Accept-Encoding", "gzip, br"),
        ("X-Twice", " 2,  3 "),
        ("X-Empty", ""),
        ("X-Latin", "\xe9"),
        ("Expect", "100-continue"),
    )
    send(relay, server, notification(headers=headers))
    request = server.requests.popleft()
    ours = {"Host", "Connection", "Via", "Content-Length"}
    assert [(name, value) for name, value in request.headers if name not in ours] == list(headers)
    assert request.all("host") == [f"127.0.0.1:{server.port}"]


def test_R012_hop_by_hop_framing_and_underscored_headers_stay_behind(pos, relay, notification):
    server = pos()
    headers = (
        ("Host", "gateway.example"),
        ("Connection", "keep-alive, X-Only-Here"),
        ("connection", "x-nor-this"),
        ("X-Only-Here", "1"),
        ("X-Nor-This", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "999"),
        ("TE", "trailers"),
        ("Trailer", "X"),
        ("Upgrade", "h2c"),
        ("Proxy-Authorization", "Basic eA=="),
        ("Proxy-Connection", "keep-alive"),
        ("Wechatpay_Signature", "forged"),
        ("X-Kept", "1"),
    )
    send(relay, server, notification(b"body", headers=headers))
    request = server.requests.popleft()
    assert {name.lower() for name, _ in request.headers} == {
        "host",
        "connection",
        "x-kept",
        "via",
        "x-forwarded-host",
        "content-length",
    }
    assert request.all("host") == [f"127.0.0.1:{server.port}"]
    assert request.all("content-length") == ["4"]
    assert request.body == b"body"


def test_only_via_and_x_forwarded_are_added_and_nothing_that_came_is_rewritten(pos, relay, notification):
    server = pos()
    hop = Hop(source="203.0.113.9", scheme="https")
    send(relay, server, notification(headers=[("Host", "g.example")]), hop=hop)
    first = server.requests.popleft()
    assert first.all("x-forwarded-for") == ["203.0.113.9"]
    assert first.all("x-forwarded-proto") == ["https"]
    assert first.all("x-forwarded-host") == ["g.example"]
    came = [
        ("X-Forwarded-For", "198.51.100.1"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Host", "front.example"),
        ("Via", "1.0 fred"),
    ]
    send(relay, server, notification(headers=came), hop=hop)
    second = server.requests.popleft()
    assert second.all("x-forwarded-for") == ["198.51.100.1", "203.0.113.9"]
    assert second.all("x-forwarded-proto") == ["http"]
    assert second.all("x-forwarded-host") == ["front.example"]
    assert second.all("via") == ["1.0 fred", "1.1 drainage-gateway"]


@pytest.mark.parametrize("status", [200, 201, 202, 301, 302, 307, 308, 401, 404, 429, 500, 503, 599, 799])
def test_R012_every_status_comes_back_and_no_redirect_is_followed(pos, relay, notification, status):
    server = pos(
        reply(b"HTTP/1.1 %d Whatever\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 4\r\n\r\nbody" % status)
    )
    answer = send(relay, server, notification())
    assert (answer.status, answer.body) == (status, b"body")
    assert ("Location", "http://127.0.0.1:1/") in answer.headers
    assert server.connections == 1


def test_R012_the_answer_keeps_its_headers_and_repeats_apart(pos, relay, notification):
    server = pos(
        reply(
            b"HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 04:00:00 GMT\r\nServer: till/1\r\nSet-Cookie: a=1\r\n"
            b"Content-Type: text/html; charset=gbk\r\nset-cookie: b=2, c\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n"
            b"Keep-Alive: timeout=5\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\nX-Latin: \xe9\r\n\r\n\x1f\x8b\x08"
        )
    )
    parts = answer_parts(send(relay, server, notification()), "POST")
    assert parts.status == "200 OK"
    assert parts.headers == [
        ("Set-Cookie", "a=1"),
        ("Content-Type", "text/html; charset=gbk"),
        ("set-cookie", "b=2, c"),
        ("Content-Encoding", "gzip"),
        ("X-Latin", "\xe9"),
        ("Content-Length", "3"),
    ]
    assert parts.body == b"\x1f\x8b\x08"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\nContent-Length: 5\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more", b"hello"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2 \r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n",
            b"hello",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 2\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            b"hello",
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 \xba\xc3\xb5\xc4\r\n\r\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", b"hello"),
        (b"HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nX-Space : c\r\n\r\nhello", b"hello"),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello",
            b"hello",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
    ],
)
def test_every_way_a_till_may_frame_its_answer(pos, relay, notification, answer, body):
    assert send(relay, pos(reply(answer)), notification()).body == body


def test_a_folded_header_is_one_value_and_a_control_character_a_space(pos, relay, notification):
    server = pos(reply(b"HTTP/1.1 200 OK\r\nX-F: a\r\n\t b\r\nX-C: 1\x002\r\nContent-Length: 0\r\n\r\n"))
    assert answer_parts(send(relay, server, notification()), "POST").headers == [
        ("X-F", "a b"),
        ("X-C", "1 2"),
        ("Content-Length", "0"),
    ]


@pytest.mark.parametrize(
    ("method", "answer", "length"),
    [
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", "500"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "9"),
        ("POST", b"HTTP/1.1 204 No Content\r\n\r\n", None),
        ("POST", b"HTTP/1.1 200 OK\r\n\r\n", "0"),
    ],
)
def test_answers_without_a_body_by_nature(pos, relay, notification, method, answer, length):
    parts = answer_parts(send(relay, pos(reply(answer)), notification(b"", method=method)), method)
    assert parts.body == b""
    assert dict(parts.headers).get("Content-Length") == length


@pytest.mark.parametrize(
    "tail",
    [
        "x",
        "/a b",
        "/a\r\nX: 1",
        "/\x00",
        "/\u4e2d",
        "/..",
        "/../admin",
        "/a/../../admin",
        "/%2e%2e/admin",
        "/..%2fadmin",
        "/.%2E%5cadmin",
        "/..\\admin",
        "/..;x/admin",
        "//a/..//../x",
    ],
)
def test_a_tail_that_cannot_be_passed_on_or_climbs_out_is_refused_before_the_network(pos, relay, notification, tail):
    server = pos()
    with pytest.raises(Refused) as caught:
        send(relay, server, notification(tail=tail))
    assert caught.value.status == 400
    assert server.connections == 0


@pytest.mark.parametrize("query", ["a b", "a\r\nb", "\u4e2d"])
def test_a_query_that_cannot_be_passed_on_is_refused(pos, relay, notification, query):
    with pytest.raises(Refused):
        send(relay, pos(), notification(), query=query)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("CONNECT", ()),
        ("", ()),
        ("GE T", ()),
        ("POST", [("X", "1\r\nY: 2")]),
        ("POST", [("X", "\u4e2d")]),
        ("POST", [("X Y", "1")]),
        ("POST", [("", "1")]),
        ("POST", [("X\r\nY", "1")]),
    ],
)
def test_a_method_or_header_that_is_none_is_refused_before_the_network(pos, relay, notification, method, headers):
    server = pos()
    with pytest.raises(Refused):
        send(relay, server, notification(method=method, headers=headers))
    assert server.connections == 0
