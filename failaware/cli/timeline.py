"""`failaware timeline`: failures by hour, all together and by cluster."""

import argparse
from collections import Counter, defaultdict

from failaware.cli import printer, report_options
from failaware.errors import UsageError
from failaware.model import HOUR, HourCount
from failaware.text import counted, moment, sparkline

_LARGEST = 24 * 366
_SHOWN = 50  # clusters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--hours, --cluster, --json, --as-of."""
    parser.add_argument("--hours", type=int, default=48, metavar="N", help="the last N hours (default 48)")
    parser.add_argument("--cluster", metavar="ID", help="only this cluster; its first digits will do")
    report_options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    if not 0 < args.hours <= _LARGEST:
        raise UsageError(f"--hours is 1 to {_LARGEST}, not {args.hours}")
    with report_options.inspector(args) as inspector:
        now = inspector.now()
        which = inspector.cluster(args.cluster).cluster_id if args.cluster else None
        hours = inspector.patterns.timeline(since=now - (args.hours - 1) * HOUR, cluster_id=which)
        totals: Counter[int] = Counter()
        for hour in hours:
            totals[hour.cluster_id] += hour.failures
        clusters = [inspector.cluster(cluster_id) for cluster_id, _ in totals.most_common(0 if args.json else _SHOWN)]
    if args.json:
        printer.print_json(hours)
        return 0
    paper = printer.Paper()
    if not hours:
        paper.print(printer.text(f"No failure in the last {args.hours} hours.", "green"))
        return 0
    paper.print(printer.text("All clusters" if which is None else f"Cluster {which}", "bold"))
    draw_hours(paper, hours, now, hours=args.hours)
    paper.print()
    by_cluster: defaultdict[int, list[HourCount]] = defaultdict(list)
    for hour in hours:
        by_cluster[hour.cluster_id].append(hour)
    rows = []
    for cluster in clusters:
        cells = [
            printer.severity(cluster.severity),
            printer.text(printer.short(cluster.cluster_id)),
            printer.text(f"{totals[cluster.cluster_id]:,}"),
            printer.text(_line(by_cluster[cluster.cluster_id], now, args.hours, 40)),
        ]
        rows.append((cells, printer.failure(cluster.event_type, cluster.error_type, cluster.template)))
    columns = ("severity", "cluster", "failures", f"last {args.hours} h")
    printer.print_rows(paper, columns, rows, right={"failures"}, last="failure")
    if len(totals) > _SHOWN:
        paper.print(printer.text(f"{len(totals) - _SHOWN:,} clusters with fewer failures are left out.", "dim"))
    return 0


def draw_hours(paper: printer.Paper, counts: list[HourCount], now: int, *, hours: int) -> None:
    """One strip of failures over time, with its first and last hour, its largest bar and its sum."""
    width = max(20, min(paper.width, 160) - 2)
    step = _step(hours, width)
    paper.print(printer.text(_line(counts, now, hours, width)))
    first = (now // HOUR - (hours - 1)) * HOUR
    total = sum(count.failures for count in counts)
    each = "an hour" if step == 1 else f"{step} hours"
    paper.print(printer.text(f"{moment(first)[:16]} → now, a bar is {each}; {counted(total, 'failure')}", "dim"))


def _line(counts: list[HourCount], now: int, hours: int, width: int) -> str:
    step = _step(hours, width)
    first = now // HOUR - (hours - 1)
    bars = [0] * -(-hours // step)
    for count in counts:
        position = count.hour_at // HOUR - first
        if 0 <= position < hours:
            bars[position // step] += count.failures
    return sparkline(bars)


def _step(hours: int, width: int) -> int:
    """Hours in one bar, so that all fit."""
    return -(-hours // width)
