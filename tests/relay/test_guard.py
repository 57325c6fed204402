"""R012: which addresses the gateway talks to; a table of those that it must not."""

import ipaddress
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from raw_server import OK, RawServer, reply

from gateway.relay import BadUpstream, Guard, Relay, RelayFailed, Upstream, parse_url
from gateway.relay.guard import Pinned
from gateway.relay.names import Names
from gateway.relay.wire import Deadline

NOT_GLOBAL = """
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 127.0.0.1 127.255.255.254
169.254.0.1 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1
192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1
255.255.255.255
:: ::1 ::2 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1
64:ff9b::10.0.0.1 64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b:1::8.8.8.8 100::1 2001::1
2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1 2001:db8::1 2002:7f00:1::1 2002:a00:1::1
2002:808:808::1 3fff::1 3fff:fff:ffff::1 4000::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 febf::1 fec0::1 ff02::1 ff0e::1
""".split()
GLOBAL = """
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.1 100.63.255.255 100.128.0.1 126.255.255.255 128.0.0.1 169.253.0.1 172.15.0.1
172.32.0.1 192.0.1.1 192.167.0.1 192.169.0.1 198.17.0.1 198.20.0.1 223.255.255.255
2400:3200::1 2001:200::1 2001:4860:4860::8888 2620:fe::fe ::ffff:8.8.8.8 64:ff9b::8.8.8.8 3ffe::1
""".split()


def bracketed(address):
    return f"[{address}]" if ":" in address else address


def soon():
    return Deadline(5)


@pytest.mark.parametrize("address", NOT_GLOBAL)
def test_R012_a_non_global_literal_is_refused_unless_listed(address):
    url = f"https://{bracketed(address)}/pay"
    with pytest.raises(BadUpstream) as caught:
        Guard().check_literal(url)
    assert caught.value.reason == "address"
    with pytest.raises(RelayFailed) as failed:
        Guard().resolve(parse_url(url), soon())
    assert (failed.value.kind, failed.value.status) == ("forbidden_address", 502)
    unwrapped = getattr(ipaddress.ip_address(address), "ipv4_mapped", None) or ipaddress.ip_address(address)
    assert Guard([str(unwrapped)]).check_literal(url).secure


@pytest.mark.parametrize("address", NOT_GLOBAL)
def test_R012_a_name_that_resolves_to_a_non_global_address_is_refused(address):
    guard = Guard(names=Names(lambda _: ["8.8.8.8", address]))
    with pytest.raises(RelayFailed, match="forbidden_address"):
        guard.resolve(parse_url("https://pos.example"), soon())


@pytest.mark.parametrize("address", GLOBAL)
def test_a_global_address_is_for_https_alone(address):
    Guard().check_literal(f"https://{bracketed(address)}")
    with pytest.raises(BadUpstream) as caught:
        Guard().check_literal(f"http://{bracketed(address)}")
    assert caught.value.reason == "plain_http"
    guard = Guard(names=Names(lambda _: [address]))
    assert guard.resolve(parse_url("https://pos.example"), soon())
    with pytest.raises(RelayFailed, match="forbidden_address"):
        guard.resolve(parse_url("http://pos.example"), soon())


def test_a_listed_network_admits_its_own_addresses_and_no_others():
    guard = Guard(["10.1.0.0/16", "fd00::/8"])
    for url in ("http://10.1.2.3:8080/pay", "https://10.1.2.3", "http://[fd00::5]/", "http://[::ffff:10.1.2.3]/"):
        guard.check_literal(url)
    for url in ("http://10.2.0.1", "http://127.0.0.1", "http://[fe80::1]", "http://[64:ff9b::10.1.2.3]"):
        with pytest.raises(BadUpstream):
            guard.check_literal(url)


def test_an_ipv4_address_in_ipv6_clothes_is_connected_to_as_what_it_is():
    assert Guard(["127.0.0.0/8"]).resolve(parse_url("http://[::ffff:7f00:1]:81"), soon()) == (Pinned("127.0.0.1", 81),)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "url"),
        ("ftp://pos.example/", "scheme"),
        ("file:///etc/passwd", "scheme"),
        ("gopher://pos.example/", "scheme"),
        ("unix:/run/pos.sock", "scheme"),
        ("//pos.example/", "scheme"),
        ("pos.example/pay", "scheme"),
        ("https:pos.example", "scheme"),
        ("https:/pos.example", "scheme"),
        ("https://user@pos.example/", "userinfo"),
        ("https://user:pw@pos.example/", "userinfo"),
        ("https://8.8.8.8@127.0.0.1/", "userinfo"),
        ("https://@pos.example/", "userinfo"),
        ("https://pos.example:0/", "port"),
        ("https://pos.example:65536/", "port"),
        ("https://pos.example:+80/", "port"),
        ("https://pos.example:8a/", "port"),
        ("https://pos.example/#f", "fragment"),
        ("https://", "host"),
        ("https:///pay", "host"),
        ("https://:443/", "host"),
        ("https://.example/", "host"),
        ("https://a..b/", "host"),
        ("https://-a.example/", "host"),
        ("https://a%2eb/", "host"),
        ("https://%31%32%37.0.0.1/", "host"),
        ("https://" + "a" * 64 + ".example/", "host"),
        ("https://" + "a." * 130 + "example/", "host"),
        ("https://127.1/", "host"),
        ("https://2130706433/", "host"),
        ("https://0x7f000001/", "host"),
        ("https://0x7f.1/", "host"),
        ("https://0177.0.0.1/", "host"),
        ("https://127.0.0.1./", "host"),
        ("https://127.0.0.0x1/", "host"),
        ("https://1.2.3.4.5/", "host"),
        ("https://256.1.1.1/", "host"),
        ("https://[::1/", "host"),
        ("https://[::1%25eth0]/", "host"),
        ("https://[fe80::1%1]/", "host"),
        ("https://[v1.x]/", "host"),
        ("https://[pos.example]/", "host"),
        ("https://pos.example\\@127.0.0.1/", "url"),
        ("https://pos.ex\tample/", "url"),
        ("https://pos.example/\r\nHost: x", "url"),
        (" https://pos.example/", "url"),
        ("https://pos example/", "url"),
        ("https://饭店.example/", "url"),
        ("https://１２７.0.0.1/", "url"),
        ("https://127。0。0。1/", "url"),
    ],
)
def test_an_upstream_that_holds_no_plain_address_is_refused_with_its_reason(url, reason):
    with pytest.raises(BadUpstream) as caught:
        Guard(["0.0.0.0/0", "::/0"]).check_literal(url)
    assert caught.value.reason == reason


@given(st.text() | st.text("htps:/@[]%.0123456789abcxf#?\\"))
def test_any_text_is_parsed_or_refused(text):
    try:
        target = parse_url(text)
    except BadUpstream:
        return
    assert target.host
    assert 1 <= target.port <= 65535


@given(st.ip_addresses())
def test_what_the_guard_admits_python_never_calls_private(address):
    if Guard().admits(address, secure=True):
        assert not (address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified)
        inner = ipaddress.ip_address(int(address) & 0xFFFFFFFF) if str(address).startswith("64:ff9b::") else address
        assert inner.is_global


@pytest.mark.parametrize("answer", ["fe80::1%eth0", "fe80::1%1", "pos.local", "", "127.0.0.1 "])
def test_what_a_resolver_should_not_say_is_refused(answer):
    guard = Guard(["::/0", "0.0.0.0/0"], Names(lambda _: [answer]))
    with pytest.raises(RelayFailed, match="forbidden_address"):
        guard.resolve(parse_url("https://pos.example"), soon())


def test_R012_a_name_that_changes_its_mind_is_judged_at_each_use_and_pinned(relay, notification):
    """Rebinding: good when vetted, bad when connected to. The name is asked once, and that answer is used."""
    asked = []

    def rebinding(host):
        asked.append(host)
        return ["127.0.0.1"] if len(asked) % 2 else ["127.0.0.2"]

    good, other = RawServer(reply(OK)), None
    try:
        other = RawServer(reply(OK), host="127.0.0.2")
        relay = Relay(Guard(["127.0.0.1/32"], Names(rebinding, fresh_s=0)))
        upstream = Upstream.of("c", f"http://rebind.test:{good.port}/pay")
        assert relay.forward(upstream, notification()).status == 200
        assert asked == ["rebind.test"]
        assert good.requests.popleft().all("host") == [f"rebind.test:{good.port}"]
        with pytest.raises(RelayFailed, match="forbidden_address"):
            relay.forward(upstream, notification())
        assert (good.connections, other.connections) == (1, 0)
    finally:
        good.close()
        if other:
            other.close()


def test_names_are_asked_once_while_fresh_and_remembered_when_the_resolver_dies():
    now = [0.0]
    answers = iter([["8.8.8.8"], OSError("dead"), OSError("dead"), ["9.9.9.9"]])
    asked = []

    def lookup(host):
        asked.append(host)
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    names = Names(lookup, lambda: now[0], fresh_s=30, stale_s=100)
    assert names.addresses("a", soon()) == ("8.8.8.8",)
    now[0] = 29
    assert names.addresses("a", soon()) == ("8.8.8.8",)
    assert len(asked) == 1
    now[0] = 50
    assert names.addresses("a", soon()) == ("8.8.8.8",)
    now[0] = 101
    with pytest.raises(RelayFailed) as caught:
        names.addresses("a", soon())
    assert (caught.value.kind, caught.value.status) == ("refused", 502)
    assert names.addresses("a", soon()) == ("9.9.9.9",)
    assert len(asked) == 4


def test_R010_a_resolver_that_hangs_costs_no_more_than_the_deadline_and_one_thread():
    release = threading.Event()
    asked = []

    def hanging(host):
        asked.append(host)
        release.wait()
        return ["8.8.8.8"]

    names = Names(hanging)
    try:
        for _ in range(3):
            with pytest.raises(RelayFailed) as caught:
                names.addresses("slow", Deadline(0.02))
            assert (caught.value.kind, caught.value.status) == ("timeout", 504)
        assert asked == ["slow"]
    finally:
        release.set()
    assert names.addresses("slow", soon()) == ("8.8.8.8",)


def test_a_name_without_addresses_is_nobody_there():
    with pytest.raises(RelayFailed, match="refused"):
        Guard(names=Names(lambda _: [])).resolve(parse_url("https://pos.example"), soon())


def test_the_systems_own_resolver_is_used_by_default():
    pinned = Guard(["127.0.0.0/8", "::1"]).resolve(parse_url("http://localhost:81"), soon())
    assert Pinned("127.0.0.1", 81) in pinned
