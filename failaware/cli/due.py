"""`failaware due`: the retries that are due within the hour, by minute and event type; herds are marked."""

import argparse

from failaware.cli import printer, report_options
from failaware.cli.printer import Line
from failaware.model.patterns import Calendar, Herd, with_all
from failaware.read.retry_schedule import AROUND, HERD_LEAST, HERD_TIMES, MINUTES
from failaware.text import counted, cut, distance, moment, one_line, sparkline

_MEANING = (
    "A retry is a FAILED event that is not dismissed. A herd is a minute with at least "
    f"{HERD_LEAST} retries of one event type, and at least {HERD_TIMES} times the median of the {AROUND} minutes "
    "nearest to it."
)
_CLUSTERS = 3
_TYPE = 28  # cells of an event type: it leaves room for the hour beside it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Only --json, --as-of."""
    report_options.add_arguments(parser)
    parser.epilog = _MEANING


def run(args: argparse.Namespace) -> int:
    """Print it."""
    with report_options.inspector(args) as inspector:
        calendar = inspector.patterns.calendar()
    if args.json:
        printer.print_json(calendar)
        return 0
    paper = printer.Paper()
    if calendar.types:
        _draw(paper, calendar)
    else:
        paper.print(printer.text("No retry is due.", "green"))
    for herd in calendar.herds:
        _draw_herd(paper, herd, calendar.now)
    if calendar.pending:
        waiting = f"{counted(calendar.pending, 'event')} besides: PENDING, for a worker to take up at once"
        paper.print(Line(), printer.text(waiting, "blue"))
    return 0


def _draw(paper: printer.Paper, calendar: Calendar) -> None:
    rows = []
    for due in with_all(calendar.types):
        numbers = [printer.text(f"{number:,}") for number in (due.overdue, sum(due.minutes), due.later)]
        name = printer.text(cut(one_line(due.event_type), _TYPE), "bold")
        rows.append(([name, *numbers], printer.text(sparkline(due.minutes))))
    paper.print(printer.text(f"Retries by minute, {MINUTES} minutes from {moment(calendar.first_minute_at)}", "bold"))
    columns = ("event type", "overdue", "in the hour", "later")
    printer.print_rows(paper, columns, rows, right=columns[1:], last="a bar is a minute")


def _draw_herd(paper: printer.Paper, herd: Herd, now: int) -> None:
    when = f"{moment(herd.minute_at)[11:16]}, {distance(max(herd.minute_at, now), now)}"
    said = f"  {when}: {herd.retries:,} retries of {herd.event_type}, where {herd.usual:g} a minute are usual"
    paper.print(Line(), printer.text("herd", "bold yellow") + printer.text(said))
    for cluster in herd.clusters[:_CLUSTERS]:
        source = printer.text(f"  {cluster.retries:,} of cluster {printer.short(cluster.cluster_id)}  ", "dim")
        paper.print(source + printer.cause(cluster.error_type, cluster.template))
    if len(herd.clusters) > _CLUSTERS:
        paper.print(printer.text(f"  and of {counted(len(herd.clusters) - _CLUSTERS, 'other cluster')}", "dim"))
