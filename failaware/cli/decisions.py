"""`failaware requeue` and `failaware dismiss`: record a person's decision on events."""

import argparse
from collections.abc import Iterator

from failaware.cli.arguments import add_decision, positive
from failaware.cli.printer import Printer
from failaware.errors import UsageError
from failaware.read.inspector import Inspector
from failaware.store import Store
from failaware.text import counted

_PAGE = 1_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """EVENT…, --cluster, --where, --because, --by."""
    parser.add_argument("events", nargs="*", type=positive, metavar="EVENT", help="the numbers of the events")
    parser.add_argument("--cluster", metavar="ID", help="the unresolved events whose last failure is in this cluster")
    parser.add_argument("--where", metavar="FILTER", help="the unresolved events that match this filter")
    add_decision(parser)


def act(args: argparse.Namespace) -> dict[str, list[int]]:
    """Record it for all of them, or for none."""
    ways = [bool(args.events), args.cluster is not None, args.where is not None]
    if sum(ways) != 1:
        raise UsageError("give exactly one of: event numbers, --cluster ID, --where FILTER")
    with Inspector.open(args.db) as inspector:
        ids = args.events or list(_unresolved(inspector, args.cluster, args.where))
    with Store.open(args.db) as store:
        decide = store.requeue if args.command == "requeue" else store.dismiss
        decide(ids, because=args.because, by=args.by)
    return {"events": sorted(set(ids))}


def draw(decided: dict[str, list[int]], printer: Printer, args: argparse.Namespace) -> None:
    """How many, and what it means for them."""
    done = "requeued: due now" if args.command == "requeue" else "dismissed: no further attempt, no longer unresolved"
    printer.write(f"{counted(len(decided['events']), 'event')} {done}")


def _unresolved(inspector: Inspector, cluster: str | None, where: str | None) -> Iterator[int]:
    chosen = where if cluster is None else f"last:{inspector.cluster(cluster).cluster_id}"
    before: int | None = None
    while page := inspector.events(f"status:unresolved {chosen}", limit=_PAGE, before=before):
        yield from (event.event_id for event in page)
        before = page[-1].event_id
