"""The queries of an inspector, one method each. The type and its file handle are read-only.

Methods import their modules when called, which keeps the start of a report short.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from failaware.engine import Reader
from failaware.errors import FilterError
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
from failaware.read.checked import validated
from failaware.read.connections import ConnectionRegistry
from failaware.read.patterns import Patterns

if TYPE_CHECKING:
    from failaware.model.differences import WhatIf
    from failaware.read.filter import Order
    from failaware.rules import Policy


class Questions:
    """The queries, over a store as it is now or as of a moment."""

    def __init__(self, db: Reader, connections: ConnectionRegistry, clock: Callable[[], int]) -> None:
        """Created by Inspector."""
        self.db = db
        """The read-only connection."""
        self.connections = connections
        """All connections, including `db`: `connections.interrupt()` stops a running query from another thread."""
        self.now = clock
        """Returns the time of this inspector's clock (µs)."""
        self.patterns = Patterns(db, connections, clock)
        """Reports over time."""

    @validated
    def health(self) -> Health:
        """The number of events in each state, and the oldest, most retried and next due ones."""
        from failaware.read import health

        return health.health(self.db, now=self.now())

    @validated
    def severity(self) -> SeverityCounts:
        """The number of unresolved events and clusters at each severity."""
        from failaware.read import severity

        return severity.counts(self.db)

    @validated
    def clusters(self, where: str = "", *, limit: int = 50) -> list[Cluster]:
        """The first `limit` clusters that match the filter `where`, worst first.

        Within a severity, clusters with unresolved events come first, then those with the newest failure.

        Raises:
            FilterError: the filter is invalid.
        """
        from failaware.read import clusters

        return clusters.worst(self.db, where, now=self.now(), limit=limit)

    @validated
    def cluster(self, cluster_id: int | str) -> Cluster:
        """One cluster, by its id or, as a string, by the first digits of its id.

        Raises:
            NotFound: no cluster has this id, or more than one id begins with these digits.
        """
        from failaware.read import clusters

        number = clusters.resolve(self.db, cluster_id) if isinstance(cluster_id, str) else cluster_id
        return clusters.one(self.db, number)

    @validated
    def events(
        self, where: str = "", *, limit: int = 50, before: int | None = None, order: "Order" = "newest", skip: int = 0
    ) -> list[EventSummary]:
        """Up to `limit` events that match the filter `where`, newest first unless `order` is "oldest".

        For the next page, pass the last event_id of this page as `before`. `skip` leaves out that many events at the
        beginning and takes time in proportion; `before` does not.

        Raises:
            FilterError: the filter is invalid.
        """
        from failaware.read import events

        return events.page(self.db, where, now=self.now(), limit=limit, before=before, order=order, skip=skip)

    @validated
    def count_events(self, where: str = "", *, at_most: int = 10_000) -> int:
        """The number of events that match the filter `where`; stops counting at `at_most`.

        Raises:
            FilterError: the filter is invalid.
        """
        from failaware.read import events

        return events.count(self.db, where, now=self.now(), at_most=at_most)

    @validated
    def event(self, event_id: int) -> EventDetail:
        """One event, with all its attempts and decisions.

        Raises:
            NotFound: no such id.
        """
        from failaware.read import events

        return events.one(self.db, event_id)

    @validated
    def attempt(self, attempt_id: int) -> Attempt:
        """One attempt.

        Raises:
            NotFound: no such id.
        """
        from failaware.read import events

        return events.attempt(self.db, attempt_id)

    @validated
    def explain(self, entity: str, *, facts: bool = False) -> Explanation:
        """Why `event/ID` or `cluster/ID` has its severity: every rule, the numbers it used, whether it matched.

        With `facts`, also the facts behind the numbers and the fact that last changed the severity. To find it, facts
        are replayed: about a millisecond each for the newest few thousand, and a second per 100,000 before them.

        Raises:
            NotFound: there is no such entity.
            FilterError: `entity` does not have that form.
        """
        from failaware.read import explain

        explanation = explain.explain(self.db, entity)
        if not facts:
            return explanation
        from failaware.read.evidence import facts_behind
        from failaware.read.last_change import last_change

        entity_key = explanation.entity_type, explanation.entity_id
        change = last_change(self.connections, *entity_key, until=self._known_until())
        return explanation._replace(behind=facts_behind(self.db, *entity_key), since=change)

    def _known_until(self) -> int:
        """Facts recorded later than this (µs) are ignored."""
        return NEVER

    def id_of(self, text: str) -> int:
        """The id of an event, attempt or reject that a `text` names: `42`, or of one of several stores `42@shop`.

        Raises:
            FilterError: it names a store, but only one was opened.
        """
        if not text.isdecimal():
            raise FilterError(
                f"'{text[:60]}' names one of several stores; write the number alone, as there is one store"
            )
        return int(text)

    def policy(self) -> "Policy":
        """The thresholds of the severity rules in force."""
        from failaware.derive.settings import load_policy

        return load_policy(self.db)

    @validated
    def rejects(self, *, limit: int = 50, before: int | None = None) -> list[Reject]:
        """Up to `limit` rejects, newest first. For the next page, pass the last `reject_id` as `before`.

        Archived rejects are not included.
        """
        from failaware.read import rejects

        return rejects.page(self.db, limit=limit, before=before)

    @validated
    def what_if(self, policy: "Policy", *, limit: int = 1_000) -> "WhatIf":
        """Evaluate another policy over the same facts: the counts per severity, and which entities would change.

        Up to `limit` of the entities that would change are listed, worst first; the others are counted.
        """
        from failaware.read.what_if import what_if

        return what_if(self.db, policy, limit=limit)

    def snapshot(self) -> AbstractContextManager[None]:
        """A context in which all queries see the same state of the store. Keep it short."""
        return self.db.snapshot()

    def close(self) -> None:
        """Close the inspector."""
        self.connections.close(self.db)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
