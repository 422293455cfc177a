"""`failaware severity`: unresolved events and clusters by severity, worst first."""

import argparse

from failaware.cli.answer import Answer
from failaware.cli.arguments import read_file
from failaware.cli.line import Line, change_of_severity, entity, severity, text
from failaware.cli.printer import Cell, Printer
from failaware.model import Cluster, Severity, SeverityCounts
from failaware.model.differences import WhatIf
from failaware.read.inspector import Inspector
from failaware.rules import Policy

_WORST_FIRST = tuple(reversed(Severity))


Counts = Answer[SeverityCounts, list[Cluster]]
"""The numbers, and the worst clusters."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--policy, --exit-code."""
    parser.add_argument("--policy", metavar="FILE", help="show what would change under this policy; changes nothing")
    levels = [level.value for level in Severity]
    parser.add_argument(
        "--exit-code",
        metavar="LEVEL",
        type=str.upper,
        choices=levels,
        help="exit with 1 if anything is at LEVEL or worse",
    )


def ask(inspector: Inspector, args: argparse.Namespace) -> Counts | WhatIf:
    """The severities, or two policies side by side."""
    if args.policy is not None:
        return inspector.what_if(Policy.from_toml(read_file(args.policy), origin=args.policy))
    worst = inspector.clusters("status:unresolved", limit=5)
    return Answer(inspector.severity(), [cluster for cluster in worst if cluster.reason])


def exit_status(answer: Counts | WhatIf, args: argparse.Namespace) -> int:
    """With --exit-code whether anything is at that level or worse, by the policy that is compared if there is one."""
    if args.exit_code is None:
        return 0
    counts = answer.after if isinstance(answer, WhatIf) else answer.document
    levels = list(Severity)[Severity(args.exit_code).rank :]
    return int(any(counts.events[level] + counts.clusters[level] for level in levels))


def draw(answer: Counts | WhatIf, printer: Printer, args: argparse.Namespace) -> None:
    """The numbers, and the worst clusters or what would change."""
    if isinstance(answer, WhatIf):
        _draw_comparison(answer, printer, args.policy)
    else:
        _draw_counts(answer, printer)


def _draw_counts(answer: Counts, printer: Printer) -> None:
    counts, rows = answer.document, []
    for level in _WORST_FIRST:
        clusters, events = counts.clusters[level], counts.events[level]
        style = "" if clusters + events else "dim"
        name = severity(level) if clusters + events else text(level, "dim")
        rows.append((name, text(f"{clusters:,}", style), text(f"{events:,}", style)))
    printer.rows(("severity", "clusters", "events"), rows, right=("clusters", "events"))
    if answer.more:
        printer.print()
    for cluster in answer.more:
        name = text(f"  {entity('cluster', cluster.cluster_id)}  ", "dim")
        printer.print(severity(cluster.severity) + name + text(cluster.reason))
    if worst := next((level for level in _WORST_FIRST if counts.events[level]), None):
        printer.write(f"  events: failaware events severity:{worst}", "dim")
    else:
        printer.write("Nothing is unresolved.", "green")


def _draw_comparison(answer: WhatIf, printer: Printer, name: str) -> None:
    rows: list[list[Cell]] = []
    for level in _WORST_FIRST:
        numbers = [(side.clusters[level], side.events[level]) for side in (answer.before, answer.after)]
        cells = [text(f"{c:,} + {e:,}", "" if c + e else "dim") for c, e in numbers]
        change = sum(numbers[1]) - sum(numbers[0])
        rows.append([severity(level), *cells, f"{change:+,}" if change else "·"])
    columns = ("severity", "in force", f"by {name}", "change")
    printer.rows(columns, rows, right=columns[1:])
    printer.write("clusters + events", "dim")
    if not answer.moves:
        printer.print(Line(), text("Nothing would change.", "green"))
        return
    printer.print()
    moves = [
        (
            change_of_severity(move.before, move.after),
            entity(move.entity_type, move.entity_id),
            text(f"{move.before_rule or 'no rule'} → {move.after_rule or 'no rule'}", "dim"),
            move.title,
        )
        for move in answer.moves
    ]
    printer.rows(("change", "entity", "rule"), moves)
    if answer.more:
        printer.write(f"and {answer.more:,} more", "dim")
