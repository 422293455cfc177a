"""The connections of an inspector: its own, and the private copies that queries derive in."""

from pathlib import Path
from threading import Lock

from failaware.engine import PrivateCopy, Reader, open_private_copy


class ConnectionRegistry:
    """All connections of an inspector, whose running queries it can interrupt. Thread-safe."""

    def __init__(self, db: Reader, place: str | Path) -> None:
        """Created by Inspector with its own reader."""
        self._place = place
        self._lock = Lock()
        self._open: set[Reader] = {db}

    def private_copy(self, *, facts: bool = False) -> PrivateCopy:
        """Open another connection, as `open_private_copy` does; close it with `close`."""
        db = open_private_copy(self._place, facts=facts)
        with self._lock:
            self._open.add(db)
        return db

    def interrupt(self) -> None:
        """Interrupt the queries that are running: they raise StoreError. Later queries are not affected."""
        with self._lock:
            for db in self._open:
                db.interrupt()

    def close(self, db: Reader) -> None:
        """Close one connection."""
        with self._lock:
            self._open.discard(db)
        db.close()
