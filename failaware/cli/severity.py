"""`failaware severity`: unresolved events and clusters by severity, worst first."""

import argparse

from failaware.cli import asking, output
from failaware.cli.output import Line
from failaware.model import Cluster, Severity, SeverityCounts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--json, --as-of, --exit-code."""
    asking.add_arguments(parser)
    levels = [level.value for level in Severity]
    parser.add_argument(
        "--exit-code",
        metavar="LEVEL",
        type=str.upper,
        choices=levels,
        help="exit with 1 if anything stands at LEVEL or worse",
    )


def run(args: argparse.Namespace) -> int:
    """Print it."""
    with asking.inspector(args) as inspector:
        counts = inspector.severity()
        worst = inspector.clusters("status:unresolved", limit=5)
    if args.json:
        output.print_json(counts)
    else:
        _draw(counts, [cluster for cluster in worst if cluster.reason])
    return int(args.exit_code is not None and _reached(counts.events, counts.clusters, args.exit_code))


def _draw(counts: SeverityCounts, worst: list[Cluster]) -> None:
    paper = output.Paper()
    rows = []
    for level in reversed(Severity):
        clusters, events = counts.clusters[level], counts.events[level]
        style = "" if clusters + events else "dim"
        name = output.severity(level) if clusters + events else output.text(level, "dim")
        rows.append(([name, output.text(f"{clusters:,}", style), output.text(f"{events:,}", style)], Line()))
    output.print_rows(paper, ("severity", "clusters", "events"), rows, right=("clusters", "events"))
    if worst:
        paper.print()
    for cluster in worst:
        named = output.text(f"  cluster {output.short(cluster.cluster_id)}  ", "dim")
        paper.print(output.severity(cluster.severity) + named + output.text(cluster.reason))
    if not any(counts.events.values()):
        paper.print(output.text("Nothing is unresolved.", "green"))


def _reached(events: dict[str, int], clusters: dict[str, int], level: str) -> bool:
    return any(events[name] + clusters[name] for name in list(Severity)[Severity(level).rank :])
