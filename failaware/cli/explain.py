"""`failaware explain event/ID` or `cluster/ID`: every rule, the numbers it looked at, whether it held."""

import argparse

from failaware.cli import printer, report_options
from failaware.derive.stored_version import outdated
from failaware.model import Behind, GroupedBy
from failaware.text import bounded

_SHOWN = 2_000  # characters of a message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """ENTITY, --json, --as-of."""
    parser.add_argument("entity", help="event/ID or cluster/ID; a cluster's first digits will do")
    report_options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    with report_options.inspector(args) as inspector:
        entity = args.entity
        kind, _, digits = entity.partition("/")
        if kind == "cluster" and digits.isdigit():
            entity = f"cluster/{inspector.cluster(digits).cluster_id}"
        explanation = inspector.explain(entity, facts=True)
    if args.json:
        printer.print_json(explanation)
        return 0
    paper = printer.Paper()
    title = printer.text(f"{explanation.entity_type} {explanation.entity_id}  ", "bold")
    title += printer.severity(explanation.severity) if explanation.severity else printer.text("no rule holds")
    paper.print(title)
    if older := outdated(explanation.derivation, explanation.derived_by):
        paper.print(printer.text(f"{older}. The rules below are those of this version.", "yellow"))
    if explanation.reason:
        paper.print(printer.text(f"because {explanation.rule}: {explanation.reason}"))
    if explanation.since:
        paper.print(printer.text(f"since   {explanation.since.sentence}"))
    if explanation.grouped:
        paper.print()
        print_grouping(paper, explanation.grouped)
    for check in explanation.checks:
        paper.print()
        line = printer.text("held     " if check.held else "not held ", "green" if check.held else "dim")
        line += printer.text(f"{check.rule} → {check.severity}", "bold" if check.held else "")
        paper.print(line)
        paper.print(printer.text(f"         {check.condition}", "dim"))
        numbers = ", ".join(f"{name} = {value}" for name, value in check.numbers.items())
        paper.print(printer.text(f"         {numbers}"))
    _print_facts(paper, explanation.behind)
    return 0


def _print_facts(paper: printer.Paper, behind: tuple[Behind, ...]) -> None:
    """The facts behind the numbers, the newest of each."""
    paper.print()
    for behind_it in behind:
        more = f", and {behind_it.value - len(behind_it.ids):,} more" if behind_it.value > len(behind_it.ids) else ""
        paper.print(printer.text(f"{behind_it.number:<10} {behind_it.value:>7,}  {_numbered(behind_it)}{more}"))


def _numbered(behind: Behind) -> str:
    """As in 'event 3', or 'events 3, 4': these are ids, not how many there are."""
    ids = ", ".join(map(str, behind.ids))
    return f"{behind.kind}{'s' * (len(behind.ids) != 1)} {ids}"


def print_grouping(paper: printer.Paper, grouped: GroupedBy) -> None:
    """Print the message and the template under each other, and each part that is masked."""
    rows = [(f"grouped by {grouped.by}", "bold"), (f"  message   {bounded(grouped.text, _SHOWN)}", "")]
    rows.append((f"  template  {bounded(grouped.template, _SHOWN)}", ""))
    rows += [
        (f"  {part.placeholder or '(left out)':<12} {bounded(part.text, 200)}", "dim") for part in grouped.masked[:40]
    ]
    for text, style in rows:
        paper.print(printer.text(text, style))
