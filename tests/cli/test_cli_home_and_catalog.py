"""`drainage init`, `migrate`, `apply`, `export`, `keys`, `adapters`: homes, files, and exit statuses."""

from __future__ import annotations

import json
import shutil
import stat
import tomllib

import pytest


def test_init_makes_a_home_and_running_it_again_changes_nothing(console):
    password = console.init()
    assert len(password) >= 12
    files = {
        path.name: path.read_bytes() for path in console.home.iterdir() if path.is_file() and path.suffix != ".turn"
    }
    assert {"config.toml", "secret.key", "drainage.db"} <= set(files)
    for name in ("config.toml", "secret.key", "drainage.db"):
        assert stat.S_IMODE((console.home / name).stat().st_mode) == 0o600
    again = console.ok("init")
    assert "password" not in again.out + again.err
    assert (console.home / "secret.key").read_bytes() == files["secret.key"]
    assert (console.home / "config.toml").read_bytes() == files["config.toml"]


def test_the_settings_that_init_writes_hold_and_say_only_defaults(console):
    from gateway.config import load_config
    from gateway.settings import Config

    console.init()
    text = (console.home / "config.toml").read_text()
    assert tomllib.loads(text) == {}
    spoken = "\n".join(
        line.removeprefix("# ")
        for line in text.splitlines()
        if line.startswith(("# [", "# ")) and ("=" in line or line.startswith("# ["))
    )
    assert 'base_url = "https://pay.example.com"' in spoken  # the one example among defaults
    (console.home / "config.toml").write_text(spoken.replace("https://pay.example.com", ""))
    assert load_config(console.home, {}) == Config()


def test_the_one_time_password_is_kept_nowhere(console):
    password = console.init()
    for path in console.home.rglob("*"):
        if path.is_file():
            assert password.encode() not in path.read_bytes()


@pytest.mark.parametrize("words", [("--home", "elsewhere", "init"), ("init", "--home", "elsewhere")])
def test_home_is_taken_before_and_after_the_command(console, words):
    console.ok(*words)
    assert (console.folder / "elsewhere" / "secret.key").exists()
    assert not console.home.exists()


def test_without_any_word_the_home_is_var(console):
    del console.env["DRAINAGE_HOME"]
    console.ok("init")
    assert (console.folder / "var" / "secret.key").exists()


def test_a_lost_key_is_not_replaced_by_one_that_opens_nothing(console):
    console.init()
    (console.home / "secret.key").unlink()
    done = console.run("init")
    assert done.code == 1
    assert "copy it here" in done.err
    assert not (console.home / "secret.key").exists()


def test_another_homes_key_is_told(console):
    console.init()
    console.ok("init", "--home", "other")
    shutil.copy(console.folder / "other" / "secret.key", console.home / "secret.key")
    for command in ("init", "export"):
        done = console.run(command)
        assert (done.code, done.err) == (1, "secret.key does not open this store: it belongs to another home\n")


def test_a_home_that_was_not_made_says_what_makes_it(console):
    done = console.run("export")
    assert done.code == 1
    assert "drainage init" in done.err
    assert "Traceback" not in done.err


def test_faults_of_the_settings_stop_every_command(console):
    console.init()
    (console.home / "config.toml").write_text("[log]\nlevel = 3\n[nonsense]\n")
    for words in (("init",), ("export",), ("migrate",), ("keys", "list"), ("serve",), ("work", "--once")):
        done = console.run(*words)
        assert done.code == 1, done
        assert "log.level: must be one of" in done.err
        assert "nonsense: no such section" in done.err


@pytest.mark.parametrize(
    "words", [("nonsense",), ("apply",), ("apply", "missing.toml"), ("keys", "nonsense"), ("init", "--nonsense")]
)
def test_wrong_usage_ends_with_2(console, words):
    assert console.run(*words).code == 2


def test_migrate_says_when_there_is_nothing_to_do(console):
    console.init()
    assert console.ok("migrate").out == "the schema is up to date\n"


def test_apply_tells_each_object_and_applied_again_all_is_unchanged(console):
    console.init()
    first = console.apply().out.splitlines()
    assert first[0] == "created    circle.riverside"
    assert all(line.startswith("created ") for line in first)
    assert all(line.startswith("unchanged  ") for line in console.apply().out.splitlines())
    told = json.loads(console.ok("apply", "shops.toml", "--json").out)
    assert {"object": "channel.till", "action": "unchanged"} in told


def test_apply_tells_every_fault_on_stderr_and_stores_nothing(console, shops):
    console.init()
    (console.folder / "bad.toml").write_text(
        shops.replace('"sweets"', '"sweet"').replace("value_fen = 500", "value_fen = 5.5")
    )
    done = console.run("apply", "bad.toml")
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines() == [
        "item.bowl-5off.value_fen: must be a whole number from 0 to 1000000000000",
        "item.bowl-5off.merchant: no merchant named sweet; did you mean sweets?",
    ]
    (console.folder / "bad.toml").write_text("x = [")
    assert console.run("apply", "bad.toml").code == 1
    (console.folder / "bad.toml").write_bytes(b"\xff")
    assert "UTF-8" in console.run("apply", "bad.toml").err
    assert console.ok("export").out == ""


def test_a_sandbox_channel_needs_the_sandbox_and_says_only_that(console, shops):
    console.init()
    (console.folder / "shops.toml").write_text(shops)
    done = console.run("apply", "shops.toml", DRAINAGE_SANDBOX_ENABLED="false")
    assert done.err.splitlines() == ["channel.till.sandbox: needs [sandbox] enabled = true in config.toml"]


def test_an_upstream_outside_the_allowed_ranges_is_a_fault(console, shops):
    console.init()
    (console.folder / "shops.toml").write_text(shops)
    done = console.run("apply", "shops.toml", DRAINAGE_RELAY_ALLOW="[]")
    assert done.code == 1
    assert done.err.startswith("channel.till.upstream: ")


def test_dry_run_writes_nothing_and_prune_removes(console, shops):
    console.init()
    path = console.folder / "shops.toml"
    path.write_text(shops)
    assert "created" in console.ok("apply", path, "--dry-run").out
    assert console.ok("export").out == ""
    assert not (console.home / "sandbox" / "till.json").exists()
    console.apply()
    path.write_text(shops.partition("[item.")[0])
    assert "removed    item.bowl-5off" in console.ok("apply", path, "--prune").out


def test_export_and_apply_go_round_without_a_secret(console):
    console.init()
    console.apply()
    text = console.ok("export").out
    keys = json.loads((console.home / "sandbox" / "till.json").read_text())["keys"]
    assert keys["mchid"] in text
    assert keys["apiv3_key"] not in text
    assert "BEGIN" not in text
    (console.folder / "again.toml").write_text(text)
    again = console.ok("apply", "again.toml", "--prune").out
    assert {line.split()[0] for line in again.splitlines()} == {"unchanged"}


def test_references_are_relative_to_the_file_and_of_this_calls_environment(console, shops):
    console.init()
    console.apply()
    made = json.loads((console.home / "sandbox" / "till.json").read_text())["keys"]
    folder = console.folder / "deep"
    folder.mkdir()
    ((serial, pem),) = made["public_keys"].items()
    (folder / "wx.pem").write_text(f"\n  {pem}\n")
    (folder / "real.toml").write_text(
        shops.replace("sandbox = true\n", "")
        + f'[channel.till.keys]\nmchid = "{made["mchid"]}"\nappid = "{made["appid"]}"\n'
        + f'apiv3_key = {{ env = "WX_KEY" }}\npublic_keys = {{ {serial} = {{ file = "wx.pem" }} }}\n'
    )
    done = console.run("apply", "deep/real.toml")
    assert "channel.till.keys.apiv3_key: the environment variable WX_KEY is not set" in done.err
    assert "changed    channel.till" in console.ok("apply", "deep/real.toml", WX_KEY=made["apiv3_key"]).out
    assert made["apiv3_key"] not in console.ok("export").out


def test_keys_rotate_and_list_tell_ids_only(console):
    console.init()
    console.apply()
    assert console.ok("keys", "rotate").out == "k2\n"
    rows = json.loads(console.ok("keys", "list", "--json").out)
    assert [(row["id"], row["active"]) for row in rows] == [("k1", False), ("k2", True)]
    assert "unchanged" in console.apply().out
    assert console.ok("keys", "list").out.splitlines()[0].split() == ["id", "active", "created_at"]


def test_adapters_list_names_what_is_installed(console):
    rows = json.loads(console.ok("adapters", "list", "--json").out)
    found = {row["adapter"]: row for row in rows}
    assert set(found) >= {"wechat_v3", "wechat_v2", "alipay"}
    assert (found["wechat_v3"]["provider"], found["wechat_v3"]["stale_after_s"]) == ("wechat", 300)
    assert all(found[name]["sandbox"] for name in ("wechat_v3", "wechat_v2", "alipay"))
