"""B3: intake end to end over HTTP, against an empty Flask endpoint and a hand-written Flask app, in turn.

Every request is a distinct, freshly signed WeChat Pay v3 notification; the answer comes after commit and sync
(`synchronous=FULL`) with person, tag, offer and link done: every second payment of a payer finds him tagged. gunicorn
with 2 workers of 16 threads for each side, 32 keep-alive connections. Counted afterwards: every payment, tag and link.
"""

from __future__ import annotations

import json
import platform
import sqlite3
import statistics
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks import notifications, servers
from benchmarks.load import Result, drive
from crypto import rsa

REQUESTS = 6000
HALF_LOAD_REQUESTS = 3000

_CONFIG = '[relay]\nallow = ["127.0.0.0/8"]\n[sandbox]\nenabled = true\n'
_SHOPS = """
[circle.bench]
name = "bench"
min_amount_fen = 100
binding = "bearer"
[merchant.a]
circle = "bench"
name = "a"
[merchant.b]
circle = "bench"
name = "b"
[channel.wx]
merchant = "a"
adapter = "wechat_v3"
intake = "copy"
[channel.wx.keys]
mchid = "{mchid}"
appid = "{appid}"
apiv3_key = "{apiv3}"
public_keys = {{ {key_id} = {{ file = "platform.pem" }} }}
[offer.default]
circle = "bench"
per_person_per_day = 3
""" + "".join(
    f"""
[item.{merchant}{number}]
merchant = "{merchant}"
name = "item {number}"
value_fen = 500
stock = 1000000
offer = "both"
"""
    for merchant in "ab"
    for number in range(4)
)


def run(rounds: int = 5) -> dict:
    """Medians over the rounds, ratios, and what was counted. Raises AssertionError for a lost or wrong answer."""
    rates: dict[str, list[float]] = {"empty": [], "handwritten": [], "ours": []}
    p99: list[float] = []
    half: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for side, found in rates.items():
                place = Path(folder) / f"{side}{number}"
                place.mkdir()
                if side == "ours":
                    result, at_half = _ours(place, f"{number:04d}", number == rounds - 1)
                    p99.append(result.percentile(99))
                    if at_half is not None:
                        half.append(at_half.percentile(99))
                else:
                    result = (_empty if side == "empty" else _handwritten)(place, f"{number:04d}")
                assert result.statuses[200] == REQUESTS, (side, result.statuses)
                found.append(result.per_second)
    medians = {side: round(statistics.median(found)) for side, found in rates.items()}
    return {
        "id": "B3",
        "what": "intake over HTTP, answered after commit and sync",
        "unit": "per second",
        "medians": medians,
        "ratios": {
            "ours/empty": round(medians["ours"] / medians["empty"], 2),
            "ours/handwritten": round(medians["ours"] / medians["handwritten"], 2),
            "p99 ms at full load": round(statistics.median(p99), 1),
            "p99 ms at half load": round(statistics.median(half), 1) if half else None,
        },
        "targets": {
            "ours/empty": ">= 0.6 (stretch 0.9)",
            "ours/handwritten": ">= 2.2 (stretch 3.5)",
            "p99 ms at full load": "<= 50",
            "p99 ms at half load": "<= 15",
        },
        "input": f"{REQUESTS} distinct notifications a round and side, counted afterwards, none lost",
        "rounds": rounds,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("flask", "gunicorn", "cryptography", "pysqlite3", "wechatpayv3")},
        },
    }


def _empty(place: Path, salt: str) -> Result:
    with servers.gunicorn("benchmarks.peers.empty_flask:app", {}, place / "log") as port:
        requests = notifications.make(notifications.new_platform(), "/notify/wx", port, range(REQUESTS), salt)
        return _warm_drive(port, requests)


def _handwritten(place: Path, salt: str) -> Result:
    signer = notifications.new_platform()
    settings = {
        "mchid": notifications.MCHID,
        "appid": notifications.APPID,
        "apiv3_key": signer.apiv3_key,
        "merchant_key": rsa.new_private_key(),
        "public_key": signer.public_pem.decode(),
        "key_id": notifications.KEY_ID,
        "db": str(place / "peer.db"),
    }
    with servers.gunicorn(
        "benchmarks.peers.handwritten:app", {"BENCH_PEER": json.dumps(settings)}, place / "log"
    ) as port:
        requests = notifications.make(signer, "/notify/wx", port, range(REQUESTS), salt)
        result = _warm_drive(port, requests)
    with sqlite3.connect(place / "peer.db") as db:
        counted = db.execute(
            "SELECT (SELECT count(*) FROM payments), (SELECT count(*) FROM tags), (SELECT count(*) FROM links)"
        ).fetchone()
    _assert_counted(counted)
    return result


def home_for(place: Path, signer: notifications.Platform, upstream: str = "") -> Path:
    """A home with one channel that trusts `signer`."""
    home = place / "home"
    home.mkdir()
    (home / "config.toml").write_text(_CONFIG)
    servers.drainage(home, "init")
    (home / "platform.pem").write_bytes(signer.public_pem)
    text = _SHOPS.format(
        mchid=notifications.MCHID, appid=notifications.APPID, apiv3=signer.apiv3_key, key_id=notifications.KEY_ID
    )
    if upstream:
        text = text.replace('intake = "copy"', f'intake = "relay"\nupstream = "{upstream}"')
    (home / "shops.toml").write_text(text)
    servers.drainage(home, "apply", str(home / "shops.toml"))
    return home


def _ours(place: Path, salt: str, at_half_load: bool) -> tuple[Result, Result | None]:
    signer = notifications.new_platform()
    home = home_for(place, signer)
    half = None
    with servers.gunicorn("wsgi:app", {"DRAINAGE_HOME": str(home)}, place / "log") as port:
        requests = notifications.make(signer, "/notify/wx", port, range(REQUESTS), salt)
        result = _warm_drive(port, requests)
        if at_half_load:
            more = notifications.make(signer, "/notify/wx", port, range(REQUESTS, REQUESTS + HALF_LOAD_REQUESTS), salt)
            half = drive(port, more, per_second=result.per_second / 2)
            assert half.statuses[200] == HALF_LOAD_REQUESTS
    total = REQUESTS + (HALF_LOAD_REQUESTS if at_half_load else 0)
    with sqlite3.connect(home / "drainage.db") as db:
        counted = db.execute(
            "SELECT (SELECT count(*) FROM payments), (SELECT count(*) FROM tags), (SELECT count(*) FROM links)"
        ).fetchone()
    _assert_counted(counted, total)
    return result, half


def _warm_drive(port: int, requests: list[bytes]) -> Result:
    """The first tenth warms every worker up; it is answered and counted, but not in the time."""
    tenth = len(requests) // 10
    warm = drive(port, requests[:tenth])
    rest = drive(port, requests[tenth:])
    return Result(rest.seconds, rest.latencies_ms, rest.statuses + warm.statuses)


def _assert_counted(counted: tuple[int, int, int], total: int = REQUESTS) -> None:
    assert counted == (total, total // 2, total // 2), counted


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
