"""An open followed file: the position in it, and its next whole lines."""

import os
import time

from failaware.facts.positions import Position
from failaware.ingest.reader import LineReader, ReadingOptions
from failaware.ingest.rotation import SAMPLE, Digest, begins_with, digest_of, ends
from failaware.ingest.stream import MAX_LINE as _LIMIT
from failaware.ingest.stream import SHOWN

MAX_LINE = _LIMIT
"""Longest line, in bytes."""

_WINDOW = 1_048_576  # bytes read at once


class FollowedFile:
    """An open file and the position in it."""

    def __init__(self, fd: int, position: Position, digest: Digest, options: ReadingOptions) -> None:
        self.fd, self.position = fd, position
        self.reader = LineReader(options)
        self.waited_at: tuple[int, int] | None = None  # size and time when all lines were held for what may follow
        self.seen: tuple[int, int] | None = None  # size and time when there was nothing more to read
        self.quiet_since = time.monotonic()
        self._digest = digest
        self._head, self._tail = ends(fd, position.read_to)

    def is_the_one_read(self) -> bool:
        """Whether the file still begins with what was read; not after a truncation."""
        return begins_with(self.fd, self.position, self._digest)

    def after(self, data: bytes, *, size: int, lines: int, modified_ns: int) -> Position:
        """Return the position after `size` more bytes that end with `data`."""
        self._head = (self._head + data[:SAMPLE])[:SAMPLE]
        self._tail = (self._tail + data[-SAMPLE:])[-SAMPLE:]
        read_to, line_no = self.position.read_to + size, self.position.line_no + lines
        digest = digest_of(self._head, self._tail, self._digest)
        return self.position._replace(read_to=read_to, line_no=line_no, digest=digest, modified_ns=modified_ns)


def hole(fd: int, at: int) -> int:
    """Return the length of a long run of NULs before other bytes; a truncation leaves it if the writer seeks."""
    place = at
    while data := os.pread(fd, _WINDOW, place):
        text = data.lstrip(b"\0")
        if text:
            size = place + len(data) - len(text) - at
            return size if size >= _WINDOW else 0
        place += len(data)
    return 0


def whole_lines(fd: int, at: int) -> tuple[list[bytes], int]:
    """Return the next lines without their ends, and their size in bytes; a line that is too long is shortened."""
    window = _WINDOW
    while True:
        data = os.pread(fd, window, at)
        end = data.rfind(b"\n") + 1
        if end:
            return data[: end - 1].split(b"\n"), end
        if len(data) < window:
            return [], 0  # an incomplete line
        if window > MAX_LINE:
            return _overlong(fd, at, len(data))
        window = min(4 * window, MAX_LINE + 1)


def _overlong(fd: int, at: int, read: int) -> tuple[list[bytes], int]:
    """Return the start and the end of a long line, and its size with its line end; nothing if it has none yet."""
    place = at + read
    while chunk := os.pread(fd, _WINDOW, place):
        end = chunk.find(b"\n") + 1
        if end:
            place += end
            return [os.pread(fd, SHOWN, at) + os.pread(fd, SAMPLE, place - SAMPLE)], place - at
        place += len(chunk)
    return [], 0
