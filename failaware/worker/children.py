"""Makes the exit status of child processes available, also if our caller ignores SIGCHLD."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def awaited() -> Iterator[bool]:
    """Accept SIGCHLD within the block; yields whether our caller ignores it.

    An ignored signal stays ignored through exec, and the kernel then discards the exit status of children: every
    failure would look like a success.
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
    """Ignore SIGCHLD again, as our caller does; also called in the program's process before it starts."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
