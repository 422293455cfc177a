"""The kinds of handle: a Reader can query, a Deriver can also change what is derived, a Writer can append facts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from failaware.engine.watch import Watch

Row = tuple[Any, ...]
Parameters = Mapping[str, Any] | Sequence[Any]


class Reader(Protocol):
    """A handle that cannot write: neither the type nor the file underneath lets it."""

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of a SELECT."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Within it, all queries see the same moment. Keep it short: it holds back checkpoints."""

    def change_token(self) -> int:
        """A number that differs when another connection has committed something since the last call.

        Raises StoreMissing once what was opened no longer stands there.
        """

    def interrupt(self) -> None:
        """End the query that runs now, from another thread: it raises StoreError."""

    def close(self) -> None:
        """Close the connection; the handle is of no use afterwards."""


class Deriver(Reader, Protocol):
    """A handle on which derived tables can be filled: a store's own, or private ones beside it."""

    def execute(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one statement; returns the number of rows it changed."""

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row of parameters."""


class Writer(Deriver, Protocol):
    """A handle that can append facts and fold them."""

    def transaction(self) -> AbstractContextManager[None]:
        """All or nothing: commits at the end, rolls back on any exception. Takes the write lock at once."""

    def savepoint(self) -> AbstractContextManager[None]:
        """A part of a transaction that can be rolled back alone, by an exception."""

    def watch(self) -> "Watch":
        """Something to wait on until this store, or another handle of it, may have written. Close it after use."""

    def wiping(self) -> AbstractContextManager[Callable[[], bool]]:
        """Around a transaction: what it removes is overwritten on the disk, and in the write-ahead log too.

        What it gives tells, once it has ended, whether that was done; a reader in the middle of a query may prevent it.
        """

    def suspend(self) -> None:
        """Close the connection until it is needed again, unless a transaction is open: before a fork."""
