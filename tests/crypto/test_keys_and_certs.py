"""Key material as operators paste it: what is taken, what is refused, and that nothing shows itself."""

import base64
import pickle
from datetime import datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from crypto import certs, pem, rsa
from crypto.errors import KeyMaterialError, SignatureMismatch

NOW = datetime(2026, 11, 22, tzinfo=timezone.utc)
PRIVATE_PEM = rsa.new_private_key()
PRIVATE = rsa.load_private_key(PRIVATE_PEM)
PUBLIC_PEM = rsa.public_pem(PRIVATE)
CERTIFICATE = certs.self_signed(PRIVATE, "Test Platform", serial=0x0ABC01, now=NOW)


def bare(text):
    return "".join(line for line in text.splitlines() if not line.startswith("-"))


def short_key():
    key = rsa._rsa.generate_private_key(public_exponent=65537, key_size=1024)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def public_of(key):
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def private_of(key, how=None):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how or serialization.NoEncryption()
    ).decode()


SHAPES = {
    "as it is": lambda text: text,
    "bare base64": bare,
    "indented": lambda text: "\n".join("    " + line for line in text.splitlines()),
    "windows line ends": lambda text: text.replace("\n", "\r\n"),
    "byte order mark": lambda text: "\ufeff" + text,
    "one line": lambda text: text.replace("\n", ""),
    "words around": lambda text: "the key:\n" + text + "\nend of key\n",
    "white space inside": lambda text: text.replace("M", "M \t"),
}


@pytest.mark.parametrize("shape", [name for name in SHAPES if name != "words around"])
@pytest.mark.parametrize("kind", ["public", "certificate"])
def test_public_keys_in_every_shape_people_paste(shape, kind):
    text = SHAPES[shape]({"public": PUBLIC_PEM, "certificate": CERTIFICATE}[kind])
    if shape == "white space inside" and "M \t" in text.split("\n")[0]:
        pytest.fail("the label must stay whole")
    assert rsa.load_public_key(text) == PRIVATE.public


@pytest.mark.parametrize("shape", [name for name in SHAPES if name != "words around"])
def test_private_keys_in_every_shape_people_paste(shape):
    assert rsa.load_private_key(SHAPES[shape](PRIVATE_PEM)).public == PRIVATE.public


def test_text_around_a_block_is_not_part_of_it():
    assert rsa.load_public_key(SHAPES["words around"](PUBLIC_PEM)) == PRIVATE.public


def test_old_private_key_format():
    der = PRIVATE.for_x509.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    assert rsa.load_private_key(pem.armour("RSA PRIVATE KEY", der)).public == PRIVATE.public
    assert rsa.load_private_key(base64.b64encode(der).decode()).public == PRIVATE.public


NOT_PUBLIC = {
    "empty": "",
    "white space": " \n\t",
    "words": "not a key at all",
    "cut": PUBLIC_PEM[:200],
    "cut base64": bare(PUBLIC_PEM)[:-8],
    "another label": PUBLIC_PEM.replace("PUBLIC KEY", "X509 CRL"),
    "two": PUBLIC_PEM + PUBLIC_PEM,
    "private": PRIVATE_PEM,
    "elliptic": public_of(ec.generate_private_key(ec.SECP256R1())),
    "edwards": public_of(ed25519.Ed25519PrivateKey.generate()),
    "short": short_key()[1],
    "not ASCII": "ＭＩＩ",
    "certificate of nothing": pem.armour("CERTIFICATE", b"\x30\x00"),
    "base64 of nothing": "AAAA",
    "nul": "\0" * 40,
    "labels that differ": PUBLIC_PEM.replace("END PUBLIC", "END PRIVATE"),
}


@pytest.mark.parametrize("what", NOT_PUBLIC)
def test_what_is_no_public_key(what):
    with pytest.raises(KeyMaterialError) as caught:
        rsa.load_public_key(NOT_PUBLIC[what])
    assert bare(PRIVATE_PEM)[:40] not in str(caught.value)


NOT_PRIVATE = {
    "empty": "",
    "public": PUBLIC_PEM,
    "certificate": CERTIFICATE,
    "elliptic": private_of(ec.generate_private_key(ec.SECP256R1())),
    "short": short_key()[0],
    "protected": private_of(PRIVATE.for_x509, serialization.BestAvailableEncryption(b"x")),
    "protected of old": "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----",
    "cut": PRIVATE_PEM[:400],
    "two": PRIVATE_PEM * 2,
}


@pytest.mark.parametrize("what", NOT_PRIVATE)
def test_what_is_no_private_key(what):
    with pytest.raises(KeyMaterialError) as caught:
        rsa.load_private_key(NOT_PRIVATE[what])
    assert bare(PRIVATE_PEM)[:40] not in str(caught.value)


def test_a_short_key_only_when_asked_for():
    private, public = short_key()
    assert rsa.load_public_key(public, min_bits=1024).bits == 1024
    assert rsa.load_private_key(private, min_bits=1024).public.bits == 1024


def test_signatures_belong_to_one_hash_and_one_key():
    other = rsa.load_private_key(rsa.new_private_key())
    for sign, right, wrong in (
        (rsa.sign_sha256, rsa.verify_sha256, rsa.verify_sha1),
        (rsa.sign_sha1, rsa.verify_sha1, rsa.verify_sha256),
    ):
        signature = sign(PRIVATE, b"message")
        right(PRIVATE.public, signature, b"message")
        assert sign(PRIVATE, b"message") == signature
        with pytest.raises(SignatureMismatch):
            wrong(PRIVATE.public, signature, b"message")
        with pytest.raises(SignatureMismatch):
            right(other.public, signature, b"message")


def test_nothing_shows_itself():
    assert repr(PRIVATE) == "PrivateKey(…)"
    assert repr(PRIVATE.public) == "PublicKey(<2048 bits>)"
    assert repr(certs.load_certificate(CERTIFICATE)) == "Certificate(serial='ABC01')"
    with pytest.raises(TypeError):
        pickle.dumps(PRIVATE)


def test_a_self_signed_certificate_says_what_was_asked():
    found = certs.load_certificate(CERTIFICATE)
    assert found.serial == "ABC01"
    assert found.issuer == "CN=Test Platform"
    assert (found.not_before, found.not_after) == (NOW, NOW + timedelta(days=1825))
    assert found.public_key() == PRIVATE.public


@pytest.mark.parametrize("serial", [0, -1, 1 << 160])
def test_a_certificate_needs_a_serial(serial):
    with pytest.raises(ValueError):
        certs.self_signed(PRIVATE, "x", serial=serial, now=NOW)


@pytest.mark.parametrize("text", ["00abC01", "ABC01", "abc01", "0000ABC01"])
def test_serials_compare_without_case_and_leading_zeros(text):
    assert certs.normal_serial(text) == "ABC01"


def test_a_bundle_keeps_its_order():
    other = certs.self_signed(PRIVATE, "Other", serial=2, now=NOW)
    assert [one.serial for one in certs.load_certificates(CERTIFICATE + other)] == ["ABC01", "2"]


@pytest.mark.parametrize("text", ["", PUBLIC_PEM, CERTIFICATE + PRIVATE_PEM, CERTIFICATE[:300]])
def test_a_bundle_of_something_else_is_refused(text):
    with pytest.raises(KeyMaterialError):
        certs.load_certificates(text)


def test_cert_sn_of_an_issuer_without_ou():
    """Regression 21 (fzlee/alipay): an issuer without an OU has no `OU=None` in its SN."""
    import hashlib

    found = certs.load_certificate(CERTIFICATE)
    assert certs.alipay_cert_sn(found) == hashlib.md5(b"CN=Test Platform703489").hexdigest()


def test_a_root_bundle_without_rsa_is_refused():
    with pytest.raises(KeyMaterialError):
        certs.alipay_root_cert_sn(pem.armour("CERTIFICATE", b"\x30\x03\x02\x01\x01"))


def test_a_root_bundle_with_a_broken_rsa_certificate_is_refused():
    der = certs.load_certificate(CERTIFICATE).der
    with pytest.raises(KeyMaterialError):
        certs.alipay_root_cert_sn(CERTIFICATE + pem.armour("CERTIFICATE", der[:-5]))
