"""`failaware archive --before TIME --to FILE`: move old facts of SYNCED or dismissed events to a file."""

import argparse
from pathlib import Path
from typing import Any

from failaware.cli.answer import Answer
from failaware.cli.arguments import add_decision, must_exist
from failaware.cli.printer import Printer
from failaware.cli.progress import bar
from failaware.identity import whoami
from failaware.ledger.archive import archive
from failaware.read.time_expressions import parse_moment
from failaware.store import Store
from failaware.text import counted, moment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--before, --to, --because, --by."""
    parser.add_argument(
        "--before", required=True, metavar="TIME", help="only events older than this: 2026-01-01, 90d, …"
    )
    parser.add_argument("--to", required=True, metavar="FILE", help="the new SQLite file")
    add_decision(parser)


def act(args: argparse.Namespace) -> Answer[dict[str, Any], int]:
    """Copy, verify the copy, and only then remove."""
    must_exist(args.db)
    with Store.open(args.db) as store, bar("facts") as progress:
        session, recorder = store.session, store.session.recorder
        before = parse_moment(args.before, now=session.clock())
        by, reason = recorder.decision_text("by", args.by or whoami()), recorder.reason(args.because)
        archived = archive(session, Path(args.to), before=before, by=by, reason=reason, progress=progress)._asdict()
    return Answer({"archive": archived.pop("archive_id"), **archived}, before)


def draw(answer: Answer[dict[str, Any], int], printer: Printer, args: argparse.Namespace) -> None:
    """What was archived, and how to read it."""
    archived = answer.document
    if archived["archive"] is None:
        printer.write(f"No SYNCED or dismissed event is older than {moment(answer.more)}.")
        return
    facts = f"{counted(archived['events'], 'event')} with {counted(archived['attempts'], 'attempt')}"
    printer.write(f"{facts} archived in {args.to}; the remaining facts were derived again.")
    printer.write(f"failaware --db {args.to} health  # it is a read-only store", "dim")
    printer.write("failaware verify  # checks the seals across the archive", "dim")
