"""Every published Alipay vector, as it stands and damaged (origins: tests/vectors/alipay/ORIGIN.md)."""

import base64
from datetime import datetime, timezone

import pytest
from alipay_sender import RECEIVED, VECTORS, encoded, parse, raw, vector, with_body

from adapters.alipay import adapter
from adapters.alipay.form import read_form
from adapters.alipay.verify import signed_text, verified
from crypto import certs, legacy, rsa
from crypto.errors import DecryptFailed, SignatureMismatch
from gateway.contract import BadSignature, Ignored, Malformed, Payer, PaymentEvent, RawNotification

REAL = vector("notify_v1_trade_status_sync.json")
PARAMS = REAL["cases"][0]["params"]
CONSTRUCTED = vector("constructed_openssl.json")
SYNC = vector("sync_response_rsa2.json")
AES = vector("aes.json")
SN = vector("cert_sn.json")


def real_table(**changes):
    return {
        "app_id": PARAMS["app_id"],
        "seller_id": PARAMS["seller_id"],
        "public_keys": [REAL["public_key_b64_der"]],
        **changes,
    }


def real_form() -> RawNotification:
    return raw((VECTORS / "notify_v1_trade_status_sync.form").read_bytes())


def constructed_table(**changes):
    return {
        "app_id": "2016101100660467",
        "seller_id": "2088102179075543",
        "public_keys": [CONSTRUCTED["public_key_pem"]],
        **changes,
    }


def case(name):
    return next(one for one in CONSTRUCTED["cases"] if one["name"] == name)


def constructed(name) -> RawNotification:
    return raw(case(name)["raw_form_body"].encode())


GBK = "GBK body"
OPEN_ID = "openid only, empty body value, percent and plus in value"
SHA1 = "legacy RSA (SHA-1)"


def test_r002_r006_a_real_notification_becomes_a_payment():
    """A notification that Alipay signed in 2019, verified years later: no time window exists."""
    assert parse(real_form(), adapter.load_keys(real_table())) == PaymentEvent(
        provider="alipay",
        mch_id="2088531891668739",
        sub_mch_id=None,
        transaction_id="2019081522001468450512505578",
        out_trade_no="20190815155618536-564-57",
        payers=(Payer("2019073166072302", "alipay_user_id", "2088102534368455"),),
        amount_fen=10,
        payer_total_fen=10,
        currency="CNY",
        paid_at=datetime(2019, 8, 15, 7, 56, 24, tzinfo=timezone.utc),
        trade_type=None,
        device_id=None,
        store_id=None,
        attach=None,
        event_id="2019081500222155624068450559358070",
    )


def test_the_parameters_in_another_order_pass():
    """The order on the wire is not signed; sorted, reversed, as listed."""
    keys = adapter.load_keys(real_table())
    expected = parse(real_form(), keys)
    for pairs in (sorted(PARAMS.items()), sorted(PARAMS.items(), reverse=True), list(PARAMS.items())):
        assert parse(raw(encoded(pairs)), keys) == expected


def test_the_signed_text_is_the_same_whether_sign_type_was_kept_or_stripped():
    kept, stripped = (read_form(encoded(one["params"].items())) for one in REAL["cases"][:2])
    assert signed_text(kept, "v1") == signed_text(stripped, "v1") == signed_text(stripped, "v2")
    key = rsa.load_public_key(REAL["public_key_b64_der"])
    rsa.verify_sha256(key, base64.b64decode(PARAMS["sign"]), signed_text(stripped, "v1"))


def test_without_sign_type_it_is_refused():
    """On the wire the sender always names it; one that does not is asking for a guess."""
    body = encoded((name, value) for name, value in PARAMS.items() if name != "sign_type")
    with pytest.raises(BadSignature, match="sign_type"):
        parse(raw(body), adapter.load_keys(real_table()))


@pytest.mark.parametrize("one", [one for one in REAL["cases"] if not one["expect"]], ids=lambda one: one["name"])
def test_the_negative_cases_are_refused(one):
    params = one["params"]
    keys = adapter.load_keys(real_table(app_id=params["app_id"], seller_id=params["seller_id"]))
    with pytest.raises(BadSignature):
        parse(raw(encoded(params.items())), keys)


@pytest.mark.parametrize("name", sorted(set(PARAMS) - {"sign", "sign_type"}))
def test_each_signed_field_counts(name):
    """R003: changed, blanked or taken out, the real notification is refused."""
    keys = adapter.load_keys(real_table())
    for value in (PARAMS[name] + "0", "", None):
        changed = {key: old for key, old in {**PARAMS, name: value}.items() if old is not None}
        # Without its charset it cannot be read at all.
        with pytest.raises(Malformed if name == "charset" else BadSignature):
            parse(raw(encoded(changed.items())), keys)


def test_a_field_put_in_is_refused():
    """Nobody becomes the payer by adding himself; a blank field counts too."""
    for name, value in (("buyer_open_id", "o"), ("passback_params", ""), ("refund_fee", "0.10"), ("zzz", "1")):
        with pytest.raises(BadSignature):
            parse(raw(encoded([*PARAMS.items(), (name, value)])), adapter.load_keys(real_table()))


def test_r017_the_real_one_under_another_merchants_settings_is_ignored():
    """Regression list no. 2: signed, but not for this channel."""
    for changes in ({"app_id": "2019073166072303"}, {"seller_id": "2088531891668730"}):
        event = parse(real_form(), adapter.load_keys(real_table(**changes)))
        assert event == Ignored("TRADE_SUCCESS", "foreign_merchant", PARAMS["notify_id"])


@pytest.mark.parametrize("name", [GBK, OPEN_ID])
def test_the_constructed_cases_sign_these_very_bytes(name):
    keys = adapter.load_keys(constructed_table())
    body = constructed(name).body
    assert signed_text(read_form(body), "v1").hex() == case(name)["signed_bytes_hex"]
    assert verified(body, keys).rule == "v1"


def test_a_gbk_body_verifies_and_reads():
    """Regression list no. 5: wrong charset."""
    event = parse(constructed(GBK), adapter.load_keys(constructed_table()))
    assert (event.amount_fen, event.transaction_id) == (1200, "2017041121001004070200183979")
    assert event.payers == (Payer("2016101100660467", "alipay_user_id", "2088102169481075"),)
    # Neither gmt_payment nor notify_time is in it: the time of arrival is what is left.
    assert event.paid_at == RECEIVED


def test_r007_a_payer_with_an_open_id_alone_is_told():
    """Regression list no. 1 (buyer_id only), 4 (blank `body`), 6 (`%` `+` `&`), 13 (no optional field)."""
    body = constructed(OPEN_ID).body
    event = parse(raw(body), adapter.load_keys(constructed_table()))
    assert [(payer.id_type, payer.value) for payer in event.payers] == [
        ("alipay_open_id", "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5lsNpazWYoCo5")
    ]
    assert read_form(body).fields[b"subject"] == b"100% a+b=c&d"
    assert read_form(body).fields[b"body"] == b""


def test_the_old_rsa_type_passes_where_it_is_configured_and_nowhere_else():
    event = parse(constructed(SHA1), adapter.load_keys(constructed_table(sign_type="RSA")))
    assert event.amount_fen == 1200
    with pytest.raises(BadSignature, match="not the configured"):
        parse(constructed(SHA1), adapter.load_keys(constructed_table()))


@pytest.mark.parametrize(
    ("name", "old", "new", "kind"),
    [
        (GBK, b"charset=gbk", b"charset=utf-8", BadSignature),
        (GBK, b"charset=gbk", b"charset=big5", Malformed),
        (GBK, b"&charset=gbk", b"", Malformed),
        (GBK, b"%B4%F3%C0%D6", "大乐".encode(), BadSignature),
        (OPEN_ID, b"&body=", b"", BadSignature),
        (OPEN_ID, b"100%25", b"100%2525", BadSignature),
        (OPEN_ID, b"a%2Bb", b"a+b", BadSignature),
        (OPEN_ID, b"buyer_open_id=0", b"buyer_open_id=1", BadSignature),
        (OPEN_ID, b"sign_type=RSA2", b"sign_type=RSA", BadSignature),
        (OPEN_ID, b"sign_type=RSA2", b"sign_type=RSA3", BadSignature),
        (OPEN_ID, b"total_amount=12.00", b"total_amount=12.00&total_amount=0.01", Malformed),
    ],
)
def test_damaged_constructed_cases_are_refused(name, old, new, kind):
    keys = adapter.load_keys(constructed_table())
    assert isinstance(parse(constructed(name), keys), PaymentEvent)
    with pytest.raises(kind):
        parse(with_body(constructed(name), old, new), keys)


def test_the_synchronous_answer_verifies_and_its_damage_does_not():
    key = rsa.load_public_key(SYNC["public_key_b64_der"])
    signature, text = base64.b64decode(SYNC["sign"]), SYNC["signed_text"].encode()
    rsa.verify_sha256(key, signature, text)
    for damaged in (text.replace(b"0.01", b"0.02", 1), text + b" ", text[:-1]):
        with pytest.raises(SignatureMismatch):
            rsa.verify_sha256(key, signature, damaged)
    with pytest.raises(SignatureMismatch):
        rsa.verify_sha1(key, signature, text)


@pytest.mark.parametrize("one", [one for one in AES["cases"] if one["type"] != "SM4"], ids=lambda one: one["plaintext"])
def test_encrypted_content_opens_under_its_own_mode_alone(one):
    key, sealed = base64.b64decode(one["key"]), base64.b64decode(one["ciphertext"])
    right, wrong = legacy.cbc_decrypt, legacy.cbc_prefixed_decrypt
    if one["type"] == "AES_V2":
        right, wrong = wrong, right
    assert right(key, sealed).decode() == one["plaintext"]
    with pytest.raises(DecryptFailed):
        right(key, sealed[:-1])
    try:
        assert wrong(key, sealed).decode(errors="replace") != one["plaintext"]
    except DecryptFailed as error:
        assert one["plaintext"] not in str(error)


@pytest.mark.parametrize("one", SN["cases"], ids=lambda one: one["file"])
def test_certificate_numbers(one):
    text = (VECTORS / one["file"]).read_text(encoding="utf-8")
    if one.get("root"):
        assert certs.alipay_root_cert_sn(text) == one["sn"]
    else:
        assert certs.alipay_cert_sn(certs.load_certificate(text)) == one["sn"]


def test_the_published_certificate_is_taken_as_a_key():
    text = (VECTORS / "node_alipayCertPublicKey_RSA2.crt").read_text(encoding="utf-8")
    keys = adapter.load_keys(real_table(certificates=[text], public_keys=[]))
    assert list(keys.by_sn) == [SN["cases"][0]["sn"].encode()]
