import hashlib
import itertools
import random as stdlib_random
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgen.codes import ALPHABET, grouped, is_code, new_code, normalise


def seeded(seed):
    return stdlib_random.Random(seed).randbytes


codes = st.integers(min_value=0).map(lambda seed: new_code(seeded(seed)))


def test_R059_alphabet_has_31_symbols_and_none_that_look_alike():
    assert len(set(ALPHABET)) == 31
    assert not set(ALPHABET) & set("0O1IL")


@given(codes)
def test_R059_a_code_is_twelve_symbols_and_a_check_symbol(code):
    assert len(code) == 13
    assert set(code) <= set(ALPHABET)
    assert is_code(code)


@given(codes)
def test_R059_every_single_wrong_symbol_is_caught(code):
    for position, symbol in itertools.product(range(13), ALPHABET):
        if symbol != code[position]:
            assert not is_code(code[:position] + symbol + code[position + 1 :])


@given(codes)
def test_R059_every_swap_of_two_symbols_is_caught(code):
    for i, j in itertools.combinations(range(13), 2):
        if code[i] != code[j]:
            symbols = list(code)
            symbols[i], symbols[j] = symbols[j], symbols[i]
            assert not is_code("".join(symbols))


def test_the_check_symbol_stays_what_printed_codes_carry():
    # Worked by hand: 1·1 + 2·2 + … with values 1..12 is 650; c = -650 / 13 = -50 = 12 (mod 31).
    assert is_code(ALPHABET[1:13] + ALPHABET[12])
    assert new_code(lambda n: bytes(n)) == "2" * 13


def test_symbols_are_unbiased_at_the_edge_of_a_byte():
    # 248 to 255 would make the first eight symbols likelier; they are not used at all.
    feed = itertools.cycle([248, 255, 0, 247])
    assert new_code(lambda n: bytes(next(feed) for _ in range(n)))[:12] == "2Z" * 6


def test_symbols_are_equally_frequent():
    source = seeded("frequency")
    counts = dict.fromkeys(ALPHABET, 0)
    for _ in range(4000):
        for symbol in new_code(source)[:12]:
            counts[symbol] += 1
    expected = 48000 / 31
    # chi-square with 30 degrees of freedom; 70 is beyond the 99.99th percentile and the seed is fixed.
    assert sum((n - expected) ** 2 / expected for n in counts.values()) < 70


@pytest.mark.parametrize(
    "typed",
    [
        "{g}",
        " {g} ",
        "{l}",
        "\u200b{g}\n",
        "{g}".replace("-", "–"),
        "{em}",
        "{minus}",
        "{wide}",
        "{spaced}",
    ],
)
def test_R059_what_people_type_is_understood(typed):
    code = new_code(seeded(7))
    dashed = grouped(code)
    text = typed.format(
        g=dashed,
        l=dashed.lower(),
        em=dashed.replace("-", "—"),
        minus=dashed.replace("-", "\u2212"),
        wide="".join(chr(ord(c) + 0xFEE0) for c in dashed),
        spaced="\u3000".join(code),
    )
    assert normalise(text) == code
    assert is_code(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "ß" * 6 + "2",
        "0" * 13,
        "2" * 12,
        "2" * 14,
        "２" * 5000,
        "2222-2222-2222-3",
        "\x00" * 13,
        "二" * 13,
        "é" * 13,
        "ﷺ" * 90,
    ],
)
def test_what_is_no_code_is_no_code(text):
    assert not is_code(text)


@given(st.text() | st.text(ALPHABET + "- \u3000", min_size=11, max_size=16))
def test_any_text_is_judged_by_its_normal_form_alone(text):
    code = normalise(text)
    assert is_code(text) == is_code(code)
    if is_code(text):
        assert grouped(code).replace("-", "") == code


def test_nothing_is_invented_from_other_letters():
    assert normalise("ß") == "ß"
    assert unicodedata.normalize("NFKC", "ⓗ") == "h"
    assert normalise("ⓗ") == "H"


def test_grouped_as_printed():
    assert grouped("H7KQ2M9WXT4B5") == "H7KQ-2M9W-XT4B-5"


def test_codes_do_not_repeat_across_a_digest_driven_source():
    counter = itertools.count()

    def source(n):
        return b"".join(hashlib.sha256(b"%d" % next(counter)).digest() for _ in range(n // 32 + 1))[:n]

    made = {new_code(source) for _ in range(2000)}
    assert len(made) == 2000
