"""Settings of a server session, and detection of connection poolers that share sessions.

A pooler in transaction mode (PgBouncer) runs each transaction in any free server session: settings such as the search
path, temporary tables and prepared statements would be another program's. Readers then apply their settings in each
transaction. Writers are refused.
"""

import secrets

import psycopg
from psycopg import RawCursor

from failaware.engine.base import Row
from failaware.engine.postgres import citus
from failaware.errors import StoreError

OLDEST = 140_000
"""PostgreSQL 14."""

_CHOSEN = {
    "client_connection_check_interval": "2s",  # a disconnected writer must not wait for the lock
    "client_min_messages": "warning",
    "idle_in_transaction_session_timeout": "60s",  # a writer that hangs must not hold the lock
    "jit": "off",  # compiling takes longer than our statements
    "statement_timeout": "10min",
}
"""Defaults that the URL's `options` may override."""

_REQUIRED = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "default_transaction_deferrable": "off",
    "default_transaction_isolation": "read committed",
    "quote_all_identifiers": "off",  # definitions are compared as they are printed
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
}
"""Settings that our statements rely on; they override the role's and the database's defaults."""

_MARK = "failaware.session"
_ROUNDS = 3  # checks whether a second connection gets the same session
_POOLED = (
    "{place} is behind a pooler in transaction mode, where one program's session is given to others: it can only be "
    "read; to write, connect to the server itself, or through a pooler in session mode"
)


class Session:
    """The session of one connection, identified by a random mark."""

    def __init__(self, db: psycopg.Connection[Row], place: str) -> None:
        """Refuse a server that is too old, or a database that cannot hold every text.

        Raises:
            StoreError: the message says which.
        """
        self._db, self._place = db, place
        self._search_path = ""
        self._mark = secrets.token_hex(8)
        self.pooled = False
        """Whether a pooler is in between: then `enter` must follow the beginning of each transaction."""
        self._local = ""  # applies the settings to one transaction
        if db.info.server_version < OLDEST:
            raise StoreError(f"{place} runs PostgreSQL {db.info.server_version // 10_000}; 14 is the oldest")
        encoding = db.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise StoreError(
                f"{place}: the database's encoding is {encoding}, which cannot hold every text; "
                "create one with 'createdb --encoding=UTF8 --template=template0'"
            )

    @property
    def is_shared(self) -> bool:
        """Whether a pooler in transaction mode is in between: nothing may outlive a transaction."""
        return bool(self._local)

    def set_up(self, conninfo: str, schema: str, settings: dict[str, str], *, read_only: bool) -> None:
        """Apply the settings: the URL's options override `settings`, which override `_CHOSEN`.

        Raises:
            StoreError: a pooler in transaction mode is in between, and the handle is not `read_only`.
        """
        self._search_path = schema
        given = self._db.info.get_parameters().get("options", "")
        chosen = {name: value for name, value in (_CHOSEN | settings).items() if name not in given}
        every = chosen | _REQUIRED | {"search_path": schema, _MARK: self._mark}
        names = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in every.items())
        direct = f"SELECT {names} WHERE pg_backend_pid() = {self._db.info.backend_pid}"
        self.has_citus = self._rows(f"SELECT {citus.INSTALLED}") == [(True,)]
        if not self._rows(direct):  # the server process is not the one that the connection reported
            self.pooled = True
            if not self._gets_shared(conninfo):
                self._rows(f"SELECT {names}")
            elif read_only:
                self._local = f"SELECT {names.replace(', false)', ', true)')}"
                self._db.prepare_threshold = None
            else:
                raise StoreError(_POOLED.format(place=self._place))

    def _gets_shared(self, conninfo: str) -> bool:
        """Whether a second connection gets this connection's idle session, or vice versa."""
        self._rows(f"SELECT set_config('{_MARK}', '{self._mark}', false)")
        current_mark = f"SELECT current_setting('{_MARK}', true)"
        with psycopg.connect(conninfo, autocommit=True) as other:
            for _ in range(_ROUNDS):
                other.execute(b"BEGIN")
                shared = RawCursor(other).execute(current_mark.encode()).fetchall() == [(self._mark,)]
                if shared or self._rows(current_mark) != [(self._mark,)]:
                    return True
                other.execute(b"COMMIT")
        return False

    def enter(self) -> None:
        """Apply the settings to a transaction that has begun behind a pooler, or check that it is in our session.

        Raises:
            StoreError: it runs in another session.
        """
        if self._local:
            self._rows(self._local)
            return
        identity = f"SELECT current_setting('{_MARK}', true), current_setting('search_path')"
        if self._rows(identity) != [(self._mark, self._search_path)]:
            raise StoreError(_POOLED.format(place=self._place))

    def _rows(self, text: str) -> list[Row]:
        return RawCursor(self._db).execute(text.encode(), prepare=False).fetchall()
