"""Pages of a list over several stores, merged by time; the cursor has a boundary for each store.

The rows of a store are in the order of their ids, those of different stores in the order of their times, then of the
stores. For example, after the events 7@a, 5@b, 6@a with the newest first, the cursor is a: 6, b: 5. From there, the
next page has events of `a` below 6 and of `b` below 5, and the page before it events of `a` above 6 and of `b` from 5.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from failaware.federation.ids import Names
from failaware.federation.part import Part
from failaware.model import NEVER
from failaware.model.stores import number_of, part_of

_END = NEVER - 1


class Listing(NamedTuple):
    """What is listed: the names of its id and of its time, and the table in which both are."""

    id: str
    time: str
    table: str


EVENTS = Listing("event_id", "detected_at", "event_log")
REJECTS = Listing("reject_id", "rejected_at", "reject_log")


def bounds_from(cursor: Mapping[int, int], own: int, *, oldest: bool) -> dict[int, int]:
    """For each store the id that divides its rows after the row `own`: the rest is from it on, or else below it."""
    bounds = dict(cursor)
    bounds[part_of(own)] = number_of(own) + 1 if oldest else number_of(own)
    return bounds


def before_of(bounds: Mapping[int, int] | None, part: Part, *, oldest: bool) -> int | None:
    """The argument `before` for a store; None for its beginning."""
    if bounds is None:
        return None
    bound = bounds.get(part.number, 0)
    return bound - 1 if oldest else bound


def merged(
    listing: Listing,
    rows: Mapping[Part, list[Any]],
    names: Callable[[Part], Names],
    bounds: Mapping[int, int] | None,
    *,
    limit: int,
    oldest: bool,
) -> list[Any]:
    """The first `limit` rows of all, each with its cursor."""
    heads = dict.fromkeys(rows, 0)
    start = 0 if oldest else _END
    at = {part: (bounds or {}).get(part.number, start) for part in rows}
    naming = {part: names(part) for part in rows}
    page: list[Any] = []

    def place(part: Part) -> tuple[int, int]:
        return getattr(rows[part][heads[part]], listing.time), part.number

    while len(page) < limit and (left := [part for part in rows if heads[part] < len(rows[part])]):
        part = min(left, key=place) if oldest else max(left, key=place)
        row = rows[part][heads[part]]
        number = getattr(row, listing.id)
        heads[part] += 1
        at[part] = number + 1 if oldest else number
        own = naming[part].mapped(row)
        cursor = getattr(own, listing.id).cursor
        for other in rows:
            unread = at[other] == _END  # from the beginning, and none of it came before this row
            head = rows[other][heads[other]] if heads[other] < len(rows[other]) else None
            cursor[other.number] = at[other] if not unread else 0 if head is None else getattr(head, listing.id) + 1
        cursor[part.number] = number
        page.append(own)
    return page
