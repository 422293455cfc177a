"""`failaware diff T1 [T2]`: what is new, back, worse, better or gone between two moments."""

import argparse

from failaware.cli.arguments import add_limit
from failaware.cli.line import Line, change_of_severity, entity, severity, text
from failaware.cli.printer import Printer
from failaware.cli.progress import bar
from failaware.errors import UsageError
from failaware.model.differences import Changed, Diff
from failaware.read.diff import CHANGES
from failaware.read.inspector import Inspector
from failaware.read.time_expressions import parse_moment
from failaware.text import counted, when

OPTIONS = ("json", "watch")  # it takes its own moments
_MEANING = {
    "new": ("bold red", "failed for the first time"),
    "back": ("bold red", "had been resolved, and is unresolved again"),
    "worse": ("yellow", "its severity rose"),
    "better": ("green", "its severity fell"),
    "gone": ("green", "no longer unresolved"),
}
_LEVELS = ("CRITICAL", "HIGH", "MEDIUM", "LOW")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """T1, T2, --limit."""
    parser.add_argument(
        "since", metavar="T1", help="the earlier moment: 2h (ago), 'yesterday 14:00', 2026-11-20T10:03Z"
    )
    parser.add_argument("until", metavar="T2", nargs="?", default="now", help="the later one (default: now)")
    add_limit(parser, "list N of each")


def ask(inspector: Inspector, args: argparse.Namespace) -> Diff:
    """What changed."""
    now = inspector.now()
    since, until = parse_moment(args.since, now=now), parse_moment(args.until, now=now)
    if since > until:
        raise UsageError(f"{args.since} is later than {args.until}; name the earlier moment first")
    with bar("replaying") as progress, inspector.as_of(since, progress=progress) as then:
        return then.diff(until, limit=args.limit, progress=progress)


def draw(diff: Diff, printer: Printer, _args: argparse.Namespace) -> None:
    """The numbers, then the clusters and events, by kind of change."""
    printer.write(f"from {when(diff.since, printer.now)} to {when(diff.until, printer.now)}", "bold")
    _draw_numbers(diff, printer)
    for name, changed in (("cluster", diff.clusters), ("event", diff.events)):
        _draw_changes(name, changed, diff.counts[name], printer)
    if not diff.clusters and not diff.events:
        printer.print(Line(), text("Nothing that failed has changed.", "green"))


def _draw_numbers(diff: Diff, printer: Printer) -> None:
    rows = []
    for name, of, before, after in diff.numbers():
        change = after - before
        shown = text(f"{change:+,}", "bold") if change else text("·", "dim")
        title = (severity(name) if name in _LEVELS else text(name)) + text(f" {of}", "dim")
        rows.append((title, f"{before:,}", f"{after:,}", shown))
    printer.print()
    printer.rows(("", "then", "later", "change"), rows, right={"then", "later", "change"})


def _draw_changes(kind: str, changed: tuple[Changed, ...], counts: dict[str, int], printer: Printer) -> None:
    for change in CHANGES:
        listed = [one for one in changed if one.change == change]
        if not counts[change]:
            continue
        style, meaning = _MEANING[change]
        printer.print(Line(), text(f"{counted(counts[change], kind)} {change}", style) + text(f": {meaning}", "dim"))
        rows = [
            (_severity(one), entity(one.entity_type, one.entity_id), text(one.how, "dim"), one.title) for one in listed
        ]
        if rows:
            printer.rows(("", "", ""), rows)
        if counts[change] > len(listed):
            printer.write(f"and {counts[change] - len(listed):,} more; --limit lists them", "dim")


def _severity(one: Changed) -> Line:
    if one.before == one.after or one.change == "new":
        return severity(one.after)
    return change_of_severity(one.before, one.after)
