"""The columns of the lists: what a cell shows of an item, and its width. Harmless text; no widget."""

from collections.abc import Callable
from typing import Any, NamedTuple

from failaware.model import Attempt, Cluster, EventSummary
from failaware.text import distance, one_line, sparkline

from .palette import short_symbol, symbol

Cell = tuple[str, str]
_NO_HOURS = [0] * 24
_LONG = 400  # cells; more than any terminal shows


class Context(NamedTuple):
    """What cells need in addition to their item: the time, and the failures by hour of each cluster."""

    now: int
    hours: dict[int, list[int]]


class Column(NamedTuple):
    """A column; `width` 0 takes the remaining cells.

    Shown in lists of `from_width` cells or more, and fewer than `to_width`.
    """

    title: str
    width: int
    cell: Callable[[Any, Context], Cell]
    right: bool = False
    from_width: int = 0
    to_width: int = 1_000_000


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


def _ago(name: str) -> Callable[[Any, Context], Cell]:
    def cell(item: Any, context: Context) -> Cell:
        at = getattr(item, name)
        return ("—", "dim") if at is None else (distance(at, context.now), "dim")

    return cell


def _severity(item: Cluster | EventSummary, _context: Context) -> Cell:
    return short_symbol(item.severity), item.severity or "dim"


def _standing(cluster: Cluster, context: Context) -> Cell:
    return _severity(cluster, context) if cluster.unresolved else ("resolved", "dim")


def _event_state(event: EventSummary, _context: Context) -> Cell:
    state = "DISMISSED" if event.dismissed else event.sync_status
    return symbol(state), state


def _last_error(event: EventSummary, _context: Context) -> Cell:
    if event.last_error_type is None:
        return "", ""
    return one_line(f"{event.last_error_type.rpartition('.')[2]}: {event.last_error or ''}", _LONG), ""


def _took(attempt: Attempt) -> str:
    seconds = max(attempt.finished_at - attempt.started_at, 0) / 1_000_000
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _eighths(cluster: Cluster, context: Context) -> Cell:
    hours = context.hours.get(cluster.cluster_id, _NO_HOURS)
    return sparkline([sum(hours[at : at + 3]) for at in range(0, 24, 3)]), ""


CLUSTER_COLUMNS = (
    Column("severity", 8, _standing),
    Column("cluster", 7, lambda c, _: (str(c.cluster_id)[:7], "dim"), from_width=130),
    Column("event type", 18, lambda c, _: (one_line(c.event_type, 60), "strong"), from_width=90),
    Column("failure", 0, lambda c, _: (one_line(failure_name(c), _LONG), ""), from_width=90),
    Column("failure", 0, lambda c, _: (one_line(f"{c.event_type}  {failure_name(c)}", _LONG), ""), to_width=90),
    Column("events", 6, _number("events"), right=True, from_width=70),
    Column("unresolved", 10, _number("unresolved"), right=True),
    Column("dead", 5, _number("dead"), right=True, from_width=120),
    Column("failures", 8, _number("failures"), right=True, from_width=130),
    Column("last", 10, _ago("last_failed_at"), from_width=50),
    Column("24 h", 8, _eighths, from_width=86, to_width=150),
    Column("last 24 h", 24, lambda c, at: (sparkline(at.hours.get(c.cluster_id, _NO_HOURS)), ""), from_width=150),
)
EVENT_COLUMNS = (
    Column("event", 9, lambda e, _: (str(e.event_id), ""), right=True),
    Column("status", 11, _event_state),
    Column("severity", 8, _severity, from_width=60),
    Column("event type", 18, lambda e, _: (one_line(e.event_type, 60), "strong"), from_width=90),
    Column("attempts", 8, _number("attempts"), right=True),
    Column("detected", 10, _ago("detected_at"), from_width=70),
    Column("next", 9, _ago("due_at"), from_width=96),
    Column("last error", 0, _last_error),
)
CLUSTER_EVENT_COLUMNS = (
    *(column for column in EVENT_COLUMNS if column.title not in {"event type", "last error"}),
    Column("last error", 0, lambda e, _: (one_line(e.last_error or "", _LONG), "")),
)
"""Within a cluster all events are of one type, and their errors mostly too."""

ATTEMPT_COLUMNS = (
    Column("no.", 4, lambda a, _: (str(a.attempt_no), ""), right=True),
    Column("outcome", 9, lambda a, _: (symbol(a.outcome), a.outcome)),
    Column("finished", 10, _ago("finished_at")),
    Column("took", 8, lambda a, _: (_took(a), "dim"), right=True, from_width=56),
    Column("worker", 18, lambda a, _: (one_line(a.worker, 60), "dim"), from_width=110),
    Column(
        "error",
        0,
        lambda a, _: (one_line(f"{a.error_type}: {a.error_message}" if a.error_type else "", _LONG), ""),
    ),
)
CLUSTER_SORTS: tuple[tuple[str, Callable[[Cluster], Any] | None], ...] = (
    ("severity, then last failure", None),
    ("last failure", lambda c: -c.last_failed_at),
    ("first failure, newest first", lambda c: -c.first_failed_at),
    ("unresolved events", lambda c: -c.unresolved),
    ("dead events", lambda c: -c.dead),
    ("failures", lambda c: -c.failures),
    ("event type", lambda c: c.event_type),
)
"""Orders of the cluster list; the first is the core's own."""
