"""What a transactional handler gets beside its event: the store's open transaction, and nothing else of the store."""

from collections.abc import Iterator
from contextlib import contextmanager

from failaware.engine import Row, Writer
from failaware.engine.base import Parameters
from failaware.errors import StatementError


class Transaction:
    """The store's open transaction, for tables of a handler's own.

    What is written in it is committed together with the attempt that says SYNCED, or not at all. Statements are SQL of
    the store's engine, with `?` or `:name` for parameters on both. It ends when the handler returns.
    """

    def __init__(self, db: Writer) -> None:
        """A worker makes it."""
        self._db = db

    def execute(self, sql: str, parameters: Parameters = ()) -> int:
        """Run one statement (`sql`, with its `parameters`); returns the number of rows it changed.

        Raises:
            StoreError: the store could not run it. What the database says against it is raised as its own driver does.
        """
        with _driver_errors():
            return max(self._db.change(sql, parameters), 0)  # drivers say -1 of a statement that changes no rows at all

    def query(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        """All rows of a SELECT (`sql`, with its `parameters`), as tuples.

        Raises:
            StoreError: as `execute`.
        """
        with _driver_errors():
            return self._db.query(sql, parameters)


@contextmanager
def _driver_errors() -> Iterator[None]:
    """Within it, what the database says against a handler's own statement is raised as its driver raised it."""
    try:
        yield
    except StatementError as error:
        if error.__cause__ is None:
            raise
        raise error.__cause__ from None
