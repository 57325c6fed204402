"""B4: what the relay adds to a callback, against the till called directly and behind nginx `proxy_pass`, at 200/s.

The same till (one process, answers at once), the same freshly signed notifications, three ways to it in turn. Ours
verifies, writes down with a synced commit and tags before it relays.
"""

from __future__ import annotations

import contextlib
import json
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks import notifications, servers
from benchmarks.b3_intake import home_for
from benchmarks.load import Result, drive

PER_SECOND = 200
REQUESTS = 1000

_NGINX = """
daemon off; pid {place}/nginx.pid; error_log {place}/nginx.log; worker_processes 2;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/f;
  uwsgi_temp_path {place}/u; scgi_temp_path {place}/s;
  upstream till {{ server 127.0.0.1:{till}; keepalive 16; }}
  server {{ listen 127.0.0.1:{port};
    location / {{ proxy_pass http://till; proxy_http_version 1.1; proxy_set_header Connection ""; }} }}
}}
"""


def run(rounds: int = 5) -> dict:
    """Medians and p99 in milliseconds, and what each way adds to the direct call."""
    if shutil.which("nginx") is None and not Path("/usr/sbin/nginx").exists():
        raise RuntimeError("nginx is needed as the peer; tools/prepare measuring installs it")
    seen: dict[str, list[Result]] = {"direct": [], "nginx": [], "ours": []}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        signer = notifications.new_platform()
        with _till(place) as till, _nginx(place, till) as nginx:
            home = home_for(place, signer, f"http://127.0.0.1:{till}/pay/wx")
            with servers.gunicorn("wsgi:app", {"DRAINAGE_HOME": str(home)}, place / "log") as ours:
                ports = {"direct": till, "nginx": nginx, "ours": ours}
                for number in range(rounds + 1):
                    for side, port in ports.items():
                        start = number * REQUESTS
                        span = range(start, start + REQUESTS)
                        requests = notifications.make(signer, "/notify/wx", port, span, side[:4].ljust(4, "0"))
                        result = drive(port, requests, per_second=PER_SECOND)
                        assert result.statuses[200] == REQUESTS, (side, result.statuses)
                        if number:  # the first round warms up
                            seen[side].append(result)
    median = {side: statistics.median(result.median for result in found) for side, found in seen.items()}
    p99 = {side: statistics.median(result.percentile(99) for result in found) for side, found in seen.items()}
    return {
        "id": "B4",
        "what": f"relay at {PER_SECOND}/s",
        "unit": "ms (median)",
        "medians": {side: round(value, 2) for side, value in median.items()},
        "ratios": {
            "median added ms": round(median["ours"] - median["direct"], 2),
            "p99 added ms": round(p99["ours"] - p99["direct"], 2),
            "nginx: median added ms": round(median["nginx"] - median["direct"], 2),
            "nginx: p99 added ms": round(p99["nginx"] - p99["direct"], 2),
        },
        "targets": {"median added ms": "<= 5", "p99 added ms": "<= 25"},
        "input": f"{REQUESTS} distinct notifications a round and side",
        "rounds": rounds,
        "versions": {"python": platform.python_version(), "gunicorn": version("gunicorn")},
    }


@contextlib.contextmanager
def _till(place: Path) -> Iterator[int]:
    port = servers.free_port()
    with servers.process([sys.executable, "-m", "benchmarks.peers.till", str(port)], port, {}, place / "till.log"):
        yield port


@contextlib.contextmanager
def _nginx(place: Path, till: int) -> Iterator[int]:
    port = servers.free_port()
    (place / "nginx.conf").write_text(_NGINX.format(place=place, till=till, port=port))
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    command = [program, "-p", str(place), "-c", str(place / "nginx.conf"), "-e", str(place / "nginx.log")]
    with servers.process(command, port, {}, place / "nginx.out"):
        yield port


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
