"""Channels of more kinds: sub-merchants, keys in rotation, shared hosts, a third party's adapter, one that is broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.house import House, call, channel, eventually, running
from tests.e2e.platforms import Sent, WeChatV2, WeChatV3, fresh_openid, fresh_transaction
from tests.e2e.till import Mode, Till

SHOPS = """
[circle.row]
name = "一排"
binding = "bearer"
[merchant.first]
circle = "row"
name = "第一家"
[merchant.second]
circle = "row"
name = "第二家"
[item.cup]
merchant = "first"
name = "一杯"
value_fen = 100
stock = 1000
offer = "both"
[offer.default]
circle = "row"
own = 0
elsewhere = 1
"""

PARTNER = WeChatV3(mchid="1900000501", partner=True)
OLD = WeChatV3(mchid="1900000502", apiv3_key="old-apiv3-key-0123456789abcdefgh")
NEW = replace(OLD, apiv3_key="new-apiv3-key-0123456789abcdefgh")
BY_CERTIFICATE = replace(NEW, certificate=True, signer=WeChatV3().signer)
SHARED = (WeChatV2(mchid="1230000501"), WeChatV2(mchid="1230000502"))

PLUGIN = '''
"""A payment platform of a third party: the body is `number,openid,fen`, vouched for by a shared word."""
import datetime as dt
from gateway.contract import Ack, BadSignature, Malformed, Payer, PaymentEvent

class Adapter:
    slug = "{slug}"
    def load_keys(self, table):
        return dict(table)
    def parse(self, raw, keys, now):
        if {broken}:
            raise RuntimeError("a bug of a third party")
        if raw.header("X-Word") != keys["word"]:
            raise BadSignature("another word")
        parts = raw.body.decode().split(",")
        if len(parts) != 3:
            raise Malformed("three parts")
        number, openid, fen = parts
        return PaymentEvent(
            provider=self.slug, mch_id="m1", sub_mch_id=None, transaction_id=number, out_trade_no=None,
            payers=(Payer("app", "openid", openid),), amount_fen=int(fen), payer_total_fen=None, currency="CNY",
            paid_at=now, trade_type=None, device_id=None, store_id=None, attach=None, event_id=number,
        )
    def ack(self, outcome, event=None):
        return Ack(200 if outcome == "accepted" else 400, (), outcome.encode())

adapter = Adapter()
'''


class Row:
    def __init__(self, house: House, till: Till) -> None:
        self.house = house
        self.till = till


@pytest.fixture(scope="module")
def row(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Row]:
    plugins = tmp_path_factory.mktemp("plugins")
    _install(plugins, "bestpay", broken=False)
    _install(plugins, "brokenpay", broken=True)
    house = House(config='[relay]\nallow = ["127.0.0.0/8"]\n[sandbox]\nenabled = true\n')
    house.environ["PYTHONPATH"] = str(plugins)
    with Till() as till, running(house, *_shops(till.url)):
        yield Row(house, till)


def _install(folder: Path, slug: str, *, broken: bool) -> None:
    """What pip leaves of a distribution with one module and one entry point."""
    (folder / f"{slug}_plugin.py").write_text(PLUGIN.format(slug=slug, broken=broken), "utf-8")
    info = folder / f"drainage_adapter_{slug}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: drainage-adapter-{slug}\nVersion: 1.0\n", "utf-8")
    (info / "entry_points.txt").write_text(f"[drainage.adapters]\n{slug} = {slug}_plugin:adapter\n", "utf-8")


def _shops(till: str) -> tuple[str, dict[str, str]]:
    text, files = channel("partner", "first", PARTNER, upstream=f"{till}/partner")
    # Several sub-merchants, each with an appid of its own: the table below names them, the keys none.
    text = text.replace(f'sub_mchid = "{PARTNER.sub_mchid}"\nsub_appid = "{PARTNER.sub_appid}"\n', "")
    text += '[channel.partner.sub_merchants]\n1900000601 = "first"\n1900000602 = "second"\n'
    files["new.key"] = NEW.apiv3_key
    files["old.key"] = OLD.apiv3_key
    files["public.pem"] = OLD.signer.public_pem
    files["certificate.pem"] = BY_CERTIFICATE.signer.certificate(BY_CERTIFICATE.serial_number)
    text += (
        f'[channel.rotating]\nmerchant = "first"\nadapter = "wechat_v3"\nupstream = "{till}/rotating"\n'
        f'[channel.rotating.keys]\nmchid = "{OLD.mchid}"\nappid = "{OLD.appid}"\n'
        'apiv3_keys = [{ file = "old.key" }, { file = "new.key" }]\n'
        f'public_keys = {{ {OLD.key_id} = {{ file = "public.pem" }} }}\n'
        'certificates = [{ file = "certificate.pem" }]\n'
    )
    for n, platform in enumerate(SHARED):
        more = {"hosts": '["shared.test"]', "notify_paths": f'["/cb/{n}"]', "hosts_default": "true" if n else "false"}
        part, needed = channel(f"shared{n}", "second", platform, upstream=f"{till}/unused{n}", **more)
        text += part
        files |= needed
    for slug in ("bestpay", "brokenpay"):
        text += f'[channel.{slug}]\nmerchant = "second"\nadapter = "{slug}"\nupstream = "{till}/{slug}"\n'
        text += f'[channel.{slug}.keys]\nword = "open sesame"\n'
    return SHOPS + text, files


def test_r011_a_partners_payment_goes_to_the_merchant_it_names(row: Row) -> None:
    for sub_mchid, merchant in (("1900000601", "first"), ("1900000602", "second")):
        paid = row.house.pay("partner", replace(PARTNER, sub_mchid=sub_mchid), fresh_openid())
        assert paid["merchant"] == merchant
    unknown = replace(PARTNER, sub_mchid="1900000603").payment(fresh_openid())
    assert row.house.notify("partner", unknown).status == 200
    assert row.house.api("GET", f"/payments/{unknown.transaction}").status == 404


def test_r008_a_partners_customer_is_one_person_at_all_its_merchants(row: Row) -> None:
    openid = fresh_openid()
    first = row.house.pay("partner", replace(PARTNER, sub_mchid="1900000602", sub_appid="wxs2"), openid)
    second = row.house.pay("partner", replace(PARTNER, sub_mchid="1900000602", sub_appid="wxs2"), openid)
    assert first["payer"] == second["payer"]
    # The gift is one of the other merchant's: the circle gives nothing of one's own.
    assert len(second["links"]) == 1
    assert row.house.api("GET", f"/coupons/{row.house.claim(second['links'][0]['url'])[0]}").json["merchant"] == "first"


@pytest.mark.parametrize("platform", [OLD, NEW, BY_CERTIFICATE], ids=["old key", "new key", "by certificate"])
def test_r004_keys_in_rotation_are_all_good_together(row: Row, platform: WeChatV3) -> None:
    assert row.house.pay("rotating", platform, fresh_openid())["tag"]["after"] == "tagged"


def test_r011_channels_that_share_a_host_take_in_their_own_path(row: Row) -> None:
    host = ("Host", "shared.test")
    for n, platform in enumerate(SHARED):
        sent = platform.payment(fresh_openid())
        assert call(row.house.port, "POST", f"/cb/{n}", (host, *sent.headers), sent.body).status == 200
        assert row.house.payment(sent.transaction)["channel"] == f"shared{n}"
        assert [heard.target for heard in row.till.find(sent.body)] == [f"/cb/{n}"]


def test_r073_a_third_partys_adapter_is_served_like_our_own(row: Row) -> None:
    openid = fresh_openid()
    paid = [_bestpay(row, "bestpay", openid) for _ in range(2)]
    for sent, answer in paid:
        assert answer == (200, b"till-says-ok")
        assert row.till.find(sent.body)
    told = [row.house.payment(sent.transaction) for sent, _ in paid]
    assert [one["tag"]["before"] for one in told] == ["untagged", "tagged"]
    assert told[1]["provider"] == "bestpay"
    assert len(told[1]["links"]) == 1
    wrong, answer = _bestpay(row, "bestpay", openid, word="close")
    assert answer == (200, b"till-says-ok")
    assert row.house.api("GET", f"/payments/{wrong.transaction}").status == 404


def test_r013_an_adapter_that_raises_stops_no_relay_and_nobody_else(row: Row) -> None:
    row.till.answers["/brokenpay"] = Mode(status=209, reason="Mine", body=b"the till's own")
    refused = row.house.summary()["refused"]
    sent, answer = _bestpay(row, "brokenpay", fresh_openid())
    assert answer == (209, b"the till's own")
    assert len(row.till.find(sent.body)) == 1
    eventually(lambda: call(row.house.port, "GET", "/readyz").json["spool"] == 0, "the spool is drained", 20)
    # Its bytes are kept for a look, and the next payment of another channel goes through as ever.
    eventually(lambda: row.house.summary()["refused"] == refused + 1, "kept in quarantine")
    assert len(row.till.find(sent.body)) == 1
    assert row.house.pay("rotating", NEW, fresh_openid())["tag"]["after"] == "tagged"


def _bestpay(row: Row, slug: str, openid: str, word: str = "open sesame") -> tuple[Sent, tuple[int, bytes]]:
    number = fresh_transaction()
    sent = Sent((("X-Word", word), ("Content-Type", "text/plain")), f"{number},{openid},500".encode(), number)
    answer = row.house.notify(slug, sent)
    return sent, (answer.status, answer.body)
