"""Events, attempts and rejects of several stores."""

from collections.abc import Mapping
from typing import Any, TypeVar

from failaware.errors import FilterError, NotFound
from failaware.federation import pages
from failaware.federation.asked import Asked
from failaware.federation.filters import filters_for
from failaware.federation.ids import digits
from failaware.federation.pages import EVENTS, REJECTS, Listing, Start, bounds_from, merged
from failaware.federation.part import Part
from failaware.federation.parts import Call, call
from failaware.model import Attempt, EventDetail, EventSummary, Explanation, Reject
from failaware.model.stores import StoreId, number_of, part_of
from failaware.read.filter import Order

T = TypeVar("T")


class MergedEvents(Asked):
    """The questions about single facts."""

    def id_of(self, text: str) -> int:
        """The id that `42@shop` names.

        Raises:
            FilterError: it is not written so, or there is no such store.
        """
        named = digits(text)
        part = None if named is None else self.parts.by_name(named[1])
        if named is None or part is None:
            problem = f"'{text[:60]}' names no store; write NUMBER@STORE, where STORE is one of {self.parts.names()}"
            raise FilterError(problem)
        return StoreId(named[0], part.number, part.name)

    def events(
        self, where: str = "", *, limit: int = 50, before: int | None = None, order: Order = "newest", skip: int = 0
    ) -> list[EventSummary]:
        """A page of the events of all stores, by the time of detection; `before` is the last id of the page before."""
        filters = self._filters(where)
        start = Start(filters, self._bounds(before, EVENTS, oldest=order == "oldest"), oldest=order == "oldest")

        def read(offsets: Mapping[Part, int], most: int) -> dict[Part, list[EventSummary]]:
            return self.ask_each(
                {
                    part: call("events", filters[part], limit=most, before=start.before(part), order=order, skip=offset)
                    for part, offset in offsets.items()
                }
            )

        def times(offsets: dict[Part, int]) -> dict[Part, int]:
            return {part: rows[0].detected_at for part, rows in read(offsets, 1).items() if rows}

        rest = pages.skip(start, skip, times)
        return merged(EVENTS, read(start.offsets, limit + rest), self.union.names, start, limit=limit + rest)[rest:]

    def count_events(self, where: str = "", *, at_most: int = 10_000) -> int:
        """The number of events that match, up to `at_most`."""
        filters = self._filters(where)
        counts = self.ask_each({part: call("count_events", text, at_most=at_most) for part, text in filters.items()})
        return min(sum(map(int, counts.values())), at_most)

    def event(self, event_id: int) -> EventDetail:
        """One event."""
        event: EventDetail = self.one(event_id, "event", number_of(event_id))
        return event

    def attempt(self, attempt_id: int) -> Attempt:
        """One attempt."""
        attempt: Attempt = self.one(attempt_id, "attempt", number_of(attempt_id))
        return attempt

    def rejects(self, *, limit: int = 50, before: int | None = None) -> list[Reject]:
        """A page of the rejects of all stores, newest first."""
        start = Start(self.parts.all, self._bounds(before, REJECTS, oldest=False), oldest=False)
        rows = self.ask_each({part: call("rejects", limit=limit, before=start.before(part)) for part in self.parts.all})
        return merged(REJECTS, rows, self.union.names, start, limit=limit)

    def part(self, store_id: int) -> Part:
        """The store of an id."""
        number = part_of(store_id)
        if not 1 <= number <= len(self.parts.all):
            raise NotFound(f"{store_id} names no store; write {store_id}@STORE")
        return self.parts.all[number - 1]

    def one(self, store_id: int, question: str, *args: Any, **named: Any) -> Any:
        """Ask the store of an id."""
        part = self.part(store_id)
        return self.mapped(self.ask(question, *args, of=[part], **named))[0]

    def explain_event(self, event_id: int, *, facts: bool) -> Explanation:
        """Why an event has its severity, by its store."""
        explained: Explanation = self.one(event_id, "explain", f"event/{number_of(event_id)}", facts=facts)
        return explained

    def _filters(self, where: str) -> dict[Part, str]:
        needs_union = "cluster:" in where.lower() or "last:" in where.lower()
        if needs_union:
            self.join()
        return filters_for(where, self.parts.all, self.members)

    def _bounds(self, before: int | None, listing: Listing, *, oldest: bool) -> Mapping[int, int] | None:
        """For each store, the id that divides its rows after that with the id `before`."""
        if before is None:
            return None
        if isinstance(before, StoreId) and before.cursor:
            return bounds_from(before.cursor, before, oldest=oldest)
        own, number = self.part(before), number_of(before)
        at = self._time(own, number, listing)
        calls: dict[Part, Call] = {
            part: call("boundary", listing.table, at, part.number > own.number)
            for part in self.parts.all
            if part is not own
        }
        bounds = self.ask_each(calls) if calls else {}
        return bounds_from({part.number: bound for part, bound in bounds.items()}, before, oldest=oldest)

    def _time(self, part: Part, number: int, listing: Listing) -> int:
        rows = (
            self.ask("events", f"id:{number}", of=[part], limit=1)
            if listing is EVENTS
            else self.ask("rejects", of=[part], limit=1, before=number + 1)
        )[part]
        if not rows or getattr(rows[0], listing.id) != number:
            raise NotFound(f"there is no {listing.id.removesuffix('_id')} {number}@{part.name}")
        return int(getattr(rows[0], listing.time))
