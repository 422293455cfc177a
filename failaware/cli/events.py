"""`failaware events [FILTER]`: events, newest first."""

import argparse
from collections.abc import Iterator

from failaware.cli.arguments import add_before, add_limit
from failaware.cli.line import Line, severity, status, text
from failaware.cli.printer import Printer
from failaware.model import EventSummary
from failaware.read.inspector import Inspector
from failaware.text import distance

_PAGE = 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILTER, --limit, --before."""
    parser.add_argument(
        "filter",
        nargs="*",
        help="status:DEAD type:payment.* -error:timeout since:2h severity:HIGH+ cluster:ID (any that it failed in) "
        "last:ID (that of its last failure) source:S key:K retries:>3",
    )
    add_limit(parser, "at most N events")
    add_before(parser, "events")


def ask(inspector: Inspector, args: argparse.Namespace) -> Iterator[EventSummary]:
    """Page by page, to keep memory constant for any number of events."""
    limit, before = args.limit, args.before and inspector.id_of(args.before)
    while limit > 0:
        page = inspector.events(" ".join(args.filter), limit=min(limit, _PAGE), before=before)
        yield from page
        if len(page) < _PAGE:
            return
        limit, before = limit - _PAGE, page[-1].event_id


def draw(events: list[EventSummary], printer: Printer, args: argparse.Namespace) -> None:
    """A table, and how to see more."""
    if not events:
        printer.write("No event matches the filter." if args.filter else "No events yet.")
        return
    draw_events(events, printer)
    if len(events) == args.limit:
        printer.write(f"The first {args.limit}; --before {events[-1].event_id} shows the next.", "dim")


def draw_events(events: list[EventSummary], printer: Printer) -> None:
    """Events with their state, and the last error next to it or below."""
    columns = ("event", "type", "state", "severity", "attempts", "detected", "next")
    rows = [
        (
            str(event.event_id),
            text(event.event_type, "bold"),
            status(event.sync_status, dismissed=event.dismissed),
            severity(event.severity),
            str(event.attempts),
            distance(event.detected_at, printer.now),
            "—" if event.due_at is None else distance(event.due_at, printer.now),
            _last_error(event),
        )
        for event in events
    ]
    printer.rows(columns, rows, right={"event", "attempts"}, last="last error")


def _last_error(event: EventSummary) -> Line:
    if event.last_error_type is None:
        return Line()
    return text(f"{event.last_error_type.rpartition('.')[2]}: ", "dim") + text(event.last_error or "")
