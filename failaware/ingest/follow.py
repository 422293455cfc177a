"""Follows growing files of JSON Lines; each line is recorded once, also after rotation, truncation, kill and restart.

The position in a file is committed together with the facts read from it. A file is recognized by its inode and by a
digest of its content; a file that was renamed or copied is found by the same digest.

For example, `app.log` has inode 7 and is read up to byte 120. A rotation renames it to `app.log.1`, to which its writer
still adds 30 bytes, and creates `app.log` with inode 9. At the next turn the path has another inode: inode 9 is read
from its beginning, and inode 7 from byte 120 on, until it has not grown for 5 seconds. If the follower was killed in
between, the stored position (inode 7, byte 120) and the digest of these 120 bytes find `app.log.1` at the next start.
If `app.log` is truncated instead (`copytruncate`), it is shorter than 120 bytes, or its first 120 bytes have another
digest: it is read from its beginning. NUL bytes that such a rotation leaves in front of the next line are skipped.
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
from failaware.ingest.encoding import check_text
from failaware.ingest.followed_file import FollowedFile, hole, whole_lines
from failaware.ingest.lines import CHUNK
from failaware.ingest.protobuf_file import is_protobuf
from failaware.ingest.reader import ReadingOptions
from failaware.ingest.rotation import (
    SAMPLE,
    begins_with,
    begins_with_one,
    digest_of,
    identity_of,
    is_rotation_of,
    may_hold,
    siblings,
)
from failaware.ingest.stream import SHOWN, Line
from failaware.session import Session
from failaware.text import storable

POLL_S = 0.2
"""How often a file that does not grow is checked, in seconds."""

QUIET_S = 5.0
"""A rotated file is closed when it has not grown for so many seconds: its writer may still have it open."""

_LOOKS, _LOOK_AGAIN_S = 3, 0.01
"""How often a rotated file is looked for, and the time between: a folder read while files are renamed may omit one."""


def follow(
    session: Session,
    names: Sequence[str],
    *,
    stop: Callable[[float], bool],
    warn: Callable[[str], None],
    options: ReadingOptions | None = None,
) -> Ingested:
    """Record the content of files and what is appended to them, until stopped; everything read is then recorded.

    Args:
        session: the store to record in; it also has the position in each file.
        names: the files; one that does not exist yet is waited for.
        stop: called with a number of seconds: sleeps for so long and returns whether to stop.
        warn: called with a message for the user when a file was truncated or a part of it is missing.
        options: how the lines are read.

    Raises:
        UsageError: a file cannot be read, or another process follows it into the same store.
        StoreError: the store cannot be written; the position is that of the last line recorded.
    """
    total = Ingested()
    followers: list[_Follower] = []
    options = (options or ReadingOptions())._replace(goes_on=True)
    try:
        followers.extend(_begun(session, name, total, warn, options) for name in dict.fromkeys(names))
        while True:
            busy = [follower.turn() for follower in followers]
            if stop(0 if any(busy) else POLL_S):
                for follower in followers:
                    follower.end()
                return total
    finally:
        for follower in followers:
            follower.close()


def _begun(
    session: Session, name: str, total: Ingested, warn: Callable[[str], None], options: ReadingOptions
) -> "_Follower":
    try:
        return _Follower(session, name, total, warn, options)
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from None


class _Follower:
    """One path: the file that is there now, and earlier ones that may have more lines."""

    def __init__(
        self, session: Session, name: str, total: Ingested, warn: Callable[[str], None], options: ReadingOptions
    ) -> None:
        self._session, self._name, self._total, self._warn = session, name, total, warn
        self._options = options
        self._digest = session.recorder.digest
        self._path = os.path.abspath(name)
        self._key = storable(self._path)
        self._current: FollowedFile | None = None
        self._rest: list[FollowedFile] = []
        self._started = False
        self._problem = ""  # the last warning
        known = self._positions()
        self._look(known)
        self._started = True
        self._resume_rest(known)
        if self._current is None:
            warn(f"{name} does not exist; waiting for it")

    def turn(self) -> bool:
        """Record new lines; return False if there were none."""
        self._look(self._positions() if self._current is None else {})
        busy = self._current is not None and self._go_on(self._current)
        for file in list(self._rest):
            busy = self._go_on(file) or busy
        return busy

    def _go_on(self, file: FollowedFile) -> bool:
        """Record new lines of a file; return False if there were none, or it cannot be read at the moment."""
        try:
            if self._read(file):
                return True
            if file is not self._current and time.monotonic() - file.quiet_since > QUIET_S:
                self._finish(file)
        except OSError as error:  # a disk or network error
            self._warn_once(
                f"cannot read {self._name} after byte {file.position.read_to:,}: {error.strerror}; retrying"
            )
        return False

    def _files(self) -> list[FollowedFile]:
        return [*self._rest, *([] if self._current is None else [self._current])]

    def end(self) -> None:
        """Record the lines that were held for what may follow, if nothing follows for a moment."""
        time.sleep(POLL_S if any(file.waited_at for file in self._files()) else 0)
        for file in self._files():
            with suppress(OSError):
                self._read(file, is_last=True)

    def _warn_once(self, problem: str) -> None:
        if problem != self._problem:
            self._problem = problem
            self._warn(problem)

    def close(self) -> None:
        """Close the files."""
        for file in self._files():
            os.close(file.fd)

    def _positions(self) -> dict[str, Position]:
        return {
            position.identity: position for position in self._session.read(lambda db: positions.of_path(db, self._key))
        }

    def _look(self, known: dict[str, Position]) -> None:
        """Open the file at the path if it is another one than before; if it cannot be read, wait for another."""
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
            self._warn_once(f"{problem}; waiting for another file there")
            return
        identity = identity_of(os.fstat(fd))
        if self._current is not None:
            self._current.quiet_since = time.monotonic()
            self._rest.append(self._current)
        back = next((file for file in self._rest if file.position.identity == identity), None)
        if back is not None:  # it was renamed back
            os.close(fd)
            self._rest.remove(back)
        self._current = back or self._opened(fd, known.get(identity) or self._begin(identity))

    def _open(self, known: dict[str, Position]) -> int:
        """Open the file at the path.

        Raises:
            OSError, UsageError: it cannot be read, is not a regular file, or, when following starts, is not text.
        """
        fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for its writer
        try:
            self._check(fd, known)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _check(self, fd: int, known: dict[str, Position]) -> None:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(
                f"{self._name} is not a regular file and cannot be followed; leave out --follow to record a pipe"
            )
        if not self._started and identity_of(status) not in known:
            begins = os.pread(fd, SHOWN, 0)
            if is_protobuf(begins):
                raise UsageError(
                    f"{self._name} has OpenTelemetry's messages as protobuf or zstd, and --follow reads lines; run "
                    f"'failaware ingest {self._name}' from time to time, which skips what is known"
                )
            check_text(begins, self._name)

    def _begin(self, identity: str) -> Position:
        """Store the position in a new file before reading: it may be rotated while it is not followed."""
        start = self._start(identity)
        self._session.write(lambda db: positions.move(db, start, before=0))
        return start

    def _opened(self, fd: int, position: Position) -> FollowedFile:
        return FollowedFile(fd, position, self._digest, self._options)

    def _start(self, identity: str) -> Position:
        return Position(self._key, identity, 0, 0, digest_of(b"", b"", self._digest), 0)

    def _resume_rest(self, known: dict[str, Position]) -> None:
        """Find the files that were followed and have been rotated since."""
        current = None if self._current is None else self._current.position.identity
        for position in known.values():
            if position.identity == current:
                continue
            fd = self._find(position)
            if fd is None:
                self._warn(f"{self._name} was rotated after byte {position.read_to:,}, and its rest cannot be found")
                self._session.write(lambda db, position=position: positions.forget(db, position))  # type: ignore[misc]
                continue
            renamed = position._replace(identity=identity_of(os.fstat(fd)))
            if renamed.identity != position.identity:
                self._session.write(lambda db, pair=(position, renamed): _rename(db, *pair))  # type: ignore[misc]
            self._rest.append(self._opened(fd, renamed))
            self._warn_of_missed(position, {*known, current, renamed.identity}, known.values())

    def _warn_of_missed(self, position: Position, known: set[str | None], read: Iterable[Position]) -> None:
        """Warn of files that were created and rotated while not followed, except copies of what was read."""
        for path, status in siblings(self._path):
            later = is_rotation_of(self._path, path) and status.st_mtime_ns > position.modified_ns
            if later and identity_of(status) not in known and not begins_with_one(path, read, self._digest):
                name = os.path.basename(path)
                self._warn(f"{name} was rotated while it was not followed; 'failaware ingest {name}' records it")

    def _find(self, position: Position) -> int | None:
        """Open the longest file next to ours that has the content read up to this position, renamed or copied."""
        for _ in range(_LOOKS):
            fd = self._look_beside(position)
            if fd is not None:
                return fd
            time.sleep(_LOOK_AGAIN_S)
        return None

    def _look_beside(self, position: Position) -> int | None:
        """Open that file, if one look at the folder shows it.

        No other file is opened: closing the store's own file would release SQLite's locks on it.
        """
        best, size = None, -1
        for path, status in siblings(self._path):
            if status.st_size <= size or not may_hold(self._path, path, status, position):
                continue
            with suppress(OSError):
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                if not begins_with(fd, position, self._digest):
                    os.close(fd)
                    continue
                if best is not None:
                    os.close(best)
                best, size = fd, status.st_size
        return best

    def _read(self, file: FollowedFile, *, is_last: bool = False) -> bool:
        """Record the next whole lines of a file; return False if there were none.

        The last lines may belong to a record that goes on: they are recorded at the next turn unless something follows,
        or now with `is_last`.
        """
        status = os.fstat(file.fd)
        now = (status.st_size, status.st_mtime_ns)
        if now == file.seen:
            return False
        if (nuls := hole(file.fd, file.position.read_to)) and file.is_the_one_read():
            self._write(file, [], b"\0" * SAMPLE, nuls, status.st_mtime_ns)
            return True
        lines, size = whole_lines(file.fd, file.position.read_to)
        if not file.is_the_one_read():  # checked after reading: it may have been truncated meanwhile
            self._start_over(file)
            return True
        if now not in (file.seen, file.waited_at):
            file.quiet_since = time.monotonic()
        if not lines:
            file.seen, file.waited_at = now, None
            return False
        if size > followed_file.MAX_LINE:
            line = Line(file.position.line_no + 1, lines[0][:SHOWN], size)
            self._write(file, [line], lines[0], size, status.st_mtime_ns)
            return True
        ends = now == file.waited_at
        file.waited_at = now
        return self._write_lines(file, lines, status.st_mtime_ns, ends=ends, is_last=is_last)

    def _write_lines(
        self, file: FollowedFile, lines: list[bytes], modified_ns: int, *, ends: bool, is_last: bool
    ) -> bool:
        """Record lines, without the last ones if their record may go on, unless it `ends`; return whether any were."""
        before = file.position.line_no
        numbered = [Line(line_no, line, len(line)) for line_no, line in enumerate(lines, before + 1)]
        start = 0
        while start < len(numbered):
            part = numbered[start : start + CHUNK]
            chunk = self._chunk(part, file)
            is_end = start + len(part) == len(numbered)
            is_quiet = time.monotonic() - file.quiet_since >= file.reader.hold_s + (POLL_S if file.reader.hold_s else 0)
            if is_end and (is_last or (ends and is_quiet)):
                file.reader.flush(chunk.collected)
            done = part[: len(part) - file.reader.held]
            file.reader.discard_held()
            if not done:
                return start > 0
            data = b"\n".join(line.data for line in done) + b"\n"
            self._write_chunk(file, chunk, file.after(data, size=len(data), lines=len(done), modified_ns=modified_ns))
            start += len(done)
        return True

    def _write(self, file: FollowedFile, lines: list[Line], data: bytes, size: int, modified_ns: int) -> None:
        """Record lines and the position after them, `size` bytes later; `data` are the last of these bytes."""
        chunk = self._chunk(lines, file)
        file.reader.flush(chunk.collected)
        self._write_chunk(file, chunk, file.after(data, size=size, lines=len(lines), modified_ns=modified_ns))

    def _write_chunk(self, file: FollowedFile, chunk: Chunk, after: Position) -> None:
        before = file.position
        chunk.write(lambda db: positions.move(db, after, before=before.read_to))
        file.position = after

    def _chunk(self, lines: list[Line], file: FollowedFile) -> Chunk:
        """Return the events of lines."""
        chunk = Chunk(self._session, self._name, self._total)
        for line in lines:
            file.reader.take(chunk.collected, line, limit=followed_file.MAX_LINE)
        return chunk

    def _start_over(self, file: FollowedFile) -> None:
        """Start over in a truncated file; a copy may have the lines that were not read yet."""
        before = file.position
        self._warn(
            f"{self._name} was truncated or replaced after byte {before.read_to:,}; reading it from its beginning"
        )
        start = self._start(before.identity)
        fd = self._find(before)
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
        """Record the rest of a rotated file, after its last line end, as a line."""
        last = os.pread(file.fd, followed_file.MAX_LINE, file.position.read_to)
        if b"\n" in last:
            return  # it has grown meanwhile
        size = os.fstat(file.fd).st_size - file.position.read_to
        chunk = self._chunk([Line(file.position.line_no + 1, last, size)] if last else [], file)
        file.reader.flush(chunk.collected)
        chunk.write(lambda db: positions.forget(db, file.position))
        os.close(file.fd)
        self._rest.remove(file)


def _rename(db: Writer, position: Position, renamed: Position) -> None:
    positions.forget(db, position)
    positions.move(db, renamed, before=0)
