"""`failaware undo CORRECTION`: record the decision that a merge or a split no longer applies."""

import argparse

from failaware.cli.arguments import positive
from failaware.cli.corrections import Outcome, add_correction, draw_outcome, outcome
from failaware.cli.printer import Printer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """CORRECTION, --because, --by, --preview."""
    parser.add_argument(
        "correction", type=positive, metavar="CORRECTION", help="its number, as 'failaware corrections' lists it"
    )
    add_correction(parser, by="--by")


def act(args: argparse.Namespace) -> Outcome:
    """Record it, or show what it would change."""
    return outcome(
        args,
        lambda _inspector: {"undo": args.correction},
        lambda store, given: store.undo_correction(given["undo"], because=args.because, by=args.decided_by),
    )


def draw(answer: Outcome, printer: Printer, _args: argparse.Namespace) -> None:
    """What changes."""
    draw_outcome(answer, printer)
