"""`failaware explain event/ID` or `cluster/ID`: every rule, its numbers, and whether it matched."""

import argparse

from failaware.cli.line import severity, text
from failaware.cli.printer import Printer
from failaware.derive.stored_version import outdated
from failaware.model import Behind, Explanation, GroupedBy
from failaware.read.inspector import Inspector
from failaware.text import bounded

_SHOWN = 2_000  # characters of a message


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """ENTITY."""
    parser.add_argument("entity", help="event/ID or cluster/ID; the first digits of a cluster are enough")


def ask(inspector: Inspector, args: argparse.Namespace) -> Explanation:
    """The explanation, with the facts behind it."""
    kind, _, digits = args.entity.partition("/")
    if kind == "cluster" and digits.partition("@")[0].isdecimal():
        return inspector.explain(f"cluster/{inspector.cluster(digits).cluster_id}", facts=True)
    return inspector.explain(args.entity, facts=True)


def draw(explanation: Explanation, printer: Printer, _args: argparse.Namespace) -> None:
    """The severity, the grouping, each rule, then the facts."""
    title = text(f"{explanation.entity_type} {explanation.entity_id}  ", "bold")
    title += severity(explanation.severity) if explanation.severity else text("no rule matches")
    printer.print(title)
    if older := outdated(explanation.derivation, explanation.derived_by):
        printer.write(f"{older}. The rules below are those of this version.", "yellow")
    if explanation.reason:
        printer.write(f"because {explanation.rule}: {explanation.reason}")
    if explanation.since:
        printer.write(f"since   {explanation.since.sentence}")
    if explanation.grouped:
        printer.print()
        draw_grouping(explanation.grouped, printer)
    for check in explanation.checks:
        printer.print()
        line = text("matched  " if check.held else "no match ", "green" if check.held else "dim")
        printer.print(line + text(f"{check.rule} → {check.severity}", "bold" if check.held else ""))
        printer.write(f"         {check.condition}", "dim")
        printer.write("         " + ", ".join(f"{name} = {value}" for name, value in check.numbers.items()))
    printer.print()
    for evidence in explanation.behind:
        printer.write(f"{evidence.number:<10} {evidence.value:>7,}  {_facts(evidence)}")


def _facts(evidence: Behind) -> str:
    """The newest facts behind a number, by id: 'event 3', or 'events 3, 4, and 7 more'."""
    count, ids = len(evidence.ids), ", ".join(map(str, evidence.ids))
    more = f", and {evidence.value - count:,} more" if evidence.value > count else ""
    return f"{evidence.kind}{'s' * (count != 1)} {ids}{more}"


def draw_grouping(grouped: GroupedBy, printer: Printer) -> None:
    """The message and the template under each other, and each masked part."""
    printer.write(f"grouped by {grouped.by}", "bold")
    printer.write(f"  message   {bounded(grouped.text, _SHOWN)}")
    printer.write(f"  template  {bounded(grouped.template, _SHOWN)}")
    for part in grouped.masked[:40]:
        printer.write(f"  {part.placeholder or '(left out)':<12} {bounded(part.text, 200)}", "dim")
    if grouped.learned:
        printer.write(f"  {'learned':<12} {bounded(', '.join(grouped.learned), _SHOWN)}", "dim")
