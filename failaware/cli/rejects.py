"""`failaware rejects`: input that could not be understood, newest first."""

import argparse

from failaware.cli.arguments import add_before, add_limit
from failaware.cli.line import text
from failaware.cli.printer import Printer
from failaware.model import Reject
from failaware.read.inspector import Inspector
from failaware.text import distance, one_line

_RAW = 160  # characters of what was rejected; --json has all that is kept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--limit, --before."""
    add_limit(parser)
    add_before(parser, "rejects")


def ask(inspector: Inspector, args: argparse.Namespace) -> list[Reject]:
    """A page of them."""
    return inspector.rejects(limit=args.limit, before=args.before and inspector.id_of(args.before))


def draw(rejects: list[Reject], printer: Printer, args: argparse.Namespace) -> None:
    """A table, and how to see more."""
    if not rejects:
        printer.write("No reject before that one." if args.before is not None else "Nothing was rejected.", "green")
        return
    rows = [
        (
            str(reject.reject_id),
            distance(reject.rejected_at, printer.now),
            f"{one_line(reject.origin)}:{reject.line_no}",
            text(f"{reject.error}: ") + text(one_line(reject.raw, _RAW), "dim"),
        )
        for reject in rejects
    ]
    printer.rows(("reject", "when", "where"), rows, right={"reject"}, last="why not, and what it was")
    if len(rejects) == args.limit:
        printer.write(f"The first {args.limit}; --before {rejects[-1].reject_id} shows the next.", "dim")
