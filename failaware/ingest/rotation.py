"""Recognizes a file that was read after it was renamed, copied or truncated, by its inode and its content."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from failaware.facts.positions import Position

SAMPLE = 1_024
"""Bytes that the digest covers, at the start and at the end of what was read."""

Digest = Callable[[bytes], str]
"""Returns a digest of bytes under the store's key, in hexadecimal."""

_ROTATED = re.compile(r"[._-](?:\d[\w:.-]*|old|bak|copy|prev)")  # what a rotation adds to the name of a file


def siblings(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the other files of the folder; one that is renamed or deleted meanwhile is passed over."""
    with suppress(OSError), os.scandir(os.path.dirname(path)) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.path != path and entry.is_file():
                    yield entry.path, entry.stat()


def is_rotation_of(path: str, candidate: str) -> bool:
    """Whether a file has the name of a rotated `path`."""
    return candidate.startswith(path) and _ROTATED.fullmatch(candidate[len(path) :]) is not None


def may_hold(path: str, candidate: str, status: os.stat_result, position: Position) -> bool:
    """Whether this is the file that was read, or may be a longer copy, made after it was last read.

    An older file may begin with the same content.
    """
    if identity_of(status) == position.identity:
        return True
    later = status.st_mtime_ns >= position.modified_ns and status.st_size > position.read_to > 0
    return later and is_rotation_of(path, candidate)


def begins_with(fd: int, position: Position, digest: Digest) -> bool:
    """Whether a file begins with what was read."""
    return digest_of(*ends(fd, position.read_to), digest) == position.digest


def begins_with_one(candidate: str, read: Iterable[Position], digest: Digest) -> bool:
    """Whether a file begins with what was read up to one of these positions."""
    with suppress(OSError), open(candidate, "rb") as file:
        return any(position.read_to > 0 and begins_with(file.fileno(), position, digest) for position in read)
    return False


def identity_of(status: os.stat_result) -> str:
    """Return what identifies a file independently of its name."""
    return f"{status.st_dev}:{status.st_ino}"


def ends(fd: int, read_to: int) -> tuple[bytes, bytes]:
    """Return the first bytes of a file, and the last ones before `read_to`."""
    size = min(SAMPLE, read_to)
    return os.pread(fd, size, 0), os.pread(fd, size, read_to - size)


def digest_of(head: bytes, tail: bytes, digest: Digest) -> str:
    """Return the digest of a position."""
    return digest(b"%d:%b%b" % (len(head), head, tail))
