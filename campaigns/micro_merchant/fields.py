"""Reading what a call of the API sent: each fault by its field, all of them at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.contract.errors import Refused
from gateway.contract.money import MAX_FEN


class Fields:
    """A JSON object being read."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body
        self._faults: dict[str, str] = {}

    def text(self, name: str, most: int, *, needed: bool = False) -> str:
        """A text of at most `most` characters; "" where it is not there and not `needed`."""
        value = self._body.get(name)
        if value is None and not needed:
            return ""
        if not isinstance(value, str) or len(value) > most or (needed and not value.strip()) or "\x00" in value:
            self._faults[name] = f"must be a text of {1 if needed else 0} to {most} characters"
            return ""
        return value

    def fen(self, name: str, least: int = 1) -> int:
        """A whole number of fen."""
        return self.whole(name, least, MAX_FEN)

    def whole(self, name: str, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self._body.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            self._faults[name] = f"must be a whole number from {least} to {most}"
            return least
        return value

    def fault(self, name: str, why: str) -> None:
        """One that only the caller can see."""
        self._faults[name] = why

    def check(self) -> None:
        """Raises Refused `invalid` 422 where something did not hold."""
        if self._faults:
            raise Refused("invalid", 422, fields=self._faults)
