"""B7: what pages weigh and how long the server takes, with a small store and with 100,000 payments stored.

The same gateway twice, over two homes; every page is asked for in turn at both. Times are the server's, over loopback
with a kept connection; the floor is an empty template under the same gunicorn. Weights are bytes as they go over the
wire; the claim page's hold everything that it loads.
"""

from __future__ import annotations

import platform
import re
import statistics
import tempfile
import time
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

import requests

from benchmarks import history, servers

SMALL, LARGE = 1_000, 100_000
ASKS = 12
PASSWORD = "a password of the benchmark"
PAGES = {
    "claim": "",
    "status": "/status",
    "status fragment": "/status/live",
    "redeem": "/redeem",
    "console": "/admin",
    "console payments": "/admin/payments",
    "console parked": "/admin/parked",
    "console audit": "/admin/audit",
    "console incidents": "/admin/incidents",
    "API payments": "/api/v1/payments",
    "API summary": "/api/v1/summary",
}
_CONFIG = """
[server]
base_url = "http://127.0.0.1:9"
[relay]
allow = ["127.0.0.0/8"]
[sandbox]
enabled = true
"""


class Side:
    """One running gateway, somebody signed in, and one customer's link."""

    def __init__(self, port: int, home: Path) -> None:
        self.base = f"http://127.0.0.1:{port}"
        self.home = home
        self.http = requests.Session()
        once = servers.drainage(home, "user", "add", "bench", "--role", "operator").split()[-1]
        body = {"username": "bench", "password": once, "new_password": PASSWORD}
        assert self.http.post(f"{self.base}/api/v1/password", json=body, timeout=30).status_code == 204
        form = self.http.get(f"{self.base}/login", timeout=30).text
        token = re.search(r'name="csrf_token" value="([^"]+)"', form).group(1)
        fields = {"csrf_token": token, "username": "bench", "password": PASSWORD}
        assert self.http.post(f"{self.base}/login", data=fields, timeout=30, allow_redirects=False).status_code == 303
        made = servers.drainage(home, "token", "create", "--role", "operator", "--name", "bench")
        self.bearer = {"Authorization": f"Bearer {made.split()[-1]}"}
        self.link = self._link()

    def _link(self) -> str:
        simulate = ("simulate", "pay", "--channel", "noodles-wechat", "--openid", "bench-guest", "--count", "2")
        servers.drainage(self.home, *simulate, "--url", f"{self.base}/notify/noodles-wechat")
        newest = self.http.get(f"{self.base}/api/v1/payments", headers=self.bearer, timeout=30).json()["items"][0]
        payment = self.http.get(
            f"{self.base}/api/v1/payments/{newest['transaction_id']}", headers=self.bearer, timeout=30
        ).json()
        return "/c/" + payment["links"][0]["url"].rpartition("/")[2]

    def get(self, path: str) -> tuple[float, requests.Response]:
        headers = self.bearer if path.startswith("/api/") else {"Accept-Encoding": "identity"}
        started = time.perf_counter()
        answer = self.http.get(self.base + path, headers=headers, timeout=60)
        took = time.perf_counter() - started
        assert answer.status_code == 200, (path, answer.status_code)
        return took * 1000, answer


def run(rounds: int = 5) -> dict:
    """Medians and p95 in milliseconds at both sizes, and bytes."""
    with tempfile.TemporaryDirectory() as folder:
        homes = {size: _home(Path(folder) / str(size), size) for size in (SMALL, LARGE)}
        small_log, large_log, empty_log = (Path(folder) / name for name in ("small.log", "large.log", "empty.log"))
        with (
            servers.gunicorn("wsgi:app", {"DRAINAGE_HOME": str(homes[SMALL])}, small_log) as small,
            servers.gunicorn("wsgi:app", {"DRAINAGE_HOME": str(homes[LARGE])}, large_log) as large,
            servers.gunicorn("benchmarks.peers.empty_page:app", {}, empty_log) as empty,
        ):
            sides = {SMALL: Side(small, homes[SMALL]), LARGE: Side(large, homes[LARGE])}
            times: dict[tuple[str, int], list[float]] = {}
            weights: dict[str, int] = {}
            floor: list[float] = []
            for number in range(rounds + 1):
                for _ in range(ASKS):
                    started = time.perf_counter()
                    assert sides[SMALL].http.get(f"http://127.0.0.1:{empty}/", timeout=30).status_code == 200
                    floor.append((time.perf_counter() - started) * 1000)
                    for name, path in PAGES.items():
                        for size, side in sides.items():
                            took, answer = side.get(path or side.link)
                            if number:  # the first round warms up
                                times.setdefault((name, size), []).append(took)
                                weights[name] = len(answer.content)
            claim_weight = _everything(sides[LARGE])
    p95 = {key: statistics.quantiles(found, n=20)[-1] for key, found in times.items()}
    worst = max((name for name in PAGES), key=lambda name: p95[name, LARGE])
    return {
        "id": "B7",
        "what": f"pages, with {SMALL:,} and with {LARGE:,} payments stored",
        "unit": "ms (p95)",
        "medians": {
            "empty template": round(statistics.quantiles(floor, n=20)[-1], 2),
            **{f"{name} ({size // 1000}k)": round(p95[name, size], 2) for name in PAGES for size in (SMALL, LARGE)},
        },
        "ratios": {
            "claim page bytes, all in": claim_weight,
            "status page bytes": weights["status"],
            "status fragment bytes": weights["status fragment"],
            "claim p95 ms": round(p95["claim", LARGE], 1),
            f"slowest at {LARGE:,}: {worst}, p95 ms": round(p95[worst, LARGE], 1),
            "largest growth (p95 large/small)": round(max(p95[name, LARGE] / p95[name, SMALL] for name in PAGES), 2),
        },
        "targets": {
            "claim page bytes, all in": "<= 40960",
            "status page bytes": "<= 81920",
            "status fragment bytes": "< 8192",
            "claim p95 ms": "<= 20",
            f"slowest at {LARGE:,}: {worst}, p95 ms": "<= 150 (at 5 million)",
        },
        "input": f"{ASKS} asks of each page a round and side",
        "rounds": rounds,
        "versions": {"python": platform.python_version(), "gunicorn": version("gunicorn"), "flask": version("flask")},
    }


def _home(home: Path, payments: int) -> Path:
    home.mkdir(parents=True)
    (home / "config.toml").write_text(_CONFIG)
    servers.drainage(home, "init")
    shops = files("gateway.demo").joinpath("shops.toml").read_text("utf-8")
    # No till: what is measured here is not the relay.
    (home / "shops.toml").write_text(re.sub(r"upstream = .*\n", "", shops))
    servers.drainage(home, "apply", str(home / "shops.toml"))
    history.fill(home, payments)
    return home


def _everything(side: Side) -> int:
    """The claim page after claiming, with its style, script and the QR code that is open: bytes on the wire."""
    customer = requests.Session()
    page = customer.get(side.base + side.link, timeout=30)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text).group(1)
    claimed = customer.post(side.base + side.link, data={"csrf_token": token}, timeout=30)
    assert claimed.status_code == 200, claimed.status_code
    parts = re.findall(r'(?:href|src)="(/[^"]+\.(?:css|js|svg|png)[^"]*)"', claimed.text)
    first_image = next((part for part in parts if ".png" in part), None)
    wanted = {part for part in parts if ".png" not in part} | ({first_image} if first_image else set())
    sizes = [len(claimed.content)]
    for part in sorted(wanted):
        answer = customer.get(side.base + part.replace("&amp;", "&"), timeout=30)
        assert answer.status_code == 200, part
        sizes.append(int(answer.headers.get("Content-Length", len(answer.content))))
    return sum(sizes)
