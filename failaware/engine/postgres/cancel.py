"""Cancel requests: a request ends the statement that it is meant for, and no other.

A request names a connection's server process, not a statement. If the statement ends first, the request may end the
next one. So it is sent only while a statement runs that may be canceled, and after it the connection begins no
transaction. Example: a thread waits for the store's lock, and another thread is about to fork.

  waiting thread                       forking thread
  begin_write, waits for the lock
                                       sends a cancel request
  gets the lock, discards the result
  closes the connection                                         the request arrives: there is nothing left to cancel
  lets the other thread fork
  begin_write on a new connection
"""

from contextlib import suppress
from threading import Lock

import psycopg

from failaware.engine.base import Row

_SENT_S = 2.0  # the longest time to send a request


class Cancelable:
    """One connection's statements that another thread may cancel: those within `with cancelable:`."""

    def __init__(self, db: psycopg.Connection[Row]) -> None:
        self._db = db
        self._lock = Lock()
        self._is_running = False
        self.was_canceled = False
        """Whether a request was sent; it may still arrive."""

    def __enter__(self) -> None:
        """The statements of this thread can be canceled from now on."""
        self._is_running = True

    def __exit__(self, *_: object) -> None:
        """They no longer can."""
        with self._lock:
            self._is_running = False

    def cancel(self) -> None:
        """Cancel the statement that is running, if there is one."""
        with self._lock:
            if self._is_running:
                self.was_canceled = True
                with suppress(psycopg.Error):
                    self._db.cancel_safe(timeout=_SENT_S)
