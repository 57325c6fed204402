"""A wallet and its twin, wired without a wire: a call goes straight to the twin and its reply straight back."""

import functools
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from urllib.parse import parse_qsl, urlsplit

from adapters.alipay.wallet import wallet as alipay
from adapters.sandbox.alipay import platform as alipay_platform
from adapters.sandbox.alipay_twin import twin as alipay_twin
from adapters.sandbox.wechat_twin import twin as wechat_twin
from adapters.sandbox.wechat_v3 import platform as wechat_platform
from adapters.wechat_v3.wallet import wallet as wechat
from gateway.contract.events import Payer
from gateway.contract.money import Fen
from gateway.contract.wallet import Call, GiveBack, Purchase, Reply, Transfer, TwinEvent, TwinRequest

NOW = datetime(2026, 11, 22, 4, 5, 6, tzinfo=timezone.utc)
NONCE = "5K8264ILTKCH16CQ2502SI8ZNMTM67VS"
ENDPOINT = "https://shop.example/sandbox/platform/noodles-wechat"
OPENID = "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"
NUMBER = "D20261122040506000001"
NOTIFY = "https://shop.example/paid/noodles-wechat"


class Memory:
    """A twin's state in a dict; what is kept is a copy."""

    def __init__(self):
        self.kept = {}

    def get(self, kind, key):
        found = self.kept.get((kind, key))
        return None if found is None else dict(found)

    def put(self, kind, key, value):
        self.kept[kind, key] = dict(value)

    def add(self, kind, key, value):
        if (kind, key) in self.kept:
            return False
        self.kept[kind, key] = dict(value)
        return True


_MADE = {}


def tables(slug):
    """(channel's keys, platform's private side, wallet table with its endpoint), made once a run."""
    if slug not in _MADE:
        platform, twin = {"wechat": (wechat_platform, wechat_twin), "alipay": (alipay_platform, alipay_twin)}[slug]
        _, keys = platform.new_keys()
        private, table = twin.new_keys(keys)
        _MADE[slug] = keys, private, {**table, "endpoint": ENDPOINT}
    return _MADE[slug]


@functools.cache
def _loaded(slug):
    """Keys parsed once a run: an RSA key takes a twentieth of a second."""
    keys, _, table = tables(slug)
    return {"wechat": wechat, "alipay": alipay}[slug].load(table, keys)


@dataclass
class Street:
    """One wallet before its twin."""

    slug: str
    state: Memory = field(default_factory=Memory)
    now: datetime = NOW
    events: list[TwinEvent] = field(default_factory=list)

    def __post_init__(self):
        self.wallet = {"wechat": wechat, "alipay": alipay}[self.slug]
        self.twin = {"wechat": wechat_twin, "alipay": alipay_twin}[self.slug]
        self.channel_keys, self.private, self.table = tables(self.slug)
        self.keys = _loaded(self.slug)

    @property
    def payer(self):
        kind = "openid" if self.slug == "wechat" else "alipay_open_id"
        return Payer(self.channel_keys.get("appid") or self.channel_keys["app_id"], kind, OPENID)

    def arm(self, call, name):
        self.state.put("fault", call, {"name": name})

    def carry(self, call: Call) -> Reply:
        parts = urlsplit(call.url)
        prefix = urlsplit(ENDPOINT).path
        assert call.url.startswith(ENDPOINT)
        request = TwinRequest(call.method, parts.path.removeprefix(prefix), parts.query, call.headers, call.body)
        answer = self.twin.answer(self.private, self.table, request, self.state, self.now)
        self.events += answer.events
        return answer.reply

    # Sign-in.

    def browse(self, state="s" * 32, openid=OPENID, code="c0de" * 8):
        url = self.wallet.authorize_url(self.keys, "https://shop.example/wallet/back", state)
        query = dict(parse_qsl(urlsplit(url).query))
        back = self.twin.authorize(self.table, query, openid, self.state, self.now, code)
        return dict(parse_qsl(urlsplit(back).query))

    def sign_in(self, **named):
        return self.identify(self.wallet.code_of(self.keys, self.browse(**named)))

    def identify(self, code):
        return self.wallet.identity(self.keys, self.carry(self.wallet.exchange(self.keys, code, self.now, NONCE)))

    # Orders.

    def purchase(self, number=NUMBER, fen=1280, **changes):
        facts = {
            "out_trade_no": number,
            "amount_fen": Fen(fen),
            "description": "梧桐里 老陈面馆 立减5元",
            "payer": self.payer,
            "notify_url": NOTIFY,
            "expires_at": NOW + timedelta(minutes=15),
        }
        return Purchase(**{**facts, **changes})

    def prepay(self, **changes):
        call = self.wallet.prepay(self.keys, self.purchase(**changes), self.now, NONCE)
        return self.wallet.prepaid(self.keys, self.carry(call), self.now)

    def pay(self, handle, openid=OPENID):
        answer = self.twin.pay(self.private, handle, openid, self.state, self.now)
        self.events += answer.events
        return answer

    def query(self, number=NUMBER):
        return self.wallet.queried(
            self.keys, self.carry(self.wallet.query(self.keys, number, self.now, NONCE)), self.now
        )

    def close(self, number=NUMBER):
        return self.wallet.closed(
            self.keys, self.carry(self.wallet.close(self.keys, number, self.now, NONCE)), self.now
        )

    def give_back(self, refund="R1", fen=1280, total=1280, number=NUMBER):
        return GiveBack(number, refund, Fen(fen), Fen(total), "库存不足")

    def refund(self, **changes):
        call = self.wallet.refund(self.keys, self.give_back(**changes), self.now, NONCE)
        return self.wallet.refunded(self.keys, self.carry(call), self.now)

    def query_refund(self, **changes):
        call = self.wallet.query_refund(self.keys, self.give_back(**changes), self.now, NONCE)
        return self.wallet.refund_queried(self.keys, self.carry(call), self.now)

    def paid(self):
        """An order that was announced and paid."""
        handle = self.prepay()
        self.pay(handle)
        return handle

    # Transfers.

    def wanted(self, number="0199c0ffee0199c0ffee0199c0ffee01", fen=880, **changes):
        facts = {"number": number, "amount_fen": Fen(fen), "payee": self.payer, "title": "梧桐里", "remark": "活动奖励"}
        return Transfer(**{**facts, **changes})

    def transfer(self, **changes):
        call = self.wallet.transfer(self.keys, self.wanted(**changes), self.now, NONCE)
        return self.wallet.transferred(self.keys, self.carry(call), self.now)

    def query_transfer(self, number="0199c0ffee0199c0ffee0199c0ffee01"):
        call = self.wallet.query_transfer(self.keys, number, self.now, NONCE)
        return self.wallet.transfer_queried(self.keys, self.carry(call), self.now)
