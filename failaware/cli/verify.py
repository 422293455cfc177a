"""`failaware verify`: prove that facts are intact and that what is derived follows from them; nothing is written."""

import argparse

from failaware.cli import stores
from failaware.cli.line import text
from failaware.cli.printer import Printer
from failaware.cli.progress import bars
from failaware.derive.stored_version import outdated
from failaware.errors import UsageError
from failaware.ledger.verify import PARTS, UNVERIFIED, Finding, Verification, verify
from failaware.text import counted, moment

SEVERAL = True  # stores
_OTHER_VERSION = 3  # the exit status
_PARTS = {
    "schema": "schema: tables, indexes, constraints and guards are unchanged, and the file is not damaged",
    "facts": "facts: each matches its seal; none was added, changed, moved or removed",
    "derived": "derived: every row equals a fresh derivation from the facts",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--noted, --facts-only."""
    parser.add_argument(
        "--noted",
        metavar="ID:DIGEST",
        help="a seal printed earlier by 'failaware seal': also detects a truncated or rewritten chain",
    )
    parser.add_argument(
        "--facts-only",
        action="store_true",
        help="skip the fresh derivation, which takes two thirds of the time",
    )


def act(args: argparse.Namespace) -> Verification | dict[str, Verification]:
    """Verify; of several stores one after the other, by their names."""
    if not stores.are_several(args):
        return _verified(args.db, args)
    places = stores.places_of(args)
    if remote := [place.name for place in places if place.is_remote]:
        raise UsageError(f"{', '.join(remote)}: a store on another host is verified there: ssh HOST failaware verify")
    if args.noted is not None:
        raise UsageError("--noted is a seal of one store; name it with one --db")
    return {place.name: _verified(place.place, args) for place in places}


def _verified(place: str, args: argparse.Namespace) -> Verification:
    with bars(*PARTS) as progress:
        return verify(place, noted=args.noted, facts_only=args.facts_only, progress=progress)


def exit_status(answer: Verification | dict[str, Verification], args: argparse.Namespace) -> int:
    """1 when something does not verify, 3 when all does but what another version has derived."""
    verifications = list(answer.values()) if isinstance(answer, dict) else [answer]
    if any(verification.findings for verification in verifications):
        return 1
    return _OTHER_VERSION if any(_older(verification, args) for verification in verifications) else 0


def _older(verification: Verification, args: argparse.Namespace) -> str:
    return "" if args.facts_only else outdated(verification.derivation, verification.derived_by)


def draw(answer: Verification | dict[str, Verification], printer: Printer, args: argparse.Namespace) -> None:
    """Each store, if there are several."""
    if not isinstance(answer, dict):
        _draw_store(answer, printer, args)
        return
    for name, verification in answer.items():
        printer.heading(name)
        _draw_store(verification, printer, args)


def _draw_store(verification: Verification, printer: Printer, args: argparse.Namespace) -> None:
    """Each part with its findings, then what was erased and archived."""
    for part in verification.parts:
        _draw_part(part, [finding for finding in verification.findings if finding.part == part], printer)
    if older := _older(verification, args):
        printer.write(f"{verification.derivation:<8}derived: not verified. {older}.", "bold yellow")
    if verification.more:
        printer.write(f"        and {verification.more:,} more", "bold red")
    for erased in verification.erased:
        what = f"erased  event {erased.event_id}, with {counted(erased.attempts, 'error')} and "
        what += f"{counted(erased.tracebacks, 'traceback')}, by {erased.erased_by} on {moment(erased.erased_at)}: "
        printer.write(what + erased.reason, "yellow")
    for archive in verification.archives:
        what = f"archived {counted(archive.events, 'event')} before {moment(archive.before_at)} to {archive.name}"
        what += f"{', which is this file' if archive.here else ''}, by {archive.archived_by} on "
        printer.write(f"{what}{moment(archive.archived_at)}: {archive.reason}", "yellow")
    printer.print()
    printer.write(f"{counted(verification.facts, 'fact')}, {verification.sealed:,} of them under seals")
    if verification.head is not None and verification.sealed_at is not None:
        printer.write(f"newest seal {verification.head}  {moment(verification.sealed_at)}", "dim")


def _draw_part(part: str, findings: list[Finding], printer: Printer) -> None:
    mark = text("FAILED  ", "bold red") if findings else text("ok      ", "green")
    if findings and all(finding.problem.startswith(UNVERIFIED) for finding in findings):
        mark = text("unknown ", "bold yellow")
    printer.print(mark + text(_PARTS[part], "bold" if findings else ""))
    for finding in findings:
        printer.print(text(f"        {finding.where}: ", "bold") + text(finding.problem))
