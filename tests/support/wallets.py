"""A town whose customers sign in with wallets: real adapters, real wallets, and their twins behind the same pages.

    town = WalletTown(tmp_path)
    phone = town.phone(WECHAT_UA)
    page = phone.walk(f"/c/{town.link('A')}", guest="A")

The circle `wutong` wants wallets: WeChat at the noodles (v3) and the coffee (v2), one app for both, Alipay at the
books. The circle `hill` has a WeChat app of its own. Guests pay by the openids of the sandbox.
"""

import atexit
import functools
import re
import shutil
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from gateway import sandbox
from gateway.catalog.registry import installed
from gateway.contract.wallet import CallUnknown, Reply
from gateway.home import Home
from gateway.runtime import create
from gateway.web.sandbox.desk import openid_of
from gateway.web.sandbox.platform import Kept
from tests.support.browsing import Browser, Page, pages_of
from tests.support.world import BASE_URL, EMBEDDED, Clock, World, cheap_hasher

HOST = BASE_URL.removeprefix("https://")
WECHAT_UA = (
    "Mozilla/5.0 (Linux; Android 12; M2007J3SC) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/107.0.5304.141 "
    "Mobile Safari/537.36 XWEB/5023 MMWEBSDK/20221206 MicroMessenger/8.0.32.2300(0x28002037) WeChat/arm64 Weixin"
)
ALIPAY_UA = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 14_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 "
    "NebulaSDK/1.8.100112 Nebula AlipayClient/10.1.32.600 AliApp(AP/10.1.32.600) Language/zh-Hans"
)
DESK_UA = (
    "Mozilla/5.0 (Windows NT 6.1; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/109.0.0.0 Safari/537.36"
)

CATALOG = """
[circle.wutong]
name = "梧桐里"
min_amount_fen = 100
binding = "oauth"
[circle.hill]
name = "山脚"
binding = "oauth"

[merchant.noodles]
circle = "wutong"
name = "老陈面馆"
[merchant.books]
circle = "wutong"
name = "青禾书店"
[merchant.coffee]
circle = "wutong"
name = "半日咖啡"
[merchant.tea]
circle = "hill"
name = "山脚茶铺"

[shop.noodles-1]
merchant = "noodles"
name = "梧桐里店"
[shop.tea-1]
merchant = "tea"
name = "茶铺"

[channel.noodles-wechat]
merchant = "noodles"
shop = "noodles-1"
adapter = "wechat_v3"
intake = "copy"
sandbox = true
keys = { appid = "wx0000000000wutong" }
[channel.books-alipay]
merchant = "books"
adapter = "alipay"
intake = "copy"
sandbox = true
[channel.coffee-wechat]
merchant = "coffee"
adapter = "wechat_v2"
intake = "copy"
sandbox = true
keys = { appid = "wx0000000000wutong" }
[channel.tea-wechat]
merchant = "tea"
shop = "tea-1"
adapter = "wechat_v3"
intake = "copy"
sandbox = true
keys = { appid = "wx000000000000hill" }

[item.latte-5off]
merchant = "coffee"
name = "拿铁立减5元"
value_fen = 500
min_spend_fen = 2000
stock = 1000
offer = "both"
[item.bookmark]
merchant = "books"
name = "手工书签一枚"
kind = "gift"
stock = 500
offer = "both"
[item.cup]
merchant = "tea"
name = "一杯茶"
kind = "gift"
offer = "own"

[offer.default]
circle = "wutong"
own = 1
elsewhere = 1
[offer.hill]
circle = "hill"
own = 1
elsewhere = 0
"""


@functools.cache
def _template(catalog: str) -> Path:
    """A home made once a process: new RSA keys take longer than a test."""
    root = Path(tempfile.mkdtemp(prefix="drainage-wallets-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    made = WalletTown.__new__(WalletTown)
    made.home, made.sandbox, made.clock, made._runtimes, made.app = Home(root / "home"), True, Clock(), [], None
    made._make(catalog, EMBEDDED)
    made.close()
    return made.home.root


class WalletTown(World):
    """See the module. `calls` are the paths of all calls that went to a platform; `down` makes them fail."""

    def __init__(self, root: Path, *, catalog: str = CATALOG) -> None:
        self.home = Home(root / "home")
        shutil.copytree(_template(catalog), self.home.root)
        self.sandbox = True
        self.clock = Clock()
        self.app = None
        self._runtimes = []
        self._number = 0
        self.calls = []
        self.down = False
        self.runtime = self.another_runtime()
        self.store = self.runtime.store
        self.app = pages_of(self)

    def another_runtime(self):
        made = create(
            self.home.root,
            environ={},
            clock=self.clock,
            registry=installed(()),
            hasher=cheap_hasher(),
            carrier=self.carry,
        )
        self._runtimes.append(made)
        return made

    def carry(self, call):
        """A call of ours, answered by the twin behind our own pages."""
        parts = urlsplit(call.url)
        self.calls.append(parts.path)
        if self.down:
            raise CallUnknown("not_reached", "ConnectTimeout")
        assert parts.netloc == HOST, call
        answer = self.app.test_client().open(
            f"{BASE_URL}{parts.path}",
            query_string=parts.query,
            method=call.method,
            headers=call.headers,
            data=call.body,
        )
        return Reply(answer.status_code, tuple(answer.headers.items()), answer.data)

    # -- money ------------------------------------------------------------------------------------------------------

    def pay_as(self, guest, channel="noodles-wechat", amount_fen=2600):
        """A guest pays at a sandbox channel; the transaction's number."""
        now = self.clock()
        raw, order = sandbox.make_payment(
            self.runtime, channel, openid=openid_of(guest), amount_fen=amount_fen, now=now
        )
        directory = self.runtime.directory()
        self.runtime.intake.take_in(directory, directory.channel(channel), raw, now)
        return order.transaction_id

    def link(self, guest, channel="noodles-wechat"):
        """A fresh link of the guest's: he has paid before."""
        self.pay_as(guest, channel)
        paid = self.pay_as(guest, channel)
        row = self.one(
            "SELECT l.id, l.key_id FROM links l JOIN payments p ON p.id = l.payment WHERE p.transaction_id = :id",
            id=paid,
        )
        return self.runtime.link_keys.token(row["id"], row["key_id"])

    def person(self, guest, channel="noodles-wechat"):
        """The person that a payment of the guest at the channel stands for, or None."""
        rows = self.all(
            "SELECT person FROM payments WHERE channel = :channel ORDER BY id DESC LIMIT 1", channel=channel
        )
        return rows[0]["person"] if rows else None

    def arm(self, call, fault, channel="noodles-wechat"):
        """The twin plays this fault at its next such call."""
        Kept(self.store, channel).put("fault", call, {"name": fault})

    def phone(self, user_agent=WECHAT_UA, language="zh-CN"):
        """A fresh phone whose browser calls itself so."""
        return Phone(self.app, user_agent, language)


class Phone(Browser):
    """A browser that follows redirects like a real one and remembers every address that it stood at."""

    def __init__(self, app, user_agent, language="zh-CN"):
        super().__init__(app, language)
        self.headers["User-Agent"] = user_agent
        self.addresses = []

    def walk(self, path, *, guest=None, hops=12) -> Page:
        """Open an address and go wherever it leads; at the sandbox's wallet, as `guest`."""
        page = self.get(path)
        self.addresses.append(path)
        for _ in range(hops):
            if page.status in {302, 303}:
                path = page.response.headers["Location"]
            elif guest is not None and (ways := [link for link in page.links if link.endswith(f"&as={guest}")]):
                path = ways[0]
            else:
                return page
            self.addresses.append(path)
            page = self.get(path)
        raise AssertionError(f"goes round and round: {self.addresses[-4:]}")

    def sent_to(self, path) -> str:
        """Where the platform sends this phone back to: the last address before our own callback is opened."""
        page = self.get(path)
        assert page.status == 302, page.text[:200]
        chooser = self.get(page.response.headers["Location"])
        return chooser

    @staticmethod
    def state_in(url: str) -> str:
        """The state that an address carries."""
        return parse_qs(urlsplit(url).query)["state"][0]


def inputs_of(page: Page) -> dict[str, object]:
    """What the page's own form would send."""
    return dict(page.form()["hidden"])


def without_token(html: str) -> str:
    """A page without its form token, which is fresh each time."""
    return re.sub(r'name="csrf_token" value="[^"]*"', "", html)
