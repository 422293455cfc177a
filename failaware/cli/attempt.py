"""`failaware attempt ID`: one attempt, by the number that explanations and exports give it."""

import argparse

from failaware.cli import printer, report_options
from failaware.cli.event import draw_attempt


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """ID, --json, --as-of."""
    parser.add_argument("id", type=printer.positive, help="the attempt's number")
    report_options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    with report_options.inspector(args) as inspector:
        attempt, now = inspector.attempt(args.id), inspector.now()
    if args.json:
        printer.print_json(attempt)
        return 0
    paper = printer.Paper()
    paper.print(printer.text(f"attempt {attempt.attempt_id}, at event {attempt.event_id}", "bold"))
    draw_attempt(paper, attempt, now)
    return 0
