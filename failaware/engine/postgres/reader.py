"""PostgreSQL, read: one kept connection, to a server that may go away and come back."""

import os
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg import RawCursor, errors
from psycopg.adapt import Loader
from psycopg.types.numeric import Int8BinaryDumper

from failaware.engine import versions
from failaware.engine.base import Parameters, Row
from failaware.engine.derivation import MARK, check_readable, has_other_tables
from failaware.engine.postgres import schema
from failaware.engine.postgres.dialect import statement
from failaware.engine.postgres.errors import ITS_ERRORS, foreign, in_our_words, raise_ours
from failaware.engine.postgres.lock import NOW_US
from failaware.engine.postgres.place import parse
from failaware.engine.postgres.session import Session
from failaware.engine.schema import derived_objects
from failaware.errors import StoreError, StoreMissing

T = TypeVar("T")

LOCK_TIMEOUT_S = 30.0
RECONNECT_S = 30.0  # for a server that restarts; once it has stayed away for so long, nobody waits until it is back
_DRIFT_US = 5_000  # by which a machine may differ from what is known before that is set anew
PAUSES_S = (0.02, 1.0)  # between two tries to connect: the first and the longest
_ROWS_AT_ONCE = 100 if psycopg.pq.version() >= 170_000 else 1  # of what is streamed; an older libpq takes no more
_GOES_AWAY = (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow)


class _Connection(psycopg.Connection[Row]):
    """One that may be forgotten unclosed, as sqlite3's may: then it is closed without a warning."""

    def __del__(self, *_: object) -> None:
        """Whatever there is to close, libpq's own handle closes."""


class _Whole(Loader):
    """NUMERIC, which sums are, as an integer: there is no other in a store."""

    def load(self, data: Any) -> int:
        return int(bytes(data))


class PostgresReader:
    """A connection all of whose transactions are read-only; its role should have no right to write either."""

    READ_ONLY = True

    def __init__(self, url: str, *, busy_timeout_s: float = LOCK_TIMEOUT_S, reads_derived: bool = True) -> None:
        """Connect; `reads_derived`: the store's derived tables have to be as our statements know them."""
        self.url = url
        self._reads_derived = reads_derived
        self._place = parse(url)
        self.path = self._place.shown
        self._schema = self._place.schema
        self._settings = {"lock_timeout": f"{int(busy_timeout_s * 1_000)}ms"}
        self._settings["default_transaction_read_only"] = "on" if self.READ_ONLY else "off"
        self._in_hand = False  # a transaction
        self._stayed_away = False
        self._machine: Callable[[], int] | None = None
        self._ahead_us = 0
        self._open(patiently=False)

    def _open(self, *, patiently: bool) -> None:
        """Connect; `patiently`: to a server that was there and may be starting again."""
        if self._stayed_away:
            patiently = False  # it was waited for in vain: from then on each call only looks whether it is back
        self._stayed_away = True  # until it is seen, below
        until = time.monotonic() + RECONNECT_S
        with in_our_words(self.path):
            while True:
                self._db = _connect(self._place.conninfo, patiently=patiently)
                try:
                    self._prepare()
                    break
                except psycopg.OperationalError:  # it went away again
                    self._db.close()
                    if not patiently or time.monotonic() > until:
                        raise
                except BaseException:
                    self._db.close()
                    raise
        self._stayed_away = False
        self._pid = os.getpid()

    def _prepare(self) -> None:
        """What a connection has to have before it is used."""
        self._session = Session(self._db, self.path)
        self._db.adapters.register_dumper(int, Int8BinaryDumper)
        self._db.adapters.register_loader("numeric", _Whole)
        self._cursor = RawCursor(self._db)
        self._session.set_up(self._place.conninfo, self._schema, self._settings)
        self._check_version()

    def _check_version(self) -> None:
        version = self._version()
        if version == 0:
            raise StoreMissing(
                f"there is no store at {self.path}; record something, run 'failaware seed', or 'failaware init'"
            )
        versions.check_not_older(version, self.path)
        if self._reads_derived:
            check_readable(self.raw(MARK), self.path)

    def _version(self) -> int:
        """The version of the store's schema; 0 where there is none. Anything that is not ours is refused here."""
        rows = self.raw(schema.STATE.format(schema=self._schema))
        if not rows:
            return 0
        mark, usable = rows[0]
        if mark is None:
            if self.raw(f"SELECT 1 FROM pg_class WHERE relnamespace = '{self._schema}'::regnamespace LIMIT 1"):
                raise foreign(self.path, self._schema)
            return 0
        if not mark.startswith(schema.MARK):
            raise foreign(self.path, self._schema)
        if not usable:
            raise StoreError(
                f"{self.path}: this role may not read the store; 'failaware init --roles' gives one that may"
            )
        version = int(mark.removeprefix(schema.MARK))
        versions.check_not_newer(version, self.path)
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
        if self._session.pooled and not self._in_hand:
            with self.snapshot():
                return self.query(sql, parameters)
        return self._persistently(lambda: self._run(sql, parameters).fetchall())

    def _persistently(self, ask: Callable[[], T]) -> T:
        """What is asked, once more where the server went away and came back."""
        self._use()
        try:
            return ask()
        except ITS_ERRORS as error:
            if not self._is_lost(error) or self._in_hand:
                raise_ours(error, self.path)
        self._db.close()
        self._open(patiently=True)
        with in_our_words(self.path):
            return ask()

    def _use(self) -> None:
        """Make the connection usable; one that only reads always is."""

    def _is_lost(self, error: BaseException | None) -> bool:
        """Whether the server has gone away; that it says so may come before the connection's end is noticed.

        Where it ended a transaction for being idle, the connection is lost as well, but the server is there: what was
        idle once will be so again. In a pipeline, psycopg may raise only what leaving it brought, while it handled what
        the server said.
        """
        while isinstance(error, psycopg.Error):
            if isinstance(error, errors.IdleInTransactionSessionTimeout):
                return False
            if isinstance(error, _GOES_AWAY):
                return True
            error = error.__context__
        return self._db.broken

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it, all queries see the same moment; one within another is the outer one."""
        if self._in_hand:
            yield
            return
        self._persistently(lambda: self.raw("BEGIN ISOLATION LEVEL REPEATABLE READ"))
        self._in_hand = True
        try:
            if self._session.pooled:
                with in_our_words(self.path):
                    self._session.check_same()
            yield
        finally:
            self._in_hand = False
            with suppress(psycopg.Error):
                self.raw("COMMIT")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of a snapshot: what goes wrong in it does not end the snapshot."""
        with suppress(psycopg.Error):  # of a connection that is lost, which the part's first query reports
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
        """The rows of a SELECT as they arrive; within a snapshot. Close what is not read to its end."""
        ours = statement(sql, self._schema)
        with in_our_words(self.path):
            yield from RawCursor(self._db).stream(ours.text, ours.values(parameters), binary=True, size=_ROWS_AT_ONCE)

    def change_token(self) -> object:
        """Which transactions have ended by now: differs when another connection has committed."""
        return self.query("SELECT pg_current_snapshot()::text")[0][0]

    def clock(self, machine: Callable[[], int]) -> Callable[[], int]:
        """The server's time (µs), by which all hosts go: this machine's, corrected now and at each transaction."""
        self._machine = machine
        self._server_time(self.query(f"SELECT {NOW_US}")[0][0])
        return lambda: machine() + self._ahead_us

    def _server_time(self, now: int) -> None:
        if self._machine is not None:
            ahead = now - self._machine()
            if abs(ahead - self._ahead_us) > _DRIFT_US:
                self._ahead_us = ahead

    def role(self) -> str:
        """As whom it is read, and whether they could write."""
        ((user, writes),) = self.query("SELECT current_user::text, has_table_privilege('event_log', 'INSERT')")
        return f"as {user}, who could write" if writes else f"as {user}, who can only read"

    def size(self) -> int:
        """The bytes of the whole database."""
        return int(self.query("SELECT pg_database_size(current_database())")[0][0])

    def defects(self) -> Iterator[tuple[str, str]]:
        """How the schema differs from what it should be; its files the server watches itself."""
        if self.query("SELECT pg_is_in_recovery()") == [(True,)]:
            raise StoreError(f"{self.path} is a standby, where the schema cannot be compared; ask its primary")
        other = PostgresReader(self.url, reads_derived=False)
        try:
            with in_our_words(self.path):
                of_others = derived_objects() if has_other_tables(self) else ()
                for difference in schema.differences(other.raw, self._schema, but=of_others):
                    yield "schema", difference
        finally:
            other.close()

    def interrupt(self) -> None:
        """End the query that runs now, from another thread."""
        with suppress(psycopg.Error):
            self._db.cancel_safe(timeout=2.0)

    def close(self) -> None:
        """Close the connection."""
        self._db.close()


def _connect(conninfo: str, *, patiently: bool) -> psycopg.Connection[Row]:
    """Connect; `patiently`, with pauses, for as long as a server may take to start again."""
    until = time.monotonic() + (RECONNECT_S if patiently else 0)
    pause, longest = PAUSES_S
    while True:
        try:
            return _Connection.connect(conninfo, autocommit=True, prepare_threshold=1)
        except psycopg.ProgrammingError as error:  # psycopg reads some settings itself
            raise psycopg.OperationalError(str(error)) from error
        except psycopg.OperationalError as error:
            starting = "starting up" in str(error) or "shutting down" in str(error)
            if time.monotonic() > until + (RECONNECT_S if starting else 0):
                raise
        time.sleep(pause)
        pause = min(2 * pause, longest)
