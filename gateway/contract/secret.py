"""A value that does not show itself."""

from __future__ import annotations

import hmac
from typing import Generic, TypeVar

T = TypeVar("T", bound=str | bytes)


class Secret(Generic[T]):
    """Holds a secret; `repr`, `str` and formatting show nothing. `reveal()` is easy to grep for."""

    __slots__ = ("_value",)

    def __init__(self, value: T) -> None:
        self._value = value

    def reveal(self) -> T:
        """The value itself; call it where it is used and keep the result nowhere."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_octets(self._value), _octets(other._value))

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Secret is not pickled")


def _octets(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value
