"""R245: the core needs no plug-in: its rules and use cases load without a campaign, an adapter or a web framework."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CORE = (
    "service", "claiming", "redeeming", "orders", "sharing", "refunds", "rewards", "outbox", "retention", "ledger.book",
    "ledger.budget", "ledger.limits", "contract", "store",
)  # fmt: skip


@pytest.mark.parametrize("stranger", ["campaigns", "adapters", "flask", "gateway.web", "psycopg"])
def test_R245_the_core_loads_without(stranger):
    """In a fresh interpreter in which importing the stranger fails."""
    lines = [
        "import sys",
        f"sys.modules[{stranger!r}] = None",
        *(f"import gateway.{name}" for name in _CORE),
        f"assert not [name for name in sys.modules if name.startswith({stranger + '.'!r})]",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
