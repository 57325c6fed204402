"""The demo as a newcomer starts it: real processes, the whole story, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

PATIENCE_S = 90


def _demo(home: Path, *words: str) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("DRAINAGE_")}
    return subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", "--home", str(home), "demo", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environ, "PYTHONUNBUFFERED": "1"},
    )


def _running_from(home: Path) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if str(home) in command:
            found.append(command)
    return found


@pytest.mark.timeout(180)
def test_the_whole_story_comes_out_as_told_and_leaves_nothing_running(tmp_path: Path) -> None:
    """R012 R020 R021 R030 R060: paid twice, claimed, redeemed, relayed byte for byte, on all three platforms."""
    demo = _demo(tmp_path / "home", "--once")
    told, _ = demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 0, told
    assert told.count("完全一致 identical") == 3
    assert told.count("no second tag, no second link") == 3
    assert "the whole story came out as told" in told
    assert _running_from(tmp_path) == []


@pytest.mark.timeout(180)
def test_the_demo_prints_its_addresses_and_stops_when_told(tmp_path: Path) -> None:
    demo = _demo(tmp_path / "home")
    assert demo.stdout is not None
    lines = []
    for line in demo.stdout:
        lines.append(line)
        if "Ctrl-C stops all of it" in line:
            break
    told = "".join(lines)
    try:
        addresses = re.findall(r"http://127\.0\.0\.1:\d+\S*", told)
        first = [address.split("/")[3] for address in addresses]
        assert first == ["sandbox", "status", "c", "s", "sandbox", "redeem", "login"]
        assert "one-time password" in told
        for address in addresses[:3]:
            assert requests.get(address, timeout=10).status_code == 200, address
    finally:
        demo.send_signal(signal.SIGTERM)
        demo.communicate(timeout=PATIENCE_S)
    assert demo.returncode == 0
    end = time.monotonic() + 10
    while _running_from(tmp_path) and time.monotonic() < end:
        continue
    assert _running_from(tmp_path) == []
