"""Children whose end can be waited for, also where our caller ignores SIGCHLD."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def awaited() -> Iterator[bool]:
    """Within it, a child's exit status can be had; gives whether our caller ignores SIGCHLD.

    What is ignored stays so through exec, and the kernel then discards each child's status: every failure would look
    like a success.
    """
    if signal.getsignal(signal.SIGCHLD) is not signal.SIG_IGN:
        yield False
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield True
    finally:
        ignore_again()


def ignore_again() -> None:
    """Give back what our caller had; run in the program's process before it begins, too."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
