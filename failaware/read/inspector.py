"""Inspector: the reader's handle. One short method per question; it cannot write, by type and by file handle.

The module that answers a question is loaded when it is asked: a report starts with what it needs, and no more.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from failaware.clock import now_us
from failaware.engine import Reader, open_reader
from failaware.model import (
    NEVER,
    Attempt,
    Cluster,
    EventDetail,
    EventSummary,
    Explanation,
    Health,
    Reject,
    SeverityCounts,
)
from failaware.place import resolve
from failaware.read.checked import sound
from failaware.read.connections import ConnectionRegistry
from failaware.read.patterns import Patterns

if TYPE_CHECKING:
    from failaware.derive.rules import Policy
    from failaware.model.differences import WhatIf
    from failaware.read.as_of import AsOfInspector
    from failaware.read.filter import Order


class Inspector:
    """A store opened for reading: it never blocks a writer, and works where neither file nor folder is writable.

    Filters are texts such as `status:DEAD type:payment.* error:timeout since:2h severity:HIGH`; the rest of the words
    is looked for in the error. All times are µs since the epoch, UTC.
    """

    def __init__(self, db: Reader, connections: ConnectionRegistry, clock: Callable[[], int]) -> None:
        """Use `Inspector.open`."""
        self.db = db
        """The handle: whether something changed."""
        self.connections = connections
        """All handles, this one among them: `connections.interrupt()` ends a question, from another thread."""
        self.now = clock
        """The time of this inspector's clock (µs)."""
        self.patterns = Patterns(db, clock)
        """What the facts show over time."""

    @classmethod
    def open(
        cls, path: str | Path, *, clock: Callable[[], int] | None = None, busy_timeout_s: float = 30.0
    ) -> "Inspector":
        """Open a store that exists.

        Args:
            path: the SQLite file, or the URL of the PostgreSQL database, as of `Store.open`.
            clock: gives the time in µs, for what is due now and filters such as `since:2h`; by default the machine's,
                or the PostgreSQL server's.
            busy_timeout_s: how many seconds to wait for a program that holds the file for itself (writers do not).

        Raises:
            StoreError: missing, foreign, newer, corrupt or unreadable; the message says what to do.
        """
        place = resolve(path)  # once: what is opened later must be the same store
        db = open_reader(place, busy_timeout_s=busy_timeout_s)
        try:
            return cls(db, ConnectionRegistry(db, place), clock or db.clock(now_us))
        except BaseException:
            db.close()
            raise

    @sound
    def health(self) -> Health:
        """How many events stand where, and what stands out."""
        from failaware.read import health

        return health.health(self.db, now=self.now())

    @sound
    def severity(self) -> SeverityCounts:
        """How many unresolved events and clusters stand at each severity."""
        from failaware.read import severity

        return severity.counts(self.db)

    @sound
    def clusters(self, where: str = "", *, limit: int = 50) -> list[Cluster]:
        """The first `limit` clusters that the filter `where` lets through, worst first.

        Of one severity those with unresolved events come first, then the one with the newest failure.

        Raises:
            FilterError: the filter is not understood.
        """
        from failaware.read import clusters

        return clusters.worst(self.db, where, now=self.now(), limit=limit)

    @sound
    def cluster(self, cluster_id: int | str) -> Cluster:
        """One cluster, by its id or, as a text, by its first digits.

        Raises:
            NotFound: there is none with this id, or more than one begins so.
        """
        from failaware.read import clusters

        which = clusters.resolve(self.db, cluster_id) if isinstance(cluster_id, str) else cluster_id

        return clusters.one(self.db, which)

    @sound
    def events(
        self, where: str = "", *, limit: int = 50, before: int | None = None, order: "Order" = "newest", skip: int = 0
    ) -> list[EventSummary]:
        """Up to `limit` events that the filter `where` lets through, newest first unless `order` is "oldest".

        The next page is `before` the last event_id of this one. `skip` leaves out so many at the beginning, which costs
        time in proportion; `before` does not.

        Raises:
            FilterError: the filter is not understood.
        """
        from failaware.read import events

        return events.page(self.db, where, now=self.now(), limit=limit, before=before, order=order, skip=skip)

    @sound
    def count_events(self, where: str = "", *, at_most: int = 10_000) -> int:
        """How many events the filter `where` lets through; stops counting at `at_most`.

        Raises:
            FilterError: the filter is not understood.
        """
        from failaware.read import events

        return events.count(self.db, where, now=self.now(), at_most=at_most)

    @sound
    def event(self, event_id: int) -> EventDetail:
        """One event, with every attempt and decision ever made.

        Raises:
            NotFound: there is none with this id.
        """
        from failaware.read import events

        return events.one(self.db, event_id)

    @sound
    def attempt(self, attempt_id: int) -> Attempt:
        """One attempt.

        Raises:
            NotFound: there is none with this id.
        """
        from failaware.read import events

        return events.attempt(self.db, attempt_id)

    @sound
    def explain(self, entity: str, *, facts: bool = False) -> Explanation:
        """Why `event/ID` or `cluster/ID` has its severity: every rule, the numbers it saw, whether it held.

        With `facts` also those behind the numbers, and the one that changed the severity last, for which they are
        played again: about a millisecond each, for the newest few thousand, and a second for each 100,000 before them.

        Raises:
            NotFound: there is no such entity.
            FilterError: not of that form.
        """
        from failaware.read import explain

        found = explain.explain(self.db, entity)
        if not facts:
            return found
        from failaware.read.evidence import behind
        from failaware.read.last_change import since

        which = found.entity_type, found.entity_id
        last = since(self.connections, *which, until=self._known_until())
        return found._replace(behind=behind(self.db, *which), since=last)

    def _known_until(self) -> int:
        """Facts that became known later than this (µs) are not looked at."""
        return NEVER

    @sound
    def rejects(self, *, limit: int = 50, before: int | None = None) -> list[Reject]:
        """Up to `limit` pieces of input that could not be understood, newest first; `before` a `reject_id` the next.

        What was moved to an archive is there.
        """
        from failaware.read import rejects

        return rejects.page(self.db, limit=limit, before=before)

    @sound
    def as_of(self, at: int, *, progress: Callable[[int, int], None] = lambda _done, _total: None) -> "AsOfInspector":
        """The store as of a moment (`at`, µs): every question, answered from the facts that were known then.

        It has its own connection and a private temporary database, in which the facts are folded again; close it.
        Leases are no facts: as of a moment nobody holds any. `progress` is called with the number of facts done, and
        of all.

        Raises:
            StoreError: as `open`.
        """
        from failaware.read.as_of import AsOfInspector

        return AsOfInspector.opened(self.connections, at, progress)

    @sound
    def what_if(self, policy: "Policy", *, limit: int = 1_000) -> "WhatIf":
        """Another policy over the same facts: how many would stand where, and what would move by which rule.

        Of what would move, up to `limit` entities are listed, the worst first, and the others counted.
        """
        from failaware.read.what_if import what_if

        return what_if(self.db, policy, limit=limit)

    def snapshot(self) -> AbstractContextManager[None]:
        """Within it, all answers are of the same moment. Keep it short."""
        return self.db.snapshot()

    def close(self) -> None:
        """Close the inspector."""
        self.connections.close(self.db)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
