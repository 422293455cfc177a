"""`failaware due`: the retries that are due within the hour, by minute and event type; retry storms are marked."""

import argparse

from failaware.cli.line import Line, cause, short, text
from failaware.cli.printer import Cell, Printer
from failaware.model.patterns import Burst, RetrySchedule, with_all
from failaware.read.inspector import Inspector
from failaware.read.retry_schedule import AROUND, BURST_LEAST, BURST_TIMES, MINUTES
from failaware.text import counted, cut, distance, moment, one_line, sparkline

_MEANING = (
    "A retry is a FAILED event that is not dismissed. A retry storm is a minute with at least "
    f"{BURST_LEAST} retries of one event type, and at least {BURST_TIMES} times the median of the {AROUND} minutes "
    "nearest to it."
)
_CLUSTERS = 3
_TYPE = 28  # cells of an event type: leaves space for the hour next to it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None; adds the definition of a retry storm to the help."""
    parser.epilog = _MEANING


def ask(inspector: Inspector, _args: argparse.Namespace) -> RetrySchedule:
    """The calendar of the hour."""
    return inspector.patterns.calendar()


def draw(calendar: RetrySchedule, printer: Printer, _args: argparse.Namespace) -> None:
    """The minutes by event type, then the retry storms."""
    if calendar.types:
        _draw_types(calendar, printer)
    else:
        printer.write("No retry is due.", "green")
    for burst in calendar.bursts:
        _draw_burst(burst, printer)
    if calendar.pending:
        pending = f"{counted(calendar.pending, 'event')} PENDING, due now"
        printer.print(Line(), text(pending, "blue"))


def _draw_types(calendar: RetrySchedule, printer: Printer) -> None:
    rows: list[list[Cell]] = [
        [
            text(cut(one_line(due.event_type), _TYPE), "bold"),
            *(f"{number:,}" for number in (due.overdue, sum(due.minutes), due.later)),
            sparkline(due.minutes),
        ]
        for due in with_all(calendar.types)
    ]
    printer.write(f"Retries by minute, {MINUTES} minutes from {moment(calendar.first_minute_at)}", "bold")
    columns = ("event type", "overdue", "in the hour", "later")
    printer.rows(columns, rows, right=columns[1:], last="a bar is a minute")


def _draw_burst(burst: Burst, printer: Printer) -> None:
    when = f"{moment(burst.minute_at)[11:16]}, {distance(max(burst.minute_at, printer.now), printer.now)}"
    line = f"  {when}: {burst.retries:,} retries of {burst.event_type}, usually {burst.usual:g} per minute"
    printer.print(Line(), text("retry storm", "bold yellow") + text(line))
    for cluster in burst.clusters[:_CLUSTERS]:
        source = text(f"  {cluster.retries:,} of cluster {short(cluster.cluster_id)}  ", "dim")
        printer.print(source + cause(cluster.error_type, cluster.template))
    if len(burst.clusters) > _CLUSTERS:
        printer.write(f"  and of {counted(len(burst.clusters) - _CLUSTERS, 'other cluster')}", "dim")
