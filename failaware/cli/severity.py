"""`failaware severity`: unresolved events and clusters by severity, worst first."""

import argparse

from failaware.cli import printer, report_options
from failaware.cli.printer import Line
from failaware.derive.rules import Policy
from failaware.model import Cluster, Severity, SeverityCounts
from failaware.model.differences import WhatIf


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--json, --as-of, --policy, --exit-code."""
    report_options.add_arguments(parser)
    parser.add_argument(
        "--policy", metavar="FILE", help="beside the policy in force, another one, and what it would move"
    )
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
    policy = None if args.policy is None else Policy.from_toml(printer.read_file(args.policy), origin=args.policy)
    with report_options.inspector(args) as inspector:
        if policy is not None:
            return _compare(args, inspector.what_if(policy))
        counts = inspector.severity()
        worst = inspector.clusters("status:unresolved", limit=5)
    if args.json:
        printer.print_json(counts)
    else:
        _draw(counts, [cluster for cluster in worst if cluster.reason])
    return int(args.exit_code is not None and _reached(counts.events, counts.clusters, args.exit_code))


def _draw(counts: SeverityCounts, worst: list[Cluster]) -> None:
    paper = printer.Paper()
    rows = []
    for level in reversed(Severity):
        clusters, events = counts.clusters[level], counts.events[level]
        style = "" if clusters + events else "dim"
        name = printer.severity(level) if clusters + events else printer.text(level, "dim")
        rows.append(([name, printer.text(f"{clusters:,}", style), printer.text(f"{events:,}", style)], Line()))
    printer.print_rows(paper, ("severity", "clusters", "events"), rows, right=("clusters", "events"))
    if worst:
        paper.print()
    for cluster in worst:
        named = printer.text(f"  cluster {printer.short(cluster.cluster_id)}  ", "dim")
        paper.print(printer.severity(cluster.severity) + named + printer.text(cluster.reason))
    levels = [level for level in reversed(Severity) if counts.events[level]]
    if levels:
        paper.print(printer.text(f"  events: failaware events severity:{levels[0]}", "dim"))
    else:
        paper.print(printer.text("Nothing is unresolved.", "green"))


def _compare(args: argparse.Namespace, found: WhatIf) -> int:
    """Two policies side by side; the exit status goes by the other one."""
    if args.json:
        printer.print_json(found)
    else:
        _draw_both(found, args.policy)
    return int(args.exit_code is not None and _reached(found.after.events, found.after.clusters, args.exit_code))


def _draw_both(found: WhatIf, name: str) -> None:
    paper = printer.Paper()
    rows = []
    for level in reversed(Severity):
        numbers = [(side.clusters[level], side.events[level]) for side in (found.before, found.after)]
        cells = [
            printer.text(f"{clusters:,} + {events:,}", "" if clusters + events else "dim")
            for clusters, events in numbers
        ]
        change = sum(numbers[1]) - sum(numbers[0])
        rows.append(([printer.severity(level), *cells, printer.text(f"{change:+,}" if change else "·")], Line()))
    columns = ("severity", "in force", f"by {name}", "change")
    printer.print_rows(paper, columns, rows, right=columns[1:])
    paper.print(printer.text("clusters + events", "dim"))
    if not found.moves:
        paper.print(Line(), printer.text("Nothing would move.", "green"))
        return
    paper.print()
    moves = []
    for move in found.moves:
        course = printer.severity(move.before) + printer.text(" → ") + printer.severity(move.after)
        shown = printer.short(move.entity_id) if move.entity_type == "cluster" else str(move.entity_id)
        by = printer.text(f"{move.before_rule or 'no rule'} → {move.after_rule or 'no rule'}", "dim")
        moves.append(([course, printer.text(f"{move.entity_type} {shown}"), by], printer.text(move.title)))
    printer.print_rows(paper, ("would move", "what", "by which rule"), moves)
    if found.more:
        paper.print(printer.text(f"and {found.more:,} more", "dim"))


def _reached(events: dict[str, int], clusters: dict[str, int], level: str) -> bool:
    return any(events[name] + clusters[name] for name in list(Severity)[Severity(level).rank :])
