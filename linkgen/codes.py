"""Coupon codes that people read, dictate and type (R059): twelve random symbols and a check symbol.

The alphabet has 31 symbols, without 0/O and 1/I/L. 31 is prime, and the check is a sum weighted by position modulo
31, so it catches every single wrong symbol and every two symbols that changed places, adjacent or not: the weights
1 to 13 and all their differences have an inverse. Twelve free symbols are 59 bits.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Final

ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
RANDOM_SYMBOLS: Final = 12
CODE_LENGTH: Final = RANDOM_SYMBOLS + 1

_PRIME: Final = len(ALPHABET)
_VALUE: Final = {symbol: value for value, symbol in enumerate(ALPHABET)}
_UPPER: Final = {ord(letter): letter.upper() for letter in "abcdefghijklmnopqrstuvwxyz"}
_LONGEST_TYPED: Final = 100
_DROPPED: Final = frozenset({"Pd", "Cf", "Cc", "Zs", "Zl", "Zp"})
_MINUS: Final = "\u2212"


def new_code(random: Callable[[int], bytes]) -> str:
    """A fresh code, 13 symbols. `random(n)` gives n unpredictable bytes; every code is equally likely."""
    # A byte modulo 31 would favour the first symbols; bytes past the last whole multiple are thrown away instead.
    fair = 256 - 256 % _PRIME
    symbols = ""
    while len(symbols) < RANDOM_SYMBOLS:
        symbols += "".join(ALPHABET[byte % _PRIME] for byte in random(RANDOM_SYMBOLS * 2) if byte < fair)
    free = symbols[:RANDOM_SYMBOLS]
    return free + _check_symbol(free)


def normalise(text: str) -> str:
    """What was typed, dictated or scanned → the code as stored: full-width forms, letter case, dashes, spaces undone.

    Only the form changes: the result need not be a code (`is_code`). Text too long to be one becomes `""`.
    """
    if len(text) > _LONGEST_TYPED:
        return ""
    folded = unicodedata.normalize("NFKC", text)
    kept = (c for c in folded if c != _MINUS and unicodedata.category(c) not in _DROPPED)
    # Not str.upper(): it turns one letter into two (ß → SS) and so invents codes nobody typed.
    return "".join(kept).translate(_UPPER)


def is_code(text: str) -> bool:
    """Whether `text`, once normalised, has a code's shape and its check symbol holds. Says nothing of existence."""
    code = normalise(text)
    if len(code) != CODE_LENGTH or any(symbol not in _VALUE for symbol in code):
        return False
    return code[-1] == _check_symbol(code[:-1])


def grouped(code: str) -> str:
    """A code as printed: `H7KQ2M9WXT4B5` → `H7KQ-2M9W-XT4B-5`."""
    return "-".join(code[start : start + 4] for start in range(0, len(code), 4))


def _check_symbol(free: str) -> str:
    """The symbol that, with weight 13, brings the weighted sum to 0 modulo 31."""
    total = sum(weight * _VALUE[symbol] for weight, symbol in enumerate(free, start=1))
    return ALPHABET[-total * pow(CODE_LENGTH, -1, _PRIME) % _PRIME]
