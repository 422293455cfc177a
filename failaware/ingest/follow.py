"""Follow growing files of JSON Lines, through rotation and truncation, kill and restart: each line recorded once.

How far a file has been read is committed together with the facts that were read. Whether the file at a path is still
the one that was read is told by its inode and by a digest of its content; where the rest of one that was renamed or
copied away has gone is told by the same digest.
"""

import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

from failaware.engine import Writer
from failaware.errors import UsageError
from failaware.facts import positions
from failaware.ingest.lines import CHUNK, Ingested, ingest_chunk, reject
from failaware.model import Position
from failaware.store import Store
from failaware.text import storable

POLL_S = 0.2
"""How often a file that does not grow is looked at."""

QUIET_S = 5.0
"""A file that was rotated away is read until it has not grown for so long: its writer may not have noticed yet."""

_WINDOW = 1_048_576  # bytes read at once
_MAX_LINE = 16_777_216  # bytes of a line: a payload of the usual limit has far fewer, however it is escaped
_SHOWN = 65_536  # bytes of a longer one that are kept
_SAMPLE = 1_024  # bytes at either end of what was read that the digest covers
_ROTATED = re.compile(r"[._-](?:\d[\w:.-]*|old|bak|copy|prev)")  # what a rotation adds to the name of a file


def follow(
    store: Store,
    names: Sequence[str],
    *,
    stop: Callable[[float], bool],
    say: Callable[[str], None],
) -> Ingested:
    """Record what is in these files and what is added to them, until stopped; what is read is recorded by then.

    Args:
        store: where to; it also keeps how far each file has been read.
        names: the files; one that is not there yet is waited for.
        stop: sleeps for so many seconds, and says whether to stop.
        say: tells a person that a file was truncated or that a part of it is gone.

    Raises:
        UsageError: a file cannot be read, or someone else follows it into the same store.
        StoreError: the store cannot be written; the position is that of the last line recorded.
    """
    total = Ingested()
    followers = [_Follower(store, name, total, say) for name in dict.fromkeys(names)]
    try:
        while True:
            busy = [follower.turn() for follower in followers]
            if stop(0 if any(busy) else POLL_S):
                return total
    finally:
        for follower in followers:
            follower.close()


class _File:
    """An open file and how far it has been read."""

    def __init__(self, fd: int, position: Position) -> None:
        self.fd, self.position = fd, position
        self.seen: tuple[int, int] | None = None  # size and time when there was nothing more to read
        self.quiet_since = time.monotonic()
        self._head, self._tail = _ends(fd, position.read_to)

    def is_the_one_read(self) -> bool:
        """Whether what was read still stands in it; not after a truncation."""
        return _stands_in(self.fd, self.position)

    def after(self, data: bytes, *, size: int, lines: int, modified_ns: int) -> Position:
        """The position after `size` bytes that end with `data`: of what was read, since the file may have changed."""
        self._head = (self._head + data[:_SAMPLE])[:_SAMPLE]
        self._tail = (self._tail + data[-_SAMPLE:])[-_SAMPLE:]
        read_to, line_no = self.position.read_to + size, self.position.line_no + lines
        digest = _digest(self._head, self._tail)
        return self.position._replace(read_to=read_to, line_no=line_no, digest=digest, modified_ns=modified_ns)


class _Follower:
    """One path: the file that is there now, and those that were there and may hold more."""

    def __init__(self, store: Store, name: str, total: Ingested, say: Callable[[str], None]) -> None:
        self._store, self._name, self._total, self._say = store, name, total, say
        self._path = os.path.abspath(name)
        self._key = storable(self._path)
        self._current: _File | None = None
        self._rest: list[_File] = []
        known = self._positions()
        self._look(known)
        self._resume_rest(known)
        if self._current is None:
            say(f"{name} is not there; waiting for it")

    def turn(self) -> bool:
        """Record what is new; False when there was nothing."""
        self._look(self._positions() if self._current is None else {})
        busy = self._current is not None and self._read(self._current)
        for file in list(self._rest):
            if self._read(file):
                busy = True
            elif time.monotonic() - file.quiet_since > QUIET_S:
                self._finish(file)
        return busy

    def close(self) -> None:
        """Close the files."""
        for file in [*self._rest, *([] if self._current is None else [self._current])]:
            os.close(file.fd)

    def _positions(self) -> dict[str, Position]:
        return {found.identity: found for found in self._store.read(lambda db: positions.of_path(db, self._key))}

    def _look(self, known: dict[str, Position]) -> None:
        """Open the file at the path when it is another one than before."""
        try:
            found = os.stat(self._path)
            if self._current is not None and _identity(found) == self._current.position.identity:
                return
            if not stat.S_ISREG(found.st_mode):
                raise UsageError(f"{self._name} is no file that can be followed; pipe it into 'failaware ingest -'")
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            raise UsageError(f"cannot read {self._name}: {error.strerror}") from None
        identity = _identity(os.fstat(fd))
        if self._current is not None:
            self._current.quiet_since = time.monotonic()
            self._rest.append(self._current)
        back = next((file for file in self._rest if file.position.identity == identity), None)
        if back is not None:  # it was away for a moment
            os.close(fd)
            self._rest.remove(back)
        self._current = back or _File(fd, known.get(identity) or self._begin(identity))

    def _begin(self, identity: str) -> Position:
        """The position in a new file, kept before anything is read: it may be rotated away while nobody follows."""
        start = _start(self._key, identity)
        self._store.write(lambda db: positions.move(db, start, before=0))
        return start

    def _resume_rest(self, known: dict[str, Position]) -> None:
        """Find the files that were followed and have been rotated away since."""
        current = None if self._current is None else self._current.position.identity
        for position in known.values():
            if position.identity == current:
                continue
            fd = self._whereabouts(position)
            if fd is None:
                self._say(f"{self._name} was rotated away after byte {position.read_to:,}, and the rest of it is gone")
                self._store.write(lambda db, position=position: positions.forget(db, position))  # type: ignore[misc]
                continue
            moved = position._replace(identity=_identity(os.fstat(fd)))
            if moved.identity != position.identity:
                self._store.write(lambda db, pair=(position, moved): _rename(db, *pair))  # type: ignore[misc]
            self._rest.append(_File(fd, moved))
            self._say_unseen(position, {*known, current, moved.identity}, known.values())

    def _say_unseen(self, position: Position, known: set[str | None], read: Iterable[Position]) -> None:
        """Tell of files that came and were rotated away while nobody followed; a copy of what was read is none."""
        for place, found in _beside(self._path):
            later = _is_rotation_of(self._path, place) and found.st_mtime_ns > position.modified_ns
            if later and _identity(found) not in known and not _begins_with_one(place, read):
                name = os.path.basename(place)
                self._say(f"{name} came and went while nobody followed; 'failaware ingest {name}' records it")

    def _whereabouts(self, position: Position) -> int | None:
        """The open file beside ours that holds what was read up to this position, renamed or copied; the longest.

        No other file is opened: closing one that SQLite has open, the store itself, would end SQLite's locks on it.
        """
        best, size = None, -1
        for place, found in _beside(self._path):
            if found.st_size <= size or not _may_hold(self._path, place, found, position):
                continue
            with suppress(OSError):
                fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
                if not _stands_in(fd, position):
                    os.close(fd)
                    continue
                if best is not None:
                    os.close(best)
                best, size = fd, found.st_size
        return best

    def _read(self, file: _File) -> bool:
        """Record the next whole lines of a file; False when there are none."""
        found = os.fstat(file.fd)
        now = (found.st_size, found.st_mtime_ns)
        if now == file.seen:
            return False
        lines, size = _whole_lines(file.fd, file.position.read_to)
        if not file.is_the_one_read():  # looked at after reading: what was read may be of another content already
            self._begin_again(file)
            return True
        if now != file.seen:
            file.quiet_since = time.monotonic()
        if not lines:
            file.seen = now
            return False
        if size > _MAX_LINE:
            self._refuse(file, lines[0], size, found.st_mtime_ns)
            return True
        for start in range(0, len(lines), CHUNK):
            self._record(file, lines[start : start + CHUNK], found.st_mtime_ns)
        return True

    def _record(self, file: _File, lines: list[bytes], modified_ns: int) -> None:
        before = file.position
        data = b"\n".join(lines) + b"\n"
        after = file.after(data, size=len(data), lines=len(lines), modified_ns=modified_ns)
        ingest_chunk(
            self._store,
            list(enumerate(lines, start=before.line_no + 1)),
            origin=self._name,
            total=self._total,
            along=lambda db: positions.move(db, after, before=before.read_to),
        )
        file.position = after

    def _refuse(self, file: _File, line: bytes, size: int, modified_ns: int) -> None:
        """Keep the beginning of a line that is too long to be looked at."""
        before = file.position
        after = file.after(line, size=size, lines=1, modified_ns=modified_ns)
        error = f"the line has {size:,} bytes; {_MAX_LINE:,} are the limit"
        recorder, now = self._store.recorder, self._store.clock()
        bad = reject(recorder, self._name, after.line_no, line[:_SHOWN], error=error, now=now)
        self._store.ingest([], [bad], along=lambda db: positions.move(db, after, before=before.read_to))
        file.position = after
        self._total.rejected += 1

    def _begin_again(self, file: _File) -> None:
        """The file was truncated: its beginning is new, and what was not read yet may stand in a copy."""
        before = file.position
        self._say(
            f"{self._name} was truncated or replaced after byte {before.read_to:,}; reading it from its beginning"
        )
        start = _start(self._key, before.identity)
        fd = self._whereabouts(before)
        copy = None if fd is None else _File(fd, before._replace(identity=_identity(os.fstat(fd))))

        def job(db: Writer) -> None:
            positions.move(db, start, before=before.read_to)
            if copy is not None:
                positions.move(db, copy.position, before=0)

        self._store.write(job)
        if copy is not None:
            self._rest.append(copy)
        again = _File(file.fd, start)
        if file is self._current:
            self._current = again
        else:
            self._rest[self._rest.index(file)] = again

    def _finish(self, file: _File) -> None:
        """A file that was rotated away has ended: what stands after its last line end is a line too."""
        last = os.pread(file.fd, _MAX_LINE, file.position.read_to)
        if b"\n" in last:
            return  # it goes on after all
        ingest_chunk(
            self._store,
            [(file.position.line_no + 1, last)],
            origin=self._name,
            total=self._total,
            along=lambda db: positions.forget(db, file.position),
        )
        os.close(file.fd)
        self._rest.remove(file)


def _whole_lines(fd: int, at: int) -> tuple[list[bytes], int]:
    """The next lines without their ends, and the bytes they take; one that is too long is cut to what ends it."""
    window = _WINDOW
    while True:
        data = os.pread(fd, window, at)
        end = data.rfind(b"\n") + 1
        if end:
            return data[: end - 1].split(b"\n"), end
        if len(data) < window:
            return [], 0  # a part of a line: the rest will come
        if window > _MAX_LINE:
            return _overlong(fd, at, len(data))
        window = min(4 * window, _MAX_LINE + 1)


def _overlong(fd: int, at: int, read: int) -> tuple[list[bytes], int]:
    """The beginning and the end of a line, and its size with its line end; nothing while it has none."""
    place = at + read
    while chunk := os.pread(fd, _WINDOW, place):
        end = chunk.find(b"\n") + 1
        if end:
            place += end
            return [os.pread(fd, _SHOWN, at) + os.pread(fd, _SAMPLE, place - _SAMPLE)], place - at
        place += len(chunk)
    return [], 0


def _start(path: str, identity: str) -> Position:
    return Position(path, identity, 0, 0, _digest(b"", b""), 0)


def _rename(db: Writer, position: Position, moved: Position) -> None:
    positions.forget(db, position)
    positions.move(db, moved, before=0)


def _beside(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """The other files in the folder."""
    with suppress(OSError), os.scandir(os.path.dirname(path)) as entries:
        yield from ((entry.path, entry.stat()) for entry in entries if entry.path != path and entry.is_file())


def _is_rotation_of(path: str, place: str) -> bool:
    return place.startswith(path) and _ROTATED.fullmatch(place[len(path) :]) is not None


def _may_hold(path: str, place: str, found: os.stat_result, position: Position) -> bool:
    """Whether this is the file that was read, or may be a copy with more in it, made after it was read last.

    An older file may begin alike.
    """
    if _identity(found) == position.identity:
        return True
    later = found.st_mtime_ns >= position.modified_ns and found.st_size > position.read_to > 0
    return later and _is_rotation_of(path, place)


def _stands_in(fd: int, position: Position) -> bool:
    """Whether a file begins with what was read."""
    return _digest(*_ends(fd, position.read_to)) == position.digest


def _begins_with_one(place: str, read: Iterable[Position]) -> bool:
    with suppress(OSError), open(place, "rb") as file:
        return any(position.read_to > 0 and _stands_in(file.fileno(), position) for position in read)
    return False


def _identity(found: os.stat_result) -> str:
    return f"{found.st_dev}:{found.st_ino}"


def _ends(fd: int, read_to: int) -> tuple[bytes, bytes]:
    """The first bytes of a file, and the last ones before `read_to`."""
    size = min(_SAMPLE, read_to)
    return os.pread(fd, size, 0), os.pread(fd, size, read_to - size)


def _digest(head: bytes, tail: bytes) -> str:
    return hashlib.sha256(b"%d:%b%b" % (len(head), head, tail)).hexdigest()
