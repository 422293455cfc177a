"""`failaware archive --before TIME --to FILE`: old facts that are settled go to a file of their own."""

import argparse
from typing import Any

from failaware.cli.answer import Answer
from failaware.cli.arguments import add_decision, must_exist
from failaware.cli.printer import Printer
from failaware.cli.progress import bar
from failaware.read.moment import parse_moment
from failaware.store import Store
from failaware.text import counted, moment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--before, --to, --because, --by."""
    parser.add_argument("--before", required=True, metavar="TIME", help="only what is older: 2026-01-01, 90d, …")
    parser.add_argument("--to", required=True, metavar="FILE", help="a new SQLite file")
    add_decision(parser)


def act(args: argparse.Namespace) -> Answer[dict[str, Any], int]:
    """Copy, verify the copy, and only then remove."""
    must_exist(args.db)
    with Store.open(args.db) as store, bar("facts") as progress:
        before = parse_moment(args.before, now=store.session.clock())
        moved = store.archive(args.to, before=before, because=args.because, by=args.by, progress=progress)._asdict()
    return Answer({"archive": moved.pop("archive_id"), **moved}, before)


def draw(answer: Answer[dict[str, Any], int], printer: Printer, args: argparse.Namespace) -> None:
    """What was moved, and how to look at it."""
    moved = answer.document
    if moved["archive"] is None:
        printer.write(f"Nothing that is settled is older than {moment(answer.more)}.")
        return
    facts = f"{counted(moved['events'], 'event')} with {counted(moved['attempts'], 'attempt')}"
    printer.write(f"{facts} moved to {args.to}, and everything that is left derived anew.")
    printer.write(f"failaware --db {args.to} health   # it is a store that can only be read", "dim")
    printer.write("failaware verify                  # the seals hold, here as there", "dim")
