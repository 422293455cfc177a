"""`failaware timeline`: failures by hour, all together and by cluster."""

import argparse
from collections import Counter, defaultdict

from failaware.cli.answer import Answer
from failaware.cli.line import failure, severity, short
from failaware.cli.printer import Printer
from failaware.errors import UsageError
from failaware.model import HOUR, Cluster, HourCount
from failaware.read.inspector import Inspector
from failaware.text import counted, moment, sparkline

_LARGEST = 24 * 366
_SHOWN = 50  # clusters


Failures = Answer[list[HourCount], list[Cluster]]
"""By hour, and the clusters that failed most."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--hours, --cluster."""
    parser.add_argument("--hours", type=int, default=48, metavar="N", help="the last N hours (default 48)")
    parser.add_argument("--cluster", metavar="ID", help="only this cluster; its first digits are enough")


def ask(inspector: Inspector, args: argparse.Namespace) -> Failures:
    """The failures, and the clusters to name."""
    if not 0 < args.hours <= _LARGEST:
        raise UsageError(f"--hours is 1 to {_LARGEST}, not {args.hours}")
    cluster_id = inspector.cluster(args.cluster).cluster_id if args.cluster else None
    hours = inspector.patterns.timeline(since=inspector.now() - (args.hours - 1) * HOUR, cluster_id=cluster_id)
    largest = _totals(hours).most_common(0 if args.json else _SHOWN)
    return Answer(hours, [inspector.cluster(number) for number, _ in largest])


def draw(answer: Failures, printer: Printer, args: argparse.Namespace) -> None:
    """One strip of all, then one for each cluster."""
    hours = answer.document
    if not hours:
        printer.write(f"No failure in the last {args.hours} hours.", "green")
        return
    printer.write(f"Cluster {hours[0].cluster_id}" if args.cluster else "All clusters", "bold")
    draw_hours(printer, hours, hours=args.hours)
    printer.print()
    strips = strips_of(hours, printer.now, hours=args.hours, width=40)
    totals = _totals(hours)
    rows = [
        (
            severity(cluster.severity),
            short(cluster.cluster_id),
            f"{totals[cluster.cluster_id]:,}",
            strips[cluster.cluster_id],
            failure(cluster.event_type, cluster.error_type, cluster.template),
        )
        for cluster in answer.more
    ]
    columns = ("severity", "cluster", "failures", f"last {args.hours} h")
    printer.rows(columns, rows, right={"failures"}, last="failure")
    if len(totals) > _SHOWN:
        printer.write(f"{len(totals) - _SHOWN:,} clusters with fewer failures are left out.", "dim")


def _totals(hours: list[HourCount]) -> Counter[int]:
    totals: Counter[int] = Counter()
    for hour in hours:
        totals[hour.cluster_id] += hour.failures
    return totals


def strips_of(counts: list[HourCount], now: int, *, hours: int, width: int) -> dict[int, str]:
    """A strip of failures over time for each cluster, of so many cells at most."""
    by_cluster: defaultdict[int, list[HourCount]] = defaultdict(list)
    for count in counts:
        by_cluster[count.cluster_id].append(count)
    return {cluster_id: _strip(own, now, hours, width) for cluster_id, own in by_cluster.items()}


def draw_hours(printer: Printer, counts: list[HourCount], *, hours: int) -> None:
    """One strip of failures over time, with its first and last hour, its largest bar and its sum."""
    width = max(20, min(printer.width, 160) - 2)
    step = _step(hours, width)
    printer.write(_strip(counts, printer.now, hours, width))
    first = (printer.now // HOUR - (hours - 1)) * HOUR
    total = sum(count.failures for count in counts)
    each = "an hour" if step == 1 else f"{step} hours"
    printer.write(f"{moment(first)[:16]} → now, a bar is {each}; {counted(total, 'failure')}", "dim")


def _strip(counts: list[HourCount], now: int, hours: int, width: int) -> str:
    step = _step(hours, width)
    first = now // HOUR - (hours - 1)
    bars = [0] * -(-hours // step)
    for count in counts:
        position = count.hour_at // HOUR - first
        if 0 <= position < hours:
            bars[position // step] += count.failures
    return sparkline(bars)


def _step(hours: int, width: int) -> int:
    """The number of hours in one bar, such that all fit."""
    return -(-hours // width)
