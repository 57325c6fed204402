import re
import struct
import zlib
from xml.etree import ElementTree as ET

import pytest
import segno

from linkgen import qr
from linkgen.receipt import qr_escpos
from linkgen.urls import PRINTED_URL_BYTES, claim_url, fits_print, invite_url

TOKEN = "abcdefghij_-0123456789"


def test_R050_claim_and_invitation_addresses():
    assert claim_url("https://g.example", TOKEN) == f"https://g.example/c/{TOKEN}"
    assert invite_url("https://g.example/", TOKEN) == f"https://g.example/i/{TOKEN}"
    assert claim_url("http://127.0.0.1:8000/gifts/", TOKEN) == f"http://127.0.0.1:8000/gifts/c/{TOKEN}"


@pytest.mark.parametrize(
    "base",
    [
        "",
        "g.example",
        "//g.example",
        "ftp://g.example",
        "https://",
        "https://g.example?a=1",
        "https://g.example#x",
        "javascript:alert(1)",
    ],
)
def test_a_base_that_is_no_address_is_refused(base):
    with pytest.raises(ValueError, match="base URL"):
        claim_url(base, TOKEN)


@pytest.mark.parametrize(
    "token", ["", TOKEN[:-1], TOKEN + "x", TOKEN + "\n", "../" + TOKEN[3:], "é" * 22, "a" * 21 + " "]
)
def test_a_token_of_another_shape_is_refused_and_not_repeated(token):
    with pytest.raises(ValueError, match="22 URL-safe") as caught:
        claim_url("https://g.example", token)
    assert not token or token not in str(caught.value)


def test_R050_a_printed_claim_url_is_version_4_at_most():
    longest = claim_url("https://" + "h" * 29, TOKEN)
    assert len(longest) == PRINTED_URL_BYTES
    assert fits_print(longest)
    assert qr.version(longest) == 4
    assert not fits_print(longest + "x")
    assert qr.version(longest + "x") == 5


def test_version_follows_length_alone():
    # With the library's habits this would be a Micro symbol, or the same one at a higher level.
    assert qr.version("A") == 1


def test_svg_is_the_symbol_in_black_on_white_with_its_quiet_zone():
    url = claim_url("https://g.example", TOKEN)
    root = ET.fromstring(qr.svg(url, scale=1, title="领取 <gift>"))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    side = 17 + 4 * qr.version(url) + 8
    assert root.attrib["width"] == root.attrib["height"] == str(side)
    assert root.find("{*}title").text == "领取 <gift>"
    paths = root.findall("{*}path")
    assert [path.attrib.get("fill", path.attrib.get("stroke")) for path in paths] == ["#fff", "#000"]
    # The first dark run of the drawing lies 4 modules in: the quiet zone of ISO/IEC 18004.
    assert re.match(r"M4 4\.5h7", paths[1].attrib["d"])


def test_png_holds_exactly_the_symbol():
    url = claim_url("https://g.example", TOKEN)
    data = qr.png(url, scale=1)
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, _colour = struct.unpack(">IIBB", data[16:26])
    expected = segno.make(url, error="m", micro=False, boost_error=False)
    matrix = [list(row) for row in expected.matrix_iter(border=4)]
    assert (width, height, depth) == (len(matrix), len(matrix), 1)
    packed = zlib.decompress(data[data.index(b"IDAT") + 4 : data.index(b"IEND") - 8])
    stride = (width + 7) // 8 + 1
    for y, row in enumerate(matrix):
        line = packed[y * stride + 1 : (y + 1) * stride]
        assert packed[y * stride] == 0
        # Bit 0 is black in a greyscale image of one bit.
        assert [1 - (line[x // 8] >> (7 - x % 8) & 1) for x in range(width)] == row


@pytest.mark.parametrize("make", [qr.svg, qr.png, qr.version])
@pytest.mark.parametrize("text", ["", "x" * 3000])
def test_what_no_qr_code_holds_is_refused(make, text):
    with pytest.raises(ValueError):
        make(text)


def test_escpos_bytes_are_those_of_the_command_reference():
    assert qr_escpos("AB", module_dots=6) == bytes.fromhex(
        "1b6101"  # centre
        "1d286b0400 3141 3200"  # model 2
        "1d286b0300 3143 06"  # 6 dots a module
        "1d286b0300 3145 31"  # level M
        "1d286b0500 3150 30 4142"  # store "AB"
        "1d286b0300 3151 30"  # print
        "1b6100"  # left
    )


def test_escpos_counts_long_data_in_two_bytes():
    data = qr_escpos("7" * 300)
    assert b"\x1d(k" + (303).to_bytes(2, "little") + b"1P0" + b"7" * 300 in data


@pytest.mark.parametrize(("text", "dots"), [("", 6), ("领取", 6), ("x" * 7090, 6), ("ok", 0), ("ok", 17)])
def test_escpos_refuses_what_a_printer_would_garble(text, dots):
    with pytest.raises(ValueError):
        qr_escpos(text, module_dots=dots)
