"""Signals that end a program: what is open is left in order, such as a temporary folder or a terminal's cursor."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_END = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def unwinding() -> Iterator[None]:
    """SIGTERM and SIGHUP raise SystemExit (128 and their number) once, where nothing else handles or ignores them.

    In the main thread.
    """
    ours = [number for number in _END if signal.getsignal(number) is signal.SIG_DFL]

    def end(number: int, _frame: FrameType | None) -> None:
        for other in ours:
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
