"""PostgreSQL: one kept connection, one writing transaction at a time, and a server that may go away and come back."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg import RawCursor
from psycopg.adapt import Loader
from psycopg.pq import TransactionStatus
from psycopg.types.numeric import Int8BinaryDumper

from failaware.engine import postgres_schema
from failaware.engine.base import Parameters, Row
from failaware.engine.postgres_dialect import statement
from failaware.engine.postgres_errors import foreign, in_our_words, raise_ours
from failaware.engine.postgres_place import parse
from failaware.engine.postgres_watch import PostgresWatch
from failaware.engine.schema import work_tables
from failaware.errors import StoreError, StoreMissing, StoreNewer, UsageError

T = TypeVar("T")

OLDEST = 140_000
"""PostgreSQL 14."""

LOCK_TIMEOUT_S = 30.0
RECONNECT_S = 60.0  # for a server that restarts
_PAUSES_S = (0.02, 1.0)  # between two tries to connect: the first and the longest
_TRIES = 5  # at one job, when the server goes away in the middle of it again and again
_FEW = 4  # rows that are inserted one by one: COPY costs two answers more
_LEFT_BEHIND = 2_000  # deleted rows after which a work table is truncated
_SETTINGS = {
    "client_connection_check_interval": "2s",  # a writer that is gone must not wait for the lock
    "client_min_messages": "warning",
    "idle_in_transaction_session_timeout": "60s",  # nor may one that hangs hold it
    "jit": "off",  # it would compile for longer than our statements run
    "statement_timeout": "10min",
}
_ALONG_INDEXES = {
    "enable_hashjoin": "off",  # what is written is few rows to many stored ones: along an index, however few there are
    "enable_mergejoin": "off",  # when the plan is made
    "enable_seqscan": "off",
    "plan_cache_mode": "force_generic_plan",
}
_SYNCHRONOUS = {"FULL": "on", "NORMAL": "off"}
_NOW_US = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_DRIFT_US = 5_000  # by which our clock may differ from the server's before it is set anew
_INHERITED: list[psycopg.Connection[Row]] = []


class _Whole(Loader):
    """NUMERIC, which sums are, as an integer: there is no other in a store."""

    def load(self, data: Any) -> int:
        return int(bytes(data))


class PostgresReader:
    """A connection all of whose transactions are read-only; its role should have no right to write either."""

    READ_ONLY = True

    def __init__(self, url: str, *, busy_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        self.url = url
        self._place = parse(url)
        self.path = self._place.shown
        self._schema = self._place.schema
        self._settings = {**_SETTINGS, "lock_timeout": f"{int(busy_timeout_s * 1_000)}ms"}
        self._settings["default_transaction_read_only"] = "on" if self.READ_ONLY else "off"
        self._in_hand = False  # a transaction
        self._open(patiently=False)

    def _open(self, *, patiently: bool) -> None:
        """Connect; `patiently`: to a server that was there and may be starting again."""
        with in_our_words(self.path):
            self._db = _connect(self._place.conninfo, patiently=patiently)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise
        self._pid = os.getpid()

    def _prepare(self) -> None:
        """What a connection has to have before it is used."""
        if self._db.info.server_version < OLDEST:
            raise StoreError(f"{self.path} runs PostgreSQL {self._db.info.server_version // 10_000}; 14 is the oldest")
        self._db.adapters.register_dumper(int, Int8BinaryDumper)
        self._db.adapters.register_loader("numeric", _Whole)
        self._cursor = RawCursor(self._db)
        given = self._db.info.get_parameters().get("options", "")
        settings = {name: value for name, value in self._settings.items() if name not in given}
        settings["search_path"] = self._schema
        names = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in settings.items())
        self._cursor.execute(f"SELECT {names}".encode())
        self._check_version()

    def _check_version(self) -> None:
        version = self._version()
        if version == 0:
            raise StoreMissing(
                f"there is no store at {self.path}; record something, run 'failaware seed', or 'failaware init'"
            )

    def _version(self) -> int:
        """The version of the store's schema; 0 where there is none. Anything that is not ours is refused here."""
        rows = self.raw(postgres_schema.STATE.format(schema=self._schema))
        if not rows:
            return 0
        mark, usable = rows[0]
        if mark is None:
            if self.raw(f"SELECT 1 FROM pg_class WHERE relnamespace = '{self._schema}'::regnamespace LIMIT 1"):
                raise foreign(self.path, self._schema)
            return 0
        if not mark.startswith(postgres_schema.MARK):
            raise foreign(self.path, self._schema)
        if not usable:
            raise StoreError(
                f"{self.path}: this role may not read the store; 'failaware init --roles' gives one that may"
            )
        version = int(mark.removeprefix(postgres_schema.MARK))
        if version > postgres_schema.VERSION:
            raise StoreNewer(
                f"{self.path} was written by a newer failaware (schema {version}, this one knows "
                f"{postgres_schema.VERSION}); upgrade failaware"
            )
        return version

    def raw(self, text: str) -> list[Row]:
        """Run what is in PostgreSQL's words already; several statements give the rows of the last."""
        self._cursor.execute(text.encode(), prepare=False)
        while self._cursor.nextset():
            pass
        return self._cursor.fetchall() if self._cursor.description else []

    def _run(self, text: str, parameters: Parameters) -> RawCursor[Row]:
        ours = statement(text, self._schema)
        return self._cursor.execute(ours.text, ours.values(parameters))

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of a SELECT; asked again where the server went away and came back."""
        try:
            return self._run(sql, parameters).fetchall()
        except (psycopg.Error, OverflowError) as error:
            if not self._db.broken or self._in_hand:
                raise_ours(error, self.path)
        self._open(patiently=True)
        with in_our_words(self.path):
            return self._run(sql, parameters).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it, all queries see the same moment; one within another is the outer one."""
        if self._in_hand:
            yield
            return
        self.query("SELECT 1")  # comes back to a server that had gone away
        with in_our_words(self.path):
            self.raw("BEGIN ISOLATION LEVEL REPEATABLE READ")
        self._in_hand = True
        try:
            yield
        finally:
            self._in_hand = False
            with suppress(psycopg.Error):
                self.raw("COMMIT")

    def change_token(self) -> object:
        """Which transactions have ended by now: differs when another connection has committed."""
        return self.query("SELECT pg_current_snapshot()::text")[0][0]

    def interrupt(self) -> None:
        """End the query that runs now, from another thread."""
        with suppress(psycopg.Error):
            self._db.cancel_safe(timeout=2.0)

    def close(self) -> None:
        """Close the connection."""
        self._db.close()


class PostgresWriter(PostgresReader):
    """The writing connection. It may be used from any thread, but by one at a time: the caller holds a lock.

    A writing transaction begins with the store's advisory lock, so that there is one at a time on all hosts together,
    as on SQLite: ids follow each other in the order of the commits, and what the fold has read stays true to its end.
    """

    READ_ONLY = False

    def __init__(self, url: str, *, synchronous: str) -> None:
        if synchronous not in _SYNCHRONOUS:
            raise UsageError(f"synchronous is 'FULL' or 'NORMAL', not {synchronous!r}")
        self._synchronous = _SYNCHRONOUS[synchronous]
        self._suspended = self._closed = False
        self._left_behind: dict[str, int] = {}
        self._machine: Callable[[], int] | None = None
        self._ahead_us = 0
        self._xid = ""
        super().__init__(url)

    def _prepare(self) -> None:
        self._settings |= {"synchronous_commit": self._synchronous, **_ALONG_INDEXES}
        super()._prepare()
        self._begins = (
            f"BEGIN; SELECT pg_advisory_xact_lock({_lock(self._schema)}), pg_current_xact_id()::text, {_NOW_US}"
        )
        for sql in work_tables():
            self.execute(sql)
        self._left_behind = {}
        self._suspended = False
        self._server_time(self.raw(f"SELECT {_NOW_US}")[0][0])

    def _check_version(self) -> None:
        if self._version() == postgres_schema.VERSION:
            return
        self.raw(f"BEGIN; SELECT pg_advisory_xact_lock({_lock(self._schema)})")
        try:
            if self._version() == 0:  # nobody else did it while we waited for the lock
                for text in postgres_schema.creation(self._schema):
                    self.raw(text)
            self.raw("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def suspend(self) -> None:
        """Close the connection until it is needed again: before a fork, since two processes cannot share one."""
        if self._pid == os.getpid() and not self._suspended and not self._closed and not self._in_hand:
            self._db.close()
            self._suspended = True

    def _use(self) -> None:
        if self._pid != os.getpid() and not self._suspended:
            _INHERITED.append(self._db)  # after a fork the parent's connection must be neither used nor closed
            self._open(patiently=False)
        elif self._db.closed and not self._closed:
            self._open(patiently=self._db.broken)

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of a SELECT or of a statement with RETURNING."""
        if not self._in_hand:
            self._use()
        return super().query(sql, parameters)

    def execute(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one statement; returns the number of rows it changed."""
        with in_our_words(self.path):
            return self._run(sql, parameters).rowcount

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row of parameters."""
        with in_our_words(self.path):
            self._cursor.executemany(statement(sql, self._schema).text, rows)

    def append(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows: a few by INSERT, more by COPY."""
        names = ", ".join(columns)
        if len(rows) < _FEW:
            places = ", ".join("?" * len(columns))
            for row in rows:
                self.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", row)
            return
        with in_our_words(self.path), self._cursor.copy(f"COPY {table} ({names}) FROM STDIN".encode()) as copy:
            for row in rows:
                copy.write_row(row)

    def clear(self, *tables: str) -> None:
        """Empty work tables. Deleted rows stay in the way of every scan, so now and then TRUNCATE takes them along."""
        for table in tables:
            left = self._left_behind.get(table, 0)
            if left < _LEFT_BEHIND:
                self._left_behind[table] = left + self.execute(f"DELETE FROM {table}")
            else:
                self.execute(f"TRUNCATE {table}")
                self._left_behind[table] = 0

    def run(self, job: Callable[[], T]) -> T:
        """Run a job in a transaction under the store's lock; anew where the server went away before it had committed.

        A commit whose answer was lost is recognised by the transaction's id, so that nothing is written twice.
        """
        for _ in range(_TRIES):
            committing = False
            try:
                self._begin()
                result = job()
                committing = True
                self._commit()
            except BaseException as error:
                self._roll_back()
                if not isinstance(error, StoreError) or not self._db.broken:
                    raise
                lost = error
            else:
                return result
            self._open(patiently=True)
            if committing and self._has_committed():
                return result
        raise lost

    def _begin(self) -> None:
        self._use()
        with in_our_words(self.path):
            self._in_hand = True
            ((_, self._xid, now),) = self.raw(self._begins)
        self._server_time(now)

    def _commit(self) -> None:
        with in_our_words(self.path):
            self.raw(f"NOTIFY {self._schema}; COMMIT")
        self._in_hand = False

    def _roll_back(self) -> None:
        """Undo what is open; where a statement was interrupted half-way, by closing the connection."""
        self._in_hand = False
        try:
            if self._db.info.transaction_status == TransactionStatus.ACTIVE:
                self._db.close()
            elif not self._db.closed:
                self.raw("ROLLBACK")
        except psycopg.Error:
            self._db.close()

    def _has_committed(self) -> bool:
        """Whether the transaction whose commit was not answered did commit; waits for one that still runs."""
        while True:
            ((status,),) = self.query(f"SELECT pg_xact_status('{self._xid}'::xid8)")
            if status != "in progress":
                return bool(status == "committed")
            time.sleep(_PAUSES_S[0])

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the transaction that an exception rolls back alone."""
        self.execute("SAVEPOINT part")
        try:
            yield
        except BaseException:
            if self._db.info.transaction_status != TransactionStatus.ACTIVE:
                self.execute("ROLLBACK TO part")
                self.execute("RELEASE part")
            raise
        self.execute("RELEASE part")

    def clock(self, machine: Callable[[], int]) -> Callable[[], int]:
        """The server's time (µs), by which all hosts go: this machine's, corrected at each transaction."""
        self._machine = machine
        self._server_time(self.query(f"SELECT {_NOW_US}")[0][0])
        return lambda: machine() + self._ahead_us

    def _server_time(self, now: int) -> None:
        if self._machine is not None:
            ahead = now - self._machine()
            if abs(ahead - self._ahead_us) > _DRIFT_US:
                self._ahead_us = ahead

    def watch(self) -> PostgresWatch:
        """Listens to what every commit notifies."""
        return PostgresWatch(self._place.conninfo, self._schema)

    @contextmanager
    def wiping(self) -> Iterator[Callable[[], bool]]:
        """Around a transaction. What it removes stays in the server's files until VACUUM FULL, and in its backups."""
        yield lambda: False

    def close(self) -> None:
        """Close the connection."""
        if self._pid == os.getpid():
            self._db.close()
        self._closed = True


def _connect(conninfo: str, *, patiently: bool) -> psycopg.Connection[Row]:
    """Connect; `patiently`, with pauses, for as long as a server may take to start again."""
    until = time.monotonic() + (RECONNECT_S if patiently else 0)
    pause, longest = _PAUSES_S
    while True:
        try:
            return psycopg.connect(conninfo, autocommit=True, prepare_threshold=1)
        except psycopg.OperationalError as error:
            starting = "starting up" in str(error) or "shutting down" in str(error)
            if time.monotonic() > until + (RECONNECT_S if starting else 0):
                raise
        time.sleep(pause)
        pause = min(2 * pause, longest)


def _lock(schema: str) -> int:
    """The number of a store's advisory lock."""
    return int.from_bytes(hashlib.sha256(f"failaware {schema}".encode()).digest()[:8], "big", signed=True)
