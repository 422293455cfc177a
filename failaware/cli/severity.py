"""`failaware severity`: unresolved events and clusters by severity, worst first."""

import argparse

from failaware.cli import asking, output
from failaware.cli.output import Line
from failaware.derive.rules import Policy
from failaware.model import Cluster, Severity, SeverityCounts
from failaware.read.comparisons import WhatIf


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--json, --as-of, --policy, --exit-code."""
    asking.add_arguments(parser)
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
    policy = None if args.policy is None else Policy.from_toml(output.read_file(args.policy), origin=args.policy)
    with asking.inspector(args) as inspector:
        if policy is not None:
            return _compare(args, inspector.what_if(policy))
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
    levels = [level for level in reversed(Severity) if counts.events[level]]
    if levels:
        paper.print(output.text(f"  events: failaware events severity:{levels[0]}", "dim"))
    else:
        paper.print(output.text("Nothing is unresolved.", "green"))


def _compare(args: argparse.Namespace, found: WhatIf) -> int:
    """Two policies side by side; the exit status goes by the other one."""
    if args.json:
        output.print_json(found)
    else:
        _draw_both(found, args.policy)
    return int(args.exit_code is not None and _reached(found.after.events, found.after.clusters, args.exit_code))


def _draw_both(found: WhatIf, name: str) -> None:
    paper = output.Paper()
    rows = []
    for level in reversed(Severity):
        numbers = [(side.clusters[level], side.events[level]) for side in (found.before, found.after)]
        cells = [
            output.text(f"{clusters:,} + {events:,}", "" if clusters + events else "dim")
            for clusters, events in numbers
        ]
        change = sum(numbers[1]) - sum(numbers[0])
        rows.append(([output.severity(level), *cells, output.text(f"{change:+,}" if change else "·")], Line()))
    columns = ("severity", "in force", f"by {name}", "change")
    output.print_rows(paper, columns, rows, right=columns[1:])
    paper.print(output.text("clusters + events", "dim"))
    if not found.moves:
        paper.print(Line(), output.text("Nothing would move.", "green"))
        return
    paper.print()
    moves = []
    for move in found.moves:
        course = output.severity(move.before) + output.text(" → ") + output.severity(move.after)
        shown = output.short(move.entity_id) if move.entity_type == "cluster" else str(move.entity_id)
        by = output.text(f"{move.before_rule or 'no rule'} → {move.after_rule or 'no rule'}", "dim")
        moves.append(([course, output.text(f"{move.entity_type} {shown}"), by], output.text(move.title)))
    output.print_rows(paper, ("would move", "what", "by which rule"), moves)
    if found.more:
        paper.print(output.text(f"and {found.more:,} more", "dim"))


def _reached(events: dict[str, int], clusters: dict[str, int], level: str) -> bool:
    return any(events[name] + clusters[name] for name in list(Severity)[Severity(level).rank :])
