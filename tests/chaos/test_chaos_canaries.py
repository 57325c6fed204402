"""Secrets and openids with a mark on them, sent through everything; then every file, log, metric and answer is searched."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.chaos.square import drained
from tests.e2e.house import Answer, House, call, channel, eventually, running
from tests.e2e.platforms import Alipay, Platform, WeChatV2, WeChatV3, fresh_openid
from tests.e2e.till import Mode, Till

APIV3_KEY = "canary-apiv3-key-0123456789abcde"
API_KEY = "canaryApiKeyOf32Characters012345"
WALLET_SECRET = "canary-wallet-secret-0123456789"
PASSWORD = "canary horse battery staple"

_SHOPS = """
[circle.cage]
name = "笼"
binding = "bearer"
[merchant.m]
circle = "cage"
name = "鸟店"
[item.seed]
merchant = "m"
name = "谷子"
value_fen = 100
stock = 1000
offer = "both"
[offer.default]
circle = "cage"
own = 1
elsewhere = 0
"""


class Kept:
    """What must be found nowhere, and every answer that was given."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {"apiv3 key": APIV3_KEY, "api key": API_KEY, "wallet secret": WALLET_SECRET}
        self.openids: list[str] = []
        self.answers: list[Answer] = []
        self.printed: list[str] = []

    def openid(self) -> str:
        made = fresh_openid()
        self.openids += [made, "sub" + made[3:]]
        return made

    def needles(self) -> Iterator[tuple[str, bytes]]:
        named = [*self.secrets.items(), *(("openid", one) for one in self.openids)]
        for name, text in named:
            raw = text.encode()
            yield name, raw
            yield f"{name}, base64", base64.b64encode(raw)[: len(raw) // 3 * 4]
            yield f"{name}, hex", raw.hex().encode()
            yield f"{name}, quoted", urllib.parse.quote_plus(text).encode()


def test_r016_no_secret_and_no_openid_is_found_anywhere() -> None:
    kept = Kept()
    people: dict[str, Platform] = {
        "v3": WeChatV3(apiv3_key=APIV3_KEY),
        "partner": WeChatV3(apiv3_key=APIV3_KEY, mchid="1900000222", partner=True),
        "v2": WeChatV2(api_key=API_KEY),
        "v2-ack": WeChatV2(api_key=API_KEY, mchid="1230000222"),
        "ali": Alipay(),
        "copied": Alipay(seller_id="2088102175794222"),
    }
    house = House(config='[relay]\nallow = ["127.0.0.0/8"]\n[sandbox]\nenabled = true\n[log]\nlevel = "debug"\n')
    house.environ["CANARY_WALLET"] = WALLET_SECRET
    with Till() as till:
        with running(house, *_shops(people, till.url)):
            _live(house, till, people, kept)
            drained(house)
            _search_answers(house, kept)
            _search_files(house.home, kept)
            assert house.stop() == 0
            # Once more with everything written back into the database file.
            _search_files(house.home, kept)
            log = house.log().encode()
            assert log
            for name, needle in kept.needles():
                assert needle not in log, f"{name} in the log"


def _live(house: House, till: Till, people: dict[str, Platform], kept: Kept) -> None:
    """Everything that handles a secret or an openid, the ways that fail above all."""
    kept.secrets["one-time password"] = house.admin_password
    for role, scope in (("operator", {}), ("manager", {"merchant": "m"}), ("clerk", {"merchant": "m"})):
        kept.secrets[f"{role}'s token"] = house.token(role, **scope)
    kept.secrets["integrator's token"] = house.token("integrator")
    _passwords(house, kept)
    for line, platform in people.items():
        openid = kept.openid()
        for fen in (2500, 2600):
            kept.answers.append(house.notify(line, platform.payment(openid, fen)))
        for wrong in platform.wrong(openid).values():
            kept.answers.append(house.notify(line, wrong))
        kept.answers += [house.notify(line, platform.foreign(openid)), house.notify(line, platform.unpaid(openid))]
        lost_key = replace(platform, api_key="lostApiKeyOf32Characters01234567") if line == "v2" else None
        if lost_key is not None:
            kept.answers.append(house.notify(line, lost_key.payment(openid)))
    _copies(house, people["copied"], kept)
    _links(house, people["v3"], kept)
    till.mode = Mode("reset")
    for line in ("v3", "v2", "v2-ack", "ali"):
        kept.answers.append(house.notify(line, people[line].payment(kept.openid())))
    till.mode = Mode()
    # With the store gone the bytes go to the spool, which is a file too; it is searched as it lies there.
    aside = house.home / "moved.db"
    (house.home / "drainage.db").rename(aside)
    for line in ("v3", "v2", "ali"):
        kept.answers.append(house.notify(line, people[line].payment(kept.openid())))
    eventually(lambda: call(house.port, "GET", "/readyz").json["spool"] > 0, "it is spooled")
    _search_files(house.home, kept)
    aside.rename(house.home / "drainage.db")
    for words in (("payments", "--json"), ("export",), ("token", "list"), ("keys", "list"), ("check",)):
        done = house.run(*words)
        kept.printed.append(done.stdout + done.stderr)


def _passwords(house: House, kept: Kept) -> None:
    def post(path: str, **body: str) -> Answer:
        headers = (("Content-Type", "application/json"),)
        return call(house.port, "POST", f"/api/v1{path}", headers, json.dumps(body).encode())

    first = house.admin_password
    kept.secrets["password"] = PASSWORD
    kept.secrets["wrong password"] = "canary of a wrong password"
    kept.answers.append(post("/login", username="admin", password=kept.secrets["wrong password"]))
    kept.answers.append(post("/login", username=kept.secrets["wrong password"], password=first))
    assert post("/password", username="admin", password=first, new_password=PASSWORD).status == 204
    entered = post("/login", username="admin", password=PASSWORD)
    assert entered.status == 200
    # A token is told once, to its owner; it must not stand anywhere else.
    kept.secrets["session token"] = entered.json["token"]
    kept.answers.append(house.api("GET", "/summary", token=entered.json["token"]))
    kept.answers.append(house.api("GET", "/summary", token=entered.json["token"] + "x"))


def _copies(house: House, platform: Platform, kept: Kept) -> None:
    openid = kept.openid()
    for sent in (platform.payment(openid), *platform.wrong(openid).values()):
        body: dict[str, Any] = {
            "channel": "copied",
            "headers": [list(pair) for pair in sent.headers],
            "body_base64": base64.b64encode(sent.body).decode(),
        }
        kept.answers.append(house.api("POST", "/notifications", body, token=house.token("integrator")))


def _links(house: House, platform: Platform, kept: Kept) -> None:
    openid = kept.openid()
    link = house.link("v3", platform, openid)
    # The database must not hold what opens a link; the API tells it, so it is no needle for answers.
    kept.secrets["link token"] = link["url"].rpartition("/")[2]
    (code,) = house.claim(link["url"])
    kept.answers.append(house.redeem(code, token=house.token("clerk", merchant="m"), key="scan"))
    kept.answers.append(house.customer().get(link["url"].replace("/c/", "/i/")))
    person = house.api("GET", f"/persons/{link['payment']['payer']}")
    assert person.status == 200
    share = house.api("POST", "/shares", {"person": person.json["person"]}, token=house.token("manager", merchant="m"))
    assert share.status == 201
    friend = kept.openid()
    kept.answers.append(house.customer().confirm(share.json["url"], openid=friend, channel="v3"))
    house.pay("v3", platform, friend)
    kept.secrets["share token"] = share.json["url"].rpartition("/")[2]


def _search_answers(house: House, kept: Kept) -> None:
    operator = house.token("operator")
    for path in ("/payments", "/summary", "/openapi.json"):
        kept.answers.append(house.api("GET", path, token=operator))
    for path in ("/metrics", "/readyz", "/status", "/healthz", "/login", "/sandbox"):
        kept.answers.append(call(house.port, "GET", path))
    told_to_their_owners = {"link token", "share token"}
    for name, needle in kept.needles():
        if name.partition(",")[0] in told_to_their_owners:
            continue
        for answer in kept.answers:
            assert needle not in answer.body, f"{name} in an answer"
            assert not any(needle.decode() in value for _, value in answer.headers), f"{name} in a header"
        assert not any(needle.decode() in printed for printed in kept.printed), f"{name} printed"


def _search_files(home: Path, kept: Kept) -> None:
    """The raw bytes of every file of the home: database, log, spool, caches, metrics."""
    files = [path for path in home.rglob("*") if path.is_file()]
    needles = list(kept.needles())
    contents = [(path, path.read_bytes()) for path in files]
    # What is no secret is found, so the search does see what is written.
    assert any("鸟店".encode() in content for _, content in contents)
    for path, content in contents:
        for name, needle in needles:
            assert needle not in content, f"{name} in {path.name}"


def _shops(people: dict[str, Platform], till: str) -> tuple[str, dict[str, str]]:
    parts, files = [_SHOPS], {}
    for slug, platform in people.items():
        more = {"intake": '"copy"'} if slug == "copied" else {}
        if slug.endswith("-ack"):
            more = {"answer": '"ack"'}
        text, needed = channel(slug, "m", platform, upstream="" if slug == "copied" else f"{till}/{slug}", **more)
        if slug == "v3":
            text += f'[channel.v3.wallet]\nappid = "{people["v3"].appid}"\napp_secret = {{ env = "CANARY_WALLET" }}\n'
        parts.append(text)
        files |= needed
    return "\n".join(parts), files
