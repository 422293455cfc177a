"""`failaware attempt ID`: one attempt, by the number that explanations and exports give it."""

import argparse

from failaware.cli.arguments import fact_id
from failaware.cli.event import draw_attempt
from failaware.cli.printer import Printer
from failaware.model import Attempt
from failaware.read.inspector import Inspector


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """ID."""
    parser.add_argument("id", type=fact_id, help="the attempt's number; of one of several stores 42@shop")


def ask(inspector: Inspector, args: argparse.Namespace) -> Attempt:
    """The attempt."""
    return inspector.attempt(inspector.id_of(args.id))


def draw(attempt: Attempt, printer: Printer, _args: argparse.Namespace) -> None:
    """As in the event's own report."""
    printer.write(f"attempt {attempt.attempt_id}, at event {attempt.event_id}", "bold")
    draw_attempt(attempt, printer)
