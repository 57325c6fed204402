"""docs/operating.md against the settings, the catalogue, the command and the metrics."""

from __future__ import annotations

import dataclasses
import json
import shlex
import tomllib
from ipaddress import IPv4Network

import click
import pytest
from pages import DOCS, PAGES, ROOT, blocks, first_words, rows, section, shell_lines, text_of, words
from source import argument, calls, modules, texts

from adapters.alipay import keys as alipay_keys
from adapters.wechat_v2 import keys as wechat_v2_keys
from adapters.wechat_v3 import keys as wechat_v3_keys
from crypto.rsa import load_private_key, new_private_key, public_pem
from gateway.catalog.fields import FIELD_OF_KEY, FIELDS
from gateway.catalog.parse import parse
from gateway.catalog.references import Sources
from gateway.catalog.registry import installed
from gateway.catalog.rules import faults_of
from gateway.catalog.specs import KINDS, Catalog
from gateway.catalog.surroundings import Surroundings
from gateway.cli import main
from gateway.config import SECTIONS
from gateway.contract.secret import Secret
from gateway.relay.errors import FailureKind

OPERATING = text_of("operating.md")


def shown(value):
    """A default as the tables write it."""
    if isinstance(value, Secret):
        value = value.reveal()
    if isinstance(value, tuple):
        value = [str(one) if isinstance(one, IPv4Network) else one for one in value]
    return json.dumps(value, ensure_ascii=False)


# -- settings ---------------------------------------------------------------------------------------------------------


def test_every_setting_stands_with_its_default():
    told = {words(row[0])[0]: row[1] for row in rows(section(OPERATING, "## Settings"))}
    real = {
        f"{name}.{part.name}": f"`{shown(part.default)}`"
        for name, shape in SECTIONS.items()
        for part in dataclasses.fields(shape)
    }
    assert told == real


# -- the apply file ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_of_the_apply_file_stands_with_its_default(kind):
    told = {words(row[0])[0]: row[1] for row in rows(section(OPERATING, f"### `[{kind}.NAME]`")) if len(row) == 3}
    parts = {part.name: part for part in dataclasses.fields(KINDS[kind])}
    keys = [*FIELDS[kind], *(["keys", "wallet"] if kind == "channel" else [])]
    real = {key: default(parts[FIELD_OF_KEY.get(key, key)]) for key in keys}
    if kind == "channel":
        # The tables of the adapters' own keys stand under the same heading.
        told = {key: told[key] for key in told if key in real or key not in adapters_keys()}
    assert told == real


def default(part):
    if part.default_factory is not dataclasses.MISSING:
        return f"`{json.dumps(part.default_factory())}`"
    if part.default is dataclasses.MISSING:
        return "required"
    return "none" if part.default is None else f"`{shown(part.default)}`"


def adapters_keys():
    return {*wechat_v3_keys._NAMES, *wechat_v2_keys._NAMES, *alipay_keys.NAMES}


def test_every_key_of_every_adapter_stands():
    channel = section(OPERATING, "### `[channel.NAME]`")
    wechat, alipay = channel.split("Keys of `wechat_v3` and `wechat_v2`:")[1].split("Keys of `alipay`:")
    told = {"wechat_v3": set(), "wechat_v2": set()}
    for names, adapter, _ in rows(wechat):
        for one in told if adapter == "both" else words(adapter):
            told[one] |= set(words(names))
    # `sub_mchids` is made from the table `sub_merchants`; nobody writes it.
    assert told["wechat_v3"] == wechat_v3_keys._NAMES - {"sub_mchids"}
    assert told["wechat_v2"] == wechat_v2_keys._NAMES - {"sub_mchids"}
    assert set(first_words(alipay)) == set(alipay_keys.NAMES)


def faults(text, *, sandbox=False):
    pem = public_pem(load_private_key(new_private_key()))
    sources = Sources(lambda _name: pem, {"HOTPOT_APIV3_KEY": "k" * 32}, lambda _channel, _id: None)
    read = parse(text, sources)
    around = Surroundings(installed(()), sandbox, lambda _url: None)
    assert read.catalog != Catalog()
    return read.faults + faults_of(read.catalog, read.named, around)


def test_the_example_is_a_whole_apply_file():
    (example,) = [block for block in blocks(OPERATING, "toml") if "[circle." in block]
    assert faults(example) == []


def test_the_example_would_not_pass_with_a_slip():
    (example,) = [block for block in blocks(OPERATING, "toml") if "[circle." in block]
    assert [path for path, _ in faults(example.replace("min_spend_fen", "min_spent_fen"))] == [
        "item.bowl-5off.min_spent_fen"
    ]


def test_the_demos_apply_file_holds_where_the_sandbox_is_on():
    text = (ROOT / "gateway/demo/shops.toml").read_text("utf-8").replace("{till}", "http://127.0.0.1:9001")
    assert [path for path, _ in faults(text, sandbox=True) if ".keys" not in path] == []
    assert "channel.noodles-wechat.sandbox" in {path for path, _ in faults(text)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_toml_block_parses(page):
    for block in blocks(page.read_text("utf-8"), "toml"):
        assert tomllib.loads(block)


# -- the command ------------------------------------------------------------------------------------------------------


def leaves(command, path):
    """(words, command) of everything below a command that can be run."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from leaves(command.get_command(context, name), [*path, name])
    else:
        yield path, command


LEAVES = {" ".join(path): command for path, command in leaves(main, [])}


def meant(line):
    """(words of the command, its options) of a `drainage …` line; the command must exist."""
    parts = shlex.split(line)[1:]
    while parts[0] == "--home":
        parts = parts[2:]
    for length in (2, 1):
        name = " ".join(parts[:length])
        if name in LEAVES:
            return name, [part for part in parts[length:] if part.startswith("--")]
    raise AssertionError(f"no such command: {line}")


def drainage_lines(text):
    return [line for line in shell_lines(text) if line.startswith("drainage ")]


def test_every_command_has_an_example_and_every_option_is_named():
    told = {}
    for line in drainage_lines(OPERATING):
        name, options = meant(line)
        told.setdefault(name, set()).update(options)
    assert set(told) == set(LEAVES)
    for name, command in LEAVES.items():
        context = click.Context(command)
        real = {opt for param in command.get_params(context) for opt in param.opts if opt.startswith("--")}
        assert real - told[name] <= {"--help", "--home", "--json", "--version"}, name
        assert told[name] <= real, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_command_that_is_none(page):
    text = page.read_text("utf-8")
    spans = [word for word in words(text) if word.startswith("drainage ")]
    for line in [*drainage_lines(text), *spans]:
        parts = shlex.split(line)
        if len(parts) > 1 and parts[1] in {name.split()[0] for name in LEAVES} and len(parts) == 2:
            continue  # a group, or a command, by its name alone
        _, options = meant(line)
        known = {
            opt
            for param in LEAVES[meant(line)[0]].get_params(click.Context(LEAVES[meant(line)[0]]))
            for opt in param.opts
        }
        assert set(options) <= known, line


# -- what is watched --------------------------------------------------------------------------------------------------


def test_every_metric_stands():
    told = {
        word.partition("{")[0]
        for word in first_words(section(OPERATING, "## Looking after it"))
        if word.startswith("drainage_")
    }
    real = set()
    for kind, ending in (("Counter", "_total"), ("Gauge", ""), ("Histogram", "")):
        for call in calls(modules("gateway"), kind):
            real |= {name + ending for name in texts(argument(call, 0)) if name.startswith("drainage_")}
    assert told == real


def test_every_outcome_of_a_notification_stands():
    text = section(OPERATING, "## Looking after it")
    (row,) = [row for row in rows(text) if row[0].startswith("`drainage_notifications_total")]
    front = [ROOT / "gateway/web/notify.py", ROOT / "gateway/web/paid.py"]
    ours = set().union(*(texts(argument(call, 0)) for call in calls(front, "_Result")))
    ours |= set().union(*(texts(argument(call, 1)) for call in calls(front, "notified")))
    assert set(words(row[1])) == (ours | {"processed", "seen", "ignored"}) - {"method"}
    (row,) = [row for row in rows(text) if row[0].startswith("`drainage_relay_seconds")]
    assert set(words(row[1])) == {"answered", *FailureKind.__args__}


def named_kinds():
    """The campaign kinds that the distribution brings."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return set(project["entry-points"]["drainage.campaigns"])


def there():
    """Those whose package is here."""
    return {path.parent.name for path in (ROOT / "campaigns").glob("*/kind.py")}


def test_every_incident_stands_with_an_owner():
    told = [row for row in rows(section(OPERATING, "## Looking after it")) if row[1] in {"merchant", "operator"}]
    real = set().union(*(texts(argument(call, 3, "kind")) for call in calls(modules("gateway"), "raise_")))
    real |= set().union(*(texts(argument(call, 1, "kind")) for call in calls(modules("campaigns"), "incident")))
    owned = {words(row[0])[0] for row in told}
    # A campaign package's own begin with its name; where it was taken out, the page goes on telling them.
    gone = {one for one in owned - real if any(one.startswith(f"{kind}_") for kind in named_kinds() - there())}
    assert owned - gone == real
    shown = (ROOT / "gateway/web/templates/_incident.html").read_text("utf-8")
    assert {kind for kind in real if f"'{kind}'" not in shown} == set()


def test_the_doctors_findings_stand():
    text = section(OPERATING, "## Looking after it")
    real = set().union(*(texts(argument(call, 0)) for call in calls([ROOT / "gateway/doctor.py"], "Finding")))
    assert real
    assert real <= set(words(text))


def test_the_homes_files_stand():
    told = set(first_words(section(OPERATING, "## The home")))
    files = {"config.toml", "secret.key", "drainage.db", "spool.bin", "catalog.cache"}
    assert told == files | {"sandbox/", "exports/", "campaigns/", "run/"}
    assert (DOCS / "operating.md").exists()
