"""The kinds of handle: a Reader queries, a ProjectionWriter also changes what is derived, a Writer appends facts."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Row = tuple[Any, ...]
Parameters = Mapping[str, Any] | Sequence[Any]


class Watch(Protocol):
    """Something to wait on until a store may have been written to."""

    def wait(self, timeout_s: float) -> bool:
        """True once it was since the last call, and the first time; false when the time is up, or nobody tells."""

    def close(self) -> None:
        """Stop looking."""


class Result(Protocol):
    """What a statement gave: a cursor of the driver."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed; negative where that is no question."""

    def fetchall(self) -> list[Row]:
        """All rows."""


class Reader(Protocol):
    """A handle that cannot write: neither the type nor the file underneath lets it."""

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of a SELECT."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Within it, all queries see the same moment. Keep it short: it holds back checkpoints."""

    def change_token(self) -> object:
        """A value that differs when another connection has committed something since the last call.

        Raises StoreMissing once what was opened no longer stands there.
        """

    def clock(self, machine: Callable[[], int]) -> Callable[[], int]:
        """The time (µs) that all who have this store share; `machine` is this machine's."""

    def role(self) -> str:
        """As whom it is read, and whether they could write, in words; "" where that is no question (a file)."""

    def size(self) -> int:
        """How many bytes there are of what the store is in: it cannot hold more facts than that."""

    def defects(self) -> Iterator[tuple[str, str]]:
        """What is wrong with the store's schema ("schema") or with where it is kept ("file"), a sentence each."""

    def savepoint(self) -> AbstractContextManager[None]:
        """A part of a snapshot or transaction: an exception in it leaves the rest as usable as it was."""

    def interrupt(self) -> None:
        """End the query that runs now, from another thread: it raises StoreError."""

    def close(self) -> None:
        """Close the connection; the handle is of no use afterwards."""


class ServerReader(Reader, Protocol):
    """A handle on a store that a server keeps."""

    path: str
    """How the store is shown."""

    def stream(self, sql: str, parameters: Parameters = ()) -> Generator[Row, None, None]:
        """The rows of a SELECT as they arrive, so that memory stays flat; within a snapshot.

        Until the generator is exhausted or closed, the connection is of no other use.
        """


class ProjectionWriter(Reader, Protocol):
    """A handle on which derived tables can be filled: a store's own, or those of a private copy."""

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Run one statement. What is wrong with it may be raised later, with the next one that has an answer."""

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row of parameters."""

    def clear(self, *tables: str) -> None:
        """Delete all rows of the tables that the fold works in, or of private ones."""


class PrivateCopy(ProjectionWriter, Protocol):
    """Private, empty derived tables in front of the store's, which are to be had as `main.event_log` and so on.

    Of a store on a server, `main` holds what was fetched; of a file, everything.
    """

    @property
    def store(self) -> Reader:
        """The store itself. Its snapshot is what `fetch` reads; on SQLite it is that of the copy as well."""

    def fetch(
        self, table: str, where: str = "", parameters: Parameters = (), *, progress: Callable[[int], None] | None = None
    ) -> None:
        """Copy rows of the store into `main`, unless they are there; `where` is SQL about them.

        `progress` is given the number of rows copied.
        """

    def forget(self, *tables: str) -> None:
        """Remove what was fetched of these tables."""


class Writer(ProjectionWriter, Protocol):
    """A handle that can append facts and fold them."""

    while_waiting: Callable[[], bool]
    """Called now and then while another writer has the lock, on a server once `interrupt` has ended that wait.

    It may suspend the connection; true if it did so, and the lock is to be waited for again.
    """

    @property
    def waits_on_server(self) -> bool:
        """Whether it waits for the lock in a call to a server, which `interrupt` ends."""

    def run_untranslated(self, sql: str, parameters: Parameters = ()) -> Result:
        """Run a statement of a user's in the engine's own SQL: only `?` and `:name` become what its driver takes."""

    def append(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows, however many, by the quickest way there is."""

    def run(self, job: Callable[[], T]) -> T:
        """Run a job, all or nothing, under the write lock: commits at its end, rolls back on any exception.

        On a server that goes away before it has committed, the job runs again, five times at most: it must bear that.
        """

    def watch(self) -> Watch:
        """Something to wait on until this store, or another handle of it, may have written. Close it after use."""

    def wiping(self) -> AbstractContextManager[Callable[[], bool]]:
        """Around a transaction: what it removes is overwritten on the disk, and in the write-ahead log too.

        What it gives tells, once it has ended, whether that was done; a reader in the middle of a query may prevent it.
        """

    def suspend(self) -> None:
        """Close the connection until it is needed again, unless a transaction is open: before a fork.

        In a child that was forked with an open connection, leave that to the parent.
        """
