"""Wait until a store may have changed: told by the server (LISTEN), else by looking again and again."""

import time
from contextlib import suppress

import psycopg

_POLL_S = 0.05
_AGAIN_S = 1.0  # between two tries to listen again to a server that went away


class PostgresWatch:
    """Listens on a connection of its own, from the first wait on; while there is none, `wait` is a short sleep."""

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
        """True once somebody has committed since the last call; false when the time is up, or nobody tells.

        The first call begins to listen, and returns true at once: what was before, nobody knows.
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
