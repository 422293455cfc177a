"""`failaware recovered [FILTER]`: failures that recovered on retry, by cluster, with the attempts and delay it took."""

import argparse

from failaware.cli.answer import Answer
from failaware.cli.arguments import add_limit
from failaware.cli.line import failure, short, text
from failaware.cli.printer import Printer
from failaware.model.patterns import Recovered, RecoveryStats
from failaware.read.inspector import Inspector
from failaware.text import span

_WIDE = 120  # columns of the terminal from which one more number fits
_MEANING = """\
recovered  events whose last attempt succeeded after others had failed,
           without a decision in between
helped     events that succeeded only after a person had requeued them
failed     failed attempts of the recovered events: the cost, by which the
           list is sorted
median …   the delay from the first failure in this cluster to the next success
           (p90: 90 % took at most this)
episodes   runs of hours in which new events entered the cluster
relapses   how often an event entered it after all earlier ones had succeeded
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILTER, --limit."""
    parser.add_argument("filter", nargs="*", help="selects clusters: type:payment.* error:timeout severity:HIGH+")
    add_limit(parser, "at most N clusters")
    parser.epilog = _MEANING
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def ask(inspector: Inspector, args: argparse.Namespace) -> Answer[Recovered, int]:
    """What recovered, up to the limit, and how many clusters are left out."""
    recovered = inspector.patterns.recovered(" ".join(args.filter))
    listed = recovered.clusters[: args.limit]
    return Answer(recovered._replace(clusters=listed), len(recovered.clusters) - len(listed))


def draw(answer: Answer[Recovered, int], printer: Printer, args: argparse.Namespace) -> None:
    """A row for each cluster, and one for all."""
    recovered = answer.document
    if not recovered.clusters:
        printer.write(
            "No failed event has recovered."
            if not args.filter
            else "No failed event that matches the filter has recovered."
        )
        return
    rows = [
        {"cluster": short(row.cluster_id), **_stats(row.recovery)}
        | {"episodes": f"{row.episodes:,}", "relapses": f"{row.relapses:,}"}
        | {"failure": failure(row.event_type, row.error_type, row.template)}
        for row in recovered.clusters
    ]
    total = {"cluster": "all", **_stats(recovered.total), "episodes": "", "relapses": ""}
    rows.append(total | {"failure": text("each event once", "dim")})
    columns = [name for name in total if name != "largest" or printer.width >= _WIDE]
    table = [[row[name] for name in (*columns, "failure")] for row in rows]
    printer.rows(columns, table, right=columns[1:], last="failure")
    if answer.more:
        printer.write(f"The first {args.limit}; --limit shows more. The last line counts all.", "dim")


def _stats(stats: RecoveryStats) -> dict[str, str]:
    return {
        "recovered": f"{stats.recovered:,}",
        "helped": f"{stats.helped:,}",
        "failed": f"{stats.attempts:,}",
        "median": _span(stats.median_delay),
        "p90": _span(stats.p90_delay),
        "largest": _span(stats.largest_delay),
        "total": _span(stats.total_delay if stats.recovered else None),
    }


def _span(microseconds: int | None) -> str:
    return "—" if microseconds is None else span(microseconds)
