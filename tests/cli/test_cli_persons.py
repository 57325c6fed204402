"""Persons from the command line: merged, parted again, and told what cannot be (R008)."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def two(console, shops):
    """A home with two payers that nothing has connected, by two simulated payments kept by the store itself."""
    console.ok("init")
    (console.home / "config.toml").write_text("[sandbox]\nenabled = true\n")
    (console.folder / "shops.toml").write_text(shops)
    console.ok("apply", "shops.toml")
    from gateway.contract.clock import system_clock
    from gateway.contract.ids import IdFactory
    from gateway.people import Identity, recognise
    from gateway.runtime import create

    runtime = create(console.home, environ={})
    now = system_clock()()
    ids = IdFactory()
    made = [
        runtime.store.write(
            lambda tx, n=n: recognise(tx, ids, now, [Identity(bytes([n]) * 16, "wechat", "a", "openid", b"x")])
        ).id
        for n in (1, 2)
    ]
    runtime.store.close()
    return made


def test_R008_a_merge_is_printed_shown_and_undone(console, two):
    older, younger = sorted(two)
    merge = console.ok("merge", younger, older, "--reason", "said so at the counter").out.strip()
    assert merge.startswith("mrg_")
    shown = json.loads(console.ok("person", younger, "--json").out)
    assert (shown["person"], shown["also"]) == (older, [younger])
    assert shown["merges"][0]["reason"] == "said so at the counter"
    console.ok("unmerge", merge)
    apart = json.loads(console.ok("person", younger, "--json").out)
    assert (apart["person"], apart["also"]) == (younger, [])


@pytest.mark.parametrize("words", [("merge", "p_1", "p_2", "--reason", "x"), ("unmerge", "mrg_1")])
def test_R008_what_is_not_there_is_refused(console, two, words):
    done = console.run(*words)
    assert done.code == 1
    assert done.err.strip()
    assert "Traceback" not in done.err


def test_R008_a_person_is_not_merged_with_himself_nor_without_a_reason(console, two):
    assert console.run("merge", two[0], two[0], "--reason", "x").code == 1
    assert console.run("merge", two[0], two[1]).code == 2
