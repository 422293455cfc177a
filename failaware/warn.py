"""Warnings that are never raised into the program that is warned, as they would be under `python -W error`."""

import contextlib
import inspect
import sys
import warnings

_MARK = "by_failaware"
_BETWEEN = (
    "failaware",
    "contextlib",
    "asyncio",
    "threading",
)  # packages that are between us and whom the warning is for


def warn(message: str, category: type[Warning]) -> None:
    """Warn of something at the line of the program that called us, as `warnings.warn` does.

    Where that raises the warning, the message is written to standard error instead.
    """
    warning = category(message)
    vars(warning)[_MARK] = True
    try:
        warnings.warn(warning, stacklevel=_frames_between())
    except Exception:  # noqa: BLE001 - the warning itself, or what a program has put in the place of `showwarning`
        with contextlib.suppress(Exception):  # there may be no standard error
            sys.stderr.write(f"{message}\n")


def is_ours(warning: Warning | str) -> bool:
    """Whether `warn` made this warning, whose place is a line of the program that called us."""
    return isinstance(warning, Warning) and _MARK in vars(warning)


def _frames_between() -> int:
    count, frame = 0, inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _BETWEEN:
        count, frame = count + 1, frame.f_back
    return count
