"""What every report begins with: --json, --watch, --as-of, and an inspector of now or of that moment."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from failaware.cli import printer
from failaware.read.inspector import Inspector


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--json, --watch, --as-of."""
    printer.add_json(parser)
    add_watch(parser)
    parser.add_argument(
        "--as-of", metavar="TIME", help="as it stood then: 2h (ago), 'yesterday 14:00', 2026-11-20T10:03Z"
    )


def add_watch(parser: argparse.ArgumentParser) -> None:
    """The --watch of every report."""
    parser.add_argument(
        "--watch",
        nargs="?",
        type=_seconds,
        const=1.0,
        metavar="SECONDS",
        help="draw it anew when something was recorded, looking every second or so many; Ctrl-C ends",
    )


def _seconds(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0.1 <= number <= 3_600:
        raise argparse.ArgumentTypeError(f"'{value}' is not a number of seconds from 0.1 to 3600")
    return number


@contextmanager
def inspector(args: argparse.Namespace) -> Iterator[Inspector]:
    """The store as it is, or as it stood at --as-of, which a report for people then says first."""
    with Inspector.open(args.db) as now:
        if args.as_of is None:
            yield now
            return
        from failaware.read.moment import parse_moment
        from failaware.text import when

        at = parse_moment(args.as_of, now=now.now())
        with now.as_of(at) as then:
            if not args.json:
                printer.Paper().print(printer.text(f"as of {when(at, now.now())}", "reverse"))
            yield then
