"""Signals that end a program end the app instead, which leaves the terminal as it was."""

import asyncio
import errno
import os
import signal
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from textual.app import App

_END = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def ended_by_signals(app: App[None]) -> Iterator[list[int]]:
    """While the app runs. Yields the list to which the number of the signal is added; what is ignored stays so.

    Raises:
        SystemExit: a signal came before the app had the terminal, or after it.
    """
    came: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        _replace_lost_terminal()
        try:
            asyncio.get_running_loop().call_soon_threadsafe(app.exit)
        except RuntimeError:
            raise SystemExit(128 + number) from None

    before = {number: signal.getsignal(number) for number in _END}
    for number, action in before.items():
        if action is not signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield came
    finally:
        for number, action in before.items():
            signal.signal(number, action)


def _replace_lost_terminal() -> None:
    """Let a terminal that was closed be /dev/null: an app that cannot write to it, or read from it, does not end."""
    for stream in range(3):
        try:
            termios.tcgetattr(stream)
        except termios.error as error:
            if error.args[0] == errno.EIO:
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, stream)
                os.close(null)
