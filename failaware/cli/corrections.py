"""`failaware corrections`: clusters that a person merged or split. Also what merge, split and undo have in common."""

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

from failaware.cli.arguments import add_limit, must_exist, reason
from failaware.cli.line import failure, short, text
from failaware.cli.printer import Printer
from failaware.cli.progress import bar
from failaware.errors import UsageError
from failaware.model.differences import ClusterChange, Correction
from failaware.read.inspector import Inspector
from failaware.store import Store
from failaware.text import counted, distance, one_line


class Outcome(NamedTuple):
    """The ids of the corrections that were recorded, or what they would change."""

    corrections: list[int]
    changes: tuple[ClusterChange, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--limit."""
    add_limit(parser)


def ask(inspector: Inspector, args: argparse.Namespace) -> list[Correction]:
    """The newest."""
    return inspector.patterns.corrections(limit=args.limit)


def draw(corrections: list[Correction], printer: Printer, _args: argparse.Namespace) -> None:
    """A table."""
    if not corrections:
        printer.write("No cluster was merged or split.", "green")
        return
    rows = [
        (
            str(each.correction_id),
            distance(each.decided_at, printer.now),
            _what(each),
            one_line(each.decided_by),
            text(one_line(each.reason)),
        )
        for each in corrections
    ]
    printer.rows(("correction", "when", "what", "by"), rows, right={"correction"}, last="because")


def _what(correction: Correction) -> str:
    if correction.correction == "UNDO":
        return f"undo {correction.undoes}"
    own = short(correction.cluster_id)
    into = f"into {short(correction.into_cluster)}" if correction.into_cluster is not None else ""
    undone = "" if correction.undone_by is None else f" (undone by {correction.undone_by})"
    return f"{correction.correction.lower()} {own} {into or f'by {correction.split_by}'}{undone}"


def add_correction(parser: argparse.ArgumentParser, *, by: str) -> None:
    """--because and --preview, and the option `by` that names who decides."""
    parser.add_argument("--because", type=reason, metavar="TEXT", help="the reason, stored with the decision")
    parser.add_argument(by, dest="decided_by", metavar="WHO", help="who decided (default: you, as user@host)")
    parser.add_argument(
        "--preview", action="store_true", help="show which clusters and severities would change; record nothing"
    )


def outcome(
    args: argparse.Namespace,
    given: Callable[[Inspector], dict[str, Any]],
    record: Callable[[Store, dict[str, Any]], list[int]],
) -> Outcome:
    """Record a correction, or preview it."""
    if args.preview and args.because is not None:
        raise UsageError("--preview records nothing; leave out --because, or leave out --preview")
    if not args.preview and args.because is None:
        raise UsageError("give the reason with --because, or --preview to see what would change")
    must_exist(args.db)
    with Inspector.open(args.db) as inspector:
        wanted = given(inspector)
        if args.preview:
            with bar("deriving") as progress:
                return Outcome([], inspector.patterns.preview_correction(**wanted, progress=progress))
    with Store.open(args.db) as store:
        return Outcome(record(store, wanted), ())


def draw_outcome(answer: Outcome, printer: Printer) -> None:
    """The changes, or the corrections that were recorded."""
    if answer.corrections:
        numbers = ", ".join(map(str, answer.corrections))
        printer.write(f"recorded {counted(len(answer.corrections), 'correction')}: {numbers}")
        printer.write(f"failaware undo {answer.corrections[-1]} --because … undoes it", "dim")
        return
    if not answer.changes:
        printer.write("No cluster would change.")
        return
    rows = [
        (
            short(change.cluster_id),
            _pair(change.events_before, change.events_after),
            _pair(change.failures_before, change.failures_after),
            _pair(change.severity_before or "-", change.severity_after or "-"),
            failure(change.event_type, change.error_type, change.template),
        )
        for change in answer.changes
    ]
    printer.rows(("cluster", "events", "failures", "severity"), rows, right={"events", "failures"}, last="failure")


def _pair(before: object, after: object) -> str:
    return str(before) if before == after else f"{before} → {after}"
