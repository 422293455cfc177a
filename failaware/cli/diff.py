"""`failaware diff T1 [T2]`: what is new, back, worse, better or gone between two moments."""

import argparse

from failaware.cli import printer, report_options
from failaware.cli.printer import Line
from failaware.errors import UsageError
from failaware.model.differences import Changed, Diff
from failaware.read.diff import CHANGES
from failaware.read.inspector import Inspector
from failaware.read.moment import parse_moment
from failaware.text import counted, when

_MEANING = {
    "new": ("bold red", "failed for the first time"),
    "back": ("bold red", "had come to rest, and is unresolved again"),
    "worse": ("yellow", "its severity rose"),
    "better": ("green", "its severity fell"),
    "gone": ("green", "nothing of it is unresolved any more"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """T1, T2, --limit, --json, --watch."""
    parser.add_argument(
        "since", metavar="T1", help="the earlier moment: 2h (ago), 'yesterday 14:00', 2026-11-20T10:03Z"
    )
    parser.add_argument("until", metavar="T2", nargs="?", default="now", help="the later one (default: now)")
    parser.add_argument("--limit", type=printer.positive, default=50, metavar="N", help="list N of each (default 50)")
    printer.add_json(parser)
    report_options.add_watch(parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    with Inspector.open(args.db) as inspector:
        now = inspector.now()
        since, until = parse_moment(args.since, now=now), parse_moment(args.until, now=now)
        if since > until:
            raise UsageError(f"{args.since} is later than {args.until}; name the earlier moment first")
        with inspector.as_of(since) as then:
            diff = then.diff(until, limit=args.limit)
    if args.json:
        printer.print_json(diff)
        return 0
    paper = printer.Paper()
    paper.print(printer.text(f"from {when(since, now)} to {when(until, now)}", "bold"))
    _print_numbers(paper, diff)
    for name, changed in (("cluster", diff.clusters), ("event", diff.events)):
        _print_changes(paper, name, changed, diff.counts[name])
    if not diff.clusters and not diff.events:
        paper.print(Line(), printer.text("Nothing that failed has changed.", "green"))
    return 0


def _print_numbers(paper: printer.Paper, diff: Diff) -> None:
    paper.print()
    levels, states = ("CRITICAL", "HIGH", "MEDIUM", "LOW"), ("pending", "failed", "dead", "synced", "dismissed")
    titles = {level: printer.severity(level) for level in levels} | {
        state: printer.text(state.upper()) for state in states
    }
    numbers = {**diff.severity_before._asdict(), **diff.health_before._asdict()}
    later = {**diff.severity_after._asdict(), **diff.health_after._asdict()}
    names = (*levels, "total_events", *states)
    titles["total_events"] = printer.text("all events")
    rows = [_number(titles[name], numbers[name], later[name]) for name in names]
    printer.print_rows(paper, ("", "then", "later", "change"), rows, right={"then", "later", "change"})


def _number(title: Line, before: int, after: int) -> tuple[list[Line], Line]:
    difference = printer.text(f"{after - before:+,}" if after != before else "·", "bold" if after != before else "dim")
    return [title, printer.text(f"{before:,}"), printer.text(f"{after:,}"), difference], Line()


def _print_changes(paper: printer.Paper, kind: str, changed: tuple[Changed, ...], counts: dict[str, int]) -> None:
    for change in CHANGES:
        mine = [one for one in changed if one.change == change]
        if not counts[change]:
            continue
        style, meaning = _MEANING[change]
        paper.print(
            Line(),
            printer.text(f"{counted(counts[change], kind)} {change}", style) + printer.text(f": {meaning}", "dim"),
        )
        rows = [([_course(one), _name(one), printer.text(one.how, "dim")], printer.text(one.title)) for one in mine]
        if rows:
            printer.print_rows(paper, ("", "", ""), rows)
        if counts[change] > len(mine):
            paper.print(printer.text(f"and {counts[change] - len(mine):,} more; --limit lists them", "dim"))


def _course(one: Changed) -> Line:
    if one.before == one.after or one.change == "new":
        return printer.severity(one.after)
    return printer.severity(one.before) + printer.text(" → ") + printer.severity(one.after)


def _name(one: Changed) -> Line:
    shown = printer.short(one.entity_id) if one.entity_type == "cluster" else str(one.entity_id)
    return printer.text(f"{one.entity_type} {shown}")
