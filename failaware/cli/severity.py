"""`failaware severity`: unresolved events and clusters by severity, worst first."""

import argparse

from failaware.cli import output
from failaware.model import Severity
from failaware.read.inspector import Inspector


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--json, --exit-code."""
    output.add_json(parser)
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
    with Inspector.open(args.db) as inspector:
        counts = inspector.severity()
        worst = inspector.clusters("status:unresolved", limit=5)
    if args.json:
        output.print_json(counts)
    else:
        console = output.console()
        table = output.table("severity", "clusters", "events", "", right=["clusters", "events"])
        for level in reversed(Severity):
            clusters, events = counts.clusters[level], counts.events[level]
            style = "" if clusters + events else "dim"
            table.add_row(
                output.severity(level) if clusters + events else output.text(level, "dim"),
                output.text(f"{clusters:,}", style),
                output.text(f"{events:,}", style),
                "",
            )
        console.print(table)
        if worst and worst[0].reason:
            console.print()
            for cluster in worst:
                if cluster.reason:
                    line = output.severity(cluster.severity)
                    line.append(f"  cluster {output.short(cluster.cluster_id)}  ", "dim")
                    line.append_text(output.text(cluster.reason))
                    console.print(line)
        if not any(counts.events.values()):
            console.print(output.text("Nothing is unresolved.", "green"))
    return int(args.exit_code is not None and _reached(counts.events, counts.clusters, args.exit_code))


def _reached(events: dict[str, int], clusters: dict[str, int], level: str) -> bool:
    return any(events[name] + clusters[name] for name in list(Severity)[Severity(level).rank :])
