"""`failaware fingerprint TEXT`: the template of any text, and which of its parts are masked. Reads no store."""

import argparse
import sys

from failaware.cli.explain import draw_grouping
from failaware.cli.printer import Printer
from failaware.model import GroupedBy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """TEXT, --error."""
    parser.add_argument("text", help="an error message; - reads it from standard input")
    parser.add_argument("--error", metavar="TYPE", help="the type of the error, such as TimeoutError")


def act(args: argparse.Namespace) -> GroupedBy:
    """Mask it."""
    from failaware.derive.grouping.fingerprint import template
    from failaware.derive.grouping.groups import masked_parts

    text = sys.stdin.buffer.read().decode("utf-8", "backslashreplace") if args.text == "-" else args.text
    name = template(text, args.error)
    return GroupedBy("the message", text, name, masked_parts(text, name))


def draw(grouped: GroupedBy, printer: Printer, _args: argparse.Namespace) -> None:
    """As an explanation shows it."""
    draw_grouping(grouped, printer)
