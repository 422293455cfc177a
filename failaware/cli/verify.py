"""`failaware verify`: prove that facts are intact and that what is derived follows from them; nothing is written."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from failaware.cli import printer
from failaware.derive.stored_version import outdated
from failaware.ledger.verify import UNVERIFIED, Progress, Verification, verify
from failaware.text import counted, moment

_OTHER_VERSION = 3  # the exit status
_PARTS = {
    "schema": "schema: tables, indexes, constraints and guards are as they were made, and the file is sound",
    "facts": "facts: each is as it was sealed; none was added, changed, moved or removed",
    "derived": "derived: every row equals a fresh derivation from the facts",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--noted, --facts-only, --json."""
    parser.add_argument(
        "--noted",
        metavar="ID:DIGEST",
        help="a seal noted earlier ('failaware seal'): also a cut or rewritten end is found",
    )
    parser.add_argument(
        "--facts-only",
        action="store_true",
        help="leave out the fresh derivation, which takes two thirds of the time",
    )
    printer.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Verify; exit status 1 when something does not, 3 when all does but what another version has derived."""
    with _progress() as progress:
        found = verify(args.db, noted=args.noted, facts_only=args.facts_only, progress=progress)
    older = "" if args.facts_only else outdated(found.derivation, found.derived_by)
    if args.json:
        printer.print_json(found)
    else:
        _draw(found, older)
    return 1 if found.findings else _OTHER_VERSION if older else 0


def _draw(found: Verification, older: str) -> None:
    paper = printer.Paper()
    for part in found.parts:
        sentence = _PARTS[part]
        mine = [finding for finding in found.findings if finding.part == part]
        mark = printer.text("not so  ", "bold red") if mine else printer.text("holds   ", "green")
        if mine and all(finding.problem.startswith(UNVERIFIED) for finding in mine):
            mark = printer.text("unknown ", "bold yellow")
        paper.print(mark + printer.text(sentence, "bold" if mine else ""))
        for finding in mine:
            paper.print(printer.text(f"        {finding.where}: ", "bold") + printer.text(finding.problem))
    if older:
        paper.print(printer.text(f"{found.derivation:<8}derived: not verified. {older}.", "bold yellow"))
    if found.more:
        paper.print(printer.text(f"        and {found.more:,} more", "bold red"))
    for erased in found.erased:
        what = f"erased  event {erased.event_id}, with {counted(erased.attempts, 'error')} and "
        what += f"{counted(erased.tracebacks, 'traceback')}, by {erased.erased_by} on {moment(erased.erased_at)}: "
        paper.print(printer.text(what + erased.reason, "yellow"))
    for archive in found.archives:
        what = f"moved   {counted(archive.events, 'event')} before {moment(archive.before_at)} to {archive.name}"
        what += f"{', which is this file' if archive.here else ''}, by {archive.archived_by} on "
        paper.print(printer.text(f"{what}{moment(archive.archived_at)}: {archive.reason}", "yellow"))
    paper.print()
    paper.print(printer.text(f"{counted(found.facts, 'fact')}, {found.sealed:,} of them under seals"))
    if found.head is not None and found.sealed_at is not None:
        paper.print(printer.text(f"newest seal {found.head}  {moment(found.sealed_at)}", "dim"))


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on standard error, when someone is looking."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        tasks = {part: bar.add_task(part, total=None, start=False) for part in _PARTS}

        def tell(part: str, done: int, total: int) -> None:
            bar.start_task(tasks[part])
            bar.update(tasks[part], completed=done, total=total)

        yield tell
