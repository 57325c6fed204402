"""Reads the deployment's settings: `config.toml` in the home, each key overridden by `DRAINAGE_SECTION_KEY`.

They are read once, at the start, and every fault is told at once. This is the only file that reads the process's
environment; everyone else is given it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gateway.checks import suggestion, toml_path
from gateway.contract.errors import BadConfig
from gateway.settings import Config

__all__ = ["FILE_NAME", "HOME_VARIABLE", "SECTIONS", "Config", "load_config", "process_environ", "variable_of"]

PREFIX: Final = "DRAINAGE_"
HOME_VARIABLE: Final = "DRAINAGE_HOME"
FILE_NAME: Final = "config.toml"

_INTEGER: Final = re.compile(r"-?[0-9]{1,18}\Z", re.ASCII)
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?\Z", re.ASCII)


def process_environ() -> Mapping[str, str]:
    """The environment this process was started with; callers pass it on as a value."""
    return dict(os.environ)  # noqa: TID251 - the one place that reads the environment


SECTIONS: Final[Mapping[str, type[Any]]] = {part.name: type(part.default) for part in dataclasses.fields(Config)}


def load_config(home: Path, environ: Mapping[str, str]) -> Config:
    """The settings of the home at `home`, overridden by the `DRAINAGE_…` variables of `environ`.

    A home without `config.toml` has the defaults. Raises BadConfig with every fault: its path is the key as in the
    file (`server.base_url`) or the variable's name.
    """
    faults: list[tuple[str, str]] = []
    written = _read_file(home / FILE_NAME, faults)
    values = {
        name: _section_values(name, section, written.get(name, {}), environ, faults)
        for name, section in SECTIONS.items()
    }
    faults += [
        (toml_path(name), f"no such section{suggestion(name, SECTIONS)}") for name in written if name not in SECTIONS
    ]
    faults += _stray_variables(environ)
    if values["sandbox"].get("clock_offset_s") and not values["sandbox"].get("enabled"):
        faults.append(("sandbox.clock_offset_s", "is allowed only where [sandbox] enabled is true"))
    if faults:
        raise BadConfig(faults)
    return Config(**{name: SECTIONS[name](**chosen) for name, chosen in values.items()})


def _read_file(path: Path, faults: list[tuple[str, str]]) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        faults.append((FILE_NAME, f"cannot be read ({type(error).__name__})"))
    except tomllib.TOMLDecodeError as error:
        faults.append((FILE_NAME, f"is not TOML: {error}"))
    return {}


def _section_values(
    name: str, section: type[Any], written: Any, environ: Mapping[str, str], faults: list[tuple[str, str]]
) -> dict[str, Any]:
    if not isinstance(written, dict):
        faults.append((name, f"must be a section, written [{name}]"))
        written = {}
    known = {part.name: part for part in dataclasses.fields(section)}
    faults += [(toml_path(name, key), f"no such key{suggestion(key, known)}") for key in written if key not in known]
    chosen: dict[str, Any] = {}
    for key, part in known.items():
        variable = variable_of(name, key)
        try:
            if variable in environ:
                chosen[key] = part.metadata["check"](_from_text(environ[variable], part.default))
            elif key in written:
                chosen[key] = part.metadata["check"](written[key])
        except ValueError as error:
            faults.append((variable if variable in environ else f"{name}.{key}", str(error)))
    return chosen


def variable_of(section: str, key: str) -> str:
    """The environment variable that overrides `section.key`."""
    return f"{PREFIX}{section}_{key}".upper()


def _from_text(text: str, like: Any) -> Any:
    """A variable's text as the type its key has in TOML, or as it is, for the check to refuse."""
    if isinstance(like, bool):
        return {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower(), text)
    if isinstance(like, int):
        return int(text) if _INTEGER.match(text) else text
    if isinstance(like, float):
        return float(text) if _NUMBER.match(text) else text
    if isinstance(like, tuple):
        try:
            return json.loads(text)
        except ValueError:
            raise ValueError("must be a JSON list") from None
    return text


def _stray_variables(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    known = {variable_of(name, key) for name, section in SECTIONS.items() for key in _keys(section)}
    known.add(HOME_VARIABLE)
    strays = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    return [(name, f"no such setting{suggestion(name, known)}") for name in strays]


def _keys(section: type[Any]) -> list[str]:
    return [part.name for part in dataclasses.fields(section)]
