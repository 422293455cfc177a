"""`failaware merge CLUSTER CLUSTER…`: record the decision that clusters are one."""

import argparse

from failaware.cli.corrections import Outcome, add_correction, draw_outcome, outcome
from failaware.cli.printer import Printer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """CLUSTER…, --because, --by, --preview."""
    parser.add_argument(
        "clusters",
        nargs="+",
        metavar="CLUSTER",
        help="ids of clusters, or their first digits; the first one keeps its name",
    )
    add_correction(parser, by="--by")


def act(args: argparse.Namespace) -> Outcome:
    """Record it, or show what it would change."""
    return outcome(
        args,
        lambda inspector: {"merge": [inspector.cluster(text).cluster_id for text in args.clusters]},
        lambda store, given: store.merge_clusters(given["merge"], because=args.because, by=args.decided_by),
    )


def draw(answer: Outcome, printer: Printer, _args: argparse.Namespace) -> None:
    """What changes."""
    draw_outcome(answer, printer)
