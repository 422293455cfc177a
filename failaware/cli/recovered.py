"""`failaware healed [FILTER]`: what failed and then was SYNCED by itself, by cluster, and at what cost."""

import argparse

from failaware.cli import printer, report_options
from failaware.cli.printer import Line
from failaware.model.patterns import Healed, Healing
from failaware.text import span

_WIDE = 120  # columns from which on there is room for one number more
_MEANING = """\
healed     events whose last attempt succeeded, after others had failed, and
           nobody decided anything in between
helped     events that were SYNCED too, but only after a person had requeued them
tries      that failed before the healed ones succeeded: the cost, by which the
           list is sorted
median …   how long it took from the first failure with this cluster to the
           next success (90 % took p90 or less)
episodes   how often new events began to fail with it; comebacks: how often
           when all before had been SYNCED
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILTER, --limit, --json, --as-of."""
    parser.add_argument("filter", nargs="*", help="of clusters, such as: type:payment.* error:timeout severity:HIGH+")
    parser.add_argument(
        "--limit", type=printer.positive, default=50, metavar="N", help="at most N clusters (default 50)"
    )
    report_options.add_arguments(parser)
    parser.epilog = _MEANING
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def run(args: argparse.Namespace) -> int:
    """Print it."""
    with report_options.inspector(args) as inspector:
        found = inspector.patterns.healed(" ".join(args.filter))
    left_out = len(found.clusters) - args.limit
    found = found._replace(clusters=found.clusters[: args.limit])
    if args.json:
        printer.print_json(found)
        return 0
    paper = printer.Paper()
    if found.clusters:
        _draw(paper, found)
    else:
        paper.print(
            printer.text("Nothing that failed was SYNCED later." if not args.filter else "Nothing healed here.")
        )
    if left_out > 0:
        paper.print(printer.text(f"The first {args.limit}; --limit shows more. The last line counts all.", "dim"))
    return 0


def _draw(paper: printer.Paper, found: Healed) -> None:
    columns = ["cluster", "healed", "helped", "tries", "median", "p90", "total", "episodes", "comebacks"]
    if paper.width >= _WIDE:
        columns.insert(6, "largest")
    rows = [
        (
            _cells(columns, printer.short(row.cluster_id), row.healing, f"{row.episodes:,}", f"{row.comebacks:,}"),
            printer.failure(row.event_type, row.error_type, row.template),
        )
        for row in found.clusters
    ]
    rows.append((_cells(columns, "all", found.total, "", ""), printer.text("each event once", "dim")))
    printer.print_rows(paper, columns, rows, right=columns[1:], last="failure")


def _cells(columns: list[str], name: str, healing: Healing, episodes: str, comebacks: str) -> list[Line]:
    said = {
        "cluster": name,
        "healed": f"{healing.healed:,}",
        "helped": f"{healing.helped:,}",
        "tries": f"{healing.attempts:,}",
        "median": _span(healing.median_delay),
        "p90": _span(healing.p90_delay),
        "largest": _span(healing.largest_delay),
        "total": _span(healing.total_delay if healing.healed else None),
        "episodes": episodes,
        "comebacks": comebacks,
    }
    return [printer.text(said[column]) for column in columns]


def _span(microseconds: int | None) -> str:
    return "—" if microseconds is None else span(microseconds)
