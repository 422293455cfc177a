"""Checks numeric arguments: an invalid one is a UsageError that names the parameter."""

import math
import operator
from typing import Any, SupportsIndex

from failaware.errors import UsageError


def whole(name: str, value: SupportsIndex, *, least: int, most: int) -> int:
    """Return the value as an int from `least` to `most`.

    Raises:
        UsageError: it is not a whole number, or out of range.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except Exception:  # noqa: BLE001 - the object may raise anything
        number = None
    if number is not None and number < least:
        raise UsageError(f"{name} must be {least} or more, not {_repr(value)}")
    if number is None or not least <= number <= most:
        raise UsageError(f"{name} must be a whole number from {least} to {most:,}, not {_repr(value)}")
    return number


def real(name: str, value: Any, *, least: float, most: float) -> float:
    """Return the value as a float from `least` to `most`.

    Raises:
        UsageError: it is not a number, not finite, or out of range.
    """
    try:
        number = math.nan if isinstance(value, bool | str | bytes | bytearray) else float(value)
    except Exception:  # noqa: BLE001 - the object may raise anything
        number = math.nan
    if math.isfinite(number) and number < least:
        raise UsageError(f"{name} must be {least:g} or more, not {_repr(value)}")
    if not least <= number <= most:  # both comparisons are false for nan
        raise UsageError(f"{name} must be a number from {least:g} to {most:,.10g}, not {_repr(value)}")
    return number


def _repr(value: Any) -> str:
    try:
        return repr(value)[:60]
    except Exception:  # noqa: BLE001 - such as an int of more digits than Python prints
        return f"this {type(value).__name__}"
