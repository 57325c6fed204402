"""A home that `drainage init` made, and copies of it."""

from __future__ import annotations

import re

import pytest
from cli_console import SHOPS, Console


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """One home that `drainage init` made, to be copied: making it takes a second."""
    console = Console(tmp_path_factory.mktemp("made"))
    done = console.ok("init")
    (console.folder / "password").write_text(re.search(r"password: (\S+)$", done.out.strip())[1])
    return console.home


@pytest.fixture
def console(tmp_path, made):
    return Console(tmp_path, made)


@pytest.fixture
def shops():
    return SHOPS
