"""`drainage adapters new|check`: a third party's way in (R073), from an empty folder to an adapter that is served."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


@pytest.fixture
def skeleton(console):
    """A new package `newpay`, on the path as if it were installed."""
    written = console.ok("adapters", "new", "newpay").out.splitlines()
    folder = console.folder / "drainage-adapter-newpay"
    info = folder / "drainage_adapter_newpay-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: drainage-adapter-newpay\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(
        "[drainage.adapters]\nnewpay = drainage_adapter_newpay:adapter\n"
        "[drainage.conformance]\nnewpay = drainage_adapter_newpay.conformance:Conformance\n"
    )
    console.env["PYTHONPATH"] = str(folder)
    assert all(os.path.exists(console.folder / path) for path in written)
    return folder


def test_r073_a_skeleton_passes_its_own_tests_as_it_is(console, skeleton):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=skeleton,
        env=console.env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_r073_an_installed_third_party_is_checked_listed_and_applied(console, skeleton, shops):
    checked = console.ok("adapters", "check", "newpay")
    assert checked.out.splitlines()[-1] == "newpay conforms"
    assert " passed" in checked.out
    assert "newpay" in {row["adapter"] for row in json.loads(console.ok("adapters", "list", "--json").out)}
    console.init()
    text = shops.replace('"wechat_v3"\nsandbox = true', '"newpay"\nkeys = { mchid = "1", api_key = "k" }')
    assert "created    channel.till" in console.apply(text).out


def test_what_the_allow_list_leaves_out_is_not_there(console, skeleton):
    console.env["DRAINAGE_PLUGINS_ALLOW"] = "[]"
    assert "newpay" not in console.ok("adapters", "list").out
    assert "not_found" in console.run("adapters", "check", "newpay").err


def test_an_adapter_that_is_broken_does_not_conform(console, skeleton):
    path = skeleton / "drainage_adapter_newpay" / "__init__.py"
    source = path.read_text()
    assert "not hmac.compare_digest" in source
    path.write_text(source.replace("not hmac.compare_digest", "hmac.new and False and hmac.compare_digest"))
    done = console.run("adapters", "check", "newpay")
    assert done.code == 1
    assert "test_every_signed_bit_counts" in done.out
    assert "not_conforming" in done.err


@pytest.mark.parametrize("name", ["wechat_v3", "wechat_v2", "alipay"])
def test_built_in_adapters_conform_by_what_their_sandbox_platform_sends(console, name):
    assert console.ok("adapters", "check", name).out.splitlines()[-1] == f"{name} conforms"


def test_an_adapter_without_samples_or_platform_says_so(console, skeleton):
    info = skeleton / "drainage_adapter_newpay-0.1.0.dist-info" / "entry_points.txt"
    info.write_text(info.read_text().partition("[drainage.conformance]")[0])
    done = console.run("adapters", "check", "newpay")
    assert (done.code, "no_samples" in done.err) == (1, True)


def test_an_unknown_adapter_is_told_with_those_there_are(console):
    done = console.run("adapters", "check", "nopay")
    assert done.code == 1
    assert "installed: alipay, wechat_v2, wechat_v3" in done.err


@pytest.mark.parametrize("name", ["", "../x", "New", "1pay", "a", "pay-x", "x" * 32, "pay\n"])
def test_a_name_that_is_no_slug_writes_nothing(console, name):
    before = set(console.folder.iterdir())
    done = console.run("adapters", "new", name)
    assert (done.code, "bad_name" in done.err) == (1, True)
    assert set(console.folder.iterdir()) == before


def test_a_folder_that_is_there_is_left_alone(console, skeleton):
    (skeleton / "README.md").write_text("mine")
    assert "exists" in console.run("adapters", "new", "newpay").err
    assert (skeleton / "README.md").read_text() == "mine"
