"""The columns of the lists: what a cell shows of an item, and its width. Harmless text; no widget."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from functools import partial
from operator import attrgetter
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from failaware.model import Attempt, Cluster, EventSummary, Severity
from failaware.model.patterns import EventSeverity, Trend
from failaware.model.stores import names_of
from failaware.text import cells, distance, moment, one_line, span, sparkline

from .palette import short_symbol, short_word, symbol

Item = TypeVar("Item")
Cell = tuple[str, str]
_NO_HOURS = (0,) * 24
_LATE_US = 60_000_000  # after so long a retry is called overdue
_LONG = 400  # cells; more than any terminal shows


class Context(NamedTuple):
    """What cells need in addition to their item: the time, and for clusters their trends.

    `worst` is the worst severity of the events of a cluster. `top` is the number of failures in an hour that has the
    highest bar; 0 scales each trend to its own highest hour. `values` are masked values by event and placeholder.
    """

    now: int
    trends: Mapping[int, Trend]
    worst: Mapping[int, EventSeverity] = MappingProxyType({})
    top: int = 0
    values: Mapping[int, Mapping[str, str]] = MappingProxyType({})


class Column(NamedTuple):
    """A column; `width` 0 takes the remaining cells. With `widest`, it is as narrow as that text and its title allow.

    Shown in lists of `from_width` cells or more, and fewer than `to_width`. In a list with two lines for each item,
    `above` is the cell of the first line; it extends over the following columns that have none. `bright_end` is the
    style of the last character. What a `timed` column shows depends on the time. Where the columns do not fit, those
    with a `drop` are left out, the highest first.
    """

    title: str
    width: int
    cell: Callable[[Any, Context], Cell]
    right: bool = False
    from_width: int = 0
    to_width: int = 1_000_000
    above: Callable[[Any, Context], Cell] | None = None
    widest: Callable[[Sequence[Any], Context], str] | None = None
    bright_end: str = ""
    timed: bool = False
    drop: int = 0


def cause(error_type: str | None, template: str) -> str:
    """Error type without its module, and template."""
    if error_type is None or error_type == template:
        return template
    return f"{error_type.rpartition('.')[2]}: {template}"


def failure_name(cluster: Cluster) -> str:
    """What a cluster's failures are like."""
    return cause(cluster.error_type, cluster.template)


def _number(name: str) -> Callable[[Any, Context], Cell]:
    return lambda item, _context: (f"{getattr(item, name):,}", "" if getattr(item, name) else "dim")


def _longest(cell: Callable[[Any, Context], Cell]) -> Callable[[Sequence[Any], Context], str]:
    return lambda items, context: max((cell(item, context)[0] for item in items), key=cells, default="")


def _largest(name: str) -> Callable[[Sequence[Any], Context], str]:
    return lambda items, _context: f"{max(map(attrgetter(name), items), default=0):,}"


def _largest_trend(number: Callable[[Trend], int]) -> Callable[[Sequence[Any], Context], str]:
    return lambda _clusters, context: f"{max(map(number, context.trends.values()), default=0):,}"


def _ago(name: str) -> Callable[[Any, Context], Cell]:
    def cell(item: Any, context: Context) -> Cell:
        at = getattr(item, name)
        return ("—", "dim") if at is None else (distance(at, context.now), "dim")

    return cell


def _severity(item: Cluster | EventSummary, _context: Context) -> Cell:
    return short_symbol(item.severity), item.severity or "dim"


def _standing(cluster: Cluster, context: Context) -> Cell:
    """The cluster's severity; without one, the worst of its events and how many have it, such as 1×HIGH."""
    if not cluster.unresolved:
        return "resolved", "dim"
    worst = context.worst.get(cluster.cluster_id)
    if cluster.severity is None and worst is not None:
        return f"{worst.events:,}×{short_word(worst.severity)}", worst.severity
    return _severity(cluster, context)


def _event_id(event: EventSummary, _context: Context) -> Cell:
    return str(event.event_id), ""


def _event_type(event: EventSummary, _context: Context) -> Cell:
    return one_line(event.event_type, 200), "strong"


def _event_state(event: EventSummary, _context: Context) -> Cell:
    state = "DISMISSED" if event.dismissed else event.sync_status
    return symbol(state), state


def _due(event: EventSummary, context: Context) -> Cell:
    """When it is attempted again; overdue if nobody did."""
    if not event.due_at or event.dismissed:
        return "—", "dim"
    late = context.now - event.due_at
    return (f"overdue {span(late)}", "mark") if late >= _LATE_US else (distance(event.due_at, context.now), "dim")


def _last_error(event: EventSummary, _context: Context) -> Cell:
    if event.last_error_type is None:
        return "", ""
    return one_line(f"{event.last_error_type.rpartition('.')[2]}: {event.last_error or ''}", _LONG), ""


def took(attempt: Attempt) -> str:
    """How long an attempt took."""
    seconds = max(attempt.finished_at - attempt.started_at, 0) / 1_000_000
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def clock_time(at: int, now: int) -> str:
    """When it was, in few cells: 14:28 today, Tue 14:40 in the last week, 20 Nov this year, else the date."""
    day, today = moment(at), moment(now)
    if day[:10] == today[:10]:
        return day[11:16]
    try:
        then = date.fromisoformat(day[:10])
        days = (date.fromisoformat(today[:10]) - then).days
    except ValueError:  # a year that Python has no date for
        return day[:10]
    if 0 < days < 7:
        return f"{then:%a} {day[11:16]}"
    return f"{then.day} {then:%b}" if day[:4] == today[:4] else day[:10]


def day_name(text: str) -> str:
    """The name of the day of a time that is written as `moment` writes it."""
    try:
        return f"{date.fromisoformat(text[:10]):%a}"
    except ValueError:  # a year that Python has no date for
        return text[5:10]


def _trend(cluster: Cluster, context: Context) -> Trend:
    return context.trends.get(cluster.cluster_id) or Trend(cluster.cluster_id, _NO_HOURS, 0, None)


def _change(cluster: Cluster, context: Context) -> Cell:
    return _trend(cluster, context).change or "", "mark"


def _last_hour(cluster: Cluster, context: Context) -> Cell:
    trend = _trend(cluster, context)
    return f"{trend.last_hour:,}", "mark" if trend.change == "rising" else "" if trend.last_hour else "dim"


def _peak(cluster: Cluster, context: Context) -> Cell:
    return f"{_trend(cluster, context).peak:,}", "dim"


def recovery_rate(cluster: Cluster) -> str:
    """The share of its events that recovered, rounded down: 100 % are all of them."""
    return f"{100 * cluster.recovered // max(cluster.events, 1)} %"


def _bars(each: int) -> Callable[[Cluster, Context], Cell]:
    """The trend, with so many hours in a bar."""

    def cell(cluster: Cluster, context: Context) -> Cell:
        hours = _trend(cluster, context).hours
        return sparkline([sum(hours[at : at + each]) for at in range(0, 24, each)], context.top * each), "dim"

    return cell


CLUSTER_COLUMNS = (
    Column("severity", 9, _change, above=_standing),
    Column(
        "what failed",
        0,
        lambda c, _: (one_line(c.event_type, 200), "dim"),
        above=lambda c, _: (one_line(failure_name(c), _LONG), "strong" if c.unresolved else ""),
    ),
    Column("unresolved", 14, _number("unresolved"), right=True, widest=_largest("unresolved")),
    Column("dead", 14, _number("dead"), right=True, from_width=84, widest=_largest("dead")),
    Column("events", 14, _number("events"), right=True, from_width=124, widest=_largest("events")),
    Column("recovered", 10, lambda c, _: (recovery_rate(c), "SYNCED" if c.recovered else "dim"), True, from_width=80),
    Column("now/h", 14, _last_hour, right=True, from_width=44, widest=_largest_trend(lambda trend: trend.last_hour)),
    Column("peak/h", 14, _peak, right=True, from_width=110, widest=_largest_trend(lambda trend: trend.peak)),
    Column("24 h", 8, _bars(3), from_width=64, to_width=110, bright_end="FAILED"),
    Column("last 24 h", 24, _bars(1), from_width=110, bright_end="FAILED"),
    Column(
        "last/since",
        10,
        lambda c, at: (clock_time(c.first_failed_at, at.now), "dim"),
        right=True,
        from_width=50,
        above=_ago("last_failed_at"),
        timed=True,
    ),
)
CLUSTERS_OF_STORES = (
    *CLUSTER_COLUMNS[:2],
    Column("stores", 16, lambda c, _: (one_line(names_of(c), 60), "dim"), from_width=84),
    *CLUSTER_COLUMNS[2:],
)
"""The columns where several stores are asked as one."""

_EVENT = Column("event", 12, _event_id, right=True, widest=_longest(_event_id))
_STATUS = Column("status", 11, _event_state, widest=_longest(_event_state))
_EVENT_SEVERITY = Column("severity", 8, _severity, widest=_longest(_severity), drop=9)
_TYPE = Column("event type", 32, _event_type, widest=_longest(_event_type))
_ATTEMPTS = Column("attempts", 8, _number("attempts"), right=True, drop=5)
_FAILED = Column("last failed", 11, _ago("last_failed_at"), timed=True, drop=3)
_NEXT = Column("next attempt", 14, _due, timed=True, drop=8)
_LAST_ERROR = Column("last error", 0, _last_error)

EVENT_COLUMNS = (
    _EVENT,
    _STATUS,
    _EVENT_SEVERITY,
    _TYPE._replace(from_width=70),
    _TYPE._replace(width=12, to_width=70, drop=2),
    _ATTEMPTS._replace(drop=10),
    _FAILED,
    _NEXT,
    _LAST_ERROR,
)
_VALUES_DROP = (0, 6, 7)
"""When the columns of masked values are dropped; there are as many at most."""


def cluster_event_columns(placeholders: Iterable[str]) -> tuple[Column, ...]:
    """The columns of a cluster's events, with one for each placeholder; all are of one type, and fail alike."""
    masked = [
        Column(name, 24, partial(_masked, name), widest=_longest(partial(_masked, name)), drop=drop)
        for name, drop in zip(placeholders, _VALUES_DROP, strict=False)
    ]
    last_error = _LAST_ERROR._replace(drop=10 if masked else 0)
    return (_EVENT, _STATUS, _EVENT_SEVERITY, _ATTEMPTS, _FAILED, _NEXT, *masked, last_error)


def _masked(name: str, event: EventSummary, context: Context) -> Cell:
    """What the event's newest failure in the cluster has in place of a placeholder; not known at first."""
    return one_line(context.values.get(event.event_id, {}).get(name, ""), 60), "key"


class Sort(NamedTuple):
    """An order of a list: its name, what sorts (None: as the items come), and the titles that are clicked for it."""

    name: str
    key: Callable[[Any, Context], Any] | None
    titles: tuple[str, ...] = ()


def in_order(items: Sequence[Item], sort: Sort, context: Context, *, backwards: bool) -> list[Item]:
    """The items, sorted, or the other way round."""
    key = sort.key
    ordered = list(items) if key is None else sorted(items, key=lambda item: key(item, context))
    return ordered[::-1] if backwards else ordered


CLUSTER_SORTS = (
    Sort("severity, then new or rising", None, ("severity",)),
    Sort("last failure", lambda c, _: -c.last_failed_at),
    Sort("first failure, newest first", lambda c, _: -c.first_failed_at, ("last/since",)),
    Sort("unresolved events", lambda c, _: -c.unresolved, ("unresolved",)),
    Sort("dead events", lambda c, _: -c.dead, ("dead",)),
    Sort("events", lambda c, _: -c.events, ("events",)),
    Sort("failures in the last hour", lambda c, at: -_trend(c, at).last_hour, ("now/h",)),
    Sort("highest hour", lambda c, at: -_trend(c, at).peak, ("peak/h", "24 h", "last 24 h")),
    Sort("share that recovered", lambda c, _: -c.recovered / max(c.events, 1), ("recovered",)),
    Sort("event type", lambda c, _: c.event_type, ("what failed",)),
)
"""Orders of the cluster list; the first is `worst_first`."""


def worst_of(severities: Iterable[EventSeverity]) -> dict[int, EventSeverity]:
    """The worst severity of the events of each cluster."""
    return {each.cluster_id: each for each in sorted(severities, key=lambda each: Severity(each.severity).rank)}


def worst_first(
    clusters: Iterable[Cluster], trends: Mapping[int, Trend], worst: Mapping[int, EventSeverity]
) -> list[Cluster]:
    """By severity, that of its events if it has none; then what is new or rising; then most unresolved; then newest."""

    def order(cluster: Cluster) -> tuple[int, bool, bool, int, int, int]:
        events = worst.get(cluster.cluster_id)
        severity = cluster.severity or (events.severity if events else None)
        rank = -1 if severity is None else Severity(severity).rank
        trend = trends.get(cluster.cluster_id)
        urgent = bool(cluster.unresolved and trend is not None and trend.change)
        return (
            -rank,
            cluster.severity is None,
            not urgent,
            -cluster.unresolved,
            -cluster.last_failed_at,
            cluster.cluster_id,
        )

    return sorted(clusters, key=order)
