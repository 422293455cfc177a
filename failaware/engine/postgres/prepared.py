"""A statement that is run for each record: prepared once for each connection, and run through libpq.

psycopg's cursor prepares, converts and checks for any statement. For one small statement, that takes the client longer
than everything else of a `record()`.
"""

from collections.abc import Sequence

import psycopg
from psycopg import errors, generators
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult

from failaware.engine.base import Row

_BIGINT_BYTES = 8
_OK = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


class Prepared:
    """One statement of one connection. Its parameters are texts and 64-bit integers, its result is one text at most."""

    def __init__(self, db: psycopg.Connection[Row], name: bytes, text: bytes) -> None:
        self._db, self._name, self._text = db, name, text
        self._is_prepared = False

    def run(self, values: Sequence[str | int | None]) -> str | None:
        """Run it; return the text, or None if there is no row.

        Raises:
            psycopg.Error: of the connection or the server, or a text has a NUL character.
            OverflowError, UnicodeEncodeError: a value cannot be sent.
        """
        parameters = [None if value is None else in_binary(value) for value in values]
        formats = [Format.BINARY] * len(parameters)
        if self._is_prepared:
            try:
                return self._run(parameters, formats)
            except errors.InvalidSqlStatementName:  # psycopg deallocates all statements, as after a ROLLBACK
                self._is_prepared = False
        self._db.pgconn.send_prepare(self._name, self._text)
        self._result()
        self._is_prepared = True
        return self._run(parameters, formats)

    def _run(self, parameters: list[bytes | None], formats: list[Format]) -> str | None:
        self._db.pgconn.send_query_prepared(self._name, parameters, formats)
        result = self._result()
        value = result.get_value(0, 0) if result.ntuples else None
        return None if value is None else bytes(value).decode()

    def _result(self) -> PGresult:
        """Wait for the result, as psycopg does: a signal ends the wait."""
        results: list[PGresult] = self._db.wait(generators.execute(self._db.pgconn))
        (result,) = results
        if result.status not in _OK:
            raise errors.error_from_result(result)
        return result


def in_binary(value: str | int) -> bytes:
    """A text or a 64-bit integer in the server's binary format."""
    return value.encode() if isinstance(value, str) else value.to_bytes(_BIGINT_BYTES, signed=True)
