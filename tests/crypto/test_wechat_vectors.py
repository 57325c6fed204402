"""The published WeChat Pay vectors, and what must fail once one thing in them is changed."""

import base64
import json
from pathlib import Path

import pytest

from crypto import certs, legacy, rsa
from crypto.aead import Aead
from crypto.errors import DecryptFailed, KeyMaterialError, SignatureMismatch
from crypto.mac import hmac_sha256

VECTORS = Path(__file__).parents[1] / "vectors" / "wechat"
AEAD = json.loads((VECTORS / "aead_aes_gcm.json").read_text("utf-8"))
VERIFIER = json.loads((VECTORS / "go_verifier.json").read_text("utf-8"))
SIGN = json.loads((VECTORS / "v2_sign.json").read_text("utf-8"))
REFUND = json.loads((VECTORS / "v2_refund.json").read_text("utf-8"))


@pytest.mark.parametrize("case", AEAD, ids=[case["id"] for case in AEAD])
class TestAead:
    def test_r004_opens(self, case):
        plain = Aead(case["key"].encode()).open(
            case["nonce"].encode(), base64.b64decode(case["ciphertext"]), case["aad"].encode()
        )
        assert plain.decode() == case["plaintext"]

    def test_r004_seals_the_same_bytes(self, case):
        sealed = Aead(case["key"].encode()).seal(
            case["nonce"].encode(), case["plaintext"].encode(), case["aad"].encode()
        )
        assert base64.b64encode(sealed).decode() == case["ciphertext"]

    @pytest.mark.parametrize("fault", ["aad", "nonce", "tag", "cut", "key", "empty", "short nonce", "long nonce"])
    def test_r004_one_fault_does_not_open(self, case, fault):
        key, nonce, aad = case["key"].encode(), case["nonce"].encode(), case["aad"].encode()
        sealed = base64.b64decode(case["ciphertext"])
        if fault == "aad":
            aad += b"x"
        elif fault == "nonce":
            nonce = nonce[:-1] + b"~"
        elif fault == "tag":
            sealed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        elif fault == "cut":
            sealed = sealed[:-1]
        elif fault == "key":
            key = key[:-1] + b"~"
        elif fault == "empty":
            sealed = b""
        elif fault == "short nonce":
            nonce = nonce[:4]
        else:
            nonce = nonce * 20
        with pytest.raises(DecryptFailed) as caught:
            Aead(key).open(nonce, sealed, aad)
        assert str(caught.value) == "does not decrypt"


@pytest.mark.parametrize("size", [0, 1, 15, 24, 31, 33, 64])
def test_r004_other_key_sizes_are_refused(size):
    with pytest.raises(KeyMaterialError):
        Aead(bytes(size))


def test_the_downloaded_certificate_has_its_serial():
    pem = next(case for case in AEAD if case["id"] == "java_download_certificate")["plaintext"]
    assert certs.load_certificate(pem).serial == "5DEA10EF55877E3CF6C33255C2E7DEFFF7E427EC"


@pytest.fixture(params=["go_verifier_cert.pem", "go_verifier_pubkey.pem"])
def verifier(request):
    return rsa.load_public_key((VECTORS / request.param).read_text())


def test_r003_both_key_modes_verify_one_signature(verifier):
    rsa.verify_sha256(verifier, base64.b64decode(VERIFIER["signature"]), VERIFIER["message"].encode())


@pytest.mark.parametrize("message", [b"wrong source", b"", b"source\n", b"Source"])
def test_r003_another_message_does_not_verify(verifier, message):
    with pytest.raises(SignatureMismatch):
        rsa.verify_sha256(verifier, base64.b64decode(VERIFIER["signature"]), message)


@pytest.mark.parametrize(
    "damage", [lambda s: b"", lambda s: s[:-1], lambda s: s + b"\0", lambda s: s[::-1], bytes.swapcase]
)
def test_r003_another_signature_does_not_verify(verifier, damage):
    with pytest.raises(SignatureMismatch):
        rsa.verify_sha256(verifier, damage(base64.b64decode(VERIFIER["signature"])), b"source")


def test_r003_sha1_is_not_sha256(verifier):
    with pytest.raises(SignatureMismatch):
        rsa.verify_sha1(verifier, base64.b64decode(VERIFIER["signature"]), b"source")


def test_the_verifiers_certificate_has_its_serial():
    found = certs.load_certificate((VECTORS / "go_verifier_cert.pem").read_text())
    assert found.serial == certs.normal_serial(VERIFIER["serial_or_key_id"])


@pytest.mark.parametrize("case", SIGN, ids=["official", "wechatpy"])
def test_v2_hashes(case):
    text = f"{case['string_a']}&key={case['key']}".encode()
    assert legacy.md5_hex(text).upper() == case["md5"]
    assert hmac_sha256(case["key"].encode(), text).hex().upper() == case["hmac_sha256"]


def test_v2_refund_opens():
    xml = (VECTORS / REFUND["xml_file"]).read_text("utf-8")
    sealed = base64.b64decode(xml.split("<req_info><![CDATA[")[1].split("]]>")[0])
    key = legacy.md5_hex(REFUND["api_key"].encode()).encode()
    plain = legacy.ecb_decrypt(key, sealed)
    assert plain == (VECTORS / REFUND["expect_plaintext_file"]).read_bytes()
    assert legacy.ecb_encrypt(key, plain) == sealed


@pytest.mark.parametrize(
    "damage", [lambda s: s[:-1], lambda s: b"", lambda s: s[:-16], lambda s: s[:-1] + bytes([s[-1] ^ 1])]
)
def test_v2_refund_with_bad_padding_does_not_open(damage):
    xml = (VECTORS / REFUND["xml_file"]).read_text("utf-8")
    sealed = base64.b64decode(xml.split("<req_info><![CDATA[")[1].split("]]>")[0])
    with pytest.raises(DecryptFailed):
        legacy.ecb_decrypt(legacy.md5_hex(REFUND["api_key"].encode()).encode(), damage(sealed))
