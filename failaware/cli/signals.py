"""Signals that end a program: what is open is left in order, such as a temporary folder or a terminal's cursor."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_END = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def unwinding() -> Iterator[None]:
    """SIGTERM and SIGHUP raise SystemExit (128 and their number) once; what is ignored stays so. In the main thread."""
    before = {number: signal.getsignal(number) for number in _END}
    ours = [number for number, action in before.items() if action is not signal.SIG_IGN]

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
            signal.signal(number, before[number])
