"""Plug-ins found by entry points: the allow-list, doubles, and what does not import."""

from __future__ import annotations

import importlib.metadata
import sys
import textwrap

import pytest

from gateway.catalog.registry import installed, provider_of
from gateway.contract.errors import BadConfig

ADAPTER = """
class A:
    slug = "{slug}"
    def load_keys(self, table): return dict(table)
    def parse(self, raw, keys, now): raise NotImplementedError
    def ack(self, outcome, event=None): raise NotImplementedError
adapter = A()
nothing = object()
"""


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Installs distributions into a folder of the path: a module each, and its entry points."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(distribution, module, source, *points):
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{distribution.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        groups = "\n".join(f"[{group}]\n{name} = {module}:{attribute}" for group, name, attribute in points)
        (info / "entry_points.txt").write_text(groups + "\n")

    yield install
    for name in [name for name in sys.modules if name.startswith("plug_")]:
        del sys.modules[name]


def points_in(tmp_path):
    return [
        point
        for found in importlib.metadata.distributions(path=[str(tmp_path)])
        for point in found.entry_points
        if point.group.startswith("drainage.")
    ]


def faults(*arguments):
    with pytest.raises(BadConfig) as caught:
        installed(*arguments)
    return dict(caught.value.faults)


def test_our_own_adapters_come_through_the_same_door():
    registry = installed(())
    assert set(registry.adapters) >= {"wechat_v3", "wechat_v2", "alipay"}
    assert set(registry.platforms) >= {"wechat_v3", "wechat_v2", "alipay"}
    assert provider_of(registry.adapters["wechat_v3"]) == provider_of(registry.adapters["wechat_v2"]) == "wechat"


def test_a_third_party_is_loaded_when_any_is_allowed_or_it_is_named(site, tmp_path):
    site("drainage-adapter-x", "plug_x", ADAPTER.format(slug="xpay"), ("drainage.adapters", "x", "adapter"))
    for allow in (["*"], ["drainage-adapter-x"], ["Drainage_Adapter.X"]):
        assert list(installed(allow, points_in(tmp_path)).adapters) == ["xpay"]
    assert installed(["another"], points_in(tmp_path)).adapters == {}


def test_what_is_not_allowed_is_not_even_imported(site, tmp_path):
    source = "raise SystemExit('imported')"
    site("drainage-adapter-x", "plug_x", source, ("drainage.adapters", "x", "adapter"))
    assert installed([], points_in(tmp_path)).adapters == {}


def test_two_distributions_of_one_name_refuse_the_start(site, tmp_path):
    site("one", "plug_one", ADAPTER.format(slug="xpay"), ("drainage.adapters", "a", "adapter"))
    site("two", "plug_two", ADAPTER.format(slug="xpay"), ("drainage.adapters", "b", "adapter"))
    ((path, message),) = faults(["*"], points_in(tmp_path)).items()
    assert path.startswith("drainage.adapters.")
    assert "xpay, of one and two" in message


def test_one_distribution_seen_twice_is_no_quarrel(site, tmp_path):
    site("one", "plug_one", ADAPTER.format(slug="xpay"), ("drainage.adapters", "a", "adapter"))
    points = points_in(tmp_path)
    assert list(installed(["*"], points + points).adapters) == ["xpay"]


@pytest.mark.parametrize(
    ("source", "attribute", "word"),
    [
        ("raise ValueError('canary')", "adapter", "does not import (ValueError)"),
        ("x = 1", "adapter", "does not import (AttributeError)"),
        (ADAPTER.format(slug="x"), "nothing", "is not what drainage.adapters holds"),
        (ADAPTER.replace('"{slug}"', "7"), "adapter", "is not what drainage.adapters holds"),
    ],
)
def test_what_is_no_adapter_is_told(site, tmp_path, source, attribute, word):
    site("bad", "plug_bad", textwrap.dedent(source), ("drainage.adapters", "bad", attribute))
    found = faults(["*"], points_in(tmp_path))
    assert list(found) == ["drainage.adapters.bad"]
    assert word in found["drainage.adapters.bad"]
    assert "canary" not in found["drainage.adapters.bad"]
