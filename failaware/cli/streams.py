"""Standard input, output and error, in any state the caller left them: the work and its exit status come first.

A stream may be closed, broken, full, non-blocking or of an encoding that lacks our characters. None of that may end
a command before its work is done: what cannot be written is dropped, and `finish` reports it once.
"""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class _Descriptor(io.FileIO):
    """Writes until the first error, which is kept; drops what comes after it."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, "wb", closefd=False)
        self.error: OSError | None = None

    def write(self, data: object) -> int:
        """Write all of it, waiting for a reader that is slow."""
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        written = 0
        try:
            while self.error is None and written < len(view):
                part = super().write(view[written:])
                if part is None:  # it is non-blocking, and full
                    _wait_until_writable(self.fileno())
                else:
                    written += part
        except OSError as error:
            self.error = error
        return len(view)


class _Output(io.TextIOWrapper):
    """Text for a descriptor; characters that its encoding lacks are written as escapes."""

    def __init__(self, fd: int, encoding: str) -> None:
        self.descriptor = _Descriptor(fd)
        buffered = io.BufferedWriter(self.descriptor)
        by_line = fd == 2 or self.descriptor.isatty()
        super().__init__(buffered, encoding=encoding, errors="backslashreplace", line_buffering=by_line)

    def close(self) -> None:
        """Write what is held back; a handler that closes it does not keep us from writing our last line."""
        self.flush()


def prepare() -> None:
    """Put streams that cannot fail in the place of Python's own, which are None where our caller closed them."""
    _occupy()
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as we live
    if sys.stdout is sys.__stdout__:
        sys.stdout = _Output(1, _encoding(sys.stdout))
    if sys.stderr is sys.__stderr__:
        sys.stderr = _Output(2, _encoding(sys.stderr))
    if sys.__stderr__ is None:
        sys.__stderr__ = sys.stderr  # type: ignore[misc, assignment] # the inspector draws there


@contextmanager
def restored() -> Iterator[None]:
    """Put our streams back after the block, in which the user's code may replace them."""
    ours = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout, sys.stderr = ours


def warn(sentence: str) -> None:
    """Write one line on standard error at once: what a command reports while it goes on."""
    from failaware.text import one_line

    sys.stderr.write(f"failaware: {one_line(sentence)}\n")
    sys.stderr.flush()


def is_unread() -> bool:
    """Whether the reader of standard output has gone; long-running commands then end."""
    if not isinstance(sys.stdout, _Output):
        return False
    return sys.stdout.descriptor.error is not None or _has_hung_up(sys.stdout.fileno())


def finish(status: int, *, unwritten: int) -> int:
    """Write what is still held back; returns `status`, or `unwritten` where the output could not be written.

    A reader that has enough, as `head` has, is no error.
    """
    sys.stdout.flush()
    error = _error(sys.stdout)
    if error is None or error.errno == errno.EPIPE:
        return status
    sys.stderr.write(f"failaware: the output could not be written: {error.strerror}\n")
    return unwritten


def _occupy() -> None:
    """Where our caller closed one of them: a file of ours in its place would be read, or get our output."""
    try:
        while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
            os.set_inheritable(fd, True)
        os.close(fd)
    except OSError:
        return  # no descriptor is left: then none of the three is free


def _has_hung_up(fd: int) -> bool:
    """Whether the other end of a pipe, a socket or a terminal is closed."""
    import select

    poll = select.poll()
    poll.register(fd, 0)  # errors and hang-ups are always reported
    return bool(poll.poll(0))


def _wait_until_writable(fd: int) -> None:
    import select

    select.select([], [fd], [])


def _encoding(stream: TextIO | None) -> str:
    return "utf-8" if stream is None else stream.encoding


def _error(stream: TextIO) -> OSError | None:
    return stream.descriptor.error if isinstance(stream, _Output) else None
