"""`failaware events [FILTER]`: events, newest first."""

import argparse
from collections.abc import Iterator

from failaware.cli import printer, report_options
from failaware.model import EventSummary
from failaware.read.inspector import Inspector
from failaware.text import distance

_PAGE = 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILTER, --limit, --before, --json, --as-of."""
    parser.add_argument(
        "filter",
        nargs="*",
        help="status:DEAD type:payment.* -error:timeout since:2h severity:HIGH+ cluster:ID (any that it failed with) "
        "last:ID (that of its last failure) source:S key:K retries:>3",
    )
    parser.add_argument("--limit", type=printer.positive, default=50, metavar="N", help="at most N events (default 50)")
    parser.add_argument(
        "--before", type=printer.positive, metavar="ID", help="the next page: only events before this one"
    )
    report_options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print them."""
    which = " ".join(args.filter)
    with report_options.inspector(args) as inspector:
        if args.json:
            printer.print_json_list(_all(inspector, which, args.limit, args.before))
            return 0
        events = inspector.events(which, limit=args.limit, before=args.before)
        now = inspector.now()
    paper = printer.Paper()
    if not events:
        paper.print(printer.text("No event passes the filter." if args.filter else "No events yet."))
        return 0
    print_events(paper, events, now)
    if len(events) == args.limit:
        paper.print(printer.text(f"The first {args.limit}; --before {events[-1].event_id} shows the next.", "dim"))
    return 0


def _all(inspector: Inspector, which: str, limit: int, before: int | None) -> Iterator[EventSummary]:
    """Page by page, so that a million take no more memory than a thousand."""
    while limit > 0:
        page = inspector.events(which, limit=min(limit, _PAGE), before=before)
        yield from page
        if len(page) < _PAGE:
            return
        limit, before = limit - _PAGE, page[-1].event_id


def print_events(paper: printer.Paper, events: list[EventSummary], now: int) -> None:
    """Events with their state, and beside or below it the last error."""
    columns = ("event", "type", "state", "severity", "tries", "detected", "next")
    rows = []
    for event in events:
        cells = [
            printer.text(str(event.event_id)),
            printer.text(event.event_type, "bold"),
            printer.status(event.sync_status, dismissed=event.dismissed),
            printer.severity(event.severity),
            printer.text(str(event.attempts)),
            printer.text(distance(event.detected_at, now)),
            printer.text("—" if event.due_at is None else distance(event.due_at, now)),
        ]
        if event.last_error_type is None:
            error = printer.text("")
        else:
            error = printer.text(f"{event.last_error_type.rpartition('.')[2]}: ", "dim")
            error += printer.text(event.last_error or "")
        rows.append((cells, error))
    printer.print_rows(paper, columns, rows, right={"event", "tries"}, last="last error")
