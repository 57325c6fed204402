"""The form decoder against the standard library's, and every lax or broken shape."""

from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.alipay.form import MAX_BODY, read_form
from gateway.contract import Malformed

KEPT = settings(database=None, deadline=None, max_examples=300, derandomize=True)
LATIN = st.text(st.characters(min_codepoint=2, max_codepoint=255), max_size=20)


def fields(body: bytes):
    return dict(read_form(body).fields)


def library(body: bytes):
    """What the standard library reads, as bytes."""
    pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True, encoding="latin-1", max_num_fields=None)
    return {name.encode("latin-1"): value.encode("latin-1") for name, value in pairs}


@KEPT
@given(st.dictionaries(LATIN.filter(bool), LATIN, min_size=1, max_size=8))
def test_what_an_encoder_writes_is_read_back(told):
    body = urlencode(told, encoding="latin-1").encode()
    expected = {name.encode("latin-1"): value.encode("latin-1") for name, value in told.items()}
    form = read_form(body)
    assert form.fields == expected == library(body)
    assert form.text_without(()) == b"&".join(name + b"=" + expected[name] for name in sorted(expected))


@KEPT
@given(st.text("ab=&+%2641cC\\_;/\x7f\xff", max_size=30))
def test_whatever_the_shape_it_reads_as_the_library_or_refuses(text):
    body = text.encode("latin-1")
    try:
        found = fields(body)
    except Malformed:
        return
    assert found == library(body)


@KEPT
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_malformed(body):
    try:
        found = fields(body)
    except Malformed:
        return
    assert found


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"a=1", {b"a": b"1"}),
        (b"a=", {b"a": b""}),
        (b"a", {b"a": b""}),
        (b"&a=1&&b=2&", {b"a": b"1", b"b": b"2"}),
        (b"a=b=c&d", {b"a": b"b=c", b"d": b""}),
        (b"sign=ab%2Bc==", {b"sign": b"ab+c=="}),
        (b"a=1+2%2B3", {b"a": b"1 2+3"}),
        (b"a=100%2525", {b"a": b"100%25"}),
        (b"a=%3D%26%25", {b"a": b"=&%"}),
        (b"a%3Db=c", {b"a=b": b"c"}),
        (b"a=%e4%BD%a0", {b"a": "你".encode()}),
        (b"a=\xe4\xbd\xa0", {b"a": "你".encode()}),
        (b"a=x%0D%0Ay_z", {b"a": b"x\r\ny_z"}),
        (b"a= %20+ ", {b"a": b"    "}),
    ],
)
def test_shapes_that_are_read(body, expected):
    """R006: regression list no. 4 (blank values), 6 (`%` `+` `&` `=`), 12 (decoded once)."""
    assert fields(body) == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"&",
        b"&&&",
        b"a=1&a=1",
        b"a=1&b=2&%61=3",
        b"a&a=",
        b"a=%",
        b"a=%4",
        b"a=%zz",
        b"a=%%41",
        b"a=%4%41",
        b"a=%u4F60",
        b"a=1\n",
        b"a=%\nb",
        b"a=1\r\n&b=2",
        b"a=\x00",
        b"a=%00",
        b"a=1%01b=2",
        b"a=\x01",
        b"a" * (MAX_BODY + 1),
    ],
)
def test_shapes_that_are_refused(body):
    with pytest.raises(Malformed):
        read_form(body)


def test_the_largest_body_is_still_read():
    assert fields(b"a=" + b"x" * (MAX_BODY - 2)) == {b"a": b"x" * (MAX_BODY - 2)}


def test_names_sort_as_bytes_though_one_begins_another():
    """`a1` comes after `a` though `1` sorts before `=`."""
    assert read_form(b"a1=x&a=y&a.b=z&A=0").text_without(()) == b"A=0&a=y&a.b=z&a1=x"


@pytest.mark.parametrize(
    ("charset", "codec"), [("utf-8", "utf-8"), ("UTF-8", "utf-8"), ("GBK", "gbk"), ("gb2312", "gbk")]
)
def test_known_charsets(charset, codec):
    assert read_form(f"charset={charset}".encode()).codec() == codec


@pytest.mark.parametrize("body", [b"a=1", b"charset=", b"charset=latin-1", b"charset=utf-16", b"charset=%ff"])
def test_other_charsets_are_refused(body):
    with pytest.raises(Malformed, match="charset"):
        read_form(body).codec()
