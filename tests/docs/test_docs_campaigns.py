"""docs/campaigns.md: its example is run as it stands and passes the conformance kit; spoiled, it does not."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib

import pytest
from pages import blocks, first_words, section, text_of

from campaigns.conformance import CampaignHooks
from gateway.contract.campaign_kind import CampaignKind, KeepsPeople, Rehearsable

PAGE = text_of("campaigns.md")
MODULE, TESTS = blocks(PAGE, "python")
(README,) = blocks(PAGE, "markdown")
(PROJECT,) = blocks(PAGE, "toml")


@pytest.fixture
def package(tmp_path):
    """The example in a folder."""
    (tmp_path / "stamps.py").write_text(MODULE, "utf-8")
    (tmp_path / "test_stamps.py").write_text(TESTS, "utf-8")
    (tmp_path / "README.md").write_text(README, "utf-8")
    return tmp_path


def kit(package, *only):
    known = {name: value for name, value in os.environ.items() if not name.startswith(("DRAINAGE_", "PYTEST_"))}
    options = ("-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", ".", "test_stamps.py", *only)
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=package,
        env={**known, "PYTHONPATH": str(package)},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def test_the_example_passes_the_kit(package):
    done = kit(package)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.mark.parametrize(
    ("right", "wrong", "caught"),
    [
        (
            "ON CONFLICT (campaign, payment) DO NOTHING",
            "ON CONFLICT (campaign, payment) DO UPDATE SET at = at || 'x'",
            "heard_twice",
        ),
        ('if row["link"] is not None:', "if False:", "goes_back"),
        ("CREATE TABLE stamps_marks", "CREATE TABLE marks", "tables_bear_its_name"),
        ('if name not in {"item", "every", "days"}', "if False", "unknown_keys"),
        ("not 1 <= value <= 365", "value is None", "wrong_settings"),
        ("raise BadConfig(faults)", "raise ValueError(faults)", "wrong_settings"),
    ],
)
def test_the_kit_refuses_an_example_that_is_spoiled(package, right, wrong, caught):
    assert right in MODULE
    (package / "stamps.py").write_text(MODULE.replace(right, wrong), "utf-8")
    done = kit(package, "-k", caught)
    assert done.returncode == 1, done.stdout
    assert caught in done.stdout


def test_the_seam_stands():
    told = {word.partition("(")[0] for word in first_words(section(PAGE, "## The seam"))}
    assert told == {name for name in vars(CampaignKind) if not name.startswith("_")}
    assert {kind for kind in (Rehearsable, KeepsPeople) if f"`{kind.__name__}`" not in PAGE} == set()


def test_the_hooks_that_are_named_exist_and_every_hook_is_named():
    real = {name for name in vars(CampaignHooks) if not name.startswith("_") and name != "kind"}
    assert {name for name in real if f"`{name}`" not in PAGE} == set()


def test_the_entry_points_are_those_that_are_looked_for():
    groups = tomllib.loads(PROJECT)["project"]["entry-points"]
    assert set(groups) == {"drainage.campaigns", "drainage.conformance"}
