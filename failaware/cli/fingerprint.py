"""`failaware fingerprint TEXT`: the template of any text, and which of its parts are masked. Reads no store."""

import argparse
import sys

from failaware.cli.explain import draw_grouping
from failaware.cli.printer import Printer
from failaware.model import GroupedBy
from failaware.text import bounded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """TEXT, --error, --explain."""
    parser.add_argument("text", help="an error message; - reads it from standard input")
    parser.add_argument("--error", metavar="TYPE", help="the type of the error, such as TimeoutError")
    parser.add_argument("--explain", action="store_true", help="also list each rule that fired, in order")


def act(args: argparse.Namespace) -> GroupedBy:
    """Mask it."""
    from failaware.derive.grouping.fingerprint import template
    from failaware.derive.grouping.groups import applied_rules, masked_parts

    text = sys.stdin.buffer.read().decode("utf-8", "backslashreplace") if args.text == "-" else args.text
    name = template(text, args.error)
    rules = applied_rules(text) if args.explain else ()
    return GroupedBy("the message", text, name, masked_parts(text, name), rules=rules)


def draw(grouped: GroupedBy, printer: Printer, args: argparse.Namespace) -> None:
    """As an explanation shows it; then each rule that fired."""
    draw_grouping(grouped, printer)
    if args.explain:
        printer.write("rules that fired, in order" if grouped.rules else "no rule fired", "bold")
    for applied in grouped.rules:
        parts = ", ".join(f"{bounded(part.text, 60)} → {part.placeholder or '(left out)'}" for part in applied.parts)
        printer.write(f"  {applied.rule:<20} {parts}")
