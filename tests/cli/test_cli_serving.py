"""The whole command on a running gateway: real processes, a real till on 127.0.0.1, signed notifications."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading

import pytest
import requests
from cli_console import Console

from adapters.sandbox.pos import SandboxPos

SHOPS = """
[circle.riverside]
name = "滨江商圈"
binding = "bearer"
[merchant.hotpot]
circle = "riverside"
name = "老王火锅"
[merchant.sweets]
circle = "riverside"
name = "甜甜糖水"
[channel.till]
merchant = "hotpot"
adapter = "wechat_v3"
sandbox = true
upstream = "{till}/pay"
[channel.ali]
merchant = "sweets"
adapter = "alipay"
sandbox = true
answer = "ack"
upstream = "{till}/ali"
[item.bowl-5off]
merchant = "sweets"
name = "糖水立减5元"
value_fen = 500
stock = 100
offer = "elsewhere"
"""
OPENID = "openid-canary-5f7a"


def soon(condition):
    for _ in range(400):
        found = condition()
        if found:
            return found
        threading.Event().wait(0.05)
    raise AssertionError("not within 20 s")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def made_shop(tmp_path_factory, made):
    """(a home whose channels lead to a till, the till's port): made once, since making platforms' keys takes seconds."""
    console = Console(tmp_path_factory.mktemp("shop"), made)
    console.init()
    port = free_port()
    console.apply(SHOPS.format(till=f"http://127.0.0.1:{port}"))
    return console.home, port


@pytest.fixture
def till(made_shop):
    with SandboxPos(made_shop[1]) as pos:
        yield pos


@pytest.fixture
def shop(tmp_path, made_shop):
    console = Console(tmp_path, made_shop[0])
    console.init()
    return console


class Serving:
    def __init__(self, console, *words):
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.log = open(console.folder / "serve.log", "wb")
        command = console.command(
            "serve", "--bind", f"127.0.0.1:{self.port}", "--workers", "1", "--threads", "4", *words
        )
        self.process = subprocess.Popen(command, cwd=console.folder, env=console.env, stdout=self.log, stderr=self.log)

    def ready(self):
        def ask():
            assert self.process.poll() is None, "serve has ended"
            try:
                return requests.get(f"{self.base}/readyz", timeout=2).status_code == 200
            except requests.RequestException:
                return False

        soon(ask)
        return self

    def descendants(self):
        listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
        parents = [tuple(map(int, line.split())) for line in listed.splitlines()]
        found = {self.process.pid}
        for _ in range(4):
            found |= {pid for pid, parent in parents if parent in found}
        return found - {self.process.pid}

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        self.log.close()
        return code


@pytest.fixture
def serving(shop):
    served = Serving(shop).ready()
    yield served
    served.stop()


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pay(console, serving, *words, channel="till", **env):
    done = console.ok(
        "simulate", "pay", "--channel", channel, "--url", f"{serving.base}/notify/{channel}", "--json", *words, **env
    )
    return json.loads(done.out)


def test_payments_come_in_and_every_command_tells_them_without_an_openid(shop, serving, till):
    (first,) = pay(shop, serving, "--openid", OPENID)
    (second,) = pay(shop, serving, "--openid", OPENID, "--amount", "1234")
    assert len(till.requests) == 2
    rows = json.loads(shop.ok("payments", "--json").out)
    assert [row["transaction_id"] for row in rows] == [second["transaction_id"], first["transaction_id"]]
    record = json.loads(shop.ok("payment", second["transaction_id"], "--json").out)
    assert record["amount_fen"] == 1234
    assert record["tag"]["before"] == "tagged"
    assert record["links"][0]["items"] == ["bowl-5off"]
    assert {"rule": "payer_link", "outcome": "done", "reason": "issued"} in record["decisions"]
    assert [event["what"] for event in record["timeline"]].count("told") == 1
    assert {"paid", "told", "issued"} <= {event["what"] for event in record["timeline"]}
    person = shop.ok("person", record["payer"], "--json").out
    plain = shop.ok("payment", first["transaction_id"]).out
    assert "first_payment" in plain
    for text in (json.dumps(rows), json.dumps(record), person, plain, shop.ok("payments").out):
        assert OPENID not in text
        assert "/c/" not in text
    assert shop.run("payment", "42").err == "not_found: no payment of that number\n"
    shop.ok("forget", record["payer"])
    assert json.loads(shop.ok("person", record["payer"], "--json").out)["identities"] == []
    assert shop.run("person", "p_nobody").code == 1


def test_a_change_is_served_within_two_seconds_without_a_restart(shop, serving, till):
    assert requests.post(f"{serving.base}/notify/new", data=b"x", timeout=5).status_code == 404
    shop.apply('[channel.new]\nmerchant = "hotpot"\nadapter = "wechat_v3"\nsandbox = true\n')

    # Counted in looks, not in seconds: two seconds hold at most four of them.
    looks = []

    def served():
        looks.append(requests.post(f"{serving.base}/notify/new", data=b"x", timeout=5).status_code)
        return looks[-1] != 404

    soon(served)


def test_simulate_says_when_not_every_answer_was_a_success(shop, serving, till):
    till.set_mode("fail")
    done = shop.run("simulate", "pay", "--channel", "till", "--url", f"{serving.base}/notify/till")
    assert done.code == 1
    assert "not_answered" in done.err
    till.set_mode("ok")
    (counted,) = [
        line.split()
        for line in shop.ok(
            "simulate",
            "pay",
            "--channel",
            "ali",
            "--count",
            "25",
            "--rate",
            "500",
            "--url",
            f"{serving.base}/notify/ali",
        ).out.splitlines()[1:]
    ]
    assert counted == ["200", "25"]


@pytest.mark.parametrize(("channel", "word"), [("nobody", "not_found")])
def test_simulate_pays_at_sandbox_channels_only(shop, channel, word):
    done = shop.run("simulate", "pay", "--channel", channel)
    assert (done.code, word in done.err) == (1, True)
    off = shop.run("simulate", "pay", "--channel", "till", DRAINAGE_SANDBOX_ENABLED="false")
    assert "not_found" in off.err


def test_a_backup_taken_while_serving_is_restored_and_checked(shop, serving, till):
    pay(shop, serving, "--count", "3")
    counts = json.loads(shop.ok("backup", "b.tar", "--json").out)
    assert counts["payments"] == 3
    assert (shop.folder / "b.tar").stat().st_mode & 0o077 == 0
    assert json.loads(shop.ok("restore", "b.tar", "--json", "--home", "again").out) == counts
    assert len(json.loads(shop.ok("payments", "--json", "--home", "again").out)) == 3
    second = shop.run("restore", "b.tar", "--home", "again")
    assert (second.code, "has a store already" in second.err) == (1, True)
    (shop.folder / "no.tar").write_bytes(b"nothing of ours")
    assert "no backup of ours" in shop.run("restore", "no.tar", "--home", "third").err


def test_check_has_a_line_for_each_thing_and_fails_on_a_fault(shop, serving, till):
    soon(lambda: (shop.home / "run" / "worker.beat").exists())
    done = shop.ok("check")
    assert all(line.startswith("ok ") for line in done.out.splitlines())
    assert any("channel till: till: reachable" in line for line in done.out.splitlines())
    (shop.home / "secret.key").chmod(0o644)
    assert shop.run("check").code == 1
    (shop.home / "secret.key").chmod(0o600)
    till.stop()
    broken = shop.run("check", "--json")
    assert broken.code == 1
    assert [finding["name"] for finding in json.loads(broken.out) if not finding["ok"]] == [
        "channel ali: till",
        "channel till: till",
    ]


def test_what_the_till_refuses_for_a_day_is_parked_and_replayed(shop, till):
    serving = Serving(shop, "--no-worker").ready()
    try:
        till.set_mode("fail")
        pay(shop, serving, channel="ali")
        assert shop.ok("parked", "list").out == ""
        shop.ok("work", "--once", DRAINAGE_SANDBOX_CLOCK_OFFSET_S=str(25 * 3600))
        (row,) = json.loads(shop.ok("parked", "list", "--json").out)
        assert (row["topic"], row["object"]) == ("relay", "ali")
        assert "would be sent" in shop.ok("parked", "replay", "--dry-run").out
        failed = shop.run("parked", "replay", row["id"])
        assert (failed.code, "not_delivered" in failed.err) == (1, True)
        tries = json.loads(shop.ok("parked", "show", row["id"], "--json").out)["attempts"]
        assert sorted(attempt["replay"] for attempt in tries)[-2:] == [0, 1]
        till.set_mode("ok")
        assert "accepted" in shop.ok("parked", "replay").out
        shown = shop.run("parked", "show", row["id"])
        assert (shown.code, "not_found" in shown.err) == (1, True)
        assert shop.ok("parked", "list").out == ""
    finally:
        serving.stop()


def test_sigterm_ends_everything_with_status_0_and_tells_a_balancer(shop):
    serving = Serving(shop).ready()
    children = serving.descendants()
    assert len(children) >= 3
    assert serving.stop() == 0
    soon(lambda: not any(alive(pid) for pid in children))
    assert (shop.home / "run" / "draining").exists()
    again = Serving(shop).ready()
    assert not (shop.home / "run" / "draining").exists()
    assert again.stop() == 0


def test_a_killed_supervisor_leaves_nothing_behind(shop):
    serving = Serving(shop).ready()
    children = serving.descendants()
    serving.process.kill()
    serving.stop()
    soon(lambda: not any(alive(pid) for pid in children))


def test_a_killed_worker_is_started_again(shop):
    serving = Serving(shop).ready()

    def workers():
        found = []
        for pid in serving.descendants():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as line:
                    if line.read().split(b"\0")[-2:] == [b"work", b""]:
                        found.append(pid)
            except FileNotFoundError:
                continue
        return found

    try:
        (first,) = soon(workers)
        os.kill(first, signal.SIGKILL)
        second = soon(lambda: [pid for pid in workers() if pid != first])
        assert len(second) == 1
    finally:
        assert serving.stop() == 0


def test_a_port_that_is_taken_ends_serve_with_status_1(shop):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = shop.run("serve", "--bind", f"127.0.0.1:{taken.getsockname()[1]}", "--workers", "1", "--no-worker")
    assert done.code == 1
    assert "gunicorn ended" in done.err
