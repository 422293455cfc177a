"""`failaware clusters [FILTER]`: groups of similar failures, worst first."""

import argparse

from failaware.cli.answer import Answer
from failaware.cli.arguments import add_limit
from failaware.cli.line import failure, severity, short, text
from failaware.cli.printer import Printer
from failaware.cli.timeline import strips_of
from failaware.model import HOUR, Cluster, HourCount
from failaware.model.stores import ClusterOfStores, names_of
from failaware.read.inspector import Inspector
from failaware.text import distance

_HOURS = 24
_WIDE = 90  # columns of a terminal from which on each hour has a bar of its own


ClustersByHour = Answer[list[Cluster], list[HourCount]]
"""The clusters, and their failures by hour."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILTER, --limit."""
    parser.add_argument("filter", nargs="*", help="such as: severity:HIGH+ type:payment.* error:timeout since:2h")
    add_limit(parser, "at most N clusters")


def ask(inspector: Inspector, args: argparse.Namespace) -> ClustersByHour:
    """The clusters that match the filter."""
    clusters = inspector.clusters(" ".join(args.filter), limit=args.limit)
    return Answer(clusters, inspector.patterns.timeline(since=inspector.now() - (_HOURS - 1) * HOUR))


def draw(answer: ClustersByHour, printer: Printer, args: argparse.Namespace) -> None:
    """The clusters with their numbers, and below each what fails."""
    clusters = answer.document
    if not clusters:
        printer.write("No cluster: nothing has failed." if not args.filter else "No cluster matches the filter.")
        return
    cells = _HOURS if printer.width >= _WIDE else _HOURS // 2
    strips = strips_of(answer.more, printer.now, hours=_HOURS, width=cells)
    columns = ("severity", "cluster", "events", "unresolved", "failures", f"last {_HOURS} h", "last seen")
    several = any(isinstance(cluster, ClusterOfStores) for cluster in clusters)
    rows = [
        (
            severity(cluster.severity),
            short(cluster.cluster_id),
            f"{cluster.events:,}",
            f"{cluster.unresolved:,}",
            f"{cluster.failures:,}",
            strips.get(cluster.cluster_id, "·" * cells),
            distance(cluster.last_failed_at, printer.now),
            *((names_of(cluster),) if several else ()),
            failure(cluster.event_type, cluster.error_type, cluster.template),
        )
        for cluster in clusters
    ]
    shown = (*columns, "stores") if several else columns
    printer.rows(shown, rows, right={"events", "unresolved", "failures"}, last="failure")
    if any(cluster.unresolved and not cluster.severity for cluster in clusters):
        note = "no cluster rule matches, as with a single event; 'failaware events' shows its severity"
        printer.print(text(f"—  {note}", "dim"))
    if len(clusters) == args.limit:
        printer.write(f"The first {args.limit}; --limit shows more.", "dim")
