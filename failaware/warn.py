"""Issues warnings that never become exceptions, not even under `python -W error`."""

import contextlib
import inspect
import sys
import warnings

_MARK = "by_failaware"
_INTERNAL = ("failaware", "contextlib", "asyncio", "threading")  # packages whose frames are skipped for the location


def warn(message: str, category: type[Warning]) -> None:
    """Issue a warning with `warnings.warn`, at the line of the program that called failaware.

    If that raises, write the message to standard error instead.
    """
    warning = category(message)
    vars(warning)[_MARK] = True
    try:
        warnings.warn(warning, stacklevel=_internal_frames())
    except Exception:  # noqa: BLE001 - the warning itself, or an error of a program's `showwarning`
        with contextlib.suppress(Exception):  # standard error may be missing
            sys.stderr.write(f"{message}\n")


def is_ours(warning: Warning | str) -> bool:
    """Whether `warn` issued this warning."""
    return isinstance(warning, Warning) and _MARK in vars(warning)


def _internal_frames() -> int:
    count, frame = 0, inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] in _INTERNAL:
        count, frame = count + 1, frame.f_back
    return count
