"""The inspector of a point in time, which can be moved."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from failaware.derive.as_of import PointInTime
from failaware.derive.fold import Progress
from failaware.engine import PrivateCopy
from failaware.model.differences import Diff
from failaware.read import diff
from failaware.read.checked import sound
from failaware.read.connections import ConnectionRegistry
from failaware.read.inspector import Inspector


class AsOfInspector(Inspector):
    """Answers as of one moment, its clock included: `since:2h` is two hours before that.

    Made by `Inspector.as_of`. Moving forward costs as much as what happened in between; going back derives all facts up
    to that moment again. The facts of a store on PostgreSQL are fetched once; each move fetches what is newer.
    """

    def __init__(self, db: PrivateCopy, connections: ConnectionRegistry) -> None:
        super().__init__(db, connections, lambda: self.at)
        self.at = 0
        """The moment (µs)."""
        self._tables = db
        self._point = PointInTime(db)

    @classmethod
    def opened(cls, connections: ConnectionRegistry, at: int, progress: Progress) -> Self:
        """The store of these `connections` as of a moment (`at`, µs); `progress` is as of `move`."""
        db = connections.private_copy()
        try:
            inspector = cls(db, connections)
            inspector.move(at, progress)
        except BaseException:
            connections.close(db)
            raise
        return inspector

    @sound
    def move(self, at: int, progress: Progress = lambda _done, _total: None) -> None:
        """Go to another moment (`at`, µs).

        `progress` is called with the number of facts done, and of all: as they are fetched, and as they are folded.

        Raises:
            StoreError: the store cannot be read. After any error this inspector is closed; make another one.
        """
        with self._whole():
            self._point.move(at, progress)
        self.at = at

    @sound
    def neighbour(self, way: int) -> int | None:
        """When the next fact became known (`way` 1), or the newest before this moment (-1), in µs; None if none did."""
        with self._whole():
            return self._point.neighbour(way)

    @sound
    def diff(self, until: int, *, limit: int = 1_000, progress: Progress = lambda _done, _total: None) -> Diff:
        """What is new, back, worse, better or gone between this moment and a later one (`until`, µs), to which it goes.

        Of each kind of change the `limit` worst are listed. `progress` is as of `move`.
        """
        since = self.at
        health, severity = self.health(), self.severity()
        diff.remember(self._tables)
        self.move(until, progress)
        found = {kind: diff.changes(self._tables, kind, limit=limit) for kind in ("cluster", "event")}
        counts = {kind: count for kind, (count, _) in found.items()}
        now = self.health(), self.severity()
        return Diff(since, until, health, now[0], severity, now[1], counts, found["cluster"][1], found["event"][1])

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """What is interrupted within it is derived by half, and from that no answer must come."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _known_until(self) -> int:
        return self.at
