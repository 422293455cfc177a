"""Inspector: a store opened for reading. AsOfInspector: the same as of a moment, which can be changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from failaware.clock import now_us
from failaware.engine import PrivateCopy, open_reader
from failaware.place import resolve
from failaware.read.checked import validated
from failaware.read.connections import ConnectionRegistry
from failaware.read.questions import Questions

if TYPE_CHECKING:
    from failaware.derive.fold import Progress
    from failaware.model.differences import Diff


class Inspector(Questions):
    """A store opened for reading: it never blocks a writer, and works where neither file nor folder is writable.

    Filters are strings such as `status:DEAD type:payment.* error:timeout since:2h severity:HIGH`; a word without a
    field is searched for in the error. All times are µs since the epoch, UTC.
    """

    @classmethod
    def open(
        cls, path: str | Path, *, clock: Callable[[], int] | None = None, busy_timeout_s: float = 30.0
    ) -> "Inspector":
        """Open an existing store.

        Args:
            path: the SQLite file, or the URL of the PostgreSQL database, as for `Store.open`.
            clock: gives the time in µs, for due events and filters such as `since:2h`; by default the machine's clock,
                or the PostgreSQL server's.
            busy_timeout_s: how many seconds to wait while a program locks the whole file (writers do not).

        Raises:
            StoreError: the store is missing, foreign, newer, corrupt or unreadable; the message says what to do.
        """
        place = resolve(path)  # once: connections opened later must use the same store
        db = open_reader(place, busy_timeout_s=busy_timeout_s)
        try:
            return cls(db, ConnectionRegistry(db, place), clock or db.clock(now_us))
        except BaseException:
            db.close()
            raise

    @validated
    def as_of(self, at: int, *, progress: Callable[[int, int], None] = lambda _done, _total: None) -> "AsOfInspector":
        """Open an inspector of the store as of a moment (`at`, µs): it answers from the facts that were known then.

        It has its own connection and a private temporary database, in which the facts are folded again; close it after
        use. Leases are not facts: no event is running as of a moment. `progress` is called with the number of facts
        done and in total.

        Raises:
            StoreError: as for `open`.
        """
        return AsOfInspector.opened(self.connections, at, progress)


class AsOfInspector(Inspector):
    """Answers as of one moment, which is also its clock: `since:2h` is two hours before it.

    Created by `Inspector.as_of`. Moving forward folds only the facts in between; moving back folds all facts up to that
    moment again. The facts of a PostgreSQL store are fetched once; each move fetches only newer ones.
    """

    def __init__(self, db: PrivateCopy, connections: ConnectionRegistry) -> None:
        from failaware.derive.as_of import PointInTime

        super().__init__(db, connections, lambda: self.at)
        self.at = 0
        """The moment (µs)."""
        self._tables = db
        self._point = PointInTime(db)

    @classmethod
    def opened(cls, connections: ConnectionRegistry, at: int, progress: "Progress") -> Self:
        """Open the store of these `connections` as of a moment (`at`, µs); `progress` is as in `move`."""
        db = connections.private_copy()
        try:
            inspector = cls(db, connections)
            inspector.move(at, progress)
        except BaseException:
            connections.close(db)
            raise
        return inspector

    @validated
    def move(self, at: int, progress: "Progress" = lambda _done, _total: None) -> None:
        """Move to another moment (`at`, µs).

        `progress` is called with the number of facts done and in total, during the fetch and during the fold.

        Raises:
            StoreError: the store cannot be read. After any error this inspector is closed; open another one.
        """
        with self._closed_on_error():
            self._point.move(at, progress)
        self.at = at

    @validated
    def neighbour(self, way: int) -> int | None:
        """The time (µs) of the next fact (`way` 1) or of the last one before this moment (-1), or None."""
        with self._closed_on_error():
            return self._point.neighbour(way)

    @validated
    def diff(self, until: int, *, limit: int = 1_000, progress: "Progress" = lambda _done, _total: None) -> "Diff":
        """Move to a later moment (`until`, µs) and return what is new, back, worse, better or gone since this one.

        The `limit` worst of each kind of change are listed. `progress` is as in `move`.
        """
        from failaware.model.differences import Diff
        from failaware.read import diff

        since = self.at
        health, severity = self.health(), self.severity()
        diff.remember(self._tables)
        self.move(until, progress)
        changed = {kind: diff.changes(self._tables, kind, limit=limit) for kind in ("cluster", "event")}
        counts = {kind: count for kind, (count, _) in changed.items()}
        after = self.health(), self.severity()
        return Diff(
            since, until, health, after[0], severity, after[1], counts, changed["cluster"][1], changed["event"][1]
        )

    @contextmanager
    def _closed_on_error(self) -> Iterator[None]:
        """Close the inspector if the block is interrupted: its tables are then incomplete."""
        try:
            yield
        except BaseException:
            self.close()
            raise

    def _known_until(self) -> int:
        return self.at
