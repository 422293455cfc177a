"""Numbers that a caller gives, checked once: whatever makes no sense is a UsageError that names the parameter."""

import math
import operator
from typing import Any, SupportsIndex

from failaware.errors import UsageError


def whole(name: str, value: SupportsIndex, *, least: int, most: int) -> int:
    """The value as an int from `least` to `most`.

    Raises:
        UsageError: it is no whole number, or out of range.
    """
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except Exception:  # noqa: BLE001 - whatever the object does
        number = None
    if number is not None and number < least:
        raise UsageError(f"{name} is {least} or more, not {_shown(value)}")
    if number is None or not least <= number <= most:
        raise UsageError(f"{name} must be a whole number from {least} to {most:,}, not {_shown(value)}")
    return number


def real(name: str, value: Any, *, least: float, most: float) -> float:
    """The value as a float from `least` to `most`.

    Raises:
        UsageError: it is no number, not finite, or out of range.
    """
    try:
        number = math.nan if isinstance(value, bool | str | bytes | bytearray) else float(value)
    except Exception:  # noqa: BLE001 - whatever the object does
        number = math.nan
    if math.isfinite(number) and number < least:
        raise UsageError(f"{name} is {least:g} or more, not {_shown(value)}")
    if not least <= number <= most:  # neither holds for nan
        raise UsageError(f"{name} must be a number from {least:g} to {most:,.10g}, not {_shown(value)}")
    return number


def _shown(value: Any) -> str:
    try:
        return repr(value)[:60]
    except Exception:  # noqa: BLE001 - an int of more digits than Python prints is one
        return f"this {type(value).__name__}"
