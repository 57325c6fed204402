"""`python -m benchmarks [B1 B3 …] [--rounds N]`: run, print a table, write results.json and docs/performance.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from typing import Any

MODULES = {
    "B1": "b1_wechat_notification",
    "B2": "b2_alipay_notification",
    "B3": "b3_intake",
    "B4": "b4_relay",
    "B6": "b6_flash_sale",
    "B7": "b7_pages",
}
TARGETS: dict[str, dict[str, str]] = {
    "B1": {"ours/floor": "<= 1.25 (stretch 1.15)", "peer/ours": ">= 1.6"},
    "B2": {"ours/floor": "<= 1.6", "peer/ours": ">= 10"},
}
RESULTS = Path(__file__).parent / "results.json"
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("which", nargs="*", metavar="ID", help=f"some of {', '.join(MODULES)}; all by default")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() and chosen.which else {"results": {}}
    for name in chosen.which or MODULES:
        print(f"{name} …", file=sys.stderr, flush=True)
        result = import_module(f"benchmarks.{MODULES[name.upper()]}").run(rounds=chosen.rounds)
        result["targets"] = {**TARGETS.get(name.upper(), {}), **result.get("targets", {})}
        known["results"][name.upper()] = result
        print("\n".join(_rows(result)), flush=True)
    known["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    known["measured"] = f"{datetime.now(timezone.utc):%Y-%m-%d}"
    RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(_page(known))
    return 0


def _rows(result: dict[str, Any]) -> list[str]:
    lines = [f"{result['id']}  {result['what']} ({result['unit']}, {result['rounds']} rounds)"]
    lines += [f"    {side:<28}{value:>12}" for side, value in result["medians"].items()]
    lines += [
        f"    {name:<28}{value!s:>12}   target {result['targets'].get(name, '-')}"
        for name, value in result["ratios"].items()
    ]
    return lines


def _page(known: dict[str, Any]) -> str:
    lines = [
        "# Performance",
        "",
        "Written by `make bench`, not by hand. A benchmark runs its peers in the same run, in turn, on one machine,",
        "checks its own answers, and prints medians. Machines differ and are noisy: a ratio is the result.",
        "",
        f"Measured {known['measured']} on {known['machine']}.",
        "",
    ]
    for name in sorted(known["results"]):
        result = known["results"][name]
        lines += [f"## {name}: {result['what']}", "", f"| side | {result['unit']} |", "| --- | ---: |"]
        lines += [f"| {side} | {value} |" for side, value in result["medians"].items()]
        lines += ["", "| figure | measured | target |", "| --- | ---: | --- |"]
        lines += [
            f"| {figure} | {value} | {result['targets'].get(figure, '')} |"
            for figure, value in result["ratios"].items()
        ]
        versions = ", ".join(f"{library} {number}" for library, number in result["versions"].items())
        lines += ["", f"{result['rounds']} rounds; {versions}.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
