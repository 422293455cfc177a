"""PostgreSQL: a store opened for reading, with derived tables of one's own that stand before the store's by name."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from failaware.engine.base import Parameters
from failaware.engine.postgres.dialect import statement
from failaware.engine.postgres.errors import in_our_words
from failaware.engine.postgres.reader import LOCK_TIMEOUT_S, PostgresReader
from failaware.engine.schema import private_schema, work_tables
from failaware.errors import StoreError

_MAKES = re.compile(r"^(CREATE TEMP|CREATE INDEX|DROP TABLE|DROP VIEW|TRUNCATE)\b", re.MULTILINE)


class PostgresBeside(PostgresReader):
    """Every transaction is read-only, which leaves this connection's temporary tables; only they can change.

    To make one, a transaction may write for that one statement. A connection that is lost takes its tables along: asked
    again on another one, a query would be answered by the store's own.
    """

    COMES_BACK = False
    READS_DERIVED = False

    def __init__(self, url: str, *, facts: bool = False, busy_timeout_s: float = LOCK_TIMEOUT_S) -> None:
        super().__init__(url, busy_timeout_s=busy_timeout_s)
        try:
            self._refuse_standby()
            for sql in (*private_schema(facts=facts), *work_tables()):
                self.execute(sql)
        except BaseException:
            self.close()
            raise

    def _refuse_standby(self) -> None:
        if self.query("SELECT pg_is_in_recovery()") == [(True,)]:
            raise StoreError(
                f"{self.path} is a standby, where nothing can be derived, as this question needs; ask its primary"
            )

    def execute(self, sql: str, parameters: Parameters = ()) -> None:
        """Run one statement."""
        with in_our_words(self.path):
            if _MAKES.search(sql) and not self._in_hand:
                self.raw(f"BEGIN READ WRITE; {statement(sql, self._schema).text.decode()}; COMMIT")
            else:
                self._run(sql, parameters)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row of parameters."""
        with in_our_words(self.path):
            self._cursor.executemany(statement(sql, self._schema).text, rows)

    def clear(self, *tables: str) -> None:
        """Empty tables of one's own."""
        for table in tables:
            self.execute(f"TRUNCATE {table}")  # rows that are only deleted would stay in the way

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it, all queries see the same moment, and tables of one's own can be made."""
        with super().snapshot():
            with in_our_words(self.path):
                self.raw("SET TRANSACTION READ WRITE")
            yield

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of a snapshot: what goes wrong in it does not end the snapshot."""
        with suppress(psycopg.Error):  # of a connection that is lost, which the part's first query says
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
