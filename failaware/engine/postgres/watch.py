"""Wait for changes to a store: with LISTEN/NOTIFY, or by polling while the server is unreachable."""

import time
from contextlib import suppress

import psycopg

_POLL_S = 0.05
_AGAIN_S = 1.0  # between two attempts to reconnect


class PostgresWatch:
    """Listens on its own connection from the first wait on; without a connection, `wait` is a short sleep."""

    def __init__(self, conninfo: str, schema: str) -> None:
        self._conninfo, self._schema = conninfo, schema
        self._db: psycopg.Connection | None = None
        self._begun = False
        self._again_at = 0.0

    def _listen(self) -> None:
        self._again_at = time.monotonic() + _AGAIN_S
        with suppress(psycopg.Error):
            self._db = psycopg.connect(self._conninfo, autocommit=True)
            self._db.execute(f"LISTEN {self._schema}".encode())

    def wait(self, timeout_s: float) -> bool:
        """Return true after a commit since the last call; false on timeout, or without a connection.

        The first call starts listening and returns true at once, because earlier commits are unknown.
        """
        if not self._begun:
            self._begun = True
            self._listen()
            return True
        if self._db is None and time.monotonic() >= self._again_at:
            self._listen()
        if self._db is not None:
            try:
                return any(True for _ in self._db.notifies(timeout=timeout_s, stop_after=1))
            except psycopg.Error:
                self.close()
        time.sleep(min(timeout_s, _POLL_S))
        return False

    def close(self) -> None:
        """Stop listening."""
        if self._db is not None:
            self._db.close()
            self._db = None
