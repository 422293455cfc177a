"""The connections of an inspector: its own, and the private copies that questions derive in."""

from pathlib import Path
from threading import Lock

from failaware.engine import PrivateCopy, Reader, open_private_copy


class ConnectionRegistry:
    """Knows them all, so that a question can be ended wherever it is being answered. From any thread."""

    def __init__(self, db: Reader, place: str | Path) -> None:
        """An Inspector makes it, with its own reader."""
        self._place = place
        self._lock = Lock()
        self._open: set[Reader] = {db}

    def private_copy(self, *, facts: bool = False) -> PrivateCopy:
        """One more, as of `open_private_copy`; `close` ends it."""
        db = open_private_copy(self._place, facts=facts)
        with self._lock:
            self._open.add(db)
        return db

    def interrupt(self) -> None:
        """End what is being read on any of them: it raises StoreError. What begins after it goes on."""
        with self._lock:
            for db in self._open:
                db.interrupt()

    def close(self, db: Reader) -> None:
        """Close one of them."""
        with self._lock:
            self._open.discard(db)
        db.close()
