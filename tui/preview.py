"""A cluster in plain words, for the pane next to the list: since when, the trend, what varies, the newest failure."""

from typing import NamedTuple

from failaware.model import Cluster
from failaware.model.patterns import MaskedValues, NewestFailures, Trend
from failaware.read.inspector import Inspector
from failaware.text import counted, distance, one_line

from . import documents
from .columns import clock_time, recovery_rate
from .documents import Line, fact_paint, lines_of, plain, strong, styled, timed
from .palette import symbol

_VALUES = 3  # of a placeholder
_LONG = 24  # cells of a value


class Preview(NamedTuple):
    """A cluster, and what the preview shows of it."""

    cluster: Cluster
    newest: NewestFailures
    trend: Trend | None
    now: int


def read(inspector: Inspector, cluster_id: int) -> Preview:
    """Read what the preview shows."""
    patterns = inspector.patterns
    with inspector.snapshot():
        trend = next(iter(patterns.trends(cluster_id=cluster_id)), None)
        return Preview(inspector.cluster(cluster_id), patterns.newest(cluster_id), trend, inspector.now())


def lines(preview: Preview) -> list[Line]:
    """The preview as a text; what matters most comes first, since a small terminal shows five lines."""
    cluster, newest, trend, now = preview
    text = [Line(_severity(cluster) + standing(cluster), styled(cluster.severity or "strong"))]
    text += timed(lambda at: _since(cluster, at), now, fact_paint)
    text += lines_of(f"trend      {trend_words(trend)}; {recovery_rate(cluster)} recovered", fact_paint)
    text += lines_of(f"next step  {next_step(cluster)}", fact_paint)
    text += _masked(newest)
    attempt = newest.attempt
    text += timed(
        lambda at: (
            f"newest     attempt {attempt.attempt_no} of event {attempt.event_id}, {distance(attempt.finished_at, at)}"
        ),
        now,
        fact_paint,
    )
    text.append(Line("", plain))
    text += lines_of(f"{attempt.error_type}: {attempt.error_message}", strong)
    if attempt.traceback:
        text += documents.traceback(attempt.traceback, fold=True).lines
    return text


def _severity(cluster: Cluster) -> str:
    return f"{symbol(cluster.severity)}  " if cluster.severity and cluster.unresolved else ""


def standing(cluster: Cluster) -> str:
    """How many of its events are unresolved, and their states."""
    events = counted(cluster.events, "event")
    if not cluster.unresolved:
        return f"Resolved: 0 of {events} unresolved"
    states = [
        f"{number:,} {state}" for state, number in (("DEAD", cluster.dead), ("FAILED", cluster.retrying)) if number
    ]
    return f"{cluster.unresolved:,} of {events} unresolved: {', '.join(states)}"


def _since(cluster: Cluster, now: int) -> str:
    first = f"{clock_time(cluster.first_failed_at, now)} ({distance(cluster.first_failed_at, now)})"
    again = "" if cluster.episodes < 2 else f" in {counted(cluster.episodes, 'episode')}"
    return f"since      {first}{again}, last failure {distance(cluster.last_failed_at, now)}"


def trend_words(trend: Trend | None) -> str:
    """The failures of the last hour and day; whether it is new or rising."""
    if trend is None or not sum(trend.hours):
        return "no failure in the last 24 h"
    words = {"new": "new: ", "rising": "rising: "}.get(trend.change or "", "")
    numbers = f"{trend.last_hour:,} in the last hour, peak {trend.peak:,}/h, {sum(trend.hours):,} in 24 h"
    return words + numbers


def next_step(cluster: Cluster, *, in_list: bool = True) -> str:
    """What a person should do about a cluster. Its own page says where the keys are about all of its events."""
    if cluster.dead:
        dead = "dead event" if cluster.dead == 1 else f"{cluster.dead:,} dead events"
        if in_list:
            return f"requeue (c) or dismiss (C) the {dead} once the cause is fixed"
        return f"requeue or dismiss the {dead} (c, C in the list of clusters) once the cause is fixed"
    if cluster.retrying:
        return "wait: a worker retries its events (d shows when)"
    return "none: no event is unresolved"


def _masked(newest: NewestFailures) -> list[Line]:
    """The values of each placeholder, most frequent first."""
    shown = [line for masked in newest.masked if masked.placeholder for line in lines_of(_values(masked), plain)]
    if not shown:
        return []
    of = "failure" if newest.of == 1 else f"{newest.of} failures"
    return [Line(f"values     in the newest {of}", fact_paint), *shown]


def _values(masked: MaskedValues) -> str:
    parts = [f"{one_line(value, _LONG)} ×{times}" for value, times in masked.values[:_VALUES]]
    if len(masked.values) > _VALUES:
        parts.append(f"{len(masked.values) - _VALUES} others")
    return f"           {one_line(masked.placeholder, 40)} {', '.join(parts)}"
