"""The inspector of a moment in the past, which can be moved along."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from failaware.derive.past import Past
from failaware.engine import PrivateCopy
from failaware.model.differences import Diff
from failaware.read import diff
from failaware.read.checked import sound
from failaware.read.connections import Connections
from failaware.read.inspector import Inspector


class PastInspector(Inspector):
    """Answers as the store stood at one moment, its clock included: `since:2h` is two hours before that.

    Made by `Inspector.as_of`. Moving on costs as much as what happened in between, going back begins anew.
    """

    def __init__(self, db: PrivateCopy, connections: Connections) -> None:
        super().__init__(db, connections, lambda: self.at)
        self.at = 0
        """The moment (µs)."""
        self._tables = db
        self._past = Past(db)

    @classmethod
    def opened(cls, connections: Connections, at: int) -> Self:
        """The store of these `connections`, as it stood `at` a moment (µs)."""
        db = connections.private_copy()
        try:
            inspector = cls(db, connections)
            inspector.move(at)
        except BaseException:
            connections.close(db)
            raise
        return inspector

    @sound
    def move(self, at: int) -> None:
        """Go to another moment (µs).

        Raises:
            StoreError: the store cannot be read. After any error this inspector is closed; make another one.
        """
        with self._whole():
            self._past.move(at)
        self.at = at

    @sound
    def neighbour(self, way: int) -> int | None:
        """When the next fact became known (`way` 1), or the newest before this moment (-1), in µs; None if none did."""
        with self._whole():
            return self._past.neighbour(way)

    @sound
    def diff(self, until: int, *, limit: int = 1_000) -> Diff:
        """What is new, back, worse, better or gone between this moment and a later one (`until`, µs), to which it goes.

        Of each kind of change the `limit` worst are listed.
        """
        since = self.at
        health, severity = self.health(), self.severity()
        diff.remember(self._tables)
        self.move(until)
        found = {kind: diff.changes(self._tables, kind, limit=limit) for kind in ("cluster", "event")}
        counts = {kind: count for kind, (count, _) in found.items()}
        now = self.health(), self.severity()
        return Diff(since, until, health, now[0], severity, now[1], counts, found["cluster"][1], found["event"][1])

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """What breaks off within it leaves half a past behind, and from that no answer must come."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _known_until(self) -> int:
        return self.at
