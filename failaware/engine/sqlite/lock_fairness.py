"""Turns at the write lock: SQLite keeps no queue, and waits ever longer, so that some writers wait for seconds."""

import random
import sqlite3
import time
from collections.abc import Callable

from failaware.engine.base import Parameters
from failaware.engine.sqlite.errors import is_busy

_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.0002, 0.0007  # how soon one asks again for a lock that another writer holds
_AT_A_TIME_S = 0.0005
"""For how long a writer that had to wait goes on without a pause: its next transaction then lets others go first."""
_TURN_S, _TURNS = 0.001, 20
"""How long it lets them, and how often at most."""


class Turns:
    """One writer among others: asks often for the lock while it waits, and is polite when it has waited."""

    def __init__(
        self, sleep: Callable[[float], None] = time.sleep, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._sleep, self._monotonic = sleep, monotonic
        self._polite = 0
        self._since = 0.0

    def run(
        self,
        db: sqlite3.Connection,
        sql: str,
        parameters: Parameters,
        *,
        patience_s: float,
        paused: Callable[[sqlite3.Connection], sqlite3.Connection] = lambda db: db,
    ) -> sqlite3.Cursor:
        """Run one statement; where another connection holds the lock, ask again for so long (seconds).

        `paused` is called after each pause, and gives the connection to go on with.
        """
        waited, wait = 0.0, _FIRST_WAIT_S
        while True:
            try:
                done = db.execute(sql, parameters)
            except sqlite3.OperationalError as error:
                if not is_busy(error) or db.in_transaction or waited >= patience_s:
                    raise
            else:
                if waited:
                    self._since = self._monotonic()
                return done
            self._polite = min(self._polite + 1, _TURNS)
            pause = wait * random.uniform(0.5, 1.0)  # noqa: S311 - so that not all ask at once
            self._sleep(pause)
            db = paused(db)
            waited, wait = waited + pause, min(_LONGEST_WAIT_S, 1.2 * wait)

    def let_others_go_first(self) -> None:
        """Whoever had to wait knows that others are there, and does not keep the lock to itself.

        It is forgotten after as many pauses as it had asked in vain.
        """
        if self._polite and self._monotonic() - self._since >= _AT_A_TIME_S:
            self._polite -= 1
            self._sleep(_TURN_S)
            self._since = self._monotonic()
