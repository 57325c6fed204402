"""A home brought back: under the backup's own settings, and not half when the key is missing."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture
def kept(console):
    """A home whose store has a name of its own, and a backup of it with and without the key."""
    console.home.mkdir()
    (console.home / "config.toml").write_text('[store]\nurl = "sqlite:///shop.db"\n')
    console.ok("init")
    console.ok("backup", "whole.tar")
    console.ok("backup", "keyless.tar", "--without-key")
    return console


def test_the_store_comes_back_under_the_name_that_the_backup_gives_it(kept):
    kept.ok("restore", "whole.tar", "--home", "again")
    again = kept.folder / "again"
    assert (again / "shop.db").exists()
    assert not (again / "drainage.db").exists()
    assert (again / "secret.key").read_bytes() == (kept.home / "secret.key").read_bytes()
    kept.ok("check", "--home", "again")


def test_without_a_key_anywhere_nothing_is_put_in_place(kept):
    refused = kept.run("restore", "keyless.tar", "--home", "again")
    assert refused.code == 1
    assert "secret.key" in refused.err
    assert not (kept.folder / "again" / "shop.db").exists()
    shutil.copy(kept.home / "secret.key", kept.folder / "again" / "secret.key")
    kept.ok("restore", "keyless.tar", "--home", "again")
    kept.ok("check", "--home", "again")


def test_a_home_with_another_key_is_left_alone(kept):
    kept.ok("init", "--home", "other")
    (kept.folder / "other" / "drainage.db").unlink()
    before = (kept.folder / "other" / "secret.key").read_bytes()
    refused = kept.run("restore", "whole.tar", "--home", "other")
    assert refused.code == 1
    assert "another secret.key" in refused.err
    assert (kept.folder / "other" / "secret.key").read_bytes() == before


def test_a_home_with_a_store_is_left_alone(kept):
    before = (kept.home / "shop.db").stat().st_ino
    refused = kept.run("restore", "whole.tar")
    assert refused.code == 1
    assert "already" in refused.err
    assert (kept.home / "shop.db").stat().st_ino == before
