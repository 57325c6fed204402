"""Signatures against an independent computation, and receivers that are slow, broken, elsewhere or forbidden (R074)."""

import base64
import hashlib
import hmac
import threading

import pytest

from gateway.catalog.specs import Webhook
from gateway.contract.errors import BadConfig
from gateway.relay import Guard
from gateway.relay.names import Names
from gateway.webhooks.sending import HttpPost, headers_of, signature
from tests.support.world import CATALOG, START
from tests.webhooks.conftest import HOOKS, KEY, OLD_KEY, Server, whsec

LOCAL = ["127.0.0.0/8"]


def test_R074_the_published_vector():
    """The example of the Standard Webhooks reference libraries."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = b'{"test": 2432232314}'
    assert (
        signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
        == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_R074_signed_by_both_secrets_while_one_follows_the_other():
    hook = Webhook("erp", "https://a.example/", whsec(), "riverside", previous_secret=whsec(OLD_KEY))
    headers = dict(headers_of(hook, "wm_1", START, b"{}"))
    signed = f"wm_1.{int(START.timestamp())}.{{}}".encode()
    wanted = [
        "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in (KEY, OLD_KEY)
    ]
    assert headers["webhook-signature"].split(" ") == wanted
    assert "whsec" not in repr(hook)


@pytest.fixture
def serve():
    made = []

    def start(**more):
        made.append(Server(**more))
        return made[-1]

    yield start
    for server in made:
        server.close()


HEADERS = [("Content-Type", "application/json"), ("webhook-id", "wm_1")]


def test_R074_a_real_receiver_gets_body_and_headers_as_they_are(serve):
    server = serve(status=204)
    sent = HttpPost(Guard(LOCAL))(server.url + "?shop=1", HEADERS, '{"名":1}'.encode())
    assert (sent.status, sent.error) == (204, "")
    path, headers, body = server.requests[0]
    assert (path, headers["webhook-id"], body) == ("/hook?shop=1", "wm_1", '{"名":1}'.encode())


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 410, 429, 500, 503])
def test_R074_any_answer_but_2xx_is_a_failure_and_no_redirect_is_followed(serve, status):
    other = serve()
    server = serve(status=status, headers=[("Location", other.url)])
    sent = HttpPost(Guard(LOCAL))(server.url, HEADERS, b"{}")
    assert (sent.status, sent.error) == (status, f"status {status}")
    assert other.requests == []


def test_R074_a_slow_receiver_is_given_up_by_a_deadline(serve):
    pause = threading.Event()
    server = serve(pause=pause)
    sent = HttpPost(Guard(LOCAL), timeout_s=0.3)(server.url, HEADERS, b"{}")
    pause.set()
    assert (sent.status, sent.error) == (None, "timeout")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/x",
        "https://127.0.0.1/x",
        "https://10.0.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://inside.example/x",
    ],
)
def test_R074_private_addresses_are_never_called(url):
    post = HttpPost(Guard([], Names(lambda _host: ["10.1.2.3"])), timeout_s=2)
    sent = post(url, HEADERS, b"{}")
    assert (sent.status, sent.error) == (None, "forbidden_address")


@pytest.mark.parametrize("url", ["ftp://a.example/", "https://user:pw@a.example/", "https://a.example/#x", "https://"])
def test_R074_what_is_no_address_is_a_failure_and_nothing_breaks(url):
    sent = HttpPost(Guard([]))(url, HEADERS, b"{}")
    assert sent.status is None
    assert sent.error


# -- the file ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('circle = "nowhere"', "webhook.x.circle"),
        ('merchant = "nobody"', "webhook.x.merchant"),
        ('circle = "riverside"\nmerchant = "hotpot"', "webhook.x"),
        ("", "webhook.x"),
        ('circle = "riverside"\nevents = ["payout.lost"]', "webhook.x.events"),
        ('circle = "riverside"\nevent = ["link.issued"]', "webhook.x.event"),
        ('circle = "riverside"\npaused = 1', "webhook.x.paused"),
        ('circle = "riverside"\nprevious_secret = "whsec_c2hvcnQ="', "webhook.x.previous_secret"),
        ('circle = "riverside"\nprevious_secret = { env = "NOT_SET" }', "webhook.x.previous_secret"),
    ],
)
def test_R074_a_faulty_table_names_its_key(told, line, path):
    text = f'[webhook.x]\nurl = "https://a.example/"\nsecret = "{whsec()}"\n{line}\n'
    with pytest.raises(BadConfig) as refused:
        told.apply(text)
    assert any(fault.startswith(path) for fault, _ in refused.value.faults)


@pytest.mark.parametrize("secret", ["", "canary-secret", "whsec_", "whsec_c2hvcnQ=", "whsec_" + "A" * 400, "whsec_???"])
def test_R074_a_weak_or_broken_secret_is_refused_and_not_repeated(told, secret):
    with pytest.raises(BadConfig) as refused:
        told.apply(f'[webhook.x]\ncircle = "riverside"\nurl = "https://a.example/"\nsecret = "{secret}"\n')
    assert "canary" not in str(refused.value)
    assert refused.value.faults[0][0] == "webhook.x.secret"


def test_R074_exported_and_applied_again_nothing_changes_and_no_secret_is_shown(told):
    from gateway.catalog.export import export
    from gateway.catalog.storage import load, secret_id

    vault = told.runtime.keyring.reload()
    stored = told.store.read(lambda tx: load(tx, vault))
    text = export(stored.catalog, secret_id(vault))
    assert "[webhook.erp]" in text
    assert "whsec" not in text
    before = told.store.read(lambda tx: load(tx, vault)).version
    told.apply(text)
    assert told.store.read(lambda tx: load(tx, vault)).version == before
    rows = told.all("SELECT spec, secrets FROM catalog WHERE kind = 'webhook'")
    assert all(whsec()[6:] not in row["spec"] and row["secrets"] for row in rows)


def test_R074_a_channel_and_a_webhook_of_one_name_keep_their_own_secrets(told):
    told.apply(f'[webhook.hotpot-pay]\nmerchant = "hotpot"\nurl = "https://a.example/"\nsecret = "{whsec(OLD_KEY)}"\n')
    told.runtime.holder._next_look = 0
    catalog = told.runtime.directory().catalog
    assert catalog.webhooks["hotpot-pay"].secret == whsec(OLD_KEY)
    assert catalog.channels["hotpot-pay"].keys["secret"] == "canary-channel-secret"
    assert "[webhook" in HOOKS
    assert "[webhook" not in CATALOG
