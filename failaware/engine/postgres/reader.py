"""PostgreSQL reader: one persistent connection that reconnects after a server restart."""

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg import RawCursor, errors
from psycopg.adapt import Loader
from psycopg.types.numeric import Int8BinaryDumper

from failaware.engine.base import Parameters, Row
from failaware.engine.derivation import MARK, check_readable, has_other_tables
from failaware.engine.postgres import citus, schema
from failaware.engine.postgres.cancel import Cancelable
from failaware.engine.postgres.dialect import PostgresDialect
from failaware.engine.postgres.errors import ITS_ERRORS, foreign, in_our_words, raise_ours
from failaware.engine.postgres.lock import NOW_US
from failaware.engine.postgres.parameters import numbered
from failaware.engine.postgres.place import parse
from failaware.engine.postgres.session import Session
from failaware.engine.sql import Dialect
from failaware.errors import StoreError, StoreMissing
from failaware.schema import versions
from failaware.schema.ddl import derived_objects
from failaware.text import span

T = TypeVar("T")

LOCK_TIMEOUT_S = 30.0
RECONNECT_S = 30.0  # for a server that restarts; after one timeout, calls do not wait until the server is back
_DRIFT_US = 5_000  # difference from the server's clock up to which the known offset is kept
PAUSES_S = (0.02, 1.0)  # between two connection attempts: the first and the longest
_ROWS_AT_ONCE = 100 if psycopg.pq.version() >= 170_000 else 1  # when streaming; an older libpq supports only 1
_GOES_AWAY = (
    errors.AdminShutdown,
    errors.ConnectionFailure,  # between two nodes of a Citus cluster
    errors.CrashShutdown,
    errors.CannotConnectNow,
    errors.IdleInTransactionSessionTimeout,
)

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_NOT_CONNECTED = -1  # in the place of a delay
_ROLE = f"""
  SELECT current_user::text, has_table_privilege('event_log', 'INSERT'),
         CASE WHEN NOT pg_is_in_recovery() THEN NULL
              WHEN NOT EXISTS (SELECT 1 FROM pg_stat_wal_receiver) THEN {_NOT_CONNECTED}
              WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
              ELSE greatest(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000000, 1)
         END::bigint
"""
"""The role, whether it may write, and the replay delay of a standby (µs)."""


def _standby(delay: int) -> str:
    if delay == _NOT_CONNECTED:
        return "which receives nothing from its primary"
    return f"{span(delay)} behind its primary" if delay else "up to date with its primary"


class _Connection(psycopg.Connection[Row]):
    """A connection without a warning when it is garbage collected open, as in sqlite3."""

    def __del__(self, *_: object) -> None:
        """Do nothing: libpq's handle closes the connection."""


class _IntegerLoader(Loader):
    """Loads NUMERIC as an integer: in a store it occurs only as the type of sums."""

    def load(self, data: Any) -> int:
        return int(bytes(data))


class PostgresReader:
    """A connection whose transactions are all read-only; its role should not have write privileges either."""

    dialect: Dialect = PostgresDialect()
    READ_ONLY = True

    def __init__(self, url: str, *, busy_timeout_s: float = LOCK_TIMEOUT_S, reads_derived: bool = True) -> None:
        """Connect; with `reads_derived`, refuse derived tables that do not match our statements."""
        self.url = url
        self._reads_derived = reads_derived
        self._place = parse(url)
        self.path = self._place.shown
        self._schema = self._place.schema
        self._settings = {"lock_timeout": f"{int(busy_timeout_s * 1_000)}ms"}
        self._settings["default_transaction_read_only"] = "on" if self.READ_ONLY else "off"
        self._in_transaction = False
        self._is_unreachable = False
        self._machine: Callable[[], int] | None = None
        self._ahead_us = 0
        self._open(patiently=False)

    def _open(self, *, patiently: bool) -> None:
        """Connect; `patiently`: wait for a server that may be restarting."""
        if self._is_unreachable:
            patiently = False  # after one timeout, each call attempts to connect only once
        self._is_unreachable = True  # until connected, below
        until = time.monotonic() + RECONNECT_S
        with in_our_words(self.path):
            while True:
                self._db = _connect(self._place.conninfo, patiently=patiently)
                try:
                    self._prepare()
                    break
                except psycopg.OperationalError:  # the server is gone again
                    self._db.close()
                    if not patiently or time.monotonic() > until:
                        raise
                    time.sleep(PAUSES_S[0])
                except BaseException:
                    self._db.close()
                    raise
        self._is_unreachable = False
        self._pid = os.getpid()

    def _prepare(self) -> None:
        """Set up a new connection."""
        self._session = Session(self._db, self.path)
        self._queries = Cancelable(self._db)
        self._db.adapters.register_dumper(int, Int8BinaryDumper)
        self._db.adapters.register_loader("numeric", _IntegerLoader)
        self._cursor = RawCursor(self._db)
        self._session.set_up(self._place.conninfo, self._schema, self._settings, read_only=self.READ_ONLY)
        if self._session.is_shared:
            self.raw(_BEGIN)
            self._session.enter()
        self._check_version()
        self.is_distributed = self._session.has_citus and bool(self.raw(citus.DISTRIBUTED.format(schema=self._schema)))
        if self.is_distributed:
            self.dialect = citus.CitusDialect()
            self.raw(citus.SETTINGS)
        if self._session.is_shared:
            self.raw("COMMIT")

    def _check_version(self) -> None:
        version = self.stored_version()
        if version == 0:
            raise StoreMissing(
                f"there is no store at {self.path}; record something, run 'failaware seed', or 'failaware init'"
            )
        versions.check_not_older(version, self.path)
        if self._reads_derived:
            check_readable(self.raw(MARK), self.path)

    def stored_version(self) -> int:
        """The version of the store's schema; 0 if there is none. Other programs' schemas are refused."""
        rows = self.raw(schema.STATE.format(schema=self._schema))
        if not rows or not rows[0][0]:
            return 0
        _, is_ours, usable = rows[0]
        if not is_ours:
            raise foreign(self.path, self._schema)
        if not usable:
            raise StoreError(
                f"{self.path}: this role may not read the store; 'failaware init --roles' gives one that may"
            )
        version = int(self.raw(f"SELECT max(version) FROM {self._schema}.failaware_schema")[0][0])
        versions.check_not_newer(version, self.path)
        return version

    def raw(self, text: str) -> list[Row]:
        """Run statements in PostgreSQL's SQL; return the rows of the last one."""
        self._cursor.execute(text.encode(), prepare=False)
        while self._cursor.nextset():
            pass
        return self._cursor.fetchall() if self._cursor.description else []

    def _run(self, text: str, parameters: Parameters) -> RawCursor[Row]:
        return self._cursor.execute(*numbered(text, parameters))

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Return all rows of a SELECT; repeat it once if the connection was lost."""
        if self._session.pooled and not self._in_transaction:
            with self.snapshot():
                return self.query(sql, parameters)
        return self._with_reconnect(lambda: self._fetch(sql, parameters))

    def _fetch(self, sql: str, parameters: Parameters) -> list[Row]:
        with self._queries:
            return self._run(sql, parameters).fetchall()

    def _with_reconnect(self, operation: Callable[[], T]) -> T:
        """Run an operation; if the connection was lost, reconnect and run it once more."""
        self._use()
        try:
            return operation()
        except ITS_ERRORS as error:
            if not self._is_lost(error) or self._in_transaction:
                raise_ours(error, self.path)
        self._db.close()
        self._open(patiently=True)
        with in_our_words(self.path):
            return operation()

    def _use(self) -> None:
        """Make the connection usable: replace it if a late cancel request may still arrive."""
        if self._queries.was_canceled and not self._in_transaction and not self._db.closed:
            self._db.close()
            self._open(patiently=True)

    def _is_lost(self, error: BaseException | None) -> bool:
        """Return whether the server has gone away; its message may arrive before the connection is seen to be closed.

        It also closes the connection of a transaction that was idle for too long, because this process was stopped or
        the machine was busy. In a pipeline, psycopg may raise an error from leaving the pipeline, with the server's
        error as its context.
        """
        while isinstance(error, psycopg.Error):
            if isinstance(error, _GOES_AWAY):
                return True
            error = error.__context__
        return self._db.broken

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Make all queries within it see the same state; a nested snapshot joins the outer one."""
        if self._in_transaction:
            yield
            return
        self._with_reconnect(lambda: self.raw(_BEGIN if self.READ_ONLY else _BEGIN.removesuffix(" READ ONLY")))
        self._in_transaction = True
        try:
            if self._session.pooled:
                with in_our_words(self.path):
                    self._session.enter()
            yield
        finally:
            self._in_transaction = False
            with suppress(psycopg.Error):
                self.raw("COMMIT")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Isolate a part of a snapshot: an error within it does not end the snapshot."""
        with suppress(psycopg.Error):  # the first query in the block reports a lost connection
            self.raw("SAVEPOINT part")
        try:
            yield
        except BaseException:
            with suppress(psycopg.Error):
                self.raw("ROLLBACK TO part")
            raise
        finally:
            with suppress(psycopg.Error):
                self.raw("RELEASE part")

    def stream(self, sql: str, parameters: Parameters = ()) -> Generator[Row, None, None]:
        """Yield the rows of a SELECT as they arrive; requires a snapshot. Close a generator that is not exhausted."""
        with in_our_words(self.path), self._queries:
            yield from RawCursor(self._db).stream(*numbered(sql, parameters), binary=True, size=_ROWS_AT_ONCE)

    def change_token(self) -> object:
        """The current transaction snapshot: differs if another connection has committed."""
        return self.query(self.dialect.last_change)[0]

    def clock(self, machine: Callable[[], int]) -> Callable[[], int]:
        """The server's clock (µs), shared by all hosts: this machine's clock, corrected now and at each transaction."""
        self._machine = machine
        self._server_time(self.query(f"SELECT {NOW_US}")[0][0])
        return lambda: machine() + self._ahead_us

    def _server_time(self, now: int) -> None:
        if self._machine is not None:
            ahead = now - self._machine()
            if abs(ahead - self._ahead_us) > _DRIFT_US:
                self._ahead_us = ahead

    def flush_mode(self) -> str:
        """The server decides."""
        return "by the server"

    def role(self) -> str:
        """The current role, and whether it may write; of a standby, how far its replay is behind."""
        ((user, writes, delay),) = self.query(_ROLE)
        if delay is not None:
            return f"as {user}, on a standby, {_standby(delay)}"
        return f"as {user}, who could write" if writes else f"as {user}, who can only read"

    def size(self) -> int:
        """The size of the whole database in bytes."""
        return int(self.query("SELECT pg_database_size(current_database())")[0][0])

    def defects(self) -> Iterator[tuple[str, str]]:
        """Yield how the schema differs from the expected one; the server checks its own files."""
        if self.query("SELECT pg_is_in_recovery()") == [(True,)]:
            raise StoreError(f"{self.path} is a standby, where the schema cannot be compared; ask its primary")
        if self._session.is_shared:
            raise StoreError(
                f"{self.path} is behind a pooler, where the schema cannot be compared; ask the server itself"
            )
        other = PostgresReader(self.url, reads_derived=False)
        try:
            with in_our_words(self.path):
                ignored = derived_objects() if has_other_tables(self) else set[str]()
                if self.is_distributed:
                    ignored |= citus.LOCAL_OBJECTS
                for difference in schema.differences(other.raw, self._schema, ignored=ignored):
                    yield "schema", difference
        finally:
            other.close()

    def interrupt(self) -> None:
        """Cancel the running query, from another thread."""
        self._queries.cancel()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()


def _connect(conninfo: str, *, patiently: bool) -> psycopg.Connection[Row]:
    """Connect; `patiently`: retry with pauses for as long as a server may take to restart."""
    until = time.monotonic() + (RECONNECT_S if patiently else 0)
    pause, longest = PAUSES_S
    while True:
        try:
            return _Connection.connect(conninfo, autocommit=True, prepare_threshold=1)
        except psycopg.ProgrammingError as error:  # psycopg parses some settings itself
            raise psycopg.OperationalError(str(error)) from error
        except psycopg.OperationalError as error:
            starting = "starting up" in str(error) or "shutting down" in str(error)
            if time.monotonic() > until + (RECONNECT_S if starting else 0):
                raise
        time.sleep(pause)
        pause = min(2 * pause, longest)
