"""The house keeps its own rules: where time and chance come from, and that the core stands without a campaign."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gateway.catalog.registry import installed
from gateway.catalog.specs import Catalog
from tests.support.world import World

ROOT = Path(__file__).parent.parent.parent
OWNERS = {
    "datetime.now": {"gateway/contract/clock.py"},
    "datetime.utcnow": set(),
    "time.time": set(),
    "os.urandom": {"gateway/contract/ids.py"},
    "uuid.uuid4": set(),
    "random.random": set(),
    "random.choice": set(),
}
"""What reads the machine's clock or chance → who may. `crypto.vault` takes os.urandom as a default argument."""


def _calls(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            found.add(f"{node.func.value.id}.{node.func.attr}")
    return found


@pytest.mark.parametrize("call", sorted(OWNERS))
def test_R243_time_and_chance_are_passed_in(call: str) -> None:
    """Only the owners ask the machine; everybody else is handed a clock, a source of bytes, or an id factory."""
    packages = ("gateway", "adapters", "crypto", "linkgen", "campaigns")
    callers = {
        str(path.relative_to(ROOT))
        for package in packages
        for path in (ROOT / package).rglob("*.py")
        if call in _calls(path)
    }
    assert callers == OWNERS[call]


def test_R243_no_rule_s_test_waits_for_the_clock() -> None:
    """Expiry and splits are tried by moving the clock that is passed in, never by waiting."""
    rooms = ("rules", "service", "ledger", "api", "auth", "catalog", "adapters", "crypto", "linkgen", "config")
    waiting = [
        str(path.relative_to(ROOT))
        for room in rooms
        for path in (ROOT / "tests" / room).rglob("*.py")
        if "time.sleep" in _calls(path)
    ]
    assert waiting == []


def test_R245_the_core_takes_a_payment_with_no_campaign_installed(tmp_path: Path) -> None:
    """Campaigns are plug-ins behind an entry point: with none of them the line works, and nothing imports one."""
    importing = [
        str(path.relative_to(ROOT))
        for package in ("gateway", "adapters", "crypto", "linkgen")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "campaigns")
        or (isinstance(node, ast.Import) and any(name.name.split(".")[0] == "campaigns" for name in node.names))
    ]
    assert importing == []
    assert isinstance(installed(()).campaigns, dict)
    world = World(tmp_path)
    assert world.runtime.directory().catalog.campaigns == Catalog().campaigns
    first, second = world.pay("T1", "openid-a"), world.pay("T2", "openid-a")
    assert (first.outcome, second.outcome) == ("processed", "processed")
    rows = world.runtime.store.read(lambda tx: tx.all("SELECT purpose FROM links"))
    assert [row["purpose"] for row in rows] == ["payer"]
