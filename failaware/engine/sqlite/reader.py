"""SQLite reader: a connection whose file is opened read-only."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import NoReturn

from failaware.engine.base import Parameters, Reader, Row
from failaware.engine.derivation import MARK, check_readable
from failaware.engine.sql import Dialect
from failaware.engine.sqlite.errors import ITS_ERRORS, in_our_words, is_interrupt, raise_ours
from failaware.engine.sqlite.files import (
    BUSY_TIMEOUT_S,
    LOG_BYTES,
    READERS_WAIT_S,
    check_version,
    companion,
    connect_read_only,
    identity,
    need_sqlite,
    unopened_state,
)
from failaware.engine.sqlite.permissions import warn_if_exposed
from failaware.engine.sqlite.schema_check import check_tables, own_views
from failaware.errors import StoreBusy, StoreMissing

_GIVES_WAY_S, _LOOKS_S = 1.0, 0.005
"""How long a reader pauses at most, and how often it looks whether the log has been restarted."""
_IDLE_S = 0.25  # a log that is not written to for so long has no writer that would restart it


class FileStoreMixin:
    """Methods that readers and writers of a file share."""

    dialect = Dialect()
    path: Path

    def clock(self, machine: Callable[[], int]) -> Callable[[], int]:
        """The machine's clock (µs): all users of a file are on the same machine."""
        return machine

    def role(self) -> str:
        """Empty: a file has permissions, not roles."""
        return ""

    def flush_mode(self) -> str:
        """When a writer with `synchronous="FULL"` flushes its commits."""
        from failaware.engine.sqlite.log_flush import flush_mode

        return flush_mode(self.path)

    def end_wait(self) -> None:
        """Do nothing: a writer waits for the lock in short steps, and calls `while_waiting` between them."""

    def size(self: Reader) -> int:
        """The size of the database in bytes."""
        sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        return int(self.query(sql)[0][0])

    def defects(self: Reader) -> Iterator[tuple[str, str]]:
        """Yield defects of the schema ("schema") and of the file ("file")."""
        from failaware.engine.sqlite.schema_check import differences, integrity

        for difference in differences(self):
            yield "schema", difference
        for problem in integrity(self):
            yield "file", problem


class SqliteConnection:
    """Reading through any SQLite connection; `path` names it in errors."""

    dialect = Dialect()

    path: str | Path
    _db: sqlite3.Connection
    _interrupted = False  # by `interrupt`, not by a signal

    _held_s = 0.0  # how long the last snapshot was held

    def _refresh(self) -> None:
        """Make the connection usable before a query or a snapshot."""

    def _give_way(self) -> None:
        """Let writers restart a long log before a snapshot."""

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Return all rows of a SELECT."""
        try:
            self._refresh()
            return self._db.execute(sql, parameters).fetchall()
        except ITS_ERRORS as error:
            self._raise(error)

    def _raise(self, error: Exception) -> NoReturn:
        if is_interrupt(error) and not self._interrupted:
            raise KeyboardInterrupt from None  # a signal's handler raised it, within SQLite
        self._interrupted = False
        raise_ours(error, self.path)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make all queries within it see the same state; a nested snapshot joins the outer one."""
        with in_our_words(self.path):
            is_nested = self._db.in_transaction
        if is_nested:
            yield
            return
        with in_our_words(self.path):
            self._refresh()
            self._give_way()
            self._db.execute("BEGIN")
            began = time.monotonic()
            try:
                yield
            finally:
                if self._db.in_transaction:  # an interrupted or failed statement may have ended it
                    self._db.execute("COMMIT")
                self._held_s = time.monotonic() - began

    def savepoint(self) -> AbstractContextManager[None]:
        """Do nothing: a failed statement does not end the snapshot."""
        return nullcontext()

    def interrupt(self) -> None:
        """Cancel the running query, from another thread."""
        self._interrupted = True
        with suppress(sqlite3.ProgrammingError):  # closed in the meantime
            self._db.interrupt()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()


class SqliteReader(SqliteConnection, FileStoreMixin):
    """A connection opened with `mode=ro`."""

    path: Path
    RECONNECTS = True
    """Whether it may reconnect; a connection with private tables may not."""
    READS_DERIVED = True
    """Whether it reads the store's derived tables, which must then match our statements."""

    def __init__(self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = path
        need_sqlite()
        with in_our_words(path):
            self._file = identity(path)
            self._timeout_s, self._opened = busy_timeout_s, 0
            self._connect()
        warn_if_exposed(path)

    def _connect(self) -> None:
        self._db, self._state = connect_read_only(self.path, self._timeout_s)
        self._opened += 1
        try:
            check_version(self._db, self.path)
            is_ours = check_tables(self._db, self.path)
            if self.READS_DERIVED:
                check_readable(self._db.execute(MARK).fetchall(), str(self.path))
                for sql in () if is_ours else own_views():  # shadow another version's views, which are never read
                    self._db.execute(sql)
        except BaseException:
            self._db.close()
            raise

    def _refresh(self) -> None:
        """Reconnect if the store was opened without locks and has been written to since."""
        if self._state is None or self._db.in_transaction or unopened_state(self.path) == self._state:
            return
        if not self.RECONNECTS:
            raise StoreBusy(f"{self.path} was written to while it was read without a lock; ask again")
        self._db.close()
        self._connect()

    def _give_way(self) -> None:
        """Pause after a snapshot that was too long for writers to wait for, while the log is long.

        They can restart it only while nobody reads from it. Without a pause between them, such snapshots would let it
        grow as long as they go on, also if each is short compared with that.
        """
        if self._held_s <= READERS_WAIT_S:
            return
        began = written = time.monotonic()
        log, at = companion(self.path, "-wal"), 0
        with suppress(OSError):  # nobody has the store open for writing
            while (state := log.stat()).st_size > LOG_BYTES:
                now = time.monotonic()
                if state.st_mtime_ns != at:
                    written, at = now, state.st_mtime_ns
                if now - began >= _GIVES_WAY_S or now - written >= _IDLE_S:
                    return
                time.sleep(_LOOKS_S)

    def _raise(self, error: Exception) -> NoReturn:
        if not is_interrupt(error) and self._state is not None and unopened_state(self.path) != self._state:
            raise StoreBusy(f"{self.path} was written to while it was read without a lock; ask again") from error
        super()._raise(error)

    def change_token(self) -> int:
        """SQLite's data_version: differs when another connection has committed.

        Raises StoreMissing if the file was deleted or replaced: the old file would never change again.
        """
        if identity(self.path) != self._file:
            raise StoreMissing(f"{self.path} was deleted or replaced while it was open; open it again")
        with in_our_words(self.path):
            self._refresh()
            return int(self._db.execute("PRAGMA data_version").fetchone()[0]) + (self._opened << 32)
