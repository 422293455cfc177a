"""Reads files, pipes and sockets in pieces of bounded size, until their end or a signal.

No read blocks for long: a pipe without data gives None a few times a second, which lets the caller write what was read
and handle signals.
"""

import io
import os
import select
from collections.abc import Callable, Iterator
from typing import IO, NamedTuple

MAX_LINE = 16_777_216
"""Longest line, in bytes: a payload within the default limit is shorter in any encoding."""

SHOWN = 65_536
"""Bytes kept of a longer line."""

_READ = 1_048_576  # bytes read at once
_WAIT_S = 0.2  # for data
_DRAINED = 1_048_576  # bytes of a pipe that are still read after a stop: the most a pipe can hold


class Piece(NamedTuple):
    """A part of a line, with its line end if it is the last one (`ends`)."""

    line_no: int
    data: bytes
    ends: bool


class Line(NamedTuple):
    """A line or another unit of the input; if it has more than MAX_LINE bytes (`size`), only its beginning."""

    line_no: int
    data: bytes
    size: int


class Input:
    """An open file, pipe or socket.

    Args:
        file: what to read; unbuffered, if it has a file descriptor.
        stop: called before each read; returns whether to stop. What is in a pipe by then is still read.
    """

    def __init__(self, file: IO[bytes], *, stop: Callable[[], bool] = lambda: False) -> None:
        self.stopped = False
        """Whether it was stopped before its end."""
        self.error: OSError | None = None
        """The error that ended reading, if any."""
        self.bytes_read = 0
        self._file, self._stop = file, stop
        self._ahead: list[bytes] = []  # read by `begins`, and not yet by `read`
        self._drained = 0
        try:
            self._fd: int | None = file.fileno()
        except (io.UnsupportedOperation, AttributeError):
            self._fd = None
        self._poll = None if self._fd is None else select.poll()
        if self._poll is not None:
            self._poll.register(file, select.POLLIN | select.POLLHUP)

    @property
    def is_stream(self) -> bool:
        """Whether it can be read only once."""
        return self._fd is not None and is_stream(self._fd)

    def begins(self, most: int = 65_536) -> bytes:
        """Return the input up to the end of its first line with more than a bracket, at most `most` bytes."""
        ahead = b"".join(self._ahead)
        while len(ahead) < most and b"\n" not in ahead.lstrip().removeprefix(b"{").lstrip():
            data = self._next()
            if data == b"":
                break
            ahead += data or b""
        self._ahead = [ahead] if ahead else []
        return ahead[:most]

    def read(self) -> bytes | None:
        """The next bytes; none at the end, and None when nothing has come for a moment."""
        return self._ahead.pop() if self._ahead else self._next()

    def __iter__(self) -> Iterator[bytes]:
        """Whole lines, however long."""
        parts: list[bytes] = []
        while (data := self.read()) != b"":
            for line in io.BytesIO(data or b""):
                parts.append(line)
                if line.endswith(b"\n"):
                    yield b"".join(parts)
                    parts = []
        if parts:
            yield b"".join(parts)

    def _next(self) -> bytes | None:
        if not self.stopped and self._stop():
            self.stopped = True
        try:
            data = self._rest() if self.stopped else self._come()
        except OSError as error:
            self.error, data = error, b""
        self.bytes_read += len(data or b"")
        return data

    def _come(self) -> bytes | None:
        if self._fd is None or self._poll is None:
            return self._file.read(_READ)
        if not self._poll.poll(_WAIT_S * 1_000):
            return None
        try:
            return os.read(self._fd, _READ)
        except BlockingIOError:  # another process read from the same pipe
            return None

    def _rest(self) -> bytes:
        """Return what is in a pipe after a stop; nothing of a file, which can be read again."""
        if self._fd is None or self._poll is None or self._drained >= _DRAINED or not is_stream(self._fd):
            return b""
        data = os.read(self._fd, _DRAINED - self._drained) if self._poll.poll(0) else b""
        self._drained += len(data)
        return data


def is_stream(fd: int) -> bool:
    """Whether data can be read only once: from a pipe, a socket or a terminal."""
    try:
        os.lseek(fd, 0, os.SEEK_CUR)
    except OSError:
        return True
    return os.isatty(fd)


def pieces(source: Input) -> Iterator[Piece | None]:
    """Yield the pieces of lines as they come, and None if nothing has come for a moment."""
    line_no = 1
    while (data := source.read()) != b"":
        if data is None:
            yield None
            continue
        for part in io.BytesIO(data):
            ends = part.endswith(b"\n")
            yield Piece(line_no, part, ends)
            line_no += ends


def whole_lines(parts: Iterator[Piece | None]) -> Iterator[Line | None]:
    """Join pieces to lines, without NULs before a line, which a truncation leaves."""
    line_no, collected, size, nuls = 0, [b""], 0, 0
    for piece in parts:
        if piece is None:
            yield None
            continue
        line_no, data = piece.line_no, piece.data
        if not size:
            data = data.lstrip(b"\0")
            nuls += len(piece.data) - len(data)
        size += len(data)
        if size <= MAX_LINE:
            collected.append(data)
        elif size - len(data) <= MAX_LINE:
            collected = [b"".join([*collected, data])[:SHOWN]]
        if piece.ends:
            yield _line(line_no, collected, size, nuls)
            collected, size, nuls = [b""], 0, 0
    if size or nuls:
        yield _line(line_no, collected, size, nuls)


def _line(line_no: int, collected: list[bytes], size: int, nuls: int) -> Line:
    line = b"".join(collected)
    return Line(line_no, b"\0" if nuls and not line.strip() else line, size)
