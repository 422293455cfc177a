"""How signals end a worker: gracefully at first, and in any case soon after SIGTERM."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_LEEWAY_S = 2.0  # after the time that handlers have, for what is left to be recorded


class Stop:
    """Whether a worker is to stop, and by when."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._deadline: float | None = None

    def set(self) -> None:
        """Stop as soon as nothing runs."""
        self._event.set()

    def set_within(self, seconds: float) -> None:
        """Stop, and leave what still runs then."""
        if self._deadline is None:
            self._deadline = time.monotonic() + seconds
        self._event.set()

    def is_set(self) -> bool:
        """Whether the worker is to stop."""
        return self._event.is_set()

    @property
    def is_overdue(self) -> bool:
        """Whether it is to leave what still runs."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def clear(self) -> None:
        """Forget it, for the next run."""
        self._deadline = None
        self._event.clear()


@contextmanager
def stopped_by_signals(stop: Stop, grace_s: float) -> Iterator[None]:
    """Within it, in the main thread, the first SIGINT or SIGTERM stops gracefully; a second does what it did before.

    After SIGTERM, handlers have `grace_s`. A process that has not left by a little later, since its main thread is held
    up in a handler's transaction or waits for the store, ends itself, with the exit status of one that SIGTERM ended.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, action in before.items():
            if action is not None:  # None: not set by Python, which cannot set it again
                signal.signal(number, action)

    def on_signal(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGTERM:
            stop.set_within(grace_s)
        else:
            stop.set()
        restore()

    for number in before:
        signal.signal(number, on_signal)
    try:
        with _last_resort(grace_s + _LEEWAY_S):
            yield
    finally:
        restore()


@contextmanager
def _last_resort(limit_s: float) -> Iterator[None]:
    """Within it, the process ends so long after a SIGTERM at the latest.

    Python's own signal handlers wait until the main thread is back in Python code; what is told through the wake-up
    descriptor is not held up.
    """
    told, tells = socket.socketpair()
    tells.setblocking(False)
    over = threading.Event()
    before = signal.set_wakeup_fd(tells.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=_watch, args=(told, over, limit_s), daemon=True, name="failaware-stop")
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        over.set()
        tells.close()
        thread.join()
        told.close()


def _watch(told: socket.socket, over: threading.Event, limit_s: float, end: Callable[[int], None] = os._exit) -> None:
    while numbers := told.recv(64):
        if signal.SIGTERM in numbers and not over.wait(limit_s):
            end(128 + signal.SIGTERM)
