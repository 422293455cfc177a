"""`failaware split CLUSTER --by PLACEHOLDER`: record the decision that a cluster is several."""

import argparse

from failaware.cli.corrections import Outcome, add_correction, draw_outcome, outcome
from failaware.cli.printer import Printer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """CLUSTER, --by, --because, --decided-by, --preview."""
    parser.add_argument("cluster", metavar="CLUSTER", help="the cluster's id, or its first digits")
    parser.add_argument(
        "--by",
        required=True,
        metavar="PLACEHOLDER",
        help="a placeholder of its template, such as '<host>': a cluster for each value; '<*>': for each learned word; "
        "frame: for each place in your own code",
    )
    add_correction(parser, by="--decided-by")


def act(args: argparse.Namespace) -> Outcome:
    """Record it, or show what it would change."""
    return outcome(
        args,
        lambda inspector: {"split": (inspector.cluster(args.cluster).cluster_id, args.by)},
        lambda store, given: store.split_cluster(
            given["split"][0], split_by=args.by, because=args.because, by=args.decided_by
        ),
    )


def draw(answer: Outcome, printer: Printer, _args: argparse.Namespace) -> None:
    """What changes."""
    draw_outcome(answer, printer)
