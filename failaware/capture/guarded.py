"""Asking a user's object about itself, which may fail in any way: each question has a default.

`__str__`, `__repr__`, `__getattr__`, properties and metaclasses are code of others. Where an object need not be asked,
it is not: types, causes and tracebacks are read from the interpreter's own slots.
"""

import threading
from collections.abc import Callable
from itertools import pairwise
from opcode import opmap
from types import FrameType, TracebackType
from typing import Any, TypeVar

T = TypeVar("T")
traceback_of: Callable[[BaseException], TracebackType | None] = BaseException.__dict__["__traceback__"].__get__
"""Where it was raised, as the interpreter knows it: a class may have an attribute of its own under this name."""
_RAISE = opmap["RAISE_VARARGS"]


def guarded(ask: Callable[[], T], default: T) -> T:
    """What `ask` returns, or the default when it raises anything at all.

    Raises:
        KeyboardInterrupt, SystemExit: only from a signal that arrived meanwhile: the process is to end.
    """
    try:
        return ask()
    except BaseException as error:
        if raised_by_signal(error):
            raise
        return default


def raised_by_signal(error: BaseException) -> bool:
    """Whether a signal ended what was being done (Ctrl-C, `sys.exit` in a signal handler), not an object's own code."""
    if not is_a(error, KeyboardInterrupt, SystemExit) or threading.current_thread() is not threading.main_thread():
        return False
    places = _places(traceback_of(error))
    if any(_was_given(inner.tb_frame, outer.tb_frame) for outer, inner in pairwise(places)):
        return True
    return is_a(error, KeyboardInterrupt) and not (places and _raises(places[-1]))


def _places(traceback: TracebackType | None) -> list[TracebackType]:
    places = []
    while traceback is not None:
        places.append(traceback)
        traceback = traceback.tb_next
    return places


def _was_given(handler: FrameType, interrupted: FrameType) -> bool:
    """Whether a function got its caller's frame as an argument, as only signal handlers do."""
    arguments = handler.f_locals.values()
    return any(
        value is interrupted or (type(value) is tuple and any(item is interrupted for item in value))
        for value in arguments
    )


def _raises(place: TracebackType) -> bool:
    """Whether the code says `raise` here; where a signal interrupts, it says anything else."""
    return place.tb_frame.f_code.co_code[place.tb_lasti] == _RAISE


def is_a(value: object, *kinds: type) -> bool:
    """As isinstance, but not asking the value, whose `__class__` may lie or raise."""
    return issubclass(type(value), kinds)


def type_name(kind: type) -> str:
    """A type's qualified name; the built-in ones, and what a script defines itself, without their module.

    Read past the metaclass, which may have attributes of its own for these.
    """
    name, module = plain(_QUALNAME(kind)), guarded(lambda: _MODULE(kind), None)
    if module == "failaware.errors":
        module = "failaware"  # where a handler imports Permanent and RetryAfter from
    return name if type(module) is not str or module in ("builtins", "__main__") else f"{module}.{name}"


def plain(text: str) -> str:
    """A text as exactly str: a subclass may have methods of its own, and databases take some for other types."""
    return text if type(text) is str else str.__str__(text)


def text_of(value: object) -> str:
    """`str(value)`, or "<unprintable TYPE>" where that fails."""
    text = guarded(lambda: plain(str(value)), None)
    return f"<unprintable {short_name(type(value))}>" if text is None else text


def short_name(kind: type) -> str:
    """A type's name without its module."""
    return plain(_NAME(kind))


_NAME: Callable[[type], str] = type.__dict__["__name__"].__get__
_QUALNAME: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_MODULE: Callable[[type], Any] = type.__dict__["__module__"].__get__
