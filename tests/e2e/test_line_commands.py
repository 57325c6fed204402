"""The `drainage` command, from outside: what each part of it does, its exit codes, and what it never prints."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.house import House, call, channel, free_port
from tests.e2e.platforms import Alipay, WeChatV2, WeChatV3, fresh_openid
from tests.e2e.till import Mode, Till

V3, V2, ALI = WeChatV3(), WeChatV2(), Alipay()

SHOPS = """
[circle.lane]
name = "小巷"
min_amount_fen = 0
binding = "bearer"
[merchant.bakery]
circle = "lane"
name = "面包房"
[merchant.florist]
circle = "lane"
name = "花店"
[item.bun]
merchant = "bakery"
name = "奶黄包"
kind = "gift"
stock = 10000
offer = "both"
[offer.default]
circle = "lane"
own = 1
elsewhere = 0
link_days = 7
"""


class Lane:
    """A served home with three channels; `apply` may be called with another text."""

    def __init__(self, house: House, till: Till) -> None:
        self.house = house
        self.till = till

    def text(self, shops: str = SHOPS, **changes: dict[str, str]) -> tuple[str, dict[str, str]]:
        parts, files = [shops], {}
        for slug, platform, more in (("v3", V3, {}), ("v2", V2, {}), ("ali", ALI, {"answer": '"ack"'})):
            text, needed = channel(
                slug, "bakery", platform, upstream=f"{self.till.url}/pay/{slug}", **{**more, **changes.get(slug, {})}
            )
            parts.append(text)
            files |= needed
        parts.append(
            f'[channel.pretend]\nmerchant = "bakery"\nadapter = "alipay"\nsandbox = true\n'
            f'upstream = "{self.till.url}/pay/pretend"\n'
        )
        return "\n".join(parts), files


@pytest.fixture(scope="module")
def lane() -> Iterator[Lane]:
    house = House(config='[relay]\nallow = ["127.0.0.0/8"]\n[sandbox]\nenabled = true\n')
    with house, Till(Mode(body=b"success")) as till:
        made = Lane(house, till)
        house.init()
        house.apply(*made.text())
        house.start()
        yield made


# -- making a home ----------------------------------------------------------------------------------------------------


def test_init_makes_a_home_once_and_is_safe_to_run_again(tmp_path: Path) -> None:
    house = House(home=tmp_path)
    first = house.run("init")
    assert first.returncode == 0, first.stderr
    assert "admin" in first.stdout
    assert house.home.joinpath("config.toml").is_file()
    secret = house.home / "secret.key"
    assert secret.stat().st_mode & 0o777 == 0o600
    kept = secret.read_bytes()
    again = house.run("init")
    assert again.returncode == 0
    assert "password" not in again.stdout
    assert secret.read_bytes() == kept


@pytest.mark.parametrize("words", [("nonsense",), ("apply",), ("serve", "--workers", "many")])
def test_wrong_usage_is_exit_2(lane: Lane, words: tuple[str, ...]) -> None:
    done = lane.house.run(*words)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("payment", "no-such"),
        ("forget", "p_no"),
        ("parked", "show", "ob_no"),
        ("simulate", "pay", "--channel", "v3"),
        ("user", "add", "x", "--role", "clerk", "--merchant", "no-such"),
    ],
)
def test_a_refusal_is_told_on_stderr_without_a_traceback(lane: Lane, words: tuple[str, ...]) -> None:
    done = lane.house.run(*words)
    assert done.returncode == 1
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_wrong_settings_stop_the_start_with_every_fault(lane: Lane) -> None:
    settings = {
        "DRAINAGE_NO_SUCH": "1",
        "DRAINAGE_SPOOL_BYTES": "many",
        "DRAINAGE_STORE_URL": "mysql://x",
        "DRAINAGE_SANDBOX_ENABLED": "false",
        "DRAINAGE_SANDBOX_CLOCK_OFFSET_S": "60",
    }
    house = House(home=lane.house.root, settings=settings)
    done = house.run("serve", "--bind", f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for name in ("DRAINAGE_NO_SUCH", "DRAINAGE_SPOOL_BYTES", "DRAINAGE_STORE_URL", "clock_offset_s"):
        assert name in done.stderr


# -- apply and export -------------------------------------------------------------------------------------------------


def test_apply_tells_every_fault_at_once_with_its_path_and_does_nothing(lane: Lane) -> None:
    text = """
[circle.new]
name = "新"
binding = "handshake"
[merchant.m]
circle = "nowhere"
name = "m"
[channel.a]
merchant = "bakery"
adapter = "wechat_v3"
answer = "ack"
upstream = "http://169.254.169.254/latest"
[channel.a.keys]
mchid = "1"
apiv3_key = "too short, and not to be shown"
[channel.b]
merchant = "bakery"
adapter = "no_such"
[channel.d]
merchant = "bakery"
adapter = "alipay"
timeout_ms = 50
colour = "red"
[channel.c]
merchant = "bakery"
adapter = "wechat_v2"
upstream = "http://user:password@127.0.0.1/"
[channel.c.keys]
mchid = "1"
appid = "wx1"
api_key = "e2eApiKeyOf32Characters012345678"
[item.i]
merchant = "bakery"
name = "i"
kind = "fish"
value_fen = -5
[offer.default]
circle = "lane"
[offer.second]
circle = "lane"
"""
    path = lane.house.root / "faulty.toml"
    path.write_text(text, "utf-8")
    done = lane.house.run("apply", str(path))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for expected in (
        "circle.new.binding",
        "merchant.m.circle",
        "channel.a.answer",
        "channel.a.upstream",
        "channel.d.timeout_ms",
        "channel.a.keys.apiv3_key",
        "channel.b.adapter",
        "channel.d.colour",
        "channel.c.upstream",
        "item.i.kind",
        "item.i.value_fen",
        "offer.",
    ):
        assert expected in done.stderr, expected
    assert "not to be shown" not in done.stderr + done.stdout
    assert lane.house.notify("c", V2.payment(fresh_openid())).status == 404


def test_apply_again_changes_nothing_and_a_dry_run_neither(lane: Lane) -> None:
    again = lane.house.apply(*lane.text())
    assert "unchanged" in again
    assert "created" not in again
    text, files = lane.text(SHOPS.replace("花店", "花房"))
    dry = lane.house.apply(text, files, "--dry-run")
    assert "changed" in dry
    assert "花房" not in lane.house.drainage("export")


def test_export_can_be_applied_and_holds_no_secret(lane: Lane) -> None:
    exported = lane.house.drainage("export")
    for secret in (V3.apiv3_key, V2.api_key, "PRIVATE KEY"):
        assert secret not in exported
    again = lane.house.apply(exported, name="exported.toml")
    assert "created" not in again
    assert not re.search(r"\bchanged", again.replace("unchanged", ""))
    # The keys are still those: a payment signed with them is genuine.
    assert lane.house.pay("v3", V3, fresh_openid())["tag"]["after"] == "tagged"


def test_secrets_from_the_environment_of_the_apply_call(lane: Lane) -> None:
    text, files = lane.text()
    text = text.replace('api_key = { file = "v2.key" }', 'api_key = { env = "E2E_V2_KEY" }')
    path = lane.house.root / "env.toml"
    for name, content in files.items():
        (lane.house.root / name).write_text(content, "utf-8")
    path.write_text(text, "utf-8")
    missing = lane.house.run("apply", str(path))
    assert missing.returncode == 1
    assert "E2E_V2_KEY" in missing.stderr
    lane.house.environ["E2E_V2_KEY"] = V2.api_key
    try:
        lane.house.drainage("apply", str(path))
    finally:
        del lane.house.environ["E2E_V2_KEY"]
    assert lane.house.pay("v2", V2, fresh_openid())["tag"]["after"] == "tagged"


def test_apply_takes_effect_in_every_worker_within_two_seconds(lane: Lane) -> None:
    probe = V2.payment(fresh_openid())

    def met(body: bytes, status: int) -> bool:
        got = lane.house.notify("extra", probe)
        return (got.status, got.body) == (status, body)

    text, files = lane.text()
    assert lane.house.notify("extra", probe).status == 404
    more, needed = channel("extra", "bakery", V2, upstream=f"{lane.till.url}/pay/extra", name="v2")
    lane.house.apply(text + more, {**files, **needed})
    _all_within_two_seconds(lambda: met(b"success", 200), "the new channel is served")

    lane.house.apply(text + more.replace("/pay/extra", "/pay/moved"), {**files, **needed})
    _all_within_two_seconds(
        lambda: met(b"success", 200) and lane.till.find(probe.body)[-1].target == "/pay/moved", "the upstream is moved"
    )
    lane.house.apply(text, files, "--prune")
    _all_within_two_seconds(lambda: lane.house.notify("extra", probe).status == 404, "the channel is gone")


def _all_within_two_seconds(holds: object, what: str) -> None:
    """A short while for the news to spread, then it must hold whichever worker answers."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline and not holds():  # type: ignore[operator]
        time.sleep(0.05)
    while time.monotonic() < deadline:
        time.sleep(0.05)
    for _ in range(25):
        assert holds(), what  # type: ignore[operator]


# -- simulate ---------------------------------------------------------------------------------------------------------


def test_r073_simulate_pays_as_the_sandbox_platform_would(lane: Lane) -> None:
    openid = fresh_openid()
    url = f"http://127.0.0.1:{lane.house.port}/notify/pretend"
    before = lane.house.summary()
    for _ in range(2):
        done = lane.house.drainage(
            "simulate", "pay", "--channel", "pretend", "--openid", openid, "--amount", "777", "--url", url
        )
        assert openid not in done
    after = lane.house.summary()
    assert after["payments"] == before["payments"] + 2
    assert after["tagged"] == before["tagged"] + 1
    assert after["links_issued"] == before["links_issued"] + 1
    lane.house.drainage("simulate", "pay", "--channel", "pretend", "--count", "5", "--rate", "50", "--url", url)
    assert lane.house.summary()["payments"] == before["payments"] + 7


def test_r073_a_real_platforms_signature_is_nothing_on_a_sandbox_channel(lane: Lane) -> None:
    refused = lane.house.summary()["refused"]
    sent = ALI.payment(fresh_openid())
    assert lane.house.notify("pretend", sent).status == 200
    assert lane.house.summary()["refused"] == refused + 1
    assert lane.house.api("GET", f"/payments/{sent.transaction}").status == 404


# -- looking ----------------------------------------------------------------------------------------------------------


def test_r016_payments_and_persons_are_told_without_an_openid(lane: Lane) -> None:
    openid = fresh_openid()
    paid = [lane.house.pay("v3", V3, openid) for _ in range(2)][1]
    listed = json.loads(lane.house.drainage("payments", "--json"))
    items = listed["items"] if isinstance(listed, dict) else listed
    assert paid["transaction_id"] in {item["transaction_id"] for item in items}
    one = json.loads(lane.house.drainage("payment", paid["transaction_id"], "--json"))
    assert one["transaction_id"] == paid["transaction_id"]
    assert "already_tagged" in json.dumps(one)
    for words in (
        ("payments",),
        ("payment", paid["transaction_id"]),
        ("person", paid["payer"]),
        ("person", paid["payer"], "--json"),
    ):
        printed = lane.house.drainage(*words)
        assert openid not in printed, words


def test_r016_who_is_forgotten_is_a_stranger_again(lane: Lane) -> None:
    openid = fresh_openid()
    person = lane.house.pay("v3", V3, openid)["payer"]
    lane.house.drainage("forget", person)
    again = lane.house.pay("v3", V3, openid)
    assert again["payer"] != person
    assert again["tag"]["before"] == "untagged"


def test_check_is_a_line_each(lane: Lane) -> None:
    done = lane.house.run("check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.strip().splitlines()) >= 5


def test_r073_installed_adapters_are_listed_and_checked(lane: Lane) -> None:
    listed = {row["adapter"] for row in json.loads(lane.house.drainage("adapters", "list", "--json"))}
    assert {"wechat_v3", "wechat_v2", "alipay"} <= listed
    done = lane.house.run("adapters", "check", "alipay", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    unknown = lane.house.run("adapters", "check", "no-such")
    assert unknown.returncode == 1
    assert "Traceback" not in unknown.stderr


def test_r073_a_new_adapter_is_a_package_that_can_be_read(lane: Lane) -> None:
    done = lane.house.run("adapters", "new", "bestpay")
    assert done.returncode == 0, done.stderr
    made = [path for path in lane.house.root.rglob("*.py") if "bestpay" in str(path)]
    assert made
    for path in made:
        compile(path.read_text("utf-8"), str(path), "exec")
    again = lane.house.run("adapters", "new", "bestpay")
    assert again.returncode == 1, "what is there is not written over"


# -- tokens and users -------------------------------------------------------------------------------------------------


def test_r200_a_revoked_token_is_dead_in_every_worker_at_once(lane: Lane) -> None:
    out = lane.house.drainage("token", "create", "--role", "operator", "--name", "short-lived")
    token = out.strip().splitlines()[-1]
    assert lane.house.api("GET", "/summary", token=token).status == 200
    listed = lane.house.drainage("token", "list", "--json")
    assert token not in listed
    rows = json.loads(listed)
    (mine,) = [row for row in rows if row["name"] == "short-lived"]
    lane.house.drainage("token", "revoke", mine["id"])
    assert {lane.house.api("GET", "/summary", token=token).status for _ in range(10)} == {401}


def test_r200_a_new_user_must_choose_a_password_first(lane: Lane) -> None:
    out = lane.house.drainage("user", "add", "mei", "--role", "clerk", "--merchant", "bakery")
    once = out.strip().splitlines()[-1].split()[-1]
    port = lane.house.port

    def post(path: str, body: dict[str, str]) -> tuple[int, dict]:
        headers = (("Content-Type", "application/json"),)
        got = call(port, "POST", f"/api/v1{path}", headers, json.dumps(body).encode())
        return got.status, got.json if got.body else {}

    assert post("/login", {"username": "mei", "password": once})[0] == 403
    assert post("/login", {"username": "mei", "password": once})[1]["code"] == "password_change_required"
    weak = {"username": "mei", "password": once, "new_password": "short"}
    assert post("/password", weak)[0] == 422
    strong = {"username": "mei", "password": once, "new_password": "correct horse battery"}
    assert post("/password", strong)[0] == 204
    status, got = post("/login", {"username": "mei", "password": "correct horse battery"})
    assert status == 200
    token = got["token"]
    assert lane.house.api("GET", "/coupons/ABCDEFGHJKMNP", token=token).status == 404
    assert lane.house.api("POST", "/logout", token=token).status == 204
    assert lane.house.api("GET", "/coupons/ABCDEFGHJKMNP", token=token).status == 401
    status, got = post("/login", {"username": "mei", "password": "wrong"})
    assert (status, got["code"]) == (401, "unauthorized")


def test_r200_guessing_a_password_is_slowed_down_for_that_account_alone(lane: Lane) -> None:
    def login(name: str) -> tuple[int, str | None]:
        body = json.dumps({"username": name, "password": "a guess"}).encode()
        got = call(lane.house.port, "POST", "/api/v1/login", (("Content-Type", "application/json"),), body)
        return got.status, got.header("Retry-After")

    told = [login("nobody-of-that-name") for _ in range(12)]
    assert [status for status, _ in told] == [401] * 10 + [429] * 2
    assert int(told[-1][1] or 0) > 0
    assert login("somebody-else")[0] == 401


def test_keys_rotate_while_serving(lane: Lane) -> None:
    link = lane.house.link("v3", V3)
    before = lane.house.drainage("keys", "list", "--json")
    lane.house.drainage("keys", "rotate")
    assert len(json.loads(lane.house.drainage("keys", "list", "--json"))) > len(json.loads(before))
    assert lane.house.pay("v3", V3, link["openid"])["payer"] == link["payment"]["payer"]
    assert lane.house.claim(link["url"])


# -- backup, worker, time ---------------------------------------------------------------------------------------------


def test_backup_while_serving_and_restore_to_an_empty_home(lane: Lane, tmp_path: Path) -> None:
    paid = lane.house.pay("v3", V3, fresh_openid())
    copy = tmp_path / "copy.backup"
    lane.house.drainage("backup", str(copy))
    assert copy.stat().st_size > 0
    other = House(home=tmp_path / "other")
    other.home.mkdir(parents=True)
    (other.home / "secret.key").write_bytes((lane.house.home / "secret.key").read_bytes())
    (other.home / "secret.key").chmod(0o600)
    (other.home / "config.toml").write_bytes((lane.house.home / "config.toml").read_bytes())
    other.drainage("restore", str(copy))
    assert json.loads(other.drainage("payment", paid["transaction_id"], "--json"))["payer"] == paid["payer"]
    broken = tmp_path / "broken.backup"
    broken.write_bytes(copy.read_bytes()[:-500] + b"\0" * 500)
    assert other.run("restore", str(broken)).returncode == 1


def test_migrate_and_work_once_are_done_when_nothing_is_due(lane: Lane) -> None:
    assert lane.house.run("migrate").returncode == 0
    assert lane.house.run("work", "--once").returncode == 0
