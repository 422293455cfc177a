"""A followed file that is open: how far it has been read, and its next whole lines."""

import os
import time

from failaware.facts.positions import Position
from failaware.ingest.encoding import TextRuns
from failaware.ingest.rotation import SAMPLE, Digest, begins_with, digest_of, ends
from failaware.ingest.stream import MAX_LINE as _LIMIT
from failaware.ingest.stream import SHOWN

MAX_LINE = _LIMIT
"""Bytes of a line that is looked at."""

_WINDOW = 1_048_576  # bytes read at once


class FollowedFile:
    """An open file and how far it has been read."""

    def __init__(self, fd: int, position: Position, digest: Digest) -> None:
        self.fd, self.position = fd, position
        self.text = TextRuns()
        self.seen: tuple[int, int] | None = None  # size and time when there was nothing more to read
        self.quiet_since = time.monotonic()
        self._digest = digest
        self._head, self._tail = ends(fd, position.read_to)

    def is_the_one_read(self) -> bool:
        """Whether what was read still stands in it; not after a truncation."""
        return begins_with(self.fd, self.position, self._digest)

    def after(self, data: bytes, *, size: int, lines: int, modified_ns: int) -> Position:
        """The position after `size` bytes that end with `data`: of what was read, since the file may have changed."""
        self._head = (self._head + data[:SAMPLE])[:SAMPLE]
        self._tail = (self._tail + data[-SAMPLE:])[-SAMPLE:]
        read_to, line_no = self.position.read_to + size, self.position.line_no + lines
        digest = digest_of(self._head, self._tail, self._digest)
        return self.position._replace(read_to=read_to, line_no=line_no, digest=digest, modified_ns=modified_ns)


def hole(fd: int, at: int) -> int:
    """The bytes of a long run of NULs before other ones: a truncation leaves it when the writer does not append."""
    place = at
    while data := os.pread(fd, _WINDOW, place):
        text = data.lstrip(b"\0")
        if text:
            size = place + len(data) - len(text) - at
            return size if size >= _WINDOW else 0
        place += len(data)
    return 0


def whole_lines(fd: int, at: int) -> tuple[list[bytes], int]:
    """The next lines without their ends, and the bytes they take; one that is too long is cut to what ends it."""
    window = _WINDOW
    while True:
        data = os.pread(fd, window, at)
        end = data.rfind(b"\n") + 1
        if end:
            return data[: end - 1].split(b"\n"), end
        if len(data) < window:
            return [], 0  # a part of a line: the rest will come
        if window > MAX_LINE:
            return _overlong(fd, at, len(data))
        window = min(4 * window, MAX_LINE + 1)


def _overlong(fd: int, at: int, read: int) -> tuple[list[bytes], int]:
    """The beginning and the end of a line, and its size with its line end; nothing while it has none."""
    place = at + read
    while chunk := os.pread(fd, _WINDOW, place):
        end = chunk.find(b"\n") + 1
        if end:
            place += end
            return [os.pread(fd, SHOWN, at) + os.pread(fd, SAMPLE, place - SAMPLE)], place - at
        place += len(chunk)
    return [], 0
