"""Pages of a list over several stores, merged by time; the cursor has a boundary for each store.

The rows of a store are in the order of their ids, those of different stores in the order of their times, then of the
stores. For example, after the events 7@a, 5@b, 6@a with the newest first, the cursor is a: 6, b: 5. From there, the
next page has events of `a` below 6 and of `b` below 5, and the page before it events of `a` above 6 and of `b` from 5.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from failaware.federation.ids import Names
from failaware.federation.part import Part
from failaware.model import NEVER
from failaware.model.stores import number_of, part_of

_FEW = 100  # rows of a store that are read rather than skipped


class Listing(NamedTuple):
    """What is listed: the names of its id and of its time, and the table in which both are."""

    id: str
    time: str
    table: str


EVENTS = Listing("event_id", "detected_at", "event_log")
REJECTS = Listing("reject_id", "rejected_at", "reject_log")


class Start:
    """Where a page begins: after the row with a cursor, or at the beginning, and after how many further rows."""

    def __init__(self, parts: Iterable[Part], bounds: Mapping[int, int] | None, *, oldest: bool) -> None:
        """Begin after the row of which `bounds` come from `bounds_from`."""
        self.oldest = oldest
        self.offsets = dict.fromkeys(parts, 0)
        """How many rows of each store are skipped."""
        self._bounds = bounds

    def before(self, part: Part) -> int | None:
        """The argument `before` for a store; None for its beginning."""
        if self._bounds is None:
            return None
        bound = self._bounds.get(part.number, 0)
        return bound - 1 if self.oldest else bound

    def bound(self, part: Part) -> int | None:
        """The bound of a store before the page; None if it depends on its first row."""
        return None if self._bounds is None or self.offsets[part] else self._bounds.get(part.number, 0)

    def before_head(self, head: int | None) -> int:
        """The bound of a store of which no row was read; `head` is the id of the first one."""
        if self.oldest:
            return NEVER - 1 if head is None else head
        return 0 if head is None else head + 1

    def first(self, places: Mapping[Part, tuple[int, int]]) -> Part:
        """The store whose row comes first: the newest or the oldest."""
        return (min if self.oldest else max)(places, key=lambda part: places[part])


def bounds_from(cursor: Mapping[int, int], own: int, *, oldest: bool) -> dict[int, int]:
    """For each store the id that divides its rows after the row `own`: the rest is from it on, or else below it."""
    bounds = dict(cursor)
    bounds[part_of(own)] = number_of(own) + 1 if oldest else number_of(own)
    return bounds


def merged(
    listing: Listing, rows: Mapping[Part, list[Any]], names: Callable[[Part], Names], start: Start, *, limit: int
) -> list[Any]:
    """The first `limit` rows of all, each with its cursor."""
    heads = dict.fromkeys(rows, 0)
    at: dict[Part, int | None] = {part: start.bound(part) for part in rows}
    naming = {part: names(part) for part in rows}
    page: list[Any] = []

    def head(part: Part) -> Any:
        return rows[part][heads[part]] if heads[part] < len(rows[part]) else None

    while len(page) < limit and (left := {part: row for part in rows if (row := head(part)) is not None}):
        part = start.first({part: (getattr(row, listing.time), part.number) for part, row in left.items()})
        number = getattr(left[part], listing.id)
        heads[part] += 1
        at[part] = number + 1 if start.oldest else number
        own = naming[part].mapped(left[part])
        cursor = getattr(own, listing.id).cursor
        for other in rows:
            bound = at[other]
            if bound is None:  # no row of it was read yet
                bound = start.before_head(None if (row := head(other)) is None else getattr(row, listing.id))
            cursor[other.number] = bound
        cursor[part.number] = number
        page.append(own)
    return page


def skip(start: Start, number: int, at: Callable[[dict[Part, int]], dict[Part, int]]) -> int:
    """Set the offsets of a start such that few of the first `number` rows remain to be skipped; return how many.

    For example, 8,000 rows of 4 stores are to be skipped. If each store has 1,000 rows or more, then the first 1,000 of
    that store whose 1,000th row comes first are among them, since no more than 999 of each other store come before it.
    This is repeated, with fewer rows each time, until few are left.

    Args:
        start: where the page begins.
        number: how many rows to skip.
        at: the times of the rows at these offsets of the stores; without those that have fewer rows.
    """
    parts = list(start.offsets)
    while parts and (step := number // (2 * len(parts))) >= _FEW:
        times = at({part: start.offsets[part] + step - 1 for part in parts})
        if not times:
            break
        while times and step * len(parts) <= number:
            part = start.first({part: (time, part.number) for part, time in times.items()})
            start.offsets[part] += step
            number -= step
            del times[part]
            times |= at({part: start.offsets[part] + step - 1})
    return number
