"""The `keys` table of an Alipay channel: every fault at once, and no secret in any message."""

import base64

import pytest
from alipay_sender import certificate, private_key, table

from adapters.alipay import adapter
from crypto import rsa
from gateway.contract import BadConfig

AES_KEY = base64.b64encode(bytes(range(16))).decode()


def faults(**changes):
    with pytest.raises(BadConfig) as caught:
        adapter.load_keys(table(**changes))
    return dict(caught.value.faults)


def test_the_least_table_is_enough():
    keys = adapter.load_keys(table())
    assert keys.sign_type == b"RSA2"
    assert len(keys.every) == 1
    assert keys.aes_key is None
    assert keys.app_private_key is None


def test_every_name_is_taken():
    app_key = rsa.new_private_key()
    keys = adapter.load_keys(
        table(
            seller_email="till@example.com",
            certificates=[certificate("one", 0x0A)],
            sign_type="RSA2",
            aes_key=AES_KEY,
            app_private_key=app_key,
        )
    )
    assert len(keys.every) == 2
    assert keys.aes_key.reveal() == bytes(range(16))
    assert keys.app_private_key.public == rsa.load_private_key(app_key).public


def test_a_key_as_the_console_shows_it_is_taken():
    """A bare base64 body, wrapped anywhere, white space around ids."""
    bare = "".join(rsa.public_pem(private_key()).splitlines()[1:-1])
    keys = adapter.load_keys(table(public_keys=[f"  {bare[:50]}\n {bare[50:]} \n"], app_id=" 2021000000000001\n"))
    assert keys.every == (private_key().public,)
    assert keys.app_id == b"2021000000000001"


def test_certificates_alone_are_enough():
    keys = adapter.load_keys(table(public_keys=None, certificates=[certificate("one", 10), certificate("two", 11)]))
    assert len(keys.by_sn) == 2
    assert keys.plain == ()


def test_all_faults_come_together():
    with pytest.raises(BadConfig) as caught:
        adapter.load_keys(
            {
                "app_id": "",
                "seller_email": 7,
                "sign_type": "MD5",
                "public_keys": ["AAAA", 7],
                "certificates": "PEM",
                "aes_key": "short",
                "app_private_key": "nonsense",
                "appid": "2021",
                "key": "x",
            }
        )
    assert sorted(path for path, _ in caught.value.faults) == [
        "aes_key",
        "app_id",
        "app_private_key",
        "appid",
        "certificates",
        "key",
        "public_keys[0]",
        "public_keys[1]",
        "seller_email",
        "seller_id",
        "sign_type",
    ]


@pytest.mark.parametrize("name", ["app_id", "seller_id"])
@pytest.mark.parametrize("value", [None, "", "  ", 2021000000000001, "a b", "号", "a\nb", ["x"]])
def test_an_identifier_is_one_plain_word(name, value):
    assert set(faults(**{name: value})) == {name}


@pytest.mark.parametrize("value", [None, [], (), "", {}])
def test_no_key_at_all_is_refused(value):
    """Regression list no. 19: no key, no acceptance."""
    assert "public_keys" in faults(public_keys=value)


@pytest.mark.parametrize("value", ["", "rsa2", "RSA3", "SHA256", None, True, ["RSA2"]])
def test_an_unknown_sign_type_is_refused(value):
    """Regression list no. 19: no algorithm, no acceptance."""
    right = table()
    right["sign_type"] = value
    with pytest.raises(BadConfig) as caught:
        adapter.load_keys(right)
    assert [path for path, _ in caught.value.faults] == ["sign_type"]


def test_what_is_no_rsa_public_key_is_refused():
    private = rsa.new_private_key()
    found = faults(public_keys=[rsa.public_pem(private_key()), private, "", "AAAA", "-----BEGIN PUBLIC KEY-----"])
    assert set(found) == {f"public_keys[{index}]" for index in range(1, 5)}


def test_a_short_key_is_refused_but_for_the_old_type():
    """Alipay's own keys of the RSA type had 1024 bits; RSA2 never."""
    short = rsa.public_pem(rsa.load_private_key(rsa.new_private_key(1024), min_bits=1024))
    assert set(faults(public_keys=[short])) == {"public_keys[0]"}
    assert adapter.load_keys(table(public_keys=[short], sign_type="RSA")).every[0].bits == 1024


def test_what_is_no_certificate_is_refused():
    public = rsa.public_pem(private_key())
    found = faults(certificates=[certificate("one", 1), public, "", "AAAA", 5])
    assert set(found) == {f"certificates[{index}]" for index in range(1, 5)}


@pytest.mark.parametrize("value", ["", "AAAA", "not base64!", base64.b64encode(bytes(32)).decode(), 5, None, ["x"]])
def test_an_aes_key_is_sixteen_bytes_in_base64(value):
    right = table()
    right["aes_key"] = value
    with pytest.raises(BadConfig) as caught:
        adapter.load_keys(right)
    assert [path for path, _ in caught.value.faults] == ["aes_key"]


def test_nothing_of_a_secret_is_in_the_faults():
    secret = rsa.new_private_key()
    found = faults(public_keys=[secret], app_private_key=secret[:-40], aes_key=AES_KEY + "AAAA")
    assert len(found) == 3
    lines = [line for line in secret.splitlines() if not line.startswith("-")]
    for message in found.values():
        assert not any(line in message for line in lines)
        assert AES_KEY[:12] not in message


def test_keys_do_not_show_themselves():
    keys = adapter.load_keys(table(aes_key=AES_KEY, app_private_key=rsa.new_private_key()))
    assert "Secret(…)" in repr(keys)
    assert "PrivateKey(…)" in repr(keys)
    assert "\\x01\\x02" not in repr(keys)
