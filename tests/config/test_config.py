"""Deployment settings: config.toml, its overrides from the environment, and every way to get them wrong."""

from __future__ import annotations

import dataclasses
import json
from ipaddress import ip_network

import pytest

from gateway.config import SECTIONS, load_config, variable_of
from gateway.contract.errors import BadConfig
from gateway.settings import Config


def write(home, text):
    (home / "config.toml").write_text(text, encoding="utf-8")
    return home


def faults_of(home, environ=None):
    with pytest.raises(BadConfig) as caught:
        load_config(home, environ or {})
    return dict(caught.value.faults)


def test_a_home_without_a_file_has_the_documented_defaults(tmp_path):
    config = load_config(tmp_path, {})
    assert config == Config()
    assert config.store.url.reveal() == "sqlite:///drainage.db"
    assert (config.security.unverified_burst, config.security.unverified_per_second) == (120, 2.0)
    assert (config.retention.raw_days, config.retention.quarantine_days, config.retention.audit_days) == (30, 3, 1095)
    assert config.relay.allow == (ip_network("127.0.0.0/8"),)
    assert config.server.trusted_proxies == (ip_network("127.0.0.1/32"),)
    assert config.sandbox.enabled is False


def test_every_section_is_read_from_the_file(tmp_path):
    write(
        tmp_path,
        """
[server]
base_url = "https://pay.example.com/"
trusted_proxies = ["127.0.0.1/32", "::1/128"]
[store]
url = "postgresql://drainage:hunter2@db/drainage"
[relay]
allow = ["127.0.0.0/8"]
upstream_concurrency = 3
[sandbox]
enabled = true
clock_offset_s = -86400
[spool]
path = "/var/spool/drainage.bin"
bytes = 2097152
[security]
unverified_burst = 5
unverified_per_second = 1
[retention]
raw_days = 7
[plugins]
allow = []
[log]
level = "warning"
""",
    )
    config = load_config(tmp_path, {})
    assert config.server.base_url == "https://pay.example.com"
    assert config.server.trusted_proxies == (ip_network("127.0.0.1/32"), ip_network("::1/128"))
    assert config.relay.allow == (ip_network("127.0.0.0/8"),)
    assert config.sandbox.clock_offset_s == -86400
    assert config.security.unverified_per_second == 1.0
    assert config.plugins.allow == ()
    assert "hunter2" not in repr(config)


EXAMPLES = {
    "server.base_url": ("http://10.0.0.1:8000", "http://10.0.0.1:8000"),
    "server.trusted_proxies": ('["10.0.0.0/8"]', (ip_network("10.0.0.0/8"),)),
    "store.url": ("sqlite:///other.db", None),
    "redis.url": ("redis://127.0.0.1/0", None),
    "relay.allow": ('["192.168.0.0/16"]', (ip_network("192.168.0.0/16"),)),
    "relay.upstream_concurrency": ("2", 2),
    "sandbox.enabled": ("true", True),
    "sandbox.clock_offset_s": ("3600", 3600),
    "spool.path": ("elsewhere.bin", "elsewhere.bin"),
    "spool.bytes": ("1048576", 1048576),
    "security.unverified_burst": ("7", 7),
    "security.unverified_per_second": ("0.5", 0.5),
    "security.reauth_above_fen": ("0", 0),
    "security.login_hours": ("24", 24),
    "retention.raw_days": ("1", 1),
    "retention.quarantine_days": ("2", 2),
    "retention.audit_days": ("400", 400),
    "retention.quarantine_bytes": ("1048576", 1048576),
    "live.sse_max": ("3", 3),
    "status.public": ("true", True),
    "plugins.allow": ('["drainage-adapter-x"]', ("drainage-adapter-x",)),
    "log.level": ("debug", "debug"),
}


def test_every_key_has_an_example_below():
    keys = {f"{name}.{part.name}" for name, section in SECTIONS.items() for part in dataclasses.fields(section)}
    assert keys == set(EXAMPLES)


@pytest.mark.parametrize("path", EXAMPLES)
def test_every_key_is_overridden_by_its_variable(tmp_path, path):
    section, key = path.split(".")
    text, value = EXAMPLES[path]
    environ = {variable_of(section, key): text, "DRAINAGE_HOME": "/anywhere", "PATH": "/bin"}
    if key == "clock_offset_s":
        environ["DRAINAGE_SANDBOX_ENABLED"] = "1"
    found = getattr(getattr(load_config(tmp_path, environ), section), key)
    assert (found.reveal() == text) if value is None else (found == value)


def test_a_variable_wins_over_the_file_and_heals_its_fault(tmp_path):
    write(tmp_path, "[relay]\nupstream_concurrency = 'many'\n")
    assert load_config(tmp_path, {"DRAINAGE_RELAY_UPSTREAM_CONCURRENCY": "4"}).relay.upstream_concurrency == 4


@pytest.mark.parametrize(
    ("text", "path", "word"),
    [
        ("[server]\nbase_url = 3", "server.base_url", "text"),
        ("[server]\nbase_url = 'pay.example.com'", "server.base_url", "https://"),
        ("[server]\nbase_url = 'ftp://pay.example.com'", "server.base_url", "https://"),
        ("[server]\nbase_url = 'https://u:p@pay.example.com'", "server.base_url", "no user"),
        ("[server]\nbase_url = 'https://pay.example.com/shop'", "server.base_url", "no path"),
        ("[server]\nbase_url = 'https://pay.example.com?a=1'", "server.base_url", "query"),
        ("[server]\nbase_url = 'https://pay.example.com:0'", "server.base_url", "must be"),
        ("[server]\nbase_url = 'https://pay.example.com:99999'", "server.base_url", ""),
        ("[server]\nbase_url = 'https://[::1'", "server.base_url", ""),
        ("[server]\nbase_ulr = 'https://pay.example.com'", "server.base_ulr", "base_url"),
        ("[server]\ntrusted_proxies = '127.0.0.1/32'", "server.trusted_proxies", "list"),
        ("[server]\ntrusted_proxies = ['127.0.0.1/8']", "server.trusted_proxies", "host bits"),
        ("[relay]\nallow = ['localhost']", "relay.allow", "network"),
        ("[relay]\nallow = [1]", "relay.allow", "list of"),
        ("[relay]\nupstream_concurrency = 0", "relay.upstream_concurrency", "from 1"),
        ("[relay]\nupstream_concurrency = true", "relay.upstream_concurrency", "whole number"),
        ("[relay]\nupstream_concurrency = 2.0", "relay.upstream_concurrency", "whole number"),
        ("[sandbox]\nenabled = 'yes'", "sandbox.enabled", "true or false"),
        ("[sandbox]\nenabled = 1", "sandbox.enabled", "true or false"),
        ("[sandbox]\nclock_offset_s = 60", "sandbox.clock_offset_s", "enabled"),
        ("[store]\nurl = 'mysql://db'", "store.url", "postgresql://"),
        ("[store]\nurl = ''", "store.url", "must"),
        ("[store]\nurl = 'sqlite:///'", "store.url", "name a database"),
        ("[redis]\nurl = 'http://cache'", "redis.url", "redis://"),
        ("[security]\nunverified_per_second = nan", "security.unverified_per_second", "number"),
        ("[security]\nunverified_per_second = 0", "security.unverified_per_second", "number"),
        ("[retention]\nraw_days = 0", "retention.raw_days", "from 1"),
        ("[log]\nlevel = 'loud'", "log.level", "one of"),
        ("[log]\nlevel = ['info']", "log.level", "one of"),
        ("log = 'info'", "log", "section"),
        ("[servers]\nbase_url = ''", "servers", "server"),
        ("base_url = 'https://pay.example.com'", "base_url", "no such section"),
        ("[server\n", "config.toml", "TOML"),
    ],
)
def test_a_fault_in_the_file_is_told_by_its_path(tmp_path, text, path, word):
    faults = faults_of(write(tmp_path, text))
    assert list(faults) == [path]
    assert word in faults[path]


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("DRAINAGE_SERVER_BASE_ULR", "https://pay.example.com", "DRAINAGE_SERVER_BASE_URL"),
        ("DRAINAGE_HOEM", "/x", "DRAINAGE_HOME"),
        ("DRAINAGE_RELAY_ALLOW", "127.0.0.0/8", "JSON list"),
        ("DRAINAGE_RELAY_ALLOW", '{"a": 1}', "list of"),
        ("DRAINAGE_RELAY_UPSTREAM_CONCURRENCY", "8.5", "whole number"),
        ("DRAINAGE_RELAY_UPSTREAM_CONCURRENCY", "", "whole number"),
        ("DRAINAGE_SANDBOX_ENABLED", "maybe", "true or false"),
        ("DRAINAGE_SECURITY_UNVERIFIED_PER_SECOND", "fast", "number"),
        ("DRAINAGE_STORE_URL", "oracle://x", "sqlite://"),
    ],
)
def test_a_fault_in_a_variable_is_told_by_its_name(tmp_path, name, text, word):
    faults = faults_of(tmp_path, {name: text})
    assert list(faults) == [name]
    assert word in faults[name]


def test_all_faults_come_at_once(tmp_path):
    write(tmp_path, "[log]\nlevel='x'\n[nonsense]\n[relay]\nallow=3\n[sandbox]\nclock_offset_s=5\n")
    faults = faults_of(tmp_path, {"DRAINAGE_NOPE": "1", "DRAINAGE_SPOOL_BYTES": "-1"})
    assert set(faults) == {
        "log.level", "nonsense", "relay.allow", "sandbox.clock_offset_s", "DRAINAGE_NOPE", "DRAINAGE_SPOOL_BYTES",
    }  # fmt: skip


def test_no_message_repeats_a_value(tmp_path):
    secret = "canary-7f3a"
    write(
        tmp_path,
        f"[store]\nurl='mysql://{secret}'\n[server]\nbase_url='https://x:{secret}@y'\n"
        f"[relay]\nallow=['{secret}']\n[log]\nlevel='{secret}'\n[redis]\nurl='{secret}'\n",
    )
    with pytest.raises(BadConfig) as caught:
        load_config(tmp_path, {"DRAINAGE_SPOOL_BYTES": secret, "DRAINAGE_PLUGINS_ALLOW": secret})
    assert len(caught.value.faults) == 7
    assert secret not in str(caught.value)


def test_a_file_that_is_not_text_is_a_fault(tmp_path):
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    assert "cannot be read" in faults_of(tmp_path)["config.toml"]


def test_a_variable_with_a_list_is_json(tmp_path):
    ranges = ["10.0.0.0/8", "fd00::/8"]
    config = load_config(tmp_path, {"DRAINAGE_RELAY_ALLOW": json.dumps(ranges)})
    assert [str(one) for one in config.relay.allow] == ranges
