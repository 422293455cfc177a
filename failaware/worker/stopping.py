"""Stops a worker on signals: gracefully at first, and in any case soon after SIGTERM."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_LEEWAY_S = 2.0  # time to record the last attempts, after that of the handlers


class Stop:
    """Whether a worker is to stop, and by when."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._deadline: float | None = None

    def set(self) -> None:
        """Stop when the running attempts have ended."""
        self._event.set()

    def set_within(self, seconds: float) -> None:
        """Stop within this time; attempts that still run then are abandoned."""
        if self._deadline is None:
            self._deadline = time.monotonic() + seconds
        self._event.set()

    def is_set(self) -> bool:
        """Whether the worker is to stop."""
        return self._event.is_set()

    @property
    def is_overdue(self) -> bool:
        """Whether attempts that still run are to be abandoned."""
        return self._deadline is not None and time.monotonic() >= self._deadline

    def clear(self) -> None:
        """Reset, for the next run."""
        self._deadline = None
        self._event.clear()


@contextmanager
def stopped_by_signals(stop: Stop, grace_s: float) -> Iterator[None]:
    """Stop gracefully on the first SIGINT or SIGTERM within the block; a second one has its former effect.

    Only in the main thread. After SIGTERM, handlers have `grace_s` seconds. If the block has not ended 2 seconds later,
    since the main thread is in a handler's transaction or waits for the store, the process ends with status 143.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, action in before.items():
            if action is not None:  # None: it was not set by Python, which cannot restore it
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
    """End the process `limit_s` seconds after a SIGTERM, unless the block ends before.

    Python runs signal handlers only while the main thread runs Python code; the wake-up descriptor needs no such wait.
    """
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    over = threading.Event()
    before = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=_watch, args=(receiver, over, limit_s), daemon=True, name="failaware-stop")
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        over.set()
        sender.close()
        thread.join()
        receiver.close()


def _watch(
    receiver: socket.socket, over: threading.Event, limit_s: float, end: Callable[[int], None] = os._exit
) -> None:
    while numbers := receiver.recv(64):
        if signal.SIGTERM in numbers and not over.wait(limit_s):
            end(128 + signal.SIGTERM)
