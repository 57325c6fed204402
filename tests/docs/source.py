"""What the code says of itself: the constants that certain calls are made with."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from pages import ROOT


def modules(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def calls(paths: Iterable[Path], *names: str) -> Iterator[ast.Call]:
    """Every call of a function or class of one of these names, `x.name` included."""
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                called = node.func
                name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
                if name in names:
                    yield node


def argument(call: ast.Call, place: int, name: str = "") -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[place] if len(call.args) > place else None


def texts(node: ast.AST | None) -> set[str]:
    """Every text that an expression may come to: a constant, or the constants of `a if … else b`."""
    if node is None:
        return set()
    if isinstance(node, ast.IfExp):
        return texts(node.body) | texts(node.orelse)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return {node.value}
    return set()


def returned_texts(path: Path, function: str) -> set[str]:
    """Every text that a function of this module returns."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name == function:
            for inner in ast.walk(node):
                if isinstance(inner, ast.Return):
                    found |= texts(inner.value)
    return found
