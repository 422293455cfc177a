"""`failaware health`: how many events stand where, and what stands out."""

import argparse

from failaware.cli import printer, report_options
from failaware.cli.printer import Line
from failaware.derive.stored_version import outdated
from failaware.model import EventRef, Health
from failaware.text import counted, shown_place, when


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Only --json, --as-of."""
    report_options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    with report_options.inspector(args) as inspector:
        health, now, role = inspector.health(), inspector.now(), inspector.db.role()
    role = f"  {role}" if role else ""
    if args.json:
        printer.print_json(health)
        return 0
    paper = printer.Paper()
    events = counted(health.total_events, "event")
    paper.print(printer.text(shown_place(args.db), "bold") + printer.text(f"  {events}") + printer.text(role, "dim"))
    if not health.total_events:
        paper.print(
            printer.text(
                "Nothing is recorded yet: store.record(...) in Python, 'failaware ingest FILE', "
                f"or 'failaware seed --db {shown_place(args.db)}' for sample data."
            )
        )
    else:
        paper.print()
        _print_counts(paper, health)
        paper.print()
        _print_notable(paper, health, now)
        _print_unattended(paper, health)
    _print_notes(paper, health)
    return 0


def _print_notes(paper: printer.Paper, health: Health) -> None:
    """What is not about events that are here."""
    if older := outdated(health.derivation, health.derived_by):
        paper.print(Line(), printer.text(f"{older}.", "yellow"))
    if health.rejects:
        rejects = f"{counted(health.rejects, 'line')} could not be ingested; 'failaware rejects' shows the reasons"
        paper.print(Line(), printer.text(rejects, "yellow"))
    if health.archived:
        archived = f"{counted(health.archived, 'older event')} in archives; 'failaware verify' names them"
        paper.print(Line(), printer.text(archived, "dim"))


def _pending(health: Health) -> str:
    if not health.requeued:
        return "not tried yet"
    requeued = sum(events for _, events in health.requeued)
    return "requeued, not tried since" if requeued == health.pending else "not tried yet, or requeued"


def _print_unattended(paper: printer.Paper, health: Health) -> None:
    """What waits, of types of which no worker has an event in hand."""
    waits = False
    for events, what in ((health.waiting, "Waiting for their first attempt"), (health.requeued, "Requeued")):
        types = [f"{event_type} ({count:,})" for event_type, count in events if event_type not in health.attended]
        if types:
            waits = True
            more = f" and {len(types) - 5} more types" if len(types) > 5 else ""
            paper.print(Line(), printer.text(f"{what}: {', '.join(types[:5])}{more}.", "blue"))
    if waits:
        paper.print(printer.text("Is a worker with handlers for them running? failaware run MODULE", "dim"))


def _print_counts(paper: printer.Paper, health: Health) -> None:
    rows = []
    for name, count, meaning in (
        ("PENDING", health.pending, _pending(health)),
        ("FAILED", health.failed, "failed, another attempt is due"),
        ("DEAD", health.dead, "failed, nothing more will be tried"),
        ("SYNCED", health.synced, "applied"),
        ("DISMISSED", health.dismissed, "a person said that no more is needed"),
    ):
        state = printer.status(name) if count else printer.text(name, "dim")
        rows.append(([state, printer.text(f"{count:,}"), printer.text(meaning, "dim")], Line()))
    printer.print_rows(paper, ("state", "events", ""), rows, right=["events"])


def _print_notable(paper: printer.Paper, health: Health, now: int) -> None:
    oldest, retried, due = health.oldest_unresolved, health.most_retried, health.next_due
    retries = f"{retried.value:,} {'retry' if retried.value == 1 else 'retries'}" if retried else "none"
    table: list[tuple[str, str, EventRef | None]] = [
        ("oldest unresolved", when(oldest.value, now) if oldest else "none", oldest),
        ("most retried", retries, retried),
        ("due next", when(due.value, now) if due else "nothing", due),
        ("due now", f"{health.due_now:,}; {health.in_hand:,} in hand", None),
        ("last fact", when(health.last_fact_at, now), None),
    ]
    rows = [
        ([printer.text(what, "dim"), printer.text(value), printer.text(_named(event))], Line())
        for what, value, event in table
    ]
    printer.print_rows(paper, ("", "", ""), rows)


def _named(event: EventRef | None) -> str:
    return f"event {event.event_id}  {event.event_type}" if event else ""
