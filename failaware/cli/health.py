"""`failaware health`: events by state, and what needs attention."""

import argparse
from typing import Any, NamedTuple

from failaware.cli.answer import Answer
from failaware.cli.line import Line, status, text
from failaware.cli.printer import Printer
from failaware.cli.stores import shown
from failaware.derive.stored_version import outdated
from failaware.model import EventRef, Health
from failaware.read.inspector import Inspector
from failaware.text import counted, when


class _More(NamedTuple):
    health: Health
    role: str
    """The role of this connection on a server."""


def ask(inspector: Inspector, _args: argparse.Namespace) -> Answer[dict[str, Any], _More]:
    """The health, and when commits are flushed to disk."""
    health = inspector.health()
    return Answer(
        {**health._asdict(), "flush": inspector.connections.flush_mode()}, _More(health, inspector.connections.role())
    )


def draw(answer: Answer[dict[str, Any], _More], printer: Printer, args: argparse.Namespace) -> None:
    """Counts by state, then what needs attention."""
    (health, role_name), place = answer.more, shown(args)
    role = text(f"  {role_name}", "dim") if role_name else Line()
    printer.print(text(place, "bold") + text(f"  {counted(health.total_events, 'event')}") + role)
    if not health.total_events:
        printer.write(
            "Nothing is recorded yet: store.record(...) in Python, 'failaware ingest FILE', "
            f"or 'failaware seed --db {place}' for sample data."
        )
    else:
        printer.print()
        _draw_counts(printer, health)
        printer.print()
        _draw_notable(printer, health)
        _draw_unattended(printer, health)
    _draw_notes(printer, health)
    if answer.document["flush"] == "under the lock":
        slower = "The file system is not known to be local: writers flush to disk one at a time."
        printer.print(Line(), text(slower, "dim"))


def _draw_notes(printer: Printer, health: Health) -> None:
    """Notes on the derivation, rejects and archives."""
    if older := outdated(health.derivation, health.derived_by):
        printer.print(Line(), text(f"{older}.", "yellow"))
    if health.rejects:
        rejects = f"{counted(health.rejects, 'line')} could not be ingested; 'failaware rejects' shows the reasons"
        printer.print(Line(), text(rejects, "yellow"))
    if health.archived:
        archived = f"{counted(health.archived, 'older event')} in archives; 'failaware verify' names them"
        printer.print(Line(), text(archived, "dim"))


def _pending(health: Health) -> str:
    if not health.requeued:
        return "no attempt yet"
    requeued = sum(events for _, events in health.requeued)
    return "requeued, no attempt since" if requeued == health.pending else "no attempt yet, or requeued"


def _draw_unattended(printer: Printer, health: Health) -> None:
    """PENDING events of types for which no worker is running an event."""
    unattended = False
    for events, label in ((health.waiting, "Waiting for their first attempt"), (health.requeued, "Requeued")):
        types = [f"{event_type} ({count:,})" for event_type, count in events if event_type not in health.attended]
        if types:
            unattended = True
            more = f" and {len(types) - 5} more types" if len(types) > 5 else ""
            printer.print(Line(), text(f"{label}: {', '.join(types[:5])}{more}.", "blue"))
    if unattended:
        printer.write("Is a worker with handlers for them running? failaware run MODULE", "dim")


def _draw_counts(printer: Printer, health: Health) -> None:
    counts = (
        ("PENDING", health.pending, _pending(health)),
        ("FAILED", health.failed, "failed, another attempt is due"),
        ("DEAD", health.dead, "failed, no further attempt"),
        ("SYNCED", health.synced, "succeeded"),
        ("DISMISSED", health.dismissed, "a person decided that nothing more is needed"),
    )
    rows = [
        (status(name) if count else text(name, "dim"), f"{count:,}", text(meaning, "dim"))
        for name, count, meaning in counts
    ]
    printer.rows(("state", "events", ""), rows, right=["events"])


def _draw_notable(printer: Printer, health: Health) -> None:
    now, oldest, retried, due = printer.now, health.oldest_unresolved, health.most_retried, health.next_due
    retries = f"{retried.value:,} {'retry' if retried.value == 1 else 'retries'}" if retried else "none"
    notable = (
        ("oldest unresolved", when(oldest.value, now) if oldest else "none", oldest),
        ("most retried", retries, retried),
        ("due next", when(due.value, now) if due else "nothing", due),
        ("due now", f"{health.due_now:,}; {health.running:,} running", None),
        ("last fact", when(health.last_fact_at, now), None),
    )
    printer.rows(("", "", ""), [(text(name, "dim"), value, _named(event)) for name, value, event in notable])


def _named(event: EventRef | None) -> str:
    return f"event {event.event_id}  {event.event_type}" if event else ""
