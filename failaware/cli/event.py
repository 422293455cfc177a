"""`failaware event ID`: payload, every attempt with its error and the retry delay after it, decisions."""

import argparse
from typing import Any, NamedTuple

from failaware.cli.arguments import fact_id
from failaware.cli.line import block, severity, status, text
from failaware.cli.printer import Printer
from failaware.json_text import indented
from failaware.model import Attempt, EventDetail
from failaware.model.patterns import Run
from failaware.read.inspector import Inspector
from failaware.text import arrows, when

_MAX_SHOWN = 20_000  # characters of a payload on a terminal; --json has all of it


class Answer(NamedTuple):
    """The event, and how its error changed."""

    event: EventDetail
    runs: tuple[Run, ...]

    @property
    def document(self) -> dict[str, Any]:
        """The event with its runs, as one JSON object."""
        return {**self.event._asdict(), "runs": self.runs}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """ID."""
    parser.add_argument("id", type=fact_id, help="the event's number; of one of several stores 42@shop")


def ask(inspector: Inspector, args: argparse.Namespace) -> Answer:
    """The event, as of one moment."""
    event_id = inspector.id_of(args.id)
    with inspector.snapshot():
        return Answer(inspector.event(event_id), inspector.patterns.runs(event_id))


def draw(answer: Answer, printer: Printer, _args: argparse.Namespace) -> None:
    """All of it, from the state down to the decisions."""
    event = answer.event
    _draw_head(event, answer.runs, printer)
    printer.heading("Payload")
    printer.print(block(_pretty(event.event_payload)))
    printer.heading("Attempts" if event.attempts else "No attempt yet")
    shown: set[str] = set()
    for attempt in event.attempts:
        draw_attempt(attempt, printer, shown)
    for decision in event.decisions:
        line = text(f"{decision.decision} by {decision.decided_by}: {decision.reason}", "bold")
        printer.print(line + text(f"  {when(decision.decided_at, printer.now)}", "dim"))


def _draw_head(event: EventDetail, runs: tuple[Run, ...], printer: Printer) -> None:
    title = text(f"event {event.event_id}  ", "dim")
    title += text(f"{event.event_type}  ", "bold")
    title += status(event.sync_status, dismissed=event.dismissed)
    if event.severity:
        title += text("  ") + severity(event.severity)
    printer.print(title)
    if event.reason:
        printer.write(f"because {event.rule}: {event.reason}")
    if len(runs) > 1:
        printer.write(arrows([run.words for run in runs]), "bold")
    now = printer.now
    facts = {
        "key": event.key,
        "source": event.source,
        "occurred": when(event.occurred_at, now) if event.occurred_at != event.detected_at else None,
        "detected": when(event.detected_at, now),
        "due": when(event.due_at, now) if event.due_at is not None else None,
        "leased by": event.leased_by,
        "cluster": event.cluster_id,
    }
    for name, value in facts.items():
        if value is not None:
            printer.print(text(f"{name:<11}", "dim") + text(value))


def draw_attempt(attempt: Attempt, printer: Printer, shown: set[str] | None = None) -> None:
    """One attempt; a traceback that was shown already is not shown again."""
    line = text(f"#{attempt.attempt_no} ", "bold")
    line += text(attempt.outcome, "green" if attempt.outcome == "SYNCED" else "red")
    took = _duration(attempt.finished_at - attempt.started_at)
    printer.print(line + text(f"  {when(attempt.finished_at, printer.now)}  took {took}  by {attempt.worker}", "dim"))
    if attempt.error_type is not None:
        message = block((attempt.error_message or "").replace("\n", "\n   "))
        printer.print(text(f"   {attempt.error_type}: ", "bold") + message)
    if attempt.cause:
        printer.print(text("   caused by ", "dim") + block(attempt.cause.replace("\n", "\n   ")))
    if attempt.fingerprint:
        printer.write(f"   fingerprint as given: {attempt.fingerprint}", "dim")
    if attempt.retry_reason:
        retry = f"next attempt {when(attempt.retry_at, printer.now)}" if attempt.retry_at else "no further attempt"
        printer.write(f"   {retry}: {attempt.retry_reason}", "dim")
    if attempt.traceback is not None:
        if shown is not None and attempt.traceback in shown:
            printer.write("   the same traceback", "dim")
            return
        printer.print(block("   " + attempt.traceback.rstrip().replace("\n", "\n   "), "dim"))
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
