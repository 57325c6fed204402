"""Running the conformance kit against an installed adapter or kind of campaign, in a process of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from importlib.metadata import entry_points
from pathlib import Path
from typing import Final

from gateway.catalog.registry import Registry
from gateway.contract.errors import Refused

GROUP: Final = "drainage.conformance"
"""Entry points by which a package gives its own subclass of `adapters.conformance.AdapterConformance`, or of
`campaigns.conformance.CampaignContract`, by slug."""

_BY_CLASS: Final = """\
from importlib.metadata import entry_points

(point,) = entry_points(group={group!r}, name={slug!r})
TestAdapter = point.load()
"""

_BY_PLATFORM: Final = """\
from adapters.conformance.platform import conformance_of
from gateway.catalog.registry import installed

registry = installed({allow!r})
TestAdapter = conformance_of(registry.adapters[{slug!r}], registry.platforms[{slug!r}])
"""


def test_module(registry: Registry, slug: str, allow: tuple[str, ...]) -> str:
    """The text of a test module for the adapter or kind `slug`: by its own samples, or by its sandbox platform's.

    Raises Refused: `not_found` for one that is not installed, `no_samples` when there is nothing to try it by.
    """
    if slug not in registry.adapters and slug not in registry.campaigns:
        known = ", ".join([*registry.adapters, *registry.campaigns])
        raise Refused("not_found", 404, f"no adapter or campaign kind {slug}; installed: {known}")
    if list(entry_points(group=GROUP, name=slug)):
        return _BY_CLASS.format(group=GROUP, slug=slug)
    if slug in registry.platforms:
        return _BY_PLATFORM.format(slug=slug, allow=allow)
    raise Refused("no_samples", 409, f"{slug} brings neither a class under {GROUP} nor a sandbox platform")


def run(module: str) -> bool:
    """Run a test module; what pytest says goes to stdout. Raises Refused `no_pytest` where that is not installed."""
    missing = [name for name in ("pytest", "hypothesis") if importlib.util.find_spec(name) is None]
    if missing:
        raise Refused("no_pytest", 409, f"the kit needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "test_conformance.py"
        path.write_text(module, encoding="utf-8")
        # `-c` and `--rootdir`: no settings of whatever project we are called in; sockets are the kit's own business.
        options = ("-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", folder, str(path))
        done = subprocess.run([sys.executable, "-m", "pytest", *options], check=False, cwd=folder)  # noqa: S603 - ours
    return done.returncode == 0
