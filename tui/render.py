"""From what the Inspector answers to what the screens show: rich text, harmless. No widget, no query."""

import json
from collections import defaultdict

from rich.text import Text

from failaware.model import HOUR, Attempt, Cluster, EventDetail, EventSummary, Health, SeverityCounts
from failaware.text import counted, distance, one_line, sparkline, visible, when

from .messages import Picture
from .refresh import HOURS

STYLES = {"CRITICAL": "bold reverse red", "HIGH": "bold red", "MEDIUM": "yellow", "LOW": "cyan"}
STATUS_STYLES = {"PENDING": "blue", "FAILED": "yellow", "DEAD": "bold red", "SYNCED": "green"}
WIDE_COLUMNS = ("severity", "events", "open", "failures", "last 24 h", "last failure", "failure")
NARROW_COLUMNS = ("severity", "open", "last failure", "failure", "events", "failures", "last 24 h")
"""The same columns; on a narrow terminal what fails comes before how often."""

EVENT_COLUMNS = ("event", "state", "severity", "tries", "detected", "next", "last error")

_WIDE = 120
_MAX_SHOWN = 20_000  # characters of a payload or a traceback on the screen
_MAX_CELL = 200


def health_line(health: Health, now: int) -> Text:
    """The states, and the oldest trouble."""
    text = Text(f"{counted(health.total_events, 'event')}  ")
    for name, count in (
        ("PENDING", health.pending),
        ("FAILED", health.failed),
        ("DEAD", health.dead),
        ("SYNCED", health.synced),
    ):
        text.append(f" {name} {count:,} ", STATUS_STYLES[name] if count else "dim")
    text.append(f" DISMISSED {health.dismissed:,} ", "dim")
    if health.oldest_unresolved:
        text.append(f"  oldest unresolved {distance(health.oldest_unresolved.value, now)}", "dim")
    return text


def severity_line(counts: SeverityCounts) -> Text:
    """Clusters and events at each severity."""
    text = Text()
    for level, style in STYLES.items():
        both = counts.clusters[level] + counts.events[level]
        text.append(f" {level} {both:,} ", style if both else "dim")
        text.append("  ")
    return text


def cluster_columns(width: int) -> tuple[str, ...]:
    """The columns of the clusters on a terminal of this width."""
    return WIDE_COLUMNS if width >= _WIDE else NARROW_COLUMNS


def cluster_rows(picture: Picture) -> list[tuple[str, dict[str, Text]]]:
    """A row a cluster: its id, and its cells by column."""
    first = picture.now // HOUR - (HOURS - 1)
    hours: defaultdict[int, list[int]] = defaultdict(lambda: [0] * HOURS)
    for hour in picture.hours:
        position = hour.hour_at // HOUR - first
        if 0 <= position < HOURS:
            hours[hour.cluster_id][position] = hour.failures
    return [
        (str(c.cluster_id), _cluster_cells(c, sparkline(hours[c.cluster_id]), picture.now)) for c in picture.clusters
    ]


def _cluster_cells(cluster: Cluster, line: str, now: int) -> dict[str, Text]:
    name = (one_line(cluster.event_type, 40), "bold")
    return {
        "severity": _severity(cluster.severity),
        "events": Text(f"{cluster.events:,}", justify="right"),
        "open": Text(f"{cluster.unresolved:,}", justify="right"),
        "failures": Text(f"{cluster.failures:,}", justify="right"),
        "last 24 h": Text(line),
        "last failure": Text(distance(cluster.last_failed_at, now)),
        "failure": Text.assemble(name, "  ", one_line(failure_name(cluster), _MAX_CELL)),
    }


def failure_name(cluster: Cluster) -> str:
    """Error type without its module, and template."""
    if cluster.error_type is None or cluster.error_type == cluster.template:
        return cluster.template
    return f"{cluster.error_type.rpartition('.')[2]}: {cluster.template}"


def cluster_title(cluster: Cluster, now: int) -> Text:
    """What a cluster is, and why it is as bad as it is."""
    text = _severity(cluster.severity)
    text.append(f"  cluster {cluster.cluster_id}  ", "dim")
    text.append(one_line(cluster.event_type), "bold")
    text.append("\n" + visible(failure_name(cluster), keep_newlines=True))
    if cluster.reason:
        text.append(f"\nbecause {cluster.rule}: {one_line(cluster.reason)}")
    text.append(
        f"\nfirst {when(cluster.first_failed_at, now)}   last {when(cluster.last_failed_at, now)}   "
        f"{cluster.recovered:,} recovered, {cluster.episodes:,} episodes",
        "dim",
    )
    return text


def event_row(event: EventSummary, now: int) -> list[object]:
    """The cells of an event in a list."""
    error = f"{event.last_error_type.rpartition('.')[2]}: {event.last_error}" if event.last_error_type else ""
    state = Text(event.sync_status, STATUS_STYLES[event.sync_status])
    if event.dismissed:
        state = Text(f"{event.sync_status}, dismissed", "dim")
    return [
        Text(str(event.event_id), justify="right"),
        state,
        _severity(event.severity),
        Text(str(event.attempts), justify="right"),
        Text(distance(event.detected_at, now)),
        Text("—" if event.due_at is None else distance(event.due_at, now)),
        Text(one_line(error, _MAX_CELL)),
    ]


def event_text(event: EventDetail, now: int) -> Text:
    """One event: payload, decisions, every attempt."""
    text = Text(f"event {event.event_id}  ", "dim")
    text.append(one_line(event.event_type), "bold not dim")
    text.append(f"  {event.sync_status}", STATUS_STYLES[event.sync_status])
    text.append("  ")
    text.append_text(_severity(event.severity))
    if event.reason:
        text.append(f"\nbecause {event.rule}: {one_line(event.reason)}", "not dim")
    text.append(f"\ndetected {when(event.detected_at, now)}", "dim")
    for name, value in (("key", event.key), ("source", event.source), ("in hand of", event.leased_by)):
        if value is not None:
            text.append(f"\n{name} {one_line(value)}", "dim")
    text.append("\n\nPayload\n", "bold not dim")
    text.append(visible(_pretty(event.event_payload), keep_newlines=True), "not dim")
    for decision in event.decisions:
        text.append(f"\n\n{decision.decision} by {one_line(decision.decided_by)}: ", "bold not dim")
        text.append(f"{one_line(decision.reason)}  {when(decision.decided_at, now)}", "not dim")
    text.append("\n\nAttempts" if event.attempts else "\n\nNo attempt yet", "bold not dim")
    for attempt in event.attempts:
        text.append("\n")
        text.append_text(_attempt(attempt, now))
    return text


def _attempt(attempt: Attempt, now: int) -> Text:
    text = Text(f"#{attempt.attempt_no} ", "bold")
    text.append(attempt.outcome, "green" if attempt.outcome == "SYNCED" else "red")
    text.append(f"  {when(attempt.finished_at, now)}  by {one_line(attempt.worker)}", "dim not bold")
    if attempt.error_type is not None:
        error = f"{attempt.error_type}: {attempt.error_message}"
        text.append("\n   " + visible(error, keep_newlines=True).replace("\n", "\n   "), "not bold")
    if attempt.because:
        wait = f"next attempt {when(attempt.retry_at, now)}" if attempt.retry_at else "no further attempt"
        text.append(f"\n   {wait}: {one_line(attempt.because)}", "dim not bold")
    if attempt.traceback:
        shown = visible(attempt.traceback[:_MAX_SHOWN].rstrip(), keep_newlines=True)
        text.append("\n   " + shown.replace("\n", "\n   "), "dim not bold")
    return text


def _severity(level: str | None) -> Text:
    return Text(level or "—", STYLES.get(level or "", "dim"))


def _pretty(payload: str) -> str:
    try:
        text = json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = payload
    if len(text) <= _MAX_SHOWN:
        return text
    return f"{text[:_MAX_SHOWN]}\n… {len(text) - _MAX_SHOWN:,} more characters"
