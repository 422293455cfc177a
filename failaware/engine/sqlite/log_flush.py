"""Flushes the write-ahead log after the write lock was released, so that several processes flush at the same time.

SQLite with `synchronous = FULL` flushes the log before COMMIT returns, with the lock held. Here, COMMIT only writes the
log (`synchronous = NORMAL`), and the writer then flushes it through a descriptor of its own, before it returns to its
caller. Why nothing that was acknowledged can be lost (docs/guarantees.md has the whole argument):

- One flush covers everything written to the log before it began, by any process, and the log is readable up to the
  first frame that is missing: an acknowledged transaction and all before it are on disk.
- A checkpoint flushes the log before it copies pages, and the database before the log may begin again; so a log that
  was restarted between a COMMIT and its flush has nothing that is not in the database.
- The log is deleted only when its last connection closes, and this one is open.
- After a flush that failed, the kernel may have forgotten what it could not write, and the next flush would succeed
  nevertheless: nothing is written before a whole checkpoint has put the log's content into the database.
"""

import os
import re
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path

from failaware.engine.sqlite.files import LOG_PAGES, companion
from failaware.errors import StoreBusy, StoreError

AFTER_THE_LOCK, UNDER_THE_LOCK = "after the lock", "under the lock"

_LOCAL = {"apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "tmpfs", "xfs", "zfs"}
"""File systems where a flush through one descriptor covers writes through another, also of other processes."""

_MOUNTS = "/proc/self/mounts"
_OCTAL = re.compile(r"\\([0-7]{3})")  # how spaces are written in the list of mounts

_PAGE, _FRAME_HEADER, _LOG_HEADER = 4_096, 24, 32  # bytes
_LONG_ENOUGH = _LOG_HEADER + (LOG_PAGES["FULL"] + 24) * (_PAGE + _FRAME_HEADER)
"""Length of the log when a commit checkpoints it, and some frames more."""

_ZEROS = bytes(1 << 16)
_LENGTHENS_AFTER = 16  # commits of one writer: a program that records a few events leaves the log short

_OTHERS_WAIT_MS = 1_000  # for readers, before a checkpoint after a failed flush


def flush_mode(path: Path) -> str:
    """Return when commits of this store's file are flushed by a writer with `synchronous="FULL"`."""
    if sys.platform == "linux":
        return AFTER_THE_LOCK if _file_system(path) in _LOCAL else UNDER_THE_LOCK
    return UNDER_THE_LOCK


def _file_system(path: Path) -> str:
    """The type of the file system that a file is on; empty if it is not known."""
    folder = os.path.realpath(os.path.dirname(os.path.realpath(path)))
    longest, kind = -1, ""
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as mounts:
            for mount in mounts:
                _, point, file_system, *_ = mount.split(" ")
                at = _OCTAL.sub(lambda match: chr(int(match[1], 8)), point).rstrip("/")
                if len(at) >= longest and f"{folder}/".startswith(f"{at}/"):
                    longest, kind = len(at), file_system
    except (OSError, ValueError):
        return ""
    return kind


class FlushUnderLock:
    """SQLite flushes the log, in COMMIT, or does not flush it, if the user has chosen `synchronous="NORMAL"`."""

    is_doubtful = False

    def needs_lock(self) -> bool:
        """Whether `before_commit` has something to do."""
        return False

    def put_in_place(self) -> None:
        """Nothing to do."""

    def before_commit(self) -> None:
        """Nothing to do."""

    def after_commit(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class FlushAfterLock:
    """The write-ahead log of an open connection, flushed after each commit."""

    def __init__(self, db: sqlite3.Connection, path: Path, *, is_doubtful: bool) -> None:
        """Open the log.

        Args:
            db: the connection.
            path: the store's file.
            is_doubtful: a flush of the log has failed before.

        Raises:
            OSError: the log cannot be opened, or its folder cannot be flushed.
        """
        self._db, self._path = db, path
        self.is_doubtful = is_doubtful
        """Whether a flush has failed, so that what the log seems to hold may not be on disk."""
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()  # creates the log
        log = companion(path, "-wal")
        self._fd = os.open(log, os.O_RDWR | os.O_CLOEXEC)
        try:
            _flush_folder(log.parent)
        except BaseException:
            os.close(self._fd)
            raise
        self._commits = 0

    def put_in_place(self) -> None:
        """After a flush that failed, put all that the log holds into the database, before anything else is written.

        Raises:
            StoreError: that was not possible; nothing can be written.
        """
        self._db.execute(f"PRAGMA busy_timeout = {_OTHERS_WAIT_MS}")
        try:
            busy, pages, copied = self._db.execute("PRAGMA wal_checkpoint(FULL)").fetchone()
        finally:
            self._db.execute("PRAGMA busy_timeout = 0")
        if busy or copied < pages:
            raise StoreBusy(
                f"{self._path}: a flush to disk has failed, and other programs that read the store keep its log "
                "from being written once more; nothing was recorded, try again"
            )
        self.is_doubtful = False

    def needs_lock(self) -> bool:
        """Whether the next commit lengthens the log."""
        return self._commits % _LENGTHENS_AFTER == _LENGTHENS_AFTER - 1

    def before_commit(self) -> None:
        """With the lock held: lengthen the log, once the writer has written more than a few times.

        Zeros are appended up to the length at which the log is restarted, because a flush is faster if the file does
        not grow. Nobody else writes to the log meanwhile. A reader of the log stops at the first frame that does not
        continue the previous one, and zeros never do.
        """
        if not self.needs_lock():
            return
        size = os.fstat(self._fd).st_size
        with suppress(OSError):  # it is only for speed
            while 0 < size < _LONG_ENOUGH:
                size += os.pwrite(self._fd, _ZEROS[: _LONG_ENOUGH - size], size)

    def after_commit(self) -> None:
        """Flush what the transaction has written, or read: another process may not have flushed it yet.

        Raises:
            StoreError: the disk reports an error; the transaction may or may not survive a power cut.
        """
        self._commits += 1
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            self.is_doubtful = True
            raise StoreError(
                f"{self._path}: the disk reports an I/O error ({error.strerror}); what was written last can be read, "
                "but may be lost in a power cut; what has a key can be recorded again, and is once there"
            ) from error

    def close(self) -> None:
        """Close the descriptor; SQLite has no lock on the log that this could release."""
        os.close(self._fd)


def open_log(
    db: sqlite3.Connection, path: Path, synchronous: str, *, is_doubtful: bool
) -> FlushUnderLock | FlushAfterLock:
    """Return how the commits of a connection are flushed."""
    if synchronous == "FULL" and flush_mode(path) == AFTER_THE_LOCK:
        with suppress(OSError):  # SQLite flushes it, then
            return FlushAfterLock(db, path, is_doubtful=is_doubtful)
        db.execute("PRAGMA synchronous = FULL")
    return FlushUnderLock()


def _flush_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # the log may be new: its name must survive too
    finally:
        os.close(folder)
