"""What happened to an event, as texts: one attempt and how it failed, the payload, the history. No widget."""

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import groupby

from failaware.model import HOUR, Attempt, Cluster, Decision, EventDetail, HourCount
from failaware.model.differences import Correction
from failaware.model.patterns import Run
from failaware.text import arrows, counted, distance, moment, one_line, when

from . import documents
from .columns import cause, clock_time, took
from .documents import Line, dim, fact_paint, lines_of, plain, strong, styled, timed
from .palette import symbol

_LONG = 110  # characters of the payload, and of an error, in a line
_MESSAGE, _MESSAGE_LINES = 200, 2  # characters of a line of a message, and lines, before a traceback
_ATTEMPTS = 30  # listed at most
_DAY = 24
_BAR = 40  # cells of the longest bar


def chosen(attempts: tuple[Attempt, ...], cluster_id: int | None, attempt_no: int | None) -> Attempt | None:
    """The attempt to show: this number, else the newest that failed in the cluster, else the newest failed, or any."""
    failed = [attempt for attempt in attempts if attempt.error_type is not None]
    preferred = (
        [attempt for attempt in attempts if attempt.attempt_no == attempt_no],
        [attempt for attempt in failed if attempt.cluster_id == cluster_id],
        failed,
        attempts,
    )
    return next((choice[-1] for choice in preferred if choice), None)


def failure(event: EventDetail, shown: Attempt | None, now: int, *, fold: bool) -> list[Line]:
    """An attempt, what became of the event, the traceback, the payload in a line, and all attempts."""
    lines = _message(shown) if shown is not None and shown.error_type else []
    if shown is None:
        lines.append(Line("No attempt yet.", dim))
    else:
        lines += _about(shown, now)
    lines += _outcome(event, shown, now)
    if shown is not None and shown.traceback:
        lines += documents.traceback(shown.traceback, fold=fold).lines
    elif shown is not None and shown.error_type:
        lines.append(Line("No traceback was kept.", dim))
    lines += [Line("", plain), *lines_of(f"payload    {one_line(event.event_payload, _LONG)}", fact_paint)]
    if event.attempts:
        lines += [Line("", plain), Line(counted(len(event.attempts), "attempt"), strong)]
        lines += _attempts(event.attempts, shown, now)
    return lines


def _message(shown: Attempt) -> list[Line]:
    """The error; of a long one that the traceback ends with only the beginning, so that the traceback is in sight."""
    lines = lines_of(_error(shown), styled("strong"))
    repeated = bool(shown.traceback) and (shown.error_message or "") in (shown.traceback or "")
    first = [line._replace(text=one_line(line.text, _MESSAGE)) for line in lines[:_MESSAGE_LINES]]
    if not repeated or [line.text for line in first] == [line.text for line in lines]:
        return lines
    return [*first, Line("… the whole message is at the end of the traceback", dim)]


def _error(attempt: Attempt) -> str:
    return cause(attempt.error_type, attempt.error_message or "")


def _about(shown: Attempt, now: int) -> list[Line]:
    """When an attempt was made, and what was decided after it."""
    lines = lines_of(f"root cause {shown.cause}", fact_paint) if shown.cause else []
    lines += timed(partial(_when, shown), now, fact_paint)
    if shown.retry_reason and shown.retry_at:
        lines += timed(partial(_next_attempt, shown.retry_at, shown.retry_reason), now, dim)
    elif shown.retry_reason:
        lines += lines_of(f"no further attempt: {shown.retry_reason}", dim)
    return lines


def _when(attempt: Attempt, now: int) -> str:
    at = f"{clock_time(attempt.finished_at, now)} ({distance(attempt.finished_at, now)})"
    return f"attempt    {attempt.attempt_no}, {at}, took {took(attempt)}"


def _next_attempt(retry_at: int, reason: str, now: int) -> str:
    return f"next attempt {'' if retry_at > now else 'was due '}{when(retry_at, now)}: {reason}"


def _outcome(event: EventDetail, shown: Attempt | None, now: int) -> list[Line]:
    """What became of the event: it recovered, or somebody decided about it."""
    lines: list[Line] = []
    last = event.attempts[-1] if event.attempts else None
    if last is not None and last.error_type is None:
        words = "It succeeded." if last is shown else f"attempt {last.attempt_no} succeeded"
        lines += timed(lambda at: f"{words}  ({distance(last.finished_at, at)})", now, styled("SYNCED"))
    if event.decisions:
        lines += timed(partial(_decision, event.decisions[-1]), now, styled("mark"))
    return lines


def _attempts(attempts: tuple[Attempt, ...], shown: Attempt | None, now: int) -> Iterator[Line]:
    if len(attempts) > _ATTEMPTS:
        yield Line(f"  … {counted(len(attempts) - _ATTEMPTS, 'earlier attempt')}", dim)
    for attempt in attempts[-_ATTEMPTS:]:
        yield from timed(partial(_attempt, attempt, attempt is shown), now, styled(attempt.outcome))


def _attempt(attempt: Attempt, is_shown: bool, now: int) -> str:
    mark = "▸" if is_shown else " "
    error = "" if attempt.error_type is None else f"  {attempt.error_type.rpartition('.')[2]}"
    return (
        f"{mark} {attempt.attempt_no:>3}  {symbol(attempt.outcome):<9} {distance(attempt.finished_at, now):>10} "
        f"{took(attempt):>8}{error}  by {attempt.worker}"
    )


def history(event: EventDetail, runs: tuple[Run, ...], now: int) -> list[Line]:
    """The facts about an event, then what happened to it, oldest first."""
    lines = [Line(f"Event {event.event_id}", strong), *_state(event, runs)]
    facts = (
        ("type", event.event_type),
        ("key", event.key),
        ("source", event.source),
        ("occurred", event.occurred_at),
        ("detected", event.detected_at),
        ("due", event.due_at or None),
        ("leased by", event.leased_by),
    )
    for name, value in facts:
        if isinstance(value, int):
            lines += timed(partial(_moment_fact, name, value), now, fact_paint)
        elif value is not None:
            lines += lines_of(f"{name:<10} {value}", fact_paint)
    if event.cluster_id is not None:
        of_cluster = f"{'cluster':<10} {event.cluster_id}"
        lines.append(Line(of_cluster, fact_paint, names=("cluster", event.cluster_id)))
    lines += [Line("", plain), Line("What happened, oldest first", strong)]
    happened: list[tuple[int, str, str]] = [(event.detected_at, "recorded", "")]
    happened += [(attempt.finished_at, *_attempt_words(attempt)) for attempt in event.attempts]
    happened += [(each.decided_at, _decision_words(each), "mark") for each in event.decisions]
    for at, words, meaning in sorted(happened, key=lambda fact: fact[0]):
        lines += lines_of(f"  {moment(at)}  {words}", styled(meaning))
    return lines


def _state(event: EventDetail, runs: tuple[Run, ...]) -> Iterator[Line]:
    state = "DISMISSED" if event.dismissed else event.sync_status
    yield Line(symbol(state), styled(state))
    if event.severity:
        yield Line(f"{symbol(event.severity)}  {event.rule}", styled(event.severity))
        yield from lines_of(event.reason or "", plain)
    if len(runs) > 1:
        yield Line(arrows([run.words for run in runs]), strong)


def _moment_fact(name: str, at: int, now: int) -> str:
    return f"{name:<10} {when(at, now)}"


def _attempt_words(attempt: Attempt) -> tuple[str, str]:
    error = f": {one_line(_error(attempt), _LONG)}" if attempt.error_type else ""
    return f"attempt {attempt.attempt_no} {attempt.outcome}{error}", attempt.outcome


def _decision_words(decision: Decision) -> str:
    return f"{decision.decision} by {decision.decided_by}: {decision.reason}"


def _decision(decision: Decision, now: int) -> str:
    when_and_why = f"{when(decision.decided_at, now)}: {decision.reason}"
    return f"{decision.decision} by {decision.decided_by}, {when_and_why}"


def cluster_history(
    cluster: Cluster, hours: Iterable[HourCount], corrections: Iterable[Correction], now: int
) -> list[Line]:
    """When a cluster failed, by hour in the last day and by day before, and which clusters a person made it of."""
    lines = [Line(f"Cluster {str(cluster.cluster_id)[:7]}", strong)]
    for name, at in (("first", cluster.first_failed_at), ("last", cluster.last_failed_at)):
        lines += timed(partial(_moment_fact, name, at), now, fact_paint)
    numbers = [
        counted(cluster.events, "event"),
        counted(cluster.failures, "failure"),
        f"{cluster.recovered:,} recovered",
    ]
    numbers += [counted(cluster.episodes, "episode"), counted(cluster.relapses, "relapse")]
    lines += [*lines_of(f"counts     {', '.join(numbers)}", fact_paint), Line("", plain)]
    lines += _corrections(cluster.cluster_id, corrections)
    recent = (now // HOUR - _DAY + 1) * HOUR
    of_hours = {moment(hour.hour_at)[:16]: hour.failures for hour in hours if hour.hour_at >= recent}
    of_days = {
        day: sum(hour.failures for hour in of_day)
        for day, of_day in groupby(
            (hour for hour in hours if hour.hour_at < recent), lambda hour: moment(hour.hour_at)[:10]
        )
    }
    for title, counts in (("Failures by hour, last 24 h", of_hours), ("Failures by day, before", of_days)):
        lines.append(Line(title if counts else f"{title}: none", strong))
        top = max(counts.values(), default=0)
        bars = (
            f"  {name:<16} {number:>7,}  {'█' * -(-number * _BAR // max(top, _BAR))}" for name, number in counts.items()
        )
        lines += [Line(bar, plain) for bar in reversed(list(bars))]
    return lines


def _corrections(cluster_id: int, corrections: Iterable[Correction]) -> Iterator[Line]:
    """What people decided about the cluster; a line opens the other cluster, if there is one again."""
    listed = [(each, _correction(each)) for each in corrections]
    if listed:
        yield Line("Corrections, newest first", strong)
    for each, words in listed:
        other = each.cluster_id if each.cluster_id != cluster_id else each.into_cluster
        names = None if other is None or each.undone_by is None else ("cluster", other)  # else it is this one
        text = f"  {moment(each.decided_at)}  {words} by {each.decided_by}: {each.reason}"
        yield from (line._replace(names=names) for line in lines_of(text, styled("mark")))
    if listed:
        yield Line("", plain)


def _correction(correction: Correction) -> str:
    own = f"#{str(correction.cluster_id)[:7]}"
    if correction.correction == "UNDO":
        return f"UNDO of correction {correction.undoes}"
    undone = "" if correction.undone_by is None else " (undone)"
    if correction.into_cluster is not None:
        return f"MERGE of {own} into #{str(correction.into_cluster)[:7]}{undone}"
    return f"SPLIT of {own} by {correction.split_by}{undone}"
