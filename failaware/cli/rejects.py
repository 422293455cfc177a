"""`failaware rejects`: input that could not be understood, newest first."""

import argparse

from failaware.cli import printer, report_options
from failaware.text import distance, one_line

_RAW = 160  # characters of what was rejected; --json has all that is kept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--limit, --before, --json, --as-of."""
    parser.add_argument(
        "--limit", type=printer.positive, default=50, metavar="N", help="at most N of them (default 50)"
    )
    parser.add_argument(
        "--before", type=printer.positive, metavar="ID", help="the next page: only rejects before this one"
    )
    report_options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print them."""
    with report_options.inspector(args) as inspector:
        rejects, now = inspector.rejects(limit=args.limit, before=args.before), inspector.now()
    if args.json:
        printer.print_json(rejects)
        return 0
    paper = printer.Paper()
    if not rejects:
        earlier = args.before is not None
        paper.print(printer.text("No reject before that one." if earlier else "Nothing was rejected.", "green"))
        return 0
    rows = []
    for reject in rejects:
        place = f"{one_line(reject.origin)}:{reject.line_no}"
        cells = [
            printer.text(str(reject.reject_id)),
            printer.text(distance(reject.rejected_at, now)),
            printer.text(place),
        ]
        rows.append((cells, printer.text(f"{reject.error}: ") + printer.text(one_line(reject.raw, _RAW), "dim")))
    printer.print_rows(paper, ("reject", "when", "where"), rows, right={"reject"}, last="why not, and what it was")
    if len(rejects) == args.limit:
        paper.print(printer.text(f"The first {args.limit}; --before {rejects[-1].reject_id} shows the next.", "dim"))
    return 0
