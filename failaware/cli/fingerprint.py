"""`failaware fingerprint TEXT`: the template of any text, and which of its parts are masked. Reads no store."""

import argparse
import sys

from failaware.cli import printer
from failaware.cli.explain import print_grouping
from failaware.model import GroupedBy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """TEXT, --error, --json."""
    parser.add_argument("text", help="an error message; - reads it from standard input")
    parser.add_argument("--error", metavar="TYPE", help="the type of the error, such as TimeoutError")
    printer.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    from failaware.derive.grouping.fingerprint import template
    from failaware.derive.grouping.groups import masked_parts

    text = sys.stdin.buffer.read().decode("utf-8", "backslashreplace") if args.text == "-" else args.text
    name = template(text, args.error)
    grouped = GroupedBy("the message", text, name, masked_parts(text, name))
    if args.json:
        printer.print_json(grouped)
    else:
        print_grouping(printer.Paper(), grouped)
    return 0
