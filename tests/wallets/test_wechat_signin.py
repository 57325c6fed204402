"""WeChat's sign-in: the address as text, the exchange, every error number, fake visitors."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from adapters.wechat_v3.wallet import wallet
from gateway.contract.wallet import Reply, SignInFailed
from tests.wallets.support import ENDPOINT, NOW, OPENID, Street, tables

JSON = (("Content-Type", "text/plain"),)  # as the platform really says of its JSON


@pytest.fixture
def street():
    return Street("wechat")


def told(**facts):
    return Reply(200, JSON, json.dumps(facts).encode())


def test_R053_the_address_is_the_documented_text(street):
    """WeChat matches it by a pattern: this order, this fragment."""
    keys, _, table = tables("wechat")
    real = wallet.load({k: v for k, v in table.items() if k != "endpoint"}, keys)
    url = wallet.authorize_url(real, "https://shop.example/wallet/back/wechat", "a1B2" * 8)
    assert url == (
        f"https://open.weixin.qq.com/connect/oauth2/authorize?appid={keys['appid']}"
        "&redirect_uri=https%3A%2F%2Fshop.example%2Fwallet%2Fback%2Fwechat"
        f"&response_type=code&scope=snsapi_base&state={'a1B2' * 8}#wechat_redirect"
    )


def test_R053_the_exchange_goes_to_the_api_host_with_the_secret_in_the_query(street):
    keys, _, table = tables("wechat")
    real = wallet.load({k: v for k, v in table.items() if k != "endpoint"}, keys)
    call = wallet.exchange(real, "0a1&b", NOW, "")
    parts = urlsplit(call.url)
    assert (call.method, parts.scheme, parts.netloc, parts.path, call.body) == (
        "GET",
        "https",
        "api.weixin.qq.com",
        "/sns/oauth2/access_token",
        b"",
    )
    assert parse_qs(parts.query) == {
        "appid": [keys["appid"]],
        "secret": [table["app_secret"]],
        "code": ["0a1&b"],
        "grant_type": ["authorization_code"],
    }
    assert table["app_secret"] not in repr(call)


def test_R053_the_openid_is_the_one_that_a_payment_would_name(street):
    payers = street.sign_in()
    assert [(p.app_id, p.id_type, p.value) for p in payers] == [(street.channel_keys["appid"], "openid", OPENID)]


@pytest.mark.parametrize(
    ("errcode", "code", "again"),
    [
        (40029, "code_spent", True),
        (40163, "code_spent", True),
        (42003, "code_spent", True),
        (41008, "code_spent", True),
        (-1, "busy", False),
        (45011, "busy", False),
        (40013, "misconfigured", False),
        (40125, "misconfigured", False),
        (12345678, "refused", False),
    ],
)
def test_R053_each_error_number_has_its_word(street, errcode, code, again):
    """An error is a 200 all the same; `again` allows one fresh start."""
    with pytest.raises(SignInFailed) as caught:
        wallet.identity(street.keys, told(errcode=errcode, errmsg="no rid: 1", openid=OPENID))
    assert (caught.value.code, caught.value.again, caught.value.detail) == (code, again, str(errcode))


@pytest.mark.parametrize("mark", [1, True, "1", 2, [], {}, "no"])
def test_R053_a_snapshot_visitor_is_nobody(street, mark):
    with pytest.raises(SignInFailed) as caught:
        wallet.identity(street.keys, told(openid=OPENID, scope="snsapi_base", is_snapshotuser=mark))
    assert caught.value.code == "snapshot_user"


def test_a_plain_no_is_no_snapshot(street):
    assert wallet.identity(street.keys, told(openid=OPENID, is_snapshotuser=0, errcode=0)) == (street.payer,)


@pytest.mark.parametrize(
    "reply",
    [
        told(),
        told(openid=""),
        told(openid=None),
        told(openid=["o"]),
        told(openid="o" * 129),
        told(openid="o p"),
        told(openid="客"),
        told(openid=OPENID, errcode="40029"),
        told(openid=OPENID, errcode=True),
        told(openid=OPENID, errcode=None),
        Reply(200, JSON, b'{"openid":"a","openid":"b"}'),
        Reply(200, JSON, b"<xml/>"),
    ],
)
def test_what_has_no_usable_openid_is_malformed(street, reply):
    with pytest.raises(SignInFailed) as caught:
        wallet.identity(street.keys, reply)
    assert (caught.value.code, caught.value.again) == ("malformed", False)


@pytest.mark.parametrize("status", [0, 204, 301, 302, 403, 500, 502])
def test_another_status_is_no_sign_in_whatever_it_says(street, status):
    with pytest.raises(SignInFailed) as caught:
        wallet.identity(street.keys, Reply(status, JSON, told(openid=OPENID).body))
    assert caught.value.code == "unavailable"


# The twin's side.


def test_a_code_is_good_once(street):
    code = street.browse()["code"]
    assert street.identify(code) == (street.payer,)
    with pytest.raises(SignInFailed) as caught:
        street.identify(code)
    assert (caught.value.again, caught.value.detail) == (True, "40163")


def test_a_code_dies_after_five_minutes(street):
    from datetime import timedelta

    code = street.browse()["code"]
    street.now = NOW + timedelta(seconds=300)
    with pytest.raises(SignInFailed) as caught:
        street.identify(code)
    assert (caught.value.again, caught.value.detail) == (True, "42003")


def test_an_unknown_code_is_refused(street):
    with pytest.raises(SignInFailed) as caught:
        street.identify("never-given")
    assert (caught.value.again, caught.value.detail) == (True, "40029")


@pytest.mark.parametrize(
    ("fault", "code", "again"),
    [
        ("40029", "code_spent", True),
        ("40163", "code_spent", True),
        ("42003", "code_spent", True),
        ("40125", "misconfigured", False),
        ("-1", "busy", False),
        ("snapshot_user", "snapshot_user", False),
        ("bad_gateway", "unavailable", False),
        ("drop", "unavailable", False),
    ],
)
def test_R053_each_fault_of_the_exchange_is_played_once(street, fault, code, again):
    street.arm("exchange", fault)
    with pytest.raises(SignInFailed) as caught:
        street.sign_in()
    assert (caught.value.code, caught.value.again) == (code, again)
    assert street.sign_in(code="another-code") == (street.payer,)


def test_the_twin_wants_the_wallets_own_secret(street):
    keys, _, table = tables("wechat")
    liar = wallet.load({**table, "app_secret": "0" * 32}, keys)
    code = street.browse()["code"]
    with pytest.raises(SignInFailed) as caught:
        wallet.identity(street.keys, street.carry(wallet.exchange(liar, code, NOW, "")))
    assert caught.value.detail == "40125"
    assert street.identify(code) == (street.payer,)


@pytest.mark.parametrize("page", ["10003", "10005"])
def test_the_platforms_error_pages_never_reach_us(street, page):
    street.arm("authorize", page)
    with pytest.raises(SignInFailed) as caught:
        street.browse()
    assert caught.value.code == page
    assert street.browse()["code"]


def test_a_customer_who_declines_comes_back_with_the_state_alone(street):
    street.arm("authorize", "no_code")
    back = street.browse(state="a" * 32)
    assert back == {"state": "a" * 32}
    with pytest.raises(SignInFailed) as caught:
        wallet.code_of(street.keys, back)
    assert caught.value.code == "declined"


@pytest.mark.parametrize(
    ("change", "page"),
    [
        ({"appid": "wxother"}, "10013"),
        ({"response_type": "token"}, "10012"),
        ({"scope": "snsapi_userinfo"}, "10005"),
        ({"redirect_uri": ""}, "10011"),
        ({"redirect_uri": "/only/a/path"}, "10003"),
        ({"state": "with-dash"}, "10010"),
        ({"state": "s" * 129}, "10010"),
    ],
)
def test_the_twin_refuses_an_address_that_wechat_would(street, change, page):
    query = {
        "appid": street.table["appid"],
        "redirect_uri": "https://shop.example/back",
        "response_type": "code",
        "scope": "snsapi_base",
        "state": "s" * 32,
    }
    with pytest.raises(SignInFailed) as caught:
        street.twin.authorize(street.table, {**query, **change}, OPENID, street.state, NOW, "c")
    assert caught.value.code == page
    assert street.state.kept == {}


def test_the_sandboxes_sign_in_page_is_at_the_endpoint(street):
    assert wallet.authorize_url(street.keys, "https://a/b", "s").startswith(f"{ENDPOINT}/connect/oauth2/authorize?")
