"""`failaware clusters [FILTER]`: like failures gathered, worst first."""

import argparse
from collections import defaultdict

from failaware.cli import printer, report_options
from failaware.model import HOUR, Cluster, HourCount
from failaware.text import distance, sparkline

_HOURS = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILTER, --limit, --json, --as-of."""
    parser.add_argument("filter", nargs="*", help="such as: severity:HIGH+ type:payment.* error:timeout since:2h")
    parser.add_argument(
        "--limit", type=printer.positive, default=50, metavar="N", help="at most N clusters (default 50)"
    )
    report_options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print them."""
    with report_options.inspector(args) as inspector:
        now = inspector.now()
        clusters = inspector.clusters(" ".join(args.filter), limit=args.limit)
        hours = inspector.patterns.timeline(since=now - (_HOURS - 1) * HOUR)
    if args.json:
        printer.print_json(clusters)
        return 0
    paper = printer.Paper()
    if clusters:
        draw(paper, clusters, hours, now)
        if any(cluster.unresolved and not cluster.severity for cluster in clusters):
            note = "no rule about clusters holds, such as for a single event; 'failaware events' has its severity"
            paper.print(printer.text(f"—  {note}", "dim"))
    else:
        paper.print(
            printer.text("No cluster: nothing has failed." if not args.filter else "No cluster passes the filter.")
        )
    if len(clusters) == args.limit:
        paper.print(printer.text(f"The first {args.limit}; --limit shows more.", "dim"))
    return 0


def draw(paper: printer.Paper, clusters: list[Cluster], hours: list[HourCount], now: int) -> None:
    """The clusters with their numbers, and below each what fails."""
    lines = sparklines(hours, now)
    columns = ("severity", "cluster", "events", "open", "failures", f"last {_HOURS} h", "last seen")
    rows = []
    for cluster in clusters:
        numbers = [
            printer.severity(cluster.severity),
            printer.text(printer.short(cluster.cluster_id)),
            printer.text(f"{cluster.events:,}"),
            printer.text(f"{cluster.unresolved:,}"),
            printer.text(f"{cluster.failures:,}"),
            printer.text(lines.get(cluster.cluster_id, "·" * _HOURS)),
            printer.text(distance(cluster.last_failed_at, now)),
        ]
        rows.append((numbers, printer.failure(cluster.event_type, cluster.error_type, cluster.template)))
    printer.print_rows(paper, columns, rows, right={"events", "open", "failures"}, last="failure")


def sparklines(hours: list[HourCount], now: int) -> dict[int, str]:
    """Failures by hour up to now, for each cluster."""
    first = now // HOUR - (_HOURS - 1)
    counts: defaultdict[int, list[int]] = defaultdict(lambda: [0] * _HOURS)
    for hour in hours:
        position = hour.hour_at // HOUR - first
        if 0 <= position < _HOURS:
            counts[hour.cluster_id][position] = hour.failures
    return {cluster_id: sparkline(values) for cluster_id, values in counts.items()}
