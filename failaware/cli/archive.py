"""`failaware archive --before TIME --to FILE`: old facts that are settled go to a file of their own."""

import argparse

from failaware.cli import printer
from failaware.cli.progress import bar
from failaware.ledger.archive import Archived
from failaware.read.moment import parse_moment
from failaware.store import Store
from failaware.text import counted, moment


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--before, --to, --because, --by, --json."""
    parser.add_argument("--before", required=True, metavar="TIME", help="only what is older: 2026-01-01, 90d, …")
    parser.add_argument("--to", required=True, metavar="FILE", help="a new SQLite file")
    printer.add_decision(parser)
    printer.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Copy, verify the copy, and only then remove; exit status 0 also when there was nothing to move."""
    printer.must_exist(args.db)
    with Store.open(args.db) as store, bar("facts") as progress:
        before = parse_moment(args.before, now=store.session.clock())
        archived = store.archive(args.to, before=before, because=args.because, by=args.by, progress=progress)
    return _say(args, archived, before)


def _say(args: argparse.Namespace, archived: Archived, before: int) -> int:
    if args.json:
        counts = archived._asdict()
        printer.print_json({"archive": counts.pop("archive_id"), **counts})
        return 0
    paper = printer.Paper()
    if archived.archive_id is None:
        paper.print(printer.text(f"Nothing that is settled is older than {moment(before)}."))
        return 0
    moved = f"{counted(archived.events, 'event')} with {counted(archived.attempts, 'attempt')}"
    paper.print(printer.text(f"{moved} moved to {args.to}, and everything that is left derived anew."))
    paper.print(printer.text(f"failaware --db {args.to} health   # it is a store that can only be read", "dim"))
    paper.print(printer.text("failaware verify                  # the seals hold, here as there", "dim"))
    return 0
