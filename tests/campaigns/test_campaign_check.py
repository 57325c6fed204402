"""`drainage adapters check` for kinds of campaign: by the package's own class, plainly refused where it brings none."""

from importlib.metadata import EntryPoint

import pytest

from gateway.catalog.registry import Registry
from gateway.cli import conform
from gateway.contract.errors import Refused

kind = pytest.importorskip("campaigns.two_sided.kind").kind


def test_R073_a_kind_is_tried_by_the_class_that_its_package_brings(monkeypatch):
    point = EntryPoint("two_sided", "tests.nowhere:TestTwoSided", conform.GROUP)
    monkeypatch.setattr(conform, "entry_points", lambda **asked: [point] if asked["name"] == "two_sided" else [])
    module = conform.test_module(Registry(campaigns={"two_sided": kind}), "two_sided", ())
    assert "TestAdapter = point.load()" in module
    compile(module, "test_conformance.py", "exec")


@pytest.mark.parametrize(("slug", "code"), [("two_sided", "no_samples"), ("stranger", "not_found")])
def test_R073_what_is_not_there_or_brings_no_class_is_refused(slug, code):
    with pytest.raises(Refused) as refused:
        conform.test_module(Registry(campaigns={"two_sided": kind}), slug, ())
    assert refused.value.code == code
