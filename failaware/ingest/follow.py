"""Follow growing files of JSON Lines, through rotation and truncation, kill and restart: each line recorded once.

How far a file has been read is committed together with the facts that were read. Whether the file at a path is still
the one that was read is told by its inode and by a digest of its content; where the rest of one that was renamed or
copied away has gone is told by the same digest.
"""

import os
import stat
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from failaware.engine import Writer
from failaware.errors import UsageError
from failaware.facts import positions
from failaware.facts.positions import Position
from failaware.ingest import followed_file
from failaware.ingest.chunk import Chunk, Ingested
from failaware.ingest.encoding import TextRuns, check_text
from failaware.ingest.followed_file import FollowedFile, hole, whole_lines
from failaware.ingest.lines import CHUNK, take
from failaware.ingest.rotation import (
    SAMPLE,
    begins_with,
    begins_with_one,
    beside,
    digest_of,
    identity_of,
    is_rotation_of,
    may_hold,
)
from failaware.ingest.stream import SHOWN, Line
from failaware.session import Session
from failaware.text import storable

POLL_S = 0.2
"""How often a file that does not grow is looked at."""

QUIET_S = 5.0
"""A file that was rotated away is read until it has not grown for so long: its writer may not have noticed yet."""


def follow(
    session: Session,
    names: Sequence[str],
    *,
    stop: Callable[[float], bool],
    warn: Callable[[str], None],
) -> Ingested:
    """Record what is in these files and what is added to them, until stopped; what is read is recorded by then.

    Args:
        session: of the store to record in; it also keeps how far each file has been read.
        names: the files; one that is not there yet is waited for.
        stop: sleeps for so many seconds, and says whether to stop.
        warn: tells a person that a file was truncated or that a part of it is gone.

    Raises:
        UsageError: a file cannot be read, or someone else follows it into the same session.
        StoreError: the store cannot be written; the position is that of the last line recorded.
    """
    total = Ingested()
    followers: list[_Follower] = []
    try:
        followers.extend(_begun(session, name, total, warn) for name in dict.fromkeys(names))
        while True:
            busy = [follower.turn() for follower in followers]
            if stop(0 if any(busy) else POLL_S):
                return total
    finally:
        for follower in followers:
            follower.close()


def _begun(session: Session, name: str, total: Ingested, warn: Callable[[str], None]) -> "_Follower":
    try:
        return _Follower(session, name, total, warn)
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from None


class _Follower:
    """One path: the file that is there now, and those that were there and may hold more."""

    def __init__(self, session: Session, name: str, total: Ingested, warn: Callable[[str], None]) -> None:
        self._session, self._name, self._total, self._say = session, name, total, warn
        self._digest = session.recorder.digest
        self._path = os.path.abspath(name)
        self._key = storable(self._path)
        self._current: FollowedFile | None = None
        self._rest: list[FollowedFile] = []
        self._started = False
        self._problem = ""  # that was said last
        known = self._positions()
        self._look(known)
        self._started = True
        self._resume_rest(known)
        if self._current is None:
            warn(f"{name} is not there; waiting for it")

    def turn(self) -> bool:
        """Record what is new; False when there was nothing."""
        self._look(self._positions() if self._current is None else {})
        busy = self._current is not None and self._go_on(self._current)
        for file in list(self._rest):
            busy = self._go_on(file) or busy
        return busy

    def _go_on(self, file: FollowedFile) -> bool:
        """Record what is new in a file; False when there was nothing, also where it cannot be read for now."""
        try:
            if self._read(file):
                return True
            if file is not self._current and time.monotonic() - file.quiet_since > QUIET_S:
                self._finish(file)
        except OSError as error:  # of the disk or the network
            self._say_once(
                f"cannot read {self._name} after byte {file.position.read_to:,}: {error.strerror}; trying on"
            )
        return False

    def _say_once(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._say(problem)

    def close(self) -> None:
        """Close the files."""
        for file in [*self._rest, *([] if self._current is None else [self._current])]:
            os.close(file.fd)

    def _positions(self) -> dict[str, Position]:
        return {found.identity: found for found in self._session.read(lambda db: positions.of_path(db, self._key))}

    def _look(self, known: dict[str, Position]) -> None:
        """Open the file at the path when it is another one than before; one that cannot be read is waited for."""
        try:
            if self._current is not None and identity_of(os.stat(self._path)) == self._current.position.identity:
                return
            fd = self._open(known)
        except FileNotFoundError:
            return
        except (OSError, UsageError) as error:
            problem = str(error) if isinstance(error, UsageError) else f"cannot read {self._name}: {error.strerror}"
            if not self._started:
                raise UsageError(problem) from None
            self._say_once(f"{problem}; waiting for another file there")
            return
        identity = identity_of(os.fstat(fd))
        if self._current is not None:
            self._current.quiet_since = time.monotonic()
            self._rest.append(self._current)
        back = next((file for file in self._rest if file.position.identity == identity), None)
        if back is not None:  # it was away for a moment
            os.close(fd)
            self._rest.remove(back)
        self._current = back or self._opened(fd, known.get(identity) or self._begin(identity))

    def _open(self, known: dict[str, Position]) -> int:
        """The file at the path, opened.

        Raises:
            OSError, UsageError: it cannot be read, is no regular file, or when following begins, holds no text.
        """
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for its writer
        try:
            self._check(fd, known)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _check(self, fd: int, known: dict[str, Position]) -> None:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(
                f"{self._name} is no file that can be followed; without --follow, a pipe is recorded as it comes"
            )
        if not self._started and identity_of(found) not in known:
            check_text(os.pread(fd, SAMPLE, 0), self._name)

    def _begin(self, identity: str) -> Position:
        """The position in a new file, kept before anything is read: it may be rotated away while nobody follows."""
        start = self._start(identity)
        self._session.write(lambda db: positions.move(db, start, before=0))
        return start

    def _opened(self, fd: int, position: Position) -> FollowedFile:
        return FollowedFile(fd, position, self._digest)

    def _start(self, identity: str) -> Position:
        return Position(self._key, identity, 0, 0, digest_of(b"", b"", self._digest), 0)

    def _resume_rest(self, known: dict[str, Position]) -> None:
        """Find the files that were followed and have been rotated away since."""
        current = None if self._current is None else self._current.position.identity
        for position in known.values():
            if position.identity == current:
                continue
            fd = self._whereabouts(position)
            if fd is None:
                self._say(f"{self._name} was rotated away after byte {position.read_to:,}, and the rest of it is gone")
                self._session.write(lambda db, position=position: positions.forget(db, position))  # type: ignore[misc]
                continue
            moved = position._replace(identity=identity_of(os.fstat(fd)))
            if moved.identity != position.identity:
                self._session.write(lambda db, pair=(position, moved): _rename(db, *pair))  # type: ignore[misc]
            self._rest.append(self._opened(fd, moved))
            self._say_unseen(position, {*known, current, moved.identity}, known.values())

    def _say_unseen(self, position: Position, known: set[str | None], read: Iterable[Position]) -> None:
        """Tell of files that came and were rotated away while nobody followed; a copy of what was read is none."""
        for place, found in beside(self._path):
            later = is_rotation_of(self._path, place) and found.st_mtime_ns > position.modified_ns
            if later and identity_of(found) not in known and not begins_with_one(place, read, self._digest):
                name = os.path.basename(place)
                self._say(f"{name} came and went while nobody followed; 'failaware ingest {name}' records it")

    def _whereabouts(self, position: Position) -> int | None:
        """The open file beside ours that holds what was read up to this position, renamed or copied; the longest.

        No other file is opened: closing one that SQLite has open, the store itself, would end SQLite's locks on it.
        """
        best, size = None, -1
        for place, found in beside(self._path):
            if found.st_size <= size or not may_hold(self._path, place, found, position):
                continue
            with suppress(OSError):
                fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
                if not begins_with(fd, position, self._digest):
                    os.close(fd)
                    continue
                if best is not None:
                    os.close(best)
                best, size = fd, found.st_size
        return best

    def _read(self, file: FollowedFile) -> bool:
        """Record the next whole lines of a file; False when there are none."""
        found = os.fstat(file.fd)
        now = (found.st_size, found.st_mtime_ns)
        if now == file.seen:
            return False
        if (nuls := hole(file.fd, file.position.read_to)) and file.is_the_one_read():
            self._write(file, [], b"\0" * SAMPLE, nuls, found.st_mtime_ns)
            return True
        lines, size = whole_lines(file.fd, file.position.read_to)
        if not file.is_the_one_read():  # looked at after reading: what was read may be of another content already
            self._begin_again(file)
            return True
        if now != file.seen:
            file.quiet_since = time.monotonic()
        if not lines:
            file.seen = now
            return False
        if size > followed_file.MAX_LINE:
            line = Line(file.position.line_no + 1, lines[0][:SHOWN], size)
            self._write(file, [line], lines[0], size, found.st_mtime_ns)
            return True
        numbered = [Line(line_no, line, len(line)) for line_no, line in enumerate(lines, file.position.line_no + 1)]
        for start in range(0, len(numbered), CHUNK):
            some = numbered[start : start + CHUNK]
            data = b"\n".join(line.data for line in some) + b"\n"
            self._write(file, some, data, len(data), found.st_mtime_ns)
        return True

    def _write(self, file: FollowedFile, lines: list[Line], data: bytes, size: int, modified_ns: int) -> None:
        """Record lines, which take `size` bytes that end with `data`, together with the position after them."""
        before = file.position
        after = file.after(data, size=size, lines=len(lines), modified_ns=modified_ns)
        self._ingest(lines, file.text, lambda db: positions.move(db, after, before=before.read_to))
        file.position = after

    def _ingest(self, lines: list[Line], text: TextRuns, along: Callable[[Writer], None]) -> None:
        chunk = Chunk(self._session, self._name, self._total)
        for line in lines:
            take(chunk, line, self._session.recorder, text, limit=followed_file.MAX_LINE)
        chunk.write(along)

    def _begin_again(self, file: FollowedFile) -> None:
        """The file was truncated: its beginning is new, and what was not read yet may stand in a copy."""
        before = file.position
        self._say(
            f"{self._name} was truncated or replaced after byte {before.read_to:,}; reading it from its beginning"
        )
        start = self._start(before.identity)
        fd = self._whereabouts(before)
        copy = None if fd is None else self._opened(fd, before._replace(identity=identity_of(os.fstat(fd))))

        def job(db: Writer) -> None:
            positions.move(db, start, before=before.read_to)
            if copy is not None:
                positions.move(db, copy.position, before=0)

        self._session.write(job)
        if copy is not None:
            self._rest.append(copy)
        again = self._opened(file.fd, start)
        if file is self._current:
            self._current = again
        else:
            self._rest[self._rest.index(file)] = again

    def _finish(self, file: FollowedFile) -> None:
        """A file that was rotated away has ended: what stands after its last line end is a line too."""
        last = os.pread(file.fd, followed_file.MAX_LINE, file.position.read_to)
        if b"\n" in last:
            return  # it goes on after all
        size = os.fstat(file.fd).st_size - file.position.read_to
        lines = [Line(file.position.line_no + 1, last, size)] if last else []
        self._ingest(lines, file.text, lambda db: positions.forget(db, file.position))
        os.close(file.fd)
        self._rest.remove(file)


def _rename(db: Writer, position: Position, moved: Position) -> None:
    positions.forget(db, position)
    positions.move(db, moved, before=0)
