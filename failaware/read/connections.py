"""The connections of an inspector: its own, and the private copies that queries derive in."""

from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from failaware.engine import PrivateCopy, Reader, open_private_copy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from failaware.model.stores import InStore


class ConnectionRegistry:
    """All connections of an inspector, whose running queries it can interrupt. Thread-safe."""

    def __init__(self, db: Reader, place: str | Path) -> None:
        """Created by Inspector with its own reader."""
        self._db = db
        self._place = place
        self._lock = Lock()
        self._open: set[Reader] = {db}

    def private_copy(self, *, facts: bool = False) -> PrivateCopy:
        """Open another connection, as `open_private_copy` does; close it with `close`."""
        db = open_private_copy(self._place, facts=facts)
        with self._lock:
            self._open.add(db)
        return db

    def change_token(self) -> object:
        """A value that differs once another connection has committed."""
        return self._db.change_token()

    def role(self) -> str:
        """The database role in use and whether it may write; "" for a file."""
        return self._db.role()

    def flush_mode(self) -> str:
        """When a commit is flushed to disk, as `Reader.flush_mode`."""
        return self._db.flush_mode()

    def derivation(self) -> tuple[str, str | None]:
        """Whether the store's derivation is current, older or newer, and the version that derived it, if known."""
        from failaware.derive.stored_version import derivation

        return derivation(self._db)

    def parts_of(self, _cluster_id: int) -> "Sequence[InStore]":
        """The parts of a cluster of several stores."""
        return ()

    def names(self) -> "Sequence[str]":
        """Those of several stores."""
        return ()

    def is_complete(self) -> bool:
        """Whether all of several stores have answered."""
        return True

    def notes(self) -> list[str]:
        """What answers do not show: sentences, such as that one of several stores does not answer."""
        return []

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
