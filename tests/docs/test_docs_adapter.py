"""docs/adapters.md: its example is run as it stands, passes the conformance kit, and is found when installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib

import pytest
from pages import blocks, first_words, section, text_of

from adapters.conformance import AdapterHooks
from gateway.cli.conform import GROUP
from gateway.contract.adapter import Adapter, Platform

PAGE = text_of("adapters.md")
ADAPTER, TESTS = blocks(PAGE, "python")
(PROJECT,) = blocks(PAGE, "toml")


@pytest.fixture
def package(tmp_path):
    """The example in a folder, with what `pip install` would note about it."""
    (tmp_path / "lanternpay.py").write_text(ADAPTER, "utf-8")
    (tmp_path / "test_lanternpay.py").write_text(TESTS, "utf-8")
    project = tomllib.loads(PROJECT)["project"]
    noted = tmp_path / "drainage_adapter_lanternpay-1.0.dist-info"
    noted.mkdir()
    (noted / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", "utf-8"
    )
    points = project["entry-points"]
    lines = [
        f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in of.items()) for group, of in points.items()
    ]
    (noted / "entry_points.txt").write_text("".join(lines), "utf-8")
    return tmp_path


def run(package, *command):
    known = {name: value for name, value in os.environ.items() if not name.startswith(("DRAINAGE_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, *command],
        cwd=package,
        env={**known, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def kit(package):
    return run(
        package,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-c",
        "/dev/null",
        "--rootdir",
        ".",
        "test_lanternpay.py",
    )


def test_the_example_passes_the_kit(package):
    done = kit(package)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_the_kit_refuses_an_example_that_verifies_nothing(package):
    source = package / "lanternpay.py"
    source.write_text(
        ADAPTER.replace("return event_of(verify(raw, keys), keys)", "return event_of(raw.body, keys)"), "utf-8"
    )
    done = kit(package)
    assert done.returncode == 1
    assert "test_every_signed_bit_counts" in done.stdout


def test_the_example_is_found_when_installed(package):
    done = run(package, "-m", "gateway.cli", "--home", str(package / "home"), "adapters", "list", "--json")
    assert done.returncode == 0, done.stderr
    assert {"lanternpay", "wechat_v3"} <= {row["adapter"] for row in json.loads(done.stdout)}


def test_the_seam_stands():
    told = {word.partition("(")[0] for word in first_words(section(PAGE, "## The seam"))}
    real = {name for name in vars(Adapter) if not name.startswith("_")}
    assert told == real | {"provider", "stale_after_s", "accepted"}


def test_the_hooks_and_groups_that_are_named_exist():
    for name in ("refund", "expected_refund", "refusals", "signed_parts", "secrets"):
        assert f"`{name}`" in PAGE
        assert hasattr(AdapterHooks, name)
    assert f"`{GROUP}`" in PAGE
    assert "`drainage.platforms`" in PAGE
    assert Platform.__name__ in PAGE
