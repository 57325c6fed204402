"""A small installation with a service provider's channel: its payments bear a sub-merchant and the shop's own order."""

from dataclasses import replace

import pytest

from gateway.catalog.registry import Registry
from gateway.contract.events import PaymentEvent
from tests.support import world as worlds
from tests.support.browsing import Browser, pages_of
from tests.support.plainpay import Plainpay
from tests.support.world import CATALOG, World

SUB = "1900000109"


class Partnerpay(Plainpay):
    """As WeChat's partner mode tells it: the sub-merchant, and `O` + the payment's number as the shop's order."""

    provider = "wechat"

    def parse(self, raw, keys, now):
        event = super().parse(raw, keys, now)
        if not isinstance(event, PaymentEvent):
            return event
        order = event.transaction_id.replace("#", "")
        return replace(event, provider="wechat", sub_mch_id=keys["sub_mchid"], out_trade_no=f"O{order}")


PARTNER = (
    CATALOG.replace('name = "滨江商圈"\nmin_amount_fen = 100\nbinding = "bearer"', "{circle}")
    + """
[channel.hotpot-partner]
merchant = "hotpot"
shop = "hotpot-1"
adapter = "partnerpay"
intake = "copy"
keys = { mchid = "SP-1", appid = "app-riverside", secret = "canary-channel-secret", sub_mchid = "1900000109" }
{wallet}
"""
)
OAUTH = {
    "circle": 'name = "滨江商圈"\nmin_amount_fen = 100\nbinding = "oauth"',
    "wallet": '[channel.hotpot-partner.wallet]\nappid = "app-riverside"\napp_secret = "canary-wallet-secret"',
}
BEARER = {"circle": 'name = "滨江商圈"\nmin_amount_fen = 100\nbinding = "bearer"', "wallet": ""}


def catalog(parts) -> str:
    return PARTNER.replace("{circle}", parts["circle"]).replace("{wallet}", parts["wallet"])


@pytest.fixture
def partners(monkeypatch):
    """Worlds that know the partner's adapter."""
    real = worlds.registry
    monkeypatch.setattr(
        worlds, "registry", lambda: Registry({**real().adapters, "partnerpay": Partnerpay("partnerpay")})
    )


@pytest.fixture
def world(tmp_path, partners):
    """No sandbox; customers of the riverside sign in with their wallet."""
    made = World(tmp_path, catalog=catalog(OAUTH))
    yield made
    made.close()


@pytest.fixture
def open_world(tmp_path):
    """The sandbox: anyone may look at the screen."""
    made = World(tmp_path, sandbox=True)
    yield made
    made.close()


@pytest.fixture
def app(world):
    return pages_of(world)


@pytest.fixture
def browser(app):
    return Browser(app)


@pytest.fixture
def clerk(world, app):
    """A clerk of the hotpot, signed in."""
    world.user("lin", "clerk", merchant="hotpot")
    return Browser(app).sign_in("lin")


def settled(world) -> None:
    """Everything that was queued for later is written: queued work goes before what is waited for."""
    world.store.write(lambda tx: None)
