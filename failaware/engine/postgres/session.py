"""What a session on the server must be like before it is used, and that it stays the same one behind a pooler.

A pooler in transaction mode (PgBouncer) runs each transaction in whichever of the server's sessions is free: settings,
such as the schema in which a store is looked for, temporary tables and prepared statements would be another program's.
"""

import secrets

import psycopg
from psycopg import RawCursor

from failaware.engine.base import Row
from failaware.errors import StoreError

OLDEST = 140_000
"""PostgreSQL 14."""

_CHOSEN = {
    "client_connection_check_interval": "2s",  # a writer that is gone must not wait for the lock
    "client_min_messages": "warning",
    "idle_in_transaction_session_timeout": "60s",  # nor may one that hangs hold it
    "jit": "off",  # it would compile for longer than our statements run
    "statement_timeout": "10min",
}
"""What the URL's `options` may set otherwise."""

_REQUIRED = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": "read committed",
    "quote_all_identifiers": "off",  # definitions are compared as they are printed
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
}
"""What our statements are written for, whatever the role's or the database's defaults are."""

_MARK = "failaware.session"
_ROUNDS = 3  # in which another connection looks whether it is given the same session
_POOLED = (
    "{place} is behind a pooler in transaction mode, where one program's session is given to others; "
    "connect to the server itself, or through a pooler in session mode"
)


class Session:
    """The settings of one connection's session; `mark` is known to this connection only."""

    def __init__(self, db: psycopg.Connection[Row], place: str) -> None:
        """Refuse a server that is too old, or a database that cannot hold every text.

        Raises:
            StoreError: the message says which.
        """
        self._db, self._place = db, place
        self._search_path = ""
        self._mark = secrets.token_hex(8)
        self.pooled = False
        """Whether there is a pooler between: then each transaction has to ask whether it is in the same session."""
        if db.info.server_version < OLDEST:
            raise StoreError(f"{place} runs PostgreSQL {db.info.server_version // 10_000}; 14 is the oldest")
        encoding = db.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreError(
                f"{place}: the database's encoding is {encoding}, which cannot hold every text; "
                "create one with 'createdb --encoding=UTF8 --template=template0'"
            )

    def set_up(self, conninfo: str, schema: str, settings: dict[str, str]) -> None:
        """Give the session its settings; `settings` go before what the URL's options say, which go before `_CHOSEN`.

        Raises:
            StoreError: it is one of a pooler in transaction mode.
        """
        self._search_path = schema
        given = self._db.info.get_parameters().get("options", "")
        chosen = {name: value for name, value in (_CHOSEN | settings).items() if name not in given}
        every = chosen | _REQUIRED | {"search_path": schema, _MARK: self._mark}
        names = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in every.items())
        direct = f"SELECT {names} WHERE pg_backend_pid() = {self._db.info.backend_pid}"
        if not self._rows(direct):  # the session is not the one that the connection was made to
            self.pooled = True
            self._refuse_shared(conninfo)
            self._rows(f"SELECT {names}")

    def _refuse_shared(self, conninfo: str) -> None:
        """See whether a second connection is given the session of this one, which is idle, or the other way round."""
        self._rows(f"SELECT set_config('{_MARK}', '{self._mark}', false)")
        mine = f"SELECT current_setting('{_MARK}', true)"
        with psycopg.connect(conninfo, autocommit=True) as other:
            for _ in range(_ROUNDS):
                other.execute(b"BEGIN")
                shared = RawCursor(other).execute(mine.encode()).fetchall() == [(self._mark,)]
                if shared or self._rows(mine) != [(self._mark,)]:
                    raise StoreError(_POOLED.format(place=self._place))
                other.execute(b"COMMIT")

    def check_same(self) -> None:
        """Within a transaction behind a pooler: it runs in the session that was set up.

        Raises:
            StoreError: it does not.
        """
        same = f"SELECT current_setting('{_MARK}', true), current_setting('search_path')"
        if self._rows(same) != [(self._mark, self._search_path)]:
            raise StoreError(_POOLED.format(place=self._place))

    def _rows(self, text: str) -> list[Row]:
        return RawCursor(self._db).execute(text.encode(), prepare=False).fetchall()
