"""Reads JSON from anybody, and makes sure that its content can do no harm.

Numbers are finite with room for arithmetic, integers fit into 64 bits, and characters that a terminal would obey are escaped
(`errors.printable`).
"""

from __future__ import annotations

import json
from typing import Any, Final

from brefine.errors import FormatError, printable

_LARGEST: Final = 1e100
"""No quantity is larger, and its square and its sums are still finite."""
_LONGEST_DIGITS: Final = 19
"""As many digits has the largest integer of 64 bits."""


def parse_json(text: str | bytes, *, where: object) -> Any:
    """Parses one JSON document.

    Raises:
        FormatError: it is not JSON or not UTF-8, is nested too deeply, or holds a number that is too large or not finite.
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        tree = json.loads(decoded, parse_constant=_refuse, parse_float=_parse_float, parse_int=_parse_int)
        return tree if decoded.isascii() and "\\" not in decoded and "\x7f" not in decoded else _printable(tree)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise FormatError(f"this is not JSON: {error}", where=where) from None


def _printable(tree: Any) -> Any:
    if isinstance(tree, str):
        return printable(tree)
    if isinstance(tree, list):
        return [_printable(item) for item in tree]
    if isinstance(tree, dict):
        return {printable(key): _printable(value) for key, value in tree.items()}
    return tree


def _parse_float(text: str) -> float:
    value = float(text)
    return value if abs(value) <= _LARGEST else _refuse(text)  # false for not-a-number, too


def _parse_int(text: str) -> int:
    value = int(text) if len(text) <= _LONGEST_DIGITS + 1 else 1 << 64
    return value if -(1 << 63) <= value < 1 << 63 else _refuse(text)


def _refuse(text: str) -> Any:
    raise ValueError(f"{text[:40]} is not a number that brefine can use")
