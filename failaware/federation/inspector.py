"""Federation: an inspector of several stores. FederationAsOf: the same as of a moment."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TYPE_CHECKING, Self

from failaware.clock import now_us
from failaware.errors import StoreError
from failaware.federation.clusters import JoinedClusters
from failaware.federation.events import MergedEvents
from failaware.federation.part import Part
from failaware.federation.parts import Parts, call
from failaware.federation.patterns import FederatedPatterns
from failaware.federation.places import StorePlace
from failaware.federation.questions import Progress
from failaware.federation.union import Union
from failaware.model import EventRef, Explanation, Health
from failaware.model.stores import number_of
from failaware.read.inspector import AsOfInspector

if TYPE_CHECKING:
    from failaware.model.differences import Diff


class Federation(MergedEvents, JoinedClusters):
    """Several stores, asked as one: every question goes to all of them at the same time.

    A store that does not answer is left out, and `connections.notes()` says so.
    """

    def __init__(
        self, parts: Parts, union: Union, clock: Callable[[], int], handles: Mapping[Part, int] | None = None
    ) -> None:
        """Created by `open_stores`."""
        super().__init__(parts, union, clock, handles)
        self.patterns = FederatedPatterns(self)

    @classmethod
    def of(
        cls, places: Sequence[StorePlace], *, clock: Callable[[], int] | None, patience_s: float, first_s: float
    ) -> "Federation":
        """Open all that answer in time.

        Raises:
            StoreError: none does.
        """
        parts = Parts(places, clock, patience_s, first_s)
        try:
            parts.ask(dict.fromkeys(parts.all, call("token")))
        except BaseException:
            parts.close()
            raise
        return cls(parts, Union(), clock or now_us)

    def health(self) -> Health:
        """The sums of all stores, and the oldest, most retried and next due events of any."""
        from failaware.federation import sums

        return sums.health(self.mapped(self.ask("health")), self._first_detected)

    def _first_detected(self, refs: Sequence[EventRef], last: bool) -> EventRef:
        """Of events of different stores, the one that was detected first, or last."""
        own = {self.part(ref.event_id): ref for ref in refs}
        asked = {part: call("events", f"id:{number_of(ref.event_id)}", limit=1) for part, ref in own.items()}
        times = {part: rows[0].detected_at for part, rows in self.ask_each(asked).items() if rows}
        pick = max if last else min
        return own[pick(times, key=lambda part: (times[part], part.number))] if times else refs[0]

    def explain(self, entity: str, *, facts: bool = False) -> Explanation:
        """As for one store: `event/42@shop`, or a joined cluster."""
        kind, _, name = entity.partition("/")
        if kind != "event":
            return self.explain_cluster(entity, facts=facts)
        return self.explain_event(self.id_of(name), facts=facts)

    def snapshot(self) -> AbstractContextManager[None]:
        """Nothing: each store is read at its own moment."""
        return nullcontext()

    def close(self) -> None:
        """Close all parts."""
        self.parts.close()
        self.union.db.close()

    def as_of(self, at: int, *, progress: Progress = lambda _done, _total: None) -> "FederationAsOf":
        """All stores as of the same moment (`at`, µs); a store that does not answer now is left out."""
        handles = self.ask("as_of", at, progress=progress)
        inspector = FederationAsOf(self.parts, Union(), lambda: inspector.at, handles)
        inspector.at = at
        return inspector


class FederationAsOf(Federation, AsOfInspector):
    """Several stores as of one moment, which is also its clock."""

    def __init__(
        self, parts: Parts, union: Union, clock: Callable[[], int], handles: Mapping[Part, int] | None = None
    ) -> None:
        """Created by `Federation.as_of`."""
        Federation.__init__(self, parts, union, clock, handles)

    @classmethod
    def opened(cls, *_: object) -> Self:
        """Not used: `Federation.as_of` opens it."""
        raise NotImplementedError

    def move(self, at: int, progress: Progress = lambda _done, _total: None) -> None:
        """Move all parts to another moment (`at`, µs)."""
        self.ask("move", at, progress=progress)
        self.at = at

    def neighbour(self, way: int) -> int | None:
        """The time (µs) of the nearest fact of any store after this moment (`way` 1), or before it (-1)."""
        times = [at for at in self.ask("neighbour", way).values() if at is not None]
        return (min if way > 0 else max)(times, default=None)

    def diff(self, until: int, *, limit: int = 1_000, progress: Progress = lambda _done, _total: None) -> "Diff":
        """Move to a later moment, and return what has changed: events of each store, and joined clusters."""
        from failaware.federation.changes import diff

        return diff(self, until, limit=limit, progress=progress)

    def close(self) -> None:
        """Leave the moment; the stores stay open."""
        with suppress(StoreError):
            self.ask("leave")
        self.union.db.close()
