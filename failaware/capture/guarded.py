"""Reads a user's object, which may raise anything: each read has a default.

`__str__`, `__repr__`, `__getattr__`, properties and metaclasses run code of others. Types, causes and tracebacks are
read from the interpreter's own slots, which run none.
"""

import threading
from collections.abc import Callable
from itertools import pairwise
from opcode import opmap
from types import FrameType, TracebackType
from typing import Any, TypeVar

T = TypeVar("T")
traceback_of: Callable[[BaseException], TracebackType | None] = BaseException.__dict__["__traceback__"].__get__
"""The `__traceback__` slot; a class may define an attribute with this name."""
_RAISE = opmap["RAISE_VARARGS"]


def guarded(ask: Callable[[], T], default: T) -> T:
    """Return `ask()`, or the default if it raises anything.

    Raises:
        KeyboardInterrupt, SystemExit: only from a signal that arrives meanwhile: the process has to end.
    """
    try:
        return ask()
    except BaseException as error:
        if raised_by_signal(error):
            raise
        return default


def raised_by_signal(error: BaseException) -> bool:
    """Whether a signal raised it (Ctrl-C, `sys.exit` in a signal handler), and not the code of an object."""
    if not is_a(error, KeyboardInterrupt, SystemExit) or threading.current_thread() is not threading.main_thread():
        return False
    entries = _entries(traceback_of(error))
    if any(_is_handler_of(inner.tb_frame, outer.tb_frame) for outer, inner in pairwise(entries)):
        return True
    return is_a(error, KeyboardInterrupt) and not (entries and _raises(entries[-1]))


def _entries(traceback: TracebackType | None) -> list[TracebackType]:
    entries = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    return entries


def _is_handler_of(handler: FrameType, interrupted: FrameType) -> bool:
    """Whether a function has its caller's frame as an argument, as only signal handlers do."""
    arguments = handler.f_locals.values()
    return any(
        value is interrupted or (type(value) is tuple and any(item is interrupted for item in value))
        for value in arguments
    )


def _raises(entry: TracebackType) -> bool:
    """Whether the code is at a `raise` statement; a signal interrupts it anywhere else."""
    return entry.tb_frame.f_code.co_code[entry.tb_lasti] == _RAISE


def is_a(value: object, *kinds: type) -> bool:
    """As isinstance, but without the value's `__class__`, which may lie or raise."""
    return issubclass(type(value), kinds)


def type_name(kind: type) -> str:
    """Return a type's qualified name, with its module unless that is builtins or __main__.

    Read from the slots: a metaclass may define attributes with these names.
    """
    name, module = plain(_QUALNAME(kind)), guarded(lambda: _MODULE(kind), None)
    if module == "failaware.errors":
        module = "failaware"  # handlers import Permanent and RetryAfter from it
    return name if type(module) is not str or module in ("builtins", "__main__") else f"{module}.{name}"


def plain(text: str) -> str:
    """Return a text as exactly str: a subclass may override methods, and database drivers may reject it."""
    return text if type(text) is str else str.__str__(text)


def text_of(value: object) -> str:
    """Return `str(value)`, or "<unprintable TYPE>" if that fails."""
    text = guarded(lambda: plain(str(value)), None)
    return f"<unprintable {short_name(type(value))}>" if text is None else text


def short_name(kind: type) -> str:
    """Return a type's name without its module."""
    return plain(_NAME(kind))


_NAME: Callable[[type], str] = type.__dict__["__name__"].__get__
_QUALNAME: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_MODULE: Callable[[type], Any] = type.__dict__["__module__"].__get__
