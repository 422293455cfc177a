"""SQLite: one kept connection, WAL, `BEGIN IMMEDIATE`, and its errors in our words."""

import os
import random
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from failaware.engine.base import Parameters, Row
from failaware.engine.sqlite_errors import ITS_ERRORS, in_our_words, is_busy, raise_ours
from failaware.errors import (
    StoreError,
    StoreForeign,
    StoreMissing,
    StoreNewer,
    UsageError,
)

if TYPE_CHECKING:
    from failaware.engine.watch import Watch

APPLICATION_ID = 0x4641494C  # "FAIL": tells a failaware store from any other SQLite file
SCHEMA_VERSION = 1
BUSY_TIMEOUT_S = 30.0
OLDEST_SQLITE = (3, 37, 0)  # STRICT tables
_LOG_PAGES = {"FULL": 1_000, "NORMAL": 4_000}
"""When a commit also does a checkpoint. A log that is written over is flushed sooner than one that grows; without
flushes, the checkpoint is what costs."""
_LOG_BYTES = 1 << 26
"""How long the log may become before writers wait for readers, so that it can be written over from its beginning."""
_LOOK_AT_LOG = 256  # commits
_READERS_WAIT_S = 0.05
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.0003, 0.003  # how soon one asks again for a lock that another writer holds
_INHERITED: list[sqlite3.Connection] = []


class SqliteReader:
    """A connection opened `mode=ro`: the file handle itself refuses to write."""

    def __init__(self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = path
        _need_sqlite()
        with in_our_words(path):
            self._file = _identity(path)
            self._db = _connect_read_only(path, busy_timeout_s)
            try:
                _check_version(self._db, path)
            except BaseException:
                self._db.close()
                raise

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of a SELECT."""
        try:
            return self._db.execute(sql, parameters).fetchall()
        except ITS_ERRORS as error:
            raise_ours(error, self.path)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it, all queries see the same moment; one within another is the outer one."""
        if self._db.in_transaction:
            yield
            return
        with in_our_words(self.path):
            self._db.execute("BEGIN")
            try:
                yield
            finally:
                self._db.execute("COMMIT")

    def change_token(self) -> int:
        """SQLite's data_version: differs when another connection has committed.

        A file that was deleted or replaced would answer from its old self for ever: that raises StoreMissing.
        """
        if _identity(self.path) != self._file:
            raise StoreMissing(f"{self.path} was deleted or replaced while it was open; open it again")
        with in_our_words(self.path):
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def interrupt(self) -> None:
        """End the query that runs now, from another thread."""
        self._db.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()


class SqliteWriter:
    """The writing connection. It may be used from any thread, but by one at a time: the caller holds a lock."""

    def __init__(self, path: Path, *, synchronous: str) -> None:
        if synchronous not in ("FULL", "NORMAL"):
            raise UsageError(f"synchronous is 'FULL' or 'NORMAL', not {synchronous!r}")
        _need_sqlite()
        self.path = path
        self._synchronous = synchronous
        self._suspended = self._closed = False
        self._opened = self._commits = 0
        self._long_log = _LOG_BYTES
        self._reopen()
        self.path = path.absolute()  # a later chdir must not lead a reopened connection elsewhere

    def _reopen(self) -> None:
        with in_our_words(self.path):
            self._db = _connect_read_write(self.path, self._synchronous)
        self._file = _identity(self.path)
        self._pid = os.getpid()
        self._suspended = False
        self._opened += 1

    def suspend(self) -> None:
        """Close the connection until it is needed again: before a fork.

        A child that inherits an open one would share SQLite's notes about its locks, but not the locks: the parent's
        close would then delete the write-ahead log that the child still writes to.
        """
        if self._usable and not self._closed and not self._db.in_transaction:
            self._db.close()
            self._suspended = True

    @property
    def _usable(self) -> bool:
        return not self._suspended and self._pid == os.getpid()

    def _use(self) -> None:
        if self._usable:
            return
        if not self._suspended:
            _INHERITED.append(self._db)  # after a fork the parent's connection must be neither used nor closed
        self._reopen()

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of a SELECT or of a statement with RETURNING."""
        self._use()
        return self._run(sql, parameters).fetchall()

    def execute(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one statement; returns the number of rows it changed."""
        return self._run(sql, parameters).rowcount

    def _run(self, sql: str, parameters: Parameters) -> sqlite3.Cursor:
        """Run one statement, waiting for its turn: SQLite itself would ask ever more seldom whether it has come."""
        waited, wait = 0.0, _FIRST_WAIT_S
        while True:
            try:
                return self._db.execute(sql, parameters)
            except ITS_ERRORS as error:
                if not is_busy(error) or self._db.in_transaction or waited >= BUSY_TIMEOUT_S:
                    raise_ours(error, self.path)
            pause = wait * random.uniform(0.5, 1.0)  # noqa: S311 - so that not all ask at once
            time.sleep(pause)
            waited, wait = waited + pause, min(_LONGEST_WAIT_S, 1.2 * wait)

    def execute_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each row of parameters."""
        try:
            self._db.executemany(sql, rows)
        except ITS_ERRORS as error:
            raise_ours(error, self.path)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Take the write lock, commit at the end, roll back on any exception."""
        self._use()
        try:
            # Inside the try: a signal that arrives while it waits is raised once it has succeeded, and must undo it.
            self.execute("BEGIN IMMEDIATE")
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._must_stand_there()
        self._commits += 1
        if self._commits % _LOOK_AT_LOG == 0:
            self._keep_log_short()

    def _must_stand_there(self) -> None:
        """What is committed to a file that was deleted or replaced is gone: SQLite itself does not notice."""
        if _identity(self.path) != self._file:
            self.suspend()  # whoever writes next begins with what stands there by then
            raise StoreMissing(
                f"{self.path} was deleted or replaced while it was open; what was written now is not in it"
            )

    def _keep_log_short(self) -> None:
        """Begin the log anew, where readers that take turns have kept it from that: it waits for those of this moment.

        Whoever holds a snapshot for long keeps it from that, too; then it is tried again when it is twice as long.
        """
        try:
            size = self.path.with_name(self.path.name + "-wal").stat().st_size
        except OSError:
            return  # it is gone with the last reader, or the file is
        if size < self._long_log:
            self._long_log = _LOG_BYTES
            return
        with suppress(StoreError):  # what was committed stays so
            self.query(f"PRAGMA busy_timeout = {int(_READERS_WAIT_S * 1_000)}")
            ((prevented, *_),) = self.query("PRAGMA wal_checkpoint(RESTART)")
            self.query("PRAGMA busy_timeout = 0")
            self._long_log = 2 * size if prevented else _LOG_BYTES

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the transaction that an exception rolls back alone."""
        self.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK TO part")
            self.execute("RELEASE part")
            raise
        self.execute("RELEASE part")

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it, all queries see the same moment."""
        with self.transaction():
            yield

    def change_token(self) -> int:
        """SQLite's data_version, which counts anew in each connection: differs when another one has committed."""
        return int(self.query("PRAGMA data_version")[0][0]) + (self._opened << 32)

    def watch(self) -> "Watch":
        """Looks at the write-ahead log, to which every commit writes."""
        from failaware.engine.watch import Watch

        self.query("SELECT 1")  # a connection that is open keeps the log there
        return Watch(self.path.with_name(self.path.name + "-wal"))

    def interrupt(self) -> None:
        """End the query that runs now, from another thread."""
        self._db.interrupt()

    @contextmanager
    def wiping(self) -> Iterator[Callable[[], bool]]:
        """Around a transaction: what it removes is overwritten on the disk, and in the write-ahead log too."""
        self._use()
        was = self.query("PRAGMA secure_delete")[0][0]
        self.query("PRAGMA secure_delete = ON")
        self.query(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1_000)}")  # for those who read right now
        left: list[int] = [1]
        try:
            yield lambda: not left[0]
            left[0] = self.query("PRAGMA wal_checkpoint(TRUNCATE)")[0][0]
        finally:
            self.query(f"PRAGMA secure_delete = {was}")
            self.query("PRAGMA busy_timeout = 0")

    def close(self) -> None:
        """Close the connection; the last one to close leaves a single file behind."""
        if self._usable:
            self._db.close()
        self._closed, self._suspended = True, False


def _connect_read_write(path: Path, synchronous: str) -> sqlite3.Connection:
    if not path.parent.is_dir():
        raise StoreMissing(f"cannot make {path}: the folder {path.parent} does not exist; make it first")
    new = not path.exists()
    if new:
        _create_private(path)
    db = _connect(f"file:{quote(os.fsencode(path))}?mode=rw")
    try:
        version = _version(db, path)
        if version < SCHEMA_VERSION:
            _bring_up_to_date(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA synchronous = {synchronous}")
        db.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES[synchronous]}")
        db.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA busy_timeout = 0")  # from now on we wait ourselves
    except BaseException:
        db.close()
        raise
    return db


def _create_private(path: Path) -> None:
    """Make the file 0600 before anything is in it: failures hold other people's data."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        pass  # another process was quicker
    except OSError as error:
        raise StoreError(f"cannot make {path}: {error.strerror}; name a place that you may write to") from None


def _bring_up_to_date(db: sqlite3.Connection, path: Path) -> None:
    from failaware.engine.migrations import migrate

    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    try:
        if _version(db, path) < SCHEMA_VERSION:  # nobody else did it while we waited for the lock
            migrate(db)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _connect_read_only(path: Path, timeout_s: float) -> sqlite3.Connection:
    if path.is_dir():
        raise StoreForeign(f"{path} is a folder, not a failaware store; name the file in it")
    if not path.exists():
        raise StoreMissing(f"there is no store at {path}; record something, run 'failaware seed', or name it with --db")
    place = f"file:{quote(os.fsencode(path))}"
    db = None
    try:
        db = _connect(f"{place}?mode=ro", timeout_s)
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        if db is not None:
            db.close()
        # A WAL store in a folder that we may not write to, closed cleanly: nobody writes to it, so the file alone is
        # the whole truth. With content in the WAL that would be silently old, so then we say what is wrong instead.
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        if not os.access(path, os.R_OK):
            raise StoreError(
                f"cannot read {path}: permission denied; ask its owner, or run as a user who may"
            ) from None
        if _has_content(path.with_name(path.name + "-wal")):
            raise StoreError(
                f"cannot read {path}: its newest facts are in {path.name}-wal, and the folder is not writable; "
                "copy both files to a folder of your own"
            ) from None
        db = _connect(f"{place}?mode=ro&immutable=1", timeout_s)
    return db


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _connect(uri: str, timeout_s: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    return sqlite3.connect(uri, uri=True, isolation_level=None, timeout=timeout_s, check_same_thread=False)


def _check_version(db: sqlite3.Connection, path: Path) -> None:
    if _version(db, path) == 0:
        raise StoreForeign(f"{path} is empty, not yet a failaware store; record something into it first")


def _version(db: sqlite3.Connection, path: Path) -> int:
    """The schema version; 0 for an empty file. Anything that is not ours is refused here."""
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if application == 0 and not db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        return 0
    if application != APPLICATION_ID:
        raise StoreForeign(f"{path} is a SQLite file of another program; name a failaware store, or a new file")
    if version > SCHEMA_VERSION:
        raise StoreNewer(
            f"{path} was written by a newer failaware (schema {version}, this one knows {SCHEMA_VERSION}); "
            "upgrade failaware"
        )
    return version


def _need_sqlite() -> None:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old; failaware needs 3.37 or newer")
