"""Every page: links resolve, make's targets exist, and the project speaks of itself alone."""

from __future__ import annotations

import re
import subprocess
from hashlib import sha256

import pytest
from pages import PAGES, ROOT, blocks, shell_lines, without_blocks

WRITTEN_LATER = {"docs/performance.md"}
"""`make bench` writes it, from what it measured."""

LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")


def anchor(heading):
    """A heading's anchor as the hosting platforms make it."""
    kept = "".join(char for char in heading.lower().strip() if char.isalnum() or char in " -_")
    return kept.replace(" ", "-")


def anchors(page):
    return {
        anchor(line.lstrip("#"))
        for line in without_blocks(page.read_text("utf-8")).splitlines()
        if line.startswith("#")
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_resolve(page):
    for target in LINK.findall(without_blocks(page.read_text("utf-8"))):
        if "://" in target:
            continue
        place, _, name = target.partition("#")
        path = (page.parent / place).resolve() if place else page
        if not path.exists() and (str(path.relative_to(ROOT)) in WRITTEN_LATER or was_taken_out(path)):
            continue
        assert path.exists(), target
        assert not name or name in anchors(path), target


def was_taken_out(path):
    """Whether it lay in a campaign package that somebody has removed: the pages go on naming it."""
    kind = path.parent
    return kind.parent == ROOT / "campaigns" and not kind.exists()


def test_the_written_page_is_written():
    assert '"docs" / "performance.md"' in (ROOT / "benchmarks/__main__.py").read_text("utf-8")


def targets():
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_exist(page):
    text = page.read_text("utf-8")
    lines = [*shell_lines(text), *re.findall(r"`(make[^`]*)`", text)]
    for line in lines:
        if line.startswith("make"):
            named = [word for word in line.split()[1:] if "=" not in word]
            assert set(named) <= targets(), line


def test_decisions_are_numbered_without_a_gap():
    names = sorted(path.name for path in (ROOT / "docs/adr").glob("0*.md"))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    for name in names:
        text = (ROOT / "docs/adr" / name).read_text("utf-8")
        assert text.startswith(f"# {int(name[:4])}. ")
        assert all(f"**{part}.**" in text for part in ("Open", "Chosen", "Why", "Cost")), name


def test_shell_blocks_are_shell(tmp_path):
    for page in PAGES:
        for block in blocks(page.read_text("utf-8"), "sh"):
            done = subprocess.run(["sh", "-n"], input=block, text=True, capture_output=True, check=False)
            assert done.returncode == 0, (page.name, done.stderr)


# -- what no file of ours may say -------------------------------------------------------------------------------------

LEFT_OUT = {".venv", ".git", "var", "build", "dist", "shots", "vectors", "node_modules", "__pycache__"}
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|home|root|Users)/[A-Za-z.]")
WORD = re.compile(r"(?<![A-Za-z0-9+/=_-])[A-Za-z]+(?![A-Za-z0-9+/=_])")
OF_THE_WORKSHOP = frozenset(
    {
        "053ea4804ef1",
        "11fb682be0a0",
        "3ea125d0bff3",
        "487b91042c7c",
        "60965168ce76",
        "94a168d2da57",
        "c70eca6b0f88",
        "c857d09db23e",
        "d298391b0743",
        "de2187af3fb0",
    }
)
"""Words about how the project came to be, which is nobody's business; as digests, so that this file says none."""


def slips(text):
    """Paths of somebody's machine, and words of the workshop."""
    found = set(MACHINE_PATH.findall(text))
    for word in set(WORD.findall(text)):
        spellings = {word, word.lower()}
        if OF_THE_WORKSHOP & {sha256(one.encode()).hexdigest()[:12] for one in spellings}:
            found.add(word)
    return found


def own_files():
    for path in sorted(ROOT.rglob("*")):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part not in {".ci", ".gitignore"} for part in parts)
        built = any(part.endswith(".egg-info") for part in parts)
        if path.is_file() and not hidden and not built and not LEFT_OUT & set(parts):
            yield path


def test_the_project_speaks_of_itself_alone():
    seen = 0
    for path in own_files():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        seen += 1
        assert slips(text) == set(), path.relative_to(ROOT)
    assert seen > 200


@pytest.mark.parametrize("slip", ["see /{}/mei/x", "file:///{}/mei"])
def test_a_path_of_a_machine_would_be_seen(slip):
    assert slips(slip.format("home"))
