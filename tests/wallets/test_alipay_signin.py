"""Alipay's sign-in: the address, the code's exchange, refusals under `error_response`, ids old and new."""

import json
from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from adapters.alipay.wallet import wallet
from gateway.contract.wallet import Reply, SignInFailed
from tests.wallets.support import NOW, OPENID, Street, tables
from tests.wallets.test_alipay_wallet_conformance import spoken_by

NODE = "alipay_system_oauth_token_response"


@pytest.fixture
def street():
    return Street("alipay")


def told(node=NODE, **facts):
    return spoken_by(tables("alipay")[1], node, facts)


def test_R053_the_address(street):
    keys, _, table = tables("alipay")
    real = wallet.load({k: v for k, v in table.items() if k != "endpoint"}, keys)
    assert wallet.authorize_url(real, "https://shop.example/wallet/back/alipay", "a" * 32) == (
        f"https://openauth.alipay.com/oauth2/publicAppAuthorize.htm?app_id={keys['app_id']}&scope=auth_base"
        f"&redirect_uri=https%3A%2F%2Fshop.example%2Fwallet%2Fback%2Falipay&state={'a' * 32}"
    )


def test_alipays_own_sandbox_signs_in_at_another_host():
    keys, _, table = tables("alipay")
    loaded = wallet.load({**table, "endpoint": "https://openapi-sandbox.dl.alipaydev.com"}, keys)
    assert wallet.authorize_url(loaded, "https://a/b", "s").startswith(
        "https://openauth-sandbox.dl.alipaydev.com/oauth2/"
    )
    assert wallet.query(loaded, "D1", NOW, "").url.startswith("https://openapi-sandbox.dl.alipaydev.com/gateway.do?")


def test_R053_the_code_is_a_parameter_of_its_own(street):
    call = wallet.exchange(street.keys, "4b2+/=&", NOW, "")
    assert dict(parse_qsl(call.body.decode())) == {"grant_type": "authorization_code", "code": "4b2+/=&"}
    assert dict(parse_qsl(urlsplit(call.url).query))["method"] == "alipay.system.oauth.token"
    assert "biz_content" not in call.url + call.body.decode()


def test_R053_ids_are_those_that_a_payment_names(street):
    app_id = street.channel_keys["app_id"]
    assert street.sign_in() == (street.payer,)
    both = wallet.identity(
        street.keys, told(open_id=OPENID, user_id="2088102363632794", alipay_user_id="2088000000000000")
    )
    assert [(p.app_id, p.id_type, p.value) for p in both] == [
        (app_id, "alipay_open_id", OPENID),
        (app_id, "alipay_user_id", "2088102363632794"),
    ]
    old = wallet.identity(street.keys, told(user_id="2088102363632794", open_id=""))
    assert [p.id_type for p in old] == ["alipay_user_id"]


def test_a_success_needs_no_code_and_may_have_one(street):
    assert wallet.identity(street.keys, told(open_id=OPENID)) == (street.payer,)
    assert wallet.identity(street.keys, told(code="10000", msg="Success", open_id=OPENID)) == (street.payer,)


@pytest.mark.parametrize(
    ("code", "sub_code", "word", "again"),
    [
        ("40002", "isv.code-invalid", "code_spent", True),
        ("40002", "isv.invalid-signature", "misconfigured", False),
        ("40006", "isv.insufficient-isv-permissions", "misconfigured", False),
        ("20000", "isp.unknow-error", "busy", False),
        ("20001", "aop.invalid-app-auth-token", "refused", False),
    ],
)
def test_R053_refusals_stand_under_error_response_or_the_calls_own_name(street, code, sub_code, word, again):
    """Signed or not: a refusal moves no money, so it is believed."""
    facts = {"code": code, "msg": "no", "sub_code": sub_code}
    unsigned = Reply(200, (), json.dumps({"error_response": facts}).encode())
    for reply in (told("error_response", **facts), told(NODE, **facts), unsigned):
        with pytest.raises(SignInFailed) as caught:
            wallet.identity(street.keys, reply)
        assert (caught.value.code, caught.value.again, caught.value.detail) == (word, again, sub_code)


def test_R053_a_success_that_nobody_signed_signs_nobody_in(street):
    for reply in (
        Reply(200, (), json.dumps({NODE: {"open_id": OPENID}}).encode()),
        Reply(200, (), json.dumps({NODE: {"open_id": OPENID}, "sign": "AAAA"}).encode()),
        Reply(200, (), told(open_id=OPENID).body.replace(OPENID.encode(), OPENID[::-1].encode())),
    ):
        with pytest.raises(SignInFailed) as caught:
            wallet.identity(street.keys, reply)
        assert caught.value.code == "unverified"


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"open_id": 7},
        {"open_id": None},
        {"open_id": "a b"},
        {"open_id": "客"},
        {"open_id": "x" * 129},
        {"user_id": []},
    ],
)
def test_a_signed_answer_without_a_usable_id_is_malformed(street, facts):
    with pytest.raises(SignInFailed) as caught:
        wallet.identity(street.keys, told(**facts))
    assert caught.value.code == "malformed"


@pytest.mark.parametrize(("change", "word"), [({"app_id": "2021"}, "foreign_app"), ({"auth_code": ""}, "declined")])
def test_R053_another_apps_return_is_refused(street, change, word):
    with pytest.raises(SignInFailed) as caught:
        wallet.code_of(street.keys, {**street.browse(), **change})
    assert caught.value.code == word


# The twin's side.


def test_a_code_is_good_once_and_three_minutes(street):
    code = street.browse()["auth_code"]
    assert street.identify(code) == (street.payer,)
    late = street.browse(code="late-code")["auth_code"]
    street.now = NOW + timedelta(seconds=180)
    for spent in (code, late, "never-given"):
        with pytest.raises(SignInFailed) as caught:
            street.identify(spent)
        assert (caught.value.again, caught.value.detail) == (True, "isv.code-invalid")


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ("isv.code-invalid", "code_spent"),
        ("isv.invalid-signature", "misconfigured"),
        ("isp.unknow-error", "busy"),
        ("unsigned", "unverified"),
        ("bad_signature", "unverified"),
        ("bad_gateway", "unavailable"),
        ("drop", "unavailable"),
    ],
)
def test_R053_each_fault_of_the_exchange_is_played_once(street, fault, word):
    street.arm("exchange", fault)
    with pytest.raises(SignInFailed) as caught:
        street.sign_in()
    assert caught.value.code == word
    assert street.sign_in(code="another-code") == (street.payer,)


def test_old_apps_are_told_the_user_id(street):
    street.arm("exchange", "user_id")
    assert [p.id_type for p in street.sign_in()] == ["alipay_user_id"]
    assert [p.id_type for p in street.sign_in(openid="2088102363632794", code="c2")] == ["alipay_user_id"]


def test_R053_each_fault_of_the_page_is_played_once(street):
    street.arm("authorize", "no_code")
    assert "auth_code" not in street.browse()
    street.arm("authorize", "foreign_state")
    assert street.browse(state="abc")["state"] != "abc"
    street.arm("authorize", "foreign_app")
    with pytest.raises(SignInFailed, match="foreign_app"):
        wallet.code_of(street.keys, street.browse())
    assert street.browse(state="abc") == {
        "app_id": street.channel_keys["app_id"],
        "source": "alipay_wallet",
        "scope": "auth_base",
        "auth_code": "c0de" * 8,
        "state": "abc",
    }


@pytest.mark.parametrize(
    "change", [{"app_id": "1"}, {"scope": "auth_user"}, {"redirect_uri": "shop"}, {"state": "s" * 101}]
)
def test_the_twin_refuses_an_address_that_alipay_would(street, change):
    query = {"app_id": street.table["app_id"], "scope": "auth_base", "redirect_uri": "https://a/b", "state": "s"}
    with pytest.raises(SignInFailed) as caught:
        street.twin.authorize(street.table, {**query, **change}, OPENID, street.state, NOW, "c")
    assert caught.value.code in change
