"""Which file is the one that was read, after it was renamed, copied or truncated: told by its inode and its content."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from failaware.facts.positions import Position

SAMPLE = 1_024
"""Bytes at either end of what was read that the digest covers."""

Digest = Callable[[bytes], str]
"""The digest of some bytes under the key of the store, in hexadecimal."""

_ROTATED = re.compile(r"[._-](?:\d[\w:.-]*|old|bak|copy|prev)")  # what a rotation adds to the name of a file


def beside(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """The other files in the folder."""
    with suppress(OSError), os.scandir(os.path.dirname(path)) as entries:
        yield from ((entry.path, entry.stat()) for entry in entries if entry.path != path and entry.is_file())


def is_rotation_of(path: str, place: str) -> bool:
    """Whether a file is named as a rotation of the one at `path` names it."""
    return place.startswith(path) and _ROTATED.fullmatch(place[len(path) :]) is not None


def may_hold(path: str, place: str, found: os.stat_result, position: Position) -> bool:
    """Whether this is the file that was read, or may be a copy with more in it, made after it was read last.

    An older file may begin alike.
    """
    if identity_of(found) == position.identity:
        return True
    later = found.st_mtime_ns >= position.modified_ns and found.st_size > position.read_to > 0
    return later and is_rotation_of(path, place)


def begins_with(fd: int, position: Position, digest: Digest) -> bool:
    """Whether a file begins with what was read."""
    return digest_of(*ends(fd, position.read_to), digest) == position.digest


def begins_with_one(place: str, read: Iterable[Position], digest: Digest) -> bool:
    """Whether the file begins with what was read of one of these."""
    with suppress(OSError), open(place, "rb") as file:
        return any(position.read_to > 0 and begins_with(file.fileno(), position, digest) for position in read)
    return False


def identity_of(found: os.stat_result) -> str:
    """The file, however it is named."""
    return f"{found.st_dev}:{found.st_ino}"


def ends(fd: int, read_to: int) -> tuple[bytes, bytes]:
    """The first bytes of a file, and the last ones before `read_to`."""
    size = min(SAMPLE, read_to)
    return os.pread(fd, size, 0), os.pread(fd, size, read_to - size)


def digest_of(head: bytes, tail: bytes, digest: Digest) -> str:
    """The digest of a position."""
    return digest(b"%d:%b%b" % (len(head), head, tail))
