"""Fairness of the write lock: SQLite has no queue and backs off longer each time, so some writers wait for seconds."""

import random
import sqlite3
import time
from collections.abc import Callable

from failaware.engine.base import Parameters
from failaware.engine.sqlite.errors import is_busy

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.0002, 0.0007  # between two attempts to get a lock that another writer holds
_BURST_S = 0.01
"""How long a writer that had to wait runs without a pause; then its next transaction yields to other writers.

After each change of writers the lock is free until one wakes, which reads pages again that the others have changed.
"""
_YIELD_S, _MAX_YIELDS = 0.001, 20
"""Duration of a yield, and the maximum number of them."""


class FairLock:
    """One writer's policy for the lock: retries at short intervals while it waits, and yields after it has waited."""

    def __init__(
        self, sleep: Callable[[float], None] = time.sleep, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._sleep, self._monotonic = sleep, monotonic
        self._yields = 0
        self._burst_began = 0.0

    def run(
        self,
        db: sqlite3.Connection,
        sql: str,
        parameters: Parameters,
        *,
        patience_s: float,
        paused: Callable[[sqlite3.Connection], sqlite3.Connection] = lambda db: db,
    ) -> sqlite3.Cursor:
        """Run one statement; while another connection holds the lock, retry for up to `patience_s` seconds.

        `paused` is called after each pause and returns the connection to continue with.
        """
        until, wait = None, _FIRST_WAIT_S
        while True:
            try:
                cursor = db.execute(sql, parameters)
            except sqlite3.OperationalError as error:
                now = self._monotonic()  # on a busy machine a pause takes many times as long as asked for
                until = now + patience_s if until is None else until
                if not is_busy(error) or db.in_transaction or now >= until:
                    raise
            else:
                if until is not None:
                    self._burst_began = self._monotonic()
                return cursor
            self._yields = min(self._yields + 1, _MAX_YIELDS)
            self._sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            db = paused(db)
            wait = min(_LONGEST_WAIT_S, 1.2 * wait)

    def yield_to_others(self) -> None:
        """Pause if this writer had to wait before, because then other writers compete for the lock.

        It yields as many times as it had failed to get the lock.
        """
        if self._yields and self._monotonic() - self._burst_began >= _BURST_S:
            self._yields -= 1
            self._sleep(_YIELD_S)
            self._burst_began = self._monotonic()
