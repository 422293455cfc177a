"""`failaware event ID`: payload, every attempt ever made with its error and the wait decided after it, decisions."""

import argparse

from failaware.cli import printer, report_options
from failaware.json_text import indented
from failaware.model import Attempt, EventDetail
from failaware.model.patterns import Run
from failaware.text import arrows, when

_MAX_SHOWN = 20_000  # characters of a payload on a terminal; --json has all of it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """ID, --json, --as-of."""
    parser.add_argument("id", type=printer.positive, help="the event's number")
    report_options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    with report_options.inspector(args) as inspector:
        with inspector.snapshot():
            event, runs = inspector.event(args.id), inspector.patterns.runs(args.id)
        now = inspector.now()
    if args.json:
        printer.print_json({**event._asdict(), "runs": runs})
        return 0
    paper = printer.Paper()
    _draw_head(paper, event, runs, now)
    paper.print()
    paper.print(printer.text("Payload", "bold"))
    paper.print(printer.block(_pretty(event.event_payload)))
    paper.print()
    paper.print(printer.text("Attempts" if event.attempts else "No attempt yet", "bold"))
    shown: set[str] = set()
    for attempt in event.attempts:
        draw_attempt(paper, attempt, now, shown)
    for decision in event.decisions:
        line = printer.text(f"{decision.decision} by {decision.decided_by}: {decision.reason}", "bold")
        paper.print(line + printer.text(f"  {when(decision.decided_at, now)}", "dim"))
    return 0


def _draw_head(paper: printer.Paper, event: EventDetail, runs: tuple[Run, ...], now: int) -> None:
    title = printer.text(f"event {event.event_id}  ", "dim")
    title += printer.text(f"{event.event_type}  ", "bold")
    title += printer.status(event.sync_status, dismissed=event.dismissed)
    if event.severity:
        title += printer.text("  ") + printer.severity(event.severity)
    paper.print(title)
    if event.reason:
        paper.print(printer.text(f"because {event.rule}: {event.reason}"))
    if len(runs) > 1:
        paper.print(printer.text(arrows([run.words for run in runs]), "bold"))
    facts = [
        ("key", event.key),
        ("source", event.source),
        ("occurred", when(event.occurred_at, now) if event.occurred_at != event.detected_at else None),
        ("detected", when(event.detected_at, now)),
        ("due", when(event.due_at, now) if event.due_at is not None else None),
        ("in hand of", event.leased_by),
        ("cluster", event.cluster_id),
    ]
    for name, value in facts:
        if value is not None:
            paper.print(printer.text(f"{name:<11}", "dim") + printer.text(value))


def draw_attempt(paper: printer.Paper, attempt: Attempt, now: int, shown: set[str] | None = None) -> None:
    """One attempt; a traceback that was shown already is not shown again."""
    line = printer.text(f"#{attempt.attempt_no} ", "bold")
    line += printer.text(attempt.outcome, "green" if attempt.outcome == "SYNCED" else "red")
    took = _duration(attempt.finished_at - attempt.started_at)
    paper.print(line + printer.text(f"  {when(attempt.finished_at, now)}  took {took}  by {attempt.worker}", "dim"))
    if attempt.error_type is not None:
        message = printer.block((attempt.error_message or "").replace("\n", "\n   "))
        paper.print(printer.text(f"   {attempt.error_type}: ", "bold") + message)
    if attempt.cause:
        paper.print(printer.text("   caused by ", "dim") + printer.block(attempt.cause.replace("\n", "\n   ")))
    if attempt.fingerprint:
        paper.print(printer.text(f"   fingerprint as given: {attempt.fingerprint}", "dim"))
    if attempt.because:
        wait = f"next attempt {when(attempt.retry_at, now)}" if attempt.retry_at else "no further attempt"
        paper.print(printer.text(f"   {wait}: {attempt.because}", "dim"))
    if attempt.traceback is not None:
        if shown is not None and attempt.traceback in shown:
            paper.print(printer.text("   the same traceback", "dim"))
            return
        paper.print(printer.block("   " + attempt.traceback.rstrip().replace("\n", "\n   "), "dim"))
        if shown is not None:
            shown.add(attempt.traceback)


def _pretty(payload: str) -> str:
    text = indented(payload)
    if len(text) > _MAX_SHOWN:
        text = f"{text[:_MAX_SHOWN]}\n… {len(text) - _MAX_SHOWN:,} more characters; --json has all of them"
    return text


def _duration(microseconds: int) -> str:
    if microseconds < 1_000:
        return f"{microseconds} µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1_000:.3g} ms"
    return f"{microseconds / 1_000_000:,.1f} s"
