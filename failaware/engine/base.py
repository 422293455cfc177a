"""The handle types: a Reader queries, a ProjectionWriter also changes derived tables, a Writer also appends facts."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from failaware.engine.sql import Dialect

T = TypeVar("T")
Row = tuple[Any, ...]
Parameters = Mapping[str, Any] | Sequence[Any]


class KeyTaken(Exception):
    """A key belongs to an event of another type, so nothing was appended: key, type, the other event's id and type."""


class Watch(Protocol):
    """Waits until a store may have been written to."""

    def wait(self, timeout_s: float) -> bool:
        """Return true after a write since the last call, and on the first call; false on timeout or without notices."""

    def close(self) -> None:
        """Stop watching."""


class Result(Protocol):
    """The result of a statement: a cursor of the driver."""

    @property
    def rowcount(self) -> int:
        """The number of rows changed; negative if not applicable."""

    def fetchall(self) -> list[Row]:
        """All rows."""


class Reader(Protocol):
    """A handle that cannot write: neither the type nor the underlying file or session allows it."""

    dialect: Dialect
    """The SQL that differs by engine."""

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """Return all rows of a SELECT."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Make all queries within it see the same state. Keep it short: it delays checkpoints."""

    def change_token(self) -> object:
        """Return a value that differs if another connection has committed since the last call.

        Raises StoreMissing if the store's file was deleted or replaced.
        """

    def clock(self, machine: Callable[[], int]) -> Callable[[], int]:
        """Return the clock (µs) shared by all users of this store; `machine` is this machine's clock."""

    def role(self) -> str:
        """Describe the database role in use and whether it may write; "" for a file."""

    def flush_mode(self) -> str:
        """Return when a commit is flushed to disk: "after the lock", "under the lock" or "by the server"."""

    def size(self) -> int:
        """Return the size of the file or database in bytes, an upper bound for the facts it holds."""

    def defects(self) -> Iterator[tuple[str, str]]:
        """Yield defects of the store's schema ("schema") and of its file ("file"), one sentence each."""

    def savepoint(self) -> AbstractContextManager[None]:
        """Isolate a part of a snapshot or transaction: an exception within it leaves the rest usable."""

    def interrupt(self) -> None:
        """Cancel the running query from another thread; the query raises StoreError."""

    def close(self) -> None:
        """Close the connection; the handle cannot be used afterwards."""


class ServerReader(Reader, Protocol):
    """A handle on a store on a database server."""

    path: str
    """The store's URL for display, without a password."""

    def stream(self, sql: str, parameters: Parameters = ()) -> Generator[Row, None, None]:
        """Yield the rows of a SELECT as they arrive, in constant memory; requires a snapshot.

        Until the generator is exhausted or closed, the connection cannot run other statements.
        """


class ProjectionWriter(Reader, Protocol):
    """A handle that can write derived tables: a store's own, or those of a private copy."""

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Run one statement. Its error may be raised later, by the next statement that returns rows."""

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row of parameters."""

    def clear(self, *tables: str) -> None:
        """Delete all rows of the fold's working tables, or of private tables."""


class PrivateCopy(ProjectionWriter, Protocol):
    """Private, initially empty derived tables that shadow the store's, which remain available as `main.event_log` etc.

    For a store on a server, `main` holds the fetched rows; for a file, everything.
    """

    @property
    def store(self) -> Reader:
        """The store itself. `fetch` reads within its snapshot; on SQLite the copy shares that snapshot."""

    def fetch(
        self, table: str, where: str = "", parameters: Parameters = (), *, progress: Callable[[int], None] | None = None
    ) -> None:
        """Copy rows of the store into `main`, unless `main` is the store's file; `where` is an SQL condition.

        `progress` is called with the number of rows copied.
        """

    def forget(self, *tables: str) -> None:
        """Remove the fetched rows of these tables."""


class Writer(ProjectionWriter, Protocol):
    """A handle that can append facts and fold them."""

    while_waiting: Callable[[], bool]
    """Called repeatedly while another writer holds the lock; on a server, after `end_wait` has ended that wait.

    It may suspend the connection, and returns true if it did: the writer then waits for the lock again.
    """

    def end_wait(self) -> None:
        """End the wait for the lock in a call to a server, from another thread; no caller is affected."""

    def run_untranslated(self, sql: str, parameters: Parameters = ()) -> Result:
        """Run a user's statement in the engine's own SQL; only `?` and `:name` are converted to the driver's style."""

    def append(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert any number of rows by the fastest method available."""

    def append_events(self, rows: Sequence[Row], *, refuse: bool) -> list[int]:
        """Append events, except those with keys in use; return the id of each, negative for the event under a used key.

        `rows` have the catalogue's columns in order, without the id. Ids increase from event to event, with gaps. On a
        server, an event may become visible after one with a higher id.

        Raises:
            KeyTaken: a key belongs to an event of another type, and `refuse` is true. Only `run(recording=True)` checks
                this; otherwise the caller does, and rolls back.
        """

    def run(self, job: Callable[[], T], *, recording: bool = False, patient: bool = True) -> T:
        """Run a job in one transaction under the write lock; commit at its end, roll back on any exception.

        With `recording`, the job only calls `append_events`, once. On a server it then runs at the same time as others
        that record, and as the holder of the write lock. If not `patient`, it waits some milliseconds for a server's
        lock.

        If a server connection is lost before the commit, the job runs again, five times at most: it must be repeatable.
        """

    def watch(self) -> Watch:
        """Return a Watch for writes to this store through any handle. Close it after use."""

    def wiping(self) -> AbstractContextManager[Callable[[], bool]]:
        """Wrap a transaction: overwrite what it removes, on disk and in the write-ahead log.

        The callable that it yields returns, after the block, whether that succeeded; a concurrent reader may prevent
        it.
        """

    def suspend(self) -> None:
        """Close the connection until it is needed again, unless a transaction is open: before a fork.

        In a child that was forked with an open connection, the connection is left to the parent.
        """
