"""What the facts show over time, as rows, columns and lines: impact, recovery, due retries. No widget."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from failaware.model.patterns import (
    NAMES,
    Burst,
    DueType,
    Impact,
    RecoveredCluster,
    RecoveryStats,
    RetrySchedule,
    Transitions,
    with_all,
)
from failaware.read.retry_schedule import MINUTE
from failaware.text import counted, distance, moment, one_line, span, sparkline

from .columns import Cell, Column, Context, Sort, cause
from .documents import Line, Part, dim, lines_of, plain, styled, timed
from .filters import with_value

_LONG = 400  # cells; more than any terminal shows
_BAR = 40  # cells of the longest bar
_RETRIES = "status:FAILED -status:DISMISSED"
_STATE_FILTERS = {
    "SYNCED": "status:SYNCED",
    "DEAD": "status:DEAD -status:DISMISSED",
    "RETRYING": "status:FAILED -status:DISMISSED",
    "REQUEUED": "status:PENDING -status:DISMISSED",
    "DISMISSED": "status:DISMISSED",
}


class DrillDown(NamedTuple):
    """A number about a cluster, and what it opens: the events of a filter, or another cluster's, or nothing."""

    place: int
    about: str
    value: str
    name: str
    where: str = ""
    cluster_id: int | None = None


def drill_downs(impact: Impact, transitions: Transitions | None) -> list[DrillDown]:
    """The five figures of a cluster, then what came before and after it, once that is known."""
    age = impact.oldest_age.value
    figures: list[tuple[str, str, str, str, int | None]] = [
        ("impact", f"{impact.events.value:,}", "events failed with it", impact.events.where, None),
        ("", f"{impact.attempts.value:,}", "attempts failed with it", impact.attempts.where, None),
        ("", f"{impact.dead.value:,}", "dead: no further attempt", impact.dead.where, None),
        ("", f"{impact.waiting.value:,}", "failed: another attempt is due", impact.waiting.where, None),
        ("", "—" if age is None else span(age), "age of the oldest unresolved event", impact.oldest_age.where, None),
    ]
    for about, moves in (("before", transitions.before), ("after", transitions.after)) if transitions else ():
        for at, move in enumerate(moves):
            name, where = NAMES.get(move.kind, ""), ""
            if move.cluster_id is not None:
                name = f"#{str(move.cluster_id)[:7]}  {cause(move.error_type, move.template or '')}"
            elif about == "after":
                where = f"last:{impact.cluster_id} {_STATE_FILTERS[move.kind]}"
            figures.append((about if not at else "", f"{move.events:,}", name, where, move.cluster_id))
    return [DrillDown(place, *drill_down) for place, drill_down in enumerate(figures)]


DRILL_DOWN_COLUMNS = (
    Column("", 7, lambda drill_down, _: (drill_down.about, "strong")),
    Column(
        "number",
        10,
        lambda drill_down, _: (drill_down.value, "dim" if drill_down.value in {"0", "—"} else ""),
        right=True,
    ),
    Column(
        "",
        0,
        lambda drill_down, _: (
            one_line(drill_down.name, _LONG),
            "" if drill_down.where or drill_down.cluster_id else "dim",
        ),
    ),
)


def recovery(total: RecoveryStats) -> list[Part]:
    """What recovered, all together."""
    after = f" after {total.attempts:,} failed attempts" if total.recovered else ""
    helped = f"; {total.helped:,} more after a requeue" if total.helped else ""
    parts: list[Part] = [(counted(total.recovered, "event"), "strong")]
    parts.append((f" recovered{after}{helped}", ""))
    if total.recovered:
        median, p90, largest = (
            span(delay or 0) for delay in (total.median_delay, total.p90_delay, total.largest_delay)
        )
        parts.append((f"\nhalf within {median}, 90 % within {p90}, all within {largest}", "dim"))
        parts.append((f"; {span(total.total_delay)} of delay in total", "dim"))
    return parts


def _recovery(name: str, say: Callable[[int], str]) -> Callable[[Any, Context], Cell]:
    def cell(row: RecoveredCluster, _context: Context) -> Cell:
        value = getattr(row.recovery, name)
        nothing = value is None or (name == "total_delay" and not row.recovery.recovered)
        return ("—", "dim") if nothing else (say(value), "" if value else "dim")

    return cell


def _thousands(number: int) -> str:
    return f"{number:,}"


RECOVERED_COLUMNS = (
    Column("cluster", 7, lambda row, _: (str(row.cluster_id)[:7], "dim"), from_width=130),
    Column("event type", 18, lambda row, _: (one_line(row.event_type, 60), "strong"), from_width=110),
    Column("failure", 0, lambda row, _: (one_line(cause(row.error_type, row.template), _LONG), ""), from_width=110),
    Column(
        "failure",
        0,
        lambda row, _: (one_line(f"{row.event_type}  {cause(row.error_type, row.template)}", _LONG), ""),
        to_width=110,
    ),
    Column("recovered", 10, _recovery("recovered", _thousands), right=True),
    Column("helped", 7, _recovery("helped", _thousands), right=True, from_width=60),
    Column("attempts", 9, _recovery("attempts", _thousands), right=True),
    Column("median", 7, _recovery("median_delay", span), right=True),
    Column("p90", 7, _recovery("p90_delay", span), right=True, from_width=110),
    Column("largest", 7, _recovery("largest_delay", span), right=True, from_width=130),
    Column("total", 7, _recovery("total_delay", span), right=True, from_width=84),
    Column("episodes", 8, lambda row, _: (f"{row.episodes:,}", ""), right=True, from_width=74),
    Column(
        "relapses", 9, lambda row, _: (f"{row.relapses:,}", "" if row.relapses else "dim"), right=True, from_width=90
    ),
)
RECOVERED_SORTS = (
    Sort("failed attempts", None, ("attempts",)),
    Sort("delay", lambda row, _: -row.recovery.total_delay, ("total",)),
    Sort("events recovered", lambda row, _: -row.recovery.recovered, ("recovered",)),
    Sort("events helped", lambda row, _: -row.recovery.helped, ("helped",)),
    Sort("relapses", lambda row, _: (-row.relapses, -row.episodes), ("relapses",)),
)
"""Orders of the list; the first is the core's own."""


class DueRow(NamedTuple):
    """The retries of one event type, or of all; `key` stays the same for the same type."""

    key: int
    due: DueType
    bursts: tuple[Burst, ...]
    where: str


def due_rows(calendar: RetrySchedule) -> list[DueRow]:
    """A row for each event type, and first one for all of them where there are several."""
    several = len(calendar.types) > 1
    rows = []
    for at, due in enumerate(with_all(calendar.types)):
        if several and not at:
            rows.append(DueRow(0, due, calendar.bursts, _RETRIES))
            continue
        bursts = tuple(burst for burst in calendar.bursts if burst.event_type == due.event_type)
        rows.append(DueRow(hash(due.event_type), due, bursts, with_value(_RETRIES, "type", due.event_type)))
    return rows


def _bars(minutes: int) -> Callable[[Any, Context], Cell]:
    """The hour as bars, each so many minutes."""

    def cell(row: DueRow, _context: Context) -> Cell:
        counts = row.due.minutes
        return sparkline([sum(counts[at : at + minutes]) for at in range(0, len(counts), minutes)]), ""

    return cell


def _bursts(row: DueRow, _context: Context) -> Cell:
    if not row.bursts:
        return "", ""
    worst = max(row.bursts, key=lambda burst: burst.retries)
    return f"{moment(worst.minute_at)[11:16]} {worst.retries:,}", "mark"


DUE_COLUMNS = (
    Column("event type", 18, lambda row, _: (one_line(row.due.event_type, 60), "strong")),
    Column("overdue", 7, lambda row, _: _number(row.due.overdue), right=True),
    Column("in the hour", 11, lambda row, _: _number(sum(row.due.minutes)), right=True, from_width=48),
    Column("later", 7, lambda row, _: _number(row.due.later), right=True, from_width=56),
    Column("storm", 11, _bursts, from_width=66),
    Column("by 4 min", 15, _bars(4), from_width=60, to_width=96),
    Column("by 2 minutes", 30, _bars(2), from_width=96, to_width=130),
    Column("by minute", 60, _bars(1), from_width=130),
)


def _number(number: int) -> Cell:
    return f"{number:,}", "" if number else "dim"


def due_minutes(row: DueRow, first_minute_at: int, now: int) -> list[Line]:
    """The minutes in which retries are due, as bars; a retry storm says where it comes from."""
    minutes, lines = row.due.minutes, []
    top = max(minutes)
    for at, retries in enumerate(minutes):
        if not retries:
            continue
        minute_at = first_minute_at + at * MINUTE
        bursts = [burst for burst in row.bursts if burst.minute_at == minute_at]
        bar = f"{retries:>7,}  " + "█" * -(-retries * _BAR // max(top, _BAR))
        lines += timed(partial(_minute, minute_at, bar), now, styled("mark") if bursts else plain)
        lines += [line for burst in bursts for line in _burst(burst)]
    return lines or [Line("No retry is due within the hour.", dim)]


def _minute(minute_at: int, bar: str, now: int) -> str:
    return f"{moment(minute_at)[11:16]}  {distance(max(minute_at, now), now):>9}  {bar}"


def _burst(burst: Burst) -> Iterable[Line]:
    headline = f"       retry storm: {burst.retries:,} of {burst.event_type}, usually {burst.usual:g} per minute"
    yield from lines_of(headline, styled("mark"))
    for cluster in burst.clusters:
        source = f"#{str(cluster.cluster_id)[:7]}  {cause(cluster.error_type, cluster.template)}"
        yield Line(one_line(f"       {cluster.retries:>7,} from {source}", _LONG), dim)
