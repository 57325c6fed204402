"""A small town for the end-to-end tests: circles, shops and one channel of each kind, over one running house."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tests.e2e.house import House, channel, running
from tests.e2e.platforms import Alipay, Platform, WeChatV2, WeChatV3
from tests.e2e.till import Till

HOST = "pay.old-till.test"

_SHOPS = """
[circle.riverside]
name = "滨江商圈"
min_amount_fen = 100
binding = "bearer"
[circle.capped]
name = "限量商圈"
binding = "bearer"
[circle.market]
name = "集市"
binding = "bearer"
[circle.strict]
name = "实名商圈"
binding = "oauth"

[merchant.hotpot]
circle = "riverside"
name = "老王火锅"
[merchant.sweets]
circle = "riverside"
name = "甜甜糖水"
[merchant.tea]
circle = "capped"
name = "茶馆"
[merchant.stall]
circle = "market"
name = "小摊"
[merchant.bank]
circle = "strict"
name = "书行"

[shop.hotpot-1]
merchant = "hotpot"
name = "滨江一店"
[shop.sweets-1]
merchant = "sweets"
name = "滨江二店"

[item.pot-3off]
merchant = "hotpot"
name = "火锅立减3元"
value_fen = 300
stock = 100000
offer = "both"
[item.bowl-5off]
merchant = "sweets"
name = "糖水立减5元"
value_fen = 500
min_spend_fen = 2000
stock = 100000
offer = "both"
[item.tea-1off]
merchant = "tea"
name = "茶立减1元"
value_fen = 100
stock = 1
offer = "both"
[item.stall-voucher]
merchant = "stall"
name = "小摊代金券"
value_fen = 1000
stock = 100000
offer = "both"
price_fen = 800
[item.stall-rare]
merchant = "stall"
name = "限量瓷碗"
kind = "gift"
stock = 2
offer = "elsewhere"
price_fen = 9900
[item.bank-mark]
merchant = "bank"
name = "书签"
kind = "gift"
stock = 1000
offer = "both"

[offer.default]
circle = "riverside"
own = 1
elsewhere = 1
source_item = "bowl-5off"
[offer.capped]
circle = "capped"
own = 1
elsewhere = 0
per_person_per_day = 1
[offer.market]
circle = "market"
own = 1
elsewhere = 0
bought_threshold = 3
[offer.strict]
circle = "strict"
own = 1
elsewhere = 0
"""


@dataclass
class Town:
    """A running house and everything around it. `platforms` by channel; `till` hears all but the ack channels."""

    house: House
    till: Till
    ack_till: Till
    platforms: dict[str, Platform]

    def manager(self, merchant: str = "hotpot") -> str:
        return self.house.token("manager", merchant=merchant)

    def clerk(self, merchant: str) -> str:
        return self.house.token("clerk", merchant=merchant)


LINES = ("v3", "v3-cert", "v3-partner", "v2", "v2-hmac", "alipay", "alipay-gbk")
"""The relay channels in mirror mode, one for each way a platform may sign."""


def platforms_of() -> dict[str, Platform]:
    """Who sends to which channel. `v3` and `v3-cert` share an appid, so their customers are the same persons."""
    return {
        "v3": WeChatV3(),
        "v3-cert": WeChatV3(mchid="1900000110", certificate=True),
        "v3-partner": WeChatV3(mchid="1900000111", appid="wxsp777777777777ab", partner=True),
        "v2": WeChatV2(),
        "v2-hmac": WeChatV2(mchid="1230000110", hashing="HMAC-SHA256"),
        "alipay": Alipay(openid_only=False),
        "alipay-gbk": Alipay(seller_id="2088102175794000", app_id="2021000118620000", charset="gbk"),
        "v2-ack": WeChatV2(mchid="1230000111"),
        "alipay-ack": Alipay(seller_id="2088102175794001"),
        "copied": WeChatV3(mchid="1900000112"),
        "copied-alipay": Alipay(seller_id="2088102175794002"),
        "paused": WeChatV3(mchid="1900000113"),
        "paused-copied": WeChatV2(mchid="1230000112"),
        "hosted": WeChatV3(mchid="1900000114"),
        "tea": WeChatV3(mchid="1900000115"),
        "stall": WeChatV3(mchid="1900000116"),
        "bank": WeChatV3(mchid="1900000117"),
        "crowd": WeChatV2(mchid="1230000113"),
    }


@contextmanager
def town(workers: int = 2) -> Iterator[Town]:
    """The town, up and serving."""
    house = House(workers=workers, environ={"E2E_WX_SECRET": "wallet-secret-of-the-checks"})
    house.config = (
        f'[server]\nbase_url = "http://127.0.0.1:{house.port}"\n'
        '[relay]\nallow = ["10.0.0.0/8"]\n[sandbox]\nenabled = true\n'
    )
    # A variable wins over the file: were it not so, no relay to a till of this machine would be let through.
    house.settings = {"DRAINAGE_RELAY_ALLOW": '["127.0.0.0/8"]'}
    people = platforms_of()
    with Till() as till, Till() as ack_till:
        toml, files = shops_file(people, till.url, ack_till.url)
        with running(house, toml, files):
            yield Town(house, till, ack_till, people)


def shops_file(people: dict[str, Platform], till: str, ack_till: str) -> tuple[str, dict[str, str]]:
    """The apply file and the key files it names."""
    merchants = {"v3-cert": "sweets", "tea": "tea", "stall": "stall", "bank": "bank"}
    extra: dict[str, dict[str, str]] = {
        "v3": {"shop": '"hotpot-1"'},
        "v2-ack": {"answer": '"ack"', "timeout_ms": "1000"},
        "alipay-ack": {"answer": '"ack"', "timeout_ms": "1000"},
        "copied": {"intake": '"copy"'},
        "copied-alipay": {"intake": '"copy"'},
        "paused": {"paused": "true"},
        "paused-copied": {"paused": "true", "intake": '"copy"'},
        "hosted": {"hosts": f'["{HOST}"]', "notify_paths": '["/wx/notify"]'},
    }
    parts, files = [_SHOPS], {}
    for slug, platform in people.items():
        more = extra.get(slug, {})
        upstream = "" if "intake" in more else f"{ack_till if slug.endswith('-ack') else till}/pay/{slug}"
        text, needed = channel(slug, merchants.get(slug, "hotpot"), platform, upstream=upstream, **more)
        if slug == "bank":
            text += '[channel.bank.wallet]\nappid = "wxd678efh567hg6787"\napp_secret = { env = "E2E_WX_SECRET" }\n'
        parts.append(text)
        files |= needed
    parts.append(
        '[channel.pretend]\nmerchant = "hotpot"\nadapter = "wechat_v3"\nsandbox = true\n'
        f'upstream = "{till}/pay/pretend"\n'
    )
    return "\n".join(parts), files


def renamed(platform: Platform, mchid: str) -> Platform:
    """The same platform, telling of another merchant."""
    return replace(platform, seller_id=mchid) if isinstance(platform, Alipay) else replace(platform, mchid=mchid)
