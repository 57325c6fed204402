"""The stored catalogue as an apply file, secrets as `{ stored = "id" }`; applied again, it changes nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.catalog.encoding import SecretId, encode
from gateway.catalog.fields import KEY_OF_FIELD
from gateway.catalog.references import reference_in
from gateway.catalog.specs import Catalog, Spec
from gateway.checks import quoted, toml_path


def export(catalog: Catalog, secret_id: SecretId) -> str:
    """TOML text of every object. Keys that have their default are left out, required ones never."""
    blocks = ["\n".join(_table((kind, spec.slug), table_of(spec, secret_id))) for kind, spec in catalog.specs()]
    return "\n\n".join(blocks) + ("\n" if blocks else "")


def table_of(spec: Spec, secret_id: SecretId) -> dict[str, Any]:
    """The object's table as the file has it: key → value, secrets as `{"stored": id}`, defaults left out."""
    values, _ = encode(spec, secret_id)
    defaults = {part.name: _default(part) for part in dataclasses.fields(spec)}
    settings = values.pop("settings", {})
    written = {
        KEY_OF_FIELD.get(name, name): value
        for name, value in values.items()
        if value is not None and value != defaults[name]
    }
    return {**written, **settings}


def _default(part: dataclasses.Field[Any]) -> Any:
    if part.default_factory is not dataclasses.MISSING:
        return part.default_factory()
    return list(part.default) if isinstance(part.default, tuple) else part.default


def _table(path: tuple[str, ...], table: Mapping[str, Any]) -> Iterator[str]:
    """A table's lines: its own keys first, then the tables within it, as TOML wants."""
    inner = {name: value for name, value in table.items() if isinstance(value, dict) and reference_in(value) is None}
    own = {name: value for name, value in table.items() if name not in inner}
    if own or not inner:
        yield f"[{toml_path(*path)}]"
    for name, value in own.items():
        yield f"{toml_path(name)} = {_inline(value)}"
    for name, value in inner.items():
        yield from _table((*path, name), value)


def _inline(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, dict):
        inner = ", ".join(f"{toml_path(name)} = {_inline(one)}" for name, one in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    return repr(value)
