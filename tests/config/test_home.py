"""The home folder: the master key's file and the sandbox's private material."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.contract.errors import BadConfig
from gateway.contract.ids import system_random
from gateway.home import Home, SandboxKeys, write_private


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path / "var")
    home.create()
    return home


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def fault(call):
    with pytest.raises(BadConfig) as caught:
        call()
    return str(caught.value)


def test_the_master_key_is_made_once_and_closed_to_others(home):
    assert home.create_master_key(system_random) is True
    first = home.secret_file.read_bytes()
    assert home.create_master_key(system_random) is False
    assert home.secret_file.read_bytes() == first
    assert mode(home.secret_file) == 0o600
    assert mode(home.root) == mode(home.run_dir) == 0o700
    assert home.master_key().to_text().encode() == first


def test_two_who_make_the_key_at_once_end_with_one(home):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: home.create_master_key(system_random), range(8)))
    assert made.count(True) == 1
    assert [path.name for path in home.root.iterdir() if path.is_file()] == ["secret.key"]


@pytest.mark.parametrize("bits", [0o644, 0o640, 0o604, 0o620])
def test_a_key_open_to_others_is_refused(home, bits):
    home.create_master_key(system_random)
    home.secret_file.chmod(bits)
    assert "open to other users" in fault(home.master_key)


def test_a_missing_key_says_what_makes_it(home):
    assert "drainage init" in fault(home.master_key)


@pytest.mark.parametrize("content", [b"", b"hunter2", b"\xff\xff", b"drainage-master-1:aGVsbG8=\n"])
def test_what_is_no_key_is_refused_and_not_repeated(home, content):
    write_private(home.secret_file, content, replace=True)
    said = fault(home.master_key)
    assert "does not hold a key" in said
    assert "hunter2" not in said


def test_a_home_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be made" in fault(Home(tmp_path / "file" / "var").create)


def test_sandbox_keys_come_back_as_kept_and_are_closed_to_others(home):
    assert home.sandbox_keys("till") is None
    made = SandboxKeys("wechat_v3", {"private_key": "pem"}, {"mchid": "1", "public_keys": {"ID": "pem"}})
    home.keep_sandbox_keys("till", made)
    assert home.sandbox_keys("till") == made
    assert mode(home.root / "sandbox" / "till.json") == 0o600
    assert "pem" not in repr(made)


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"adapter": 1, "private": 2, "keys": 3}'])
def test_a_damaged_sandbox_file_is_a_fault(home, content):
    write_private(home.root / "sandbox" / "till.json", content, replace=True)
    assert "till.json" in fault(lambda: home.sandbox_keys("till"))


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden"])
def test_a_name_that_leaves_the_folder_is_refused(home, name):
    with pytest.raises(ValueError):
        home.sandbox_keys(name)


def test_a_write_that_fails_leaves_the_old_content(home):
    target = home.root / "file"
    write_private(target, b"old", replace=True)
    with pytest.raises(TypeError):
        write_private(target, "not bytes", replace=True)
    assert target.read_bytes() == b"old"
    assert [path.name for path in home.root.iterdir() if path.is_file()] == ["file"]
