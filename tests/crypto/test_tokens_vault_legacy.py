"""Tokens, the vault, and the old ciphers."""

import hmac
import pickle
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import legacy, mac, tokens
from crypto.errors import DecryptFailed, KeyMaterialError, UnknownDataKey
from crypto.vault import MasterKey, Vault

QUICK = settings(database=None, deadline=None, derandomize=True, max_examples=80)
KEY_A, KEY_B, INDEX = (bytes([n]) * 32 for n in (1, 2, 3))


def counting():
    """A source of bytes that never repeats, and that tests can follow."""
    state = {"n": 0}

    def random(n):
        state["n"] += 1
        return state["n"].to_bytes(n, "big")

    return random


def vault(active="a", keys=None):
    return Vault(keys or {"a": KEY_A, "b": KEY_B}, active, INDEX, random=counting())


# Tokens.


def test_r050_a_link_token_is_16_bytes_of_the_mac():
    wanted = urlsafe_b64encode(hmac.digest(KEY_A, b"l_01", "sha256")[:16]).rstrip(b"=").decode()
    assert tokens.link_token(KEY_A, "l_01") == wanted
    assert len(wanted) == 22


def test_r050_another_link_or_key_gives_another_token():
    made = {tokens.link_token(key, name) for key in (KEY_A, KEY_B) for name in ("l_01", "l_02", "")}
    assert len(made) == 6


@QUICK
@given(st.binary(min_size=32, max_size=32), st.text(max_size=40))
def test_r050_every_token_looks_like_one(key, name):
    assert tokens.looks_like_token(tokens.link_token(key, name))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A" * 21,
        "A" * 23,
        "A" * 21 + "B",
        "A" * 21 + "=",
        "A" * 20 + "+A",
        "A" * 22 + "\n",
        "Ａ" * 22,
        "A" * 21 + "\0",
    ],
)
def test_r050_what_cannot_be_a_token(text):
    assert not tokens.looks_like_token(text)


def test_r050_the_store_holds_the_digest():
    token = tokens.new_token(lambda n: bytes(range(n)))
    assert token == "AAECAwQFBgcICQoLDA0ODw"
    assert tokens.token_digest(token).hex() == mac.sha256(b"AAECAwQFBgcICQoLDA0ODw").hex()
    assert tokens.token_digest(token) != tokens.token_digest(token.lower())


# The master key.


def test_a_master_key_survives_as_text():
    key = MasterKey.new(counting())
    again = MasterKey.from_text("  " + key.to_text() + "\n")
    assert again.derive("x") == key.derive("x")
    assert key.derive("x") != key.derive("y")
    assert len(key.derive("x")) == 32


@pytest.mark.parametrize(
    "text",
    [
        "",
        "drainage-master-1:",
        "drainage-master-1:AAAA",
        "drainage-master-2:" + "A" * 43 + "=",
        "A" * 44,
        "drainage-master-1:!!!!",
    ],
)
def test_what_is_no_master_key(text):
    with pytest.raises(KeyMaterialError):
        MasterKey.from_text(text)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_master_key_has_32_bytes(size):
    with pytest.raises(KeyMaterialError):
        MasterKey(bytes(size))


def test_hkdf_is_the_published_one():
    """RFC 5869 with an empty salt: extract with 32 zero bytes, expand once."""
    extracted = hmac.digest(bytes(32), KEY_A, "sha256")
    assert MasterKey(KEY_A).derive("purpose") == hmac.digest(extracted, b"purpose\x01", "sha256")


def test_wrapped_keys_open_under_their_id_and_master_only():
    master, random = MasterKey(KEY_A), counting()
    wrapped = master.wrap("k1", KEY_B, random)
    assert master.unwrap("k1", wrapped) == KEY_B
    assert KEY_B not in wrapped
    for opener, key_id, bytes_ in (
        (master, "k2", wrapped),
        (MasterKey(KEY_B), "k1", wrapped),
        (master, "k1", wrapped[:-1]),
        (master, "k1", b""),
        (master, "k1", wrapped[:8]),
    ):
        with pytest.raises(DecryptFailed):
            opener.unwrap(key_id, bytes_)


# The vault.


@QUICK
@given(st.binary(max_size=200), st.binary(max_size=40))
def test_sealed_bytes_open_with_what_they_are_bound_to(plain, aad):
    assert vault().open(vault().seal(plain, aad), aad) == plain
    with pytest.raises(DecryptFailed):
        vault().open(vault().seal(plain, aad), aad + b"x")


def test_every_bit_of_sealed_bytes_counts():
    sealed = vault().seal(b"o12345", b"row")
    for place in range(len(sealed)):
        for bit in range(8):
            damaged = bytearray(sealed)
            damaged[place] ^= 1 << bit
            with pytest.raises(DecryptFailed):
                vault().open(bytes(damaged), b"row")


def test_every_cut_of_sealed_bytes_is_refused():
    sealed = vault().seal(b"o12345", b"")
    for end in range(len(sealed)):
        with pytest.raises(DecryptFailed):
            vault().open(sealed[:end], b"")


def test_the_key_id_is_bound_though_both_keys_are_the_same():
    same = {"a": KEY_A, "b": KEY_A}
    sealed = Vault(same, "a", INDEX).seal(b"x", b"")
    with pytest.raises(DecryptFailed):
        Vault(same, "a", INDEX).open(sealed.replace(b"\x01\x01a", b"\x01\x01b", 1), b"")


def test_rotation_old_bytes_open_new_ones_take_the_new_key():
    old = vault("a").seal(b"x", b"")
    assert vault("b").open(old, b"") == b"x"
    assert vault("b").key_id_of(old) == "a"
    assert vault("b").key_id_of(vault("b").seal(b"x", b"")) == "b"


def test_an_unknown_data_key_is_named():
    sealed = vault("b").seal(b"x", b"")
    with pytest.raises(UnknownDataKey) as caught:
        vault("a", {"a": KEY_A}).open(sealed, b"")
    assert caught.value.key_id == "b"
    assert vault("a", {"a": KEY_A}).key_id_of(sealed) == "b"


def test_nonces_differ():
    one = Vault({"a": KEY_A}, "a", INDEX)
    assert len({one.seal(b"same", b"") for _ in range(200)}) == 200


@pytest.mark.parametrize(
    ("keys", "active", "index"),
    [
        ({"a": KEY_A}, "b", INDEX),
        ({"a": KEY_A[:16]}, "a", INDEX),
        ({"a": KEY_A}, "a", INDEX[:-1]),
        ({"": KEY_A}, "", INDEX),
        ({"é" * 128: KEY_A}, "é" * 128, INDEX),
        ({}, "a", INDEX),
    ],
)
def test_a_vault_needs_right_keys(keys, active, index):
    with pytest.raises(KeyMaterialError):
        Vault(keys, active, index)


def test_r016_a_blind_index_is_equal_for_equals_only():
    one = vault()
    assert one.blind("wechat", "wx1", "o1") == vault("b").blind("wechat", "wx1", "o1")
    parts = [("a", "bc"), ("ab", "c"), ("abc",), ("abc", ""), ("", "abc"), ("a", "b", "c"), ()]
    assert len({one.blind(*some) for some in parts}) == len(parts)
    assert {len(one.blind(*some)) for some in parts} == {16}
    assert Vault({"a": KEY_A}, "a", KEY_B).blind("x") != one.blind("x")


def test_r016_a_pseudonym_tells_nothing_of_the_blind_index():
    one = vault()
    name = one.pseudonym("wechat", "wx1", "o1")
    assert name == one.pseudonym("wechat", "wx1", "o1")
    assert len(name) == 12
    assert bytes.fromhex(name) not in one.blind("wechat", "wx1", "o1")
    assert name != one.pseudonym("wechat", "wx1", "o2")


def test_no_secret_shows_itself():
    shown = repr([MasterKey(KEY_A), vault(), MasterKey.new(counting())])
    assert shown == "[MasterKey(…), Vault(<2 data keys>), MasterKey(…)]"
    for holder in (MasterKey(KEY_A), vault()):
        with pytest.raises(TypeError):
            pickle.dumps(holder)


# The old ciphers.


@pytest.mark.parametrize(
    ("seal", "open_"),
    [
        (legacy.ecb_encrypt, legacy.ecb_decrypt),
        (legacy.cbc_encrypt, legacy.cbc_decrypt),
        (lambda key, plain: legacy.cbc_prefixed_encrypt(key, plain, b"i" * 16), legacy.cbc_prefixed_decrypt),
    ],
    ids=["ecb", "cbc", "cbc with its IV"],
)
class TestLegacy:
    @pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 160])
    @pytest.mark.parametrize("key", [16, 24, 32])
    def test_round_trip(self, seal, open_, size, key):
        assert open_(b"k" * key, seal(b"k" * key, b"p" * size)) == b"p" * size

    def test_broken_bytes_do_not_open(self, seal, open_):
        sealed = seal(KEY_A, b"p" * 40)
        for damaged in (b"", sealed[:-1], sealed + b"x", b"x" * 16, sealed[:-1] + bytes([sealed[-1] ^ 1])):
            with pytest.raises(DecryptFailed):
                open_(KEY_A, damaged)

    @pytest.mark.parametrize("size", [0, 8, 31, 33])
    def test_keys_of_other_sizes_are_refused(self, seal, open_, size):
        with pytest.raises(KeyMaterialError):
            seal(bytes(size), b"x")
        with pytest.raises(KeyMaterialError):
            open_(bytes(size), b"x" * 32)


def test_equal_is_equal():
    assert mac.equal(b"same", b"same")
    assert not mac.equal(b"same", b"samE")
    assert not mac.equal(b"same", b"sam")
