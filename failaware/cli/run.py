"""`failaware run MODULE:HANDLERS`: attempt due events with handlers until stopped."""

import argparse
import os
import sys

from failaware.cli.arguments import add_synchronous
from failaware.cli.printer import Printer
from failaware.cli.streams import restored
from failaware.place import resolve
from failaware.read.inspector import Inspector
from failaware.store import Store
from failaware.text import shown_place
from failaware.worker.handlers import load_handlers
from failaware.worker.worker import BATCH, GRACE_S, Worker


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """HANDLERS, --until-idle, --concurrency, --batch, --lease, --grace, --synchronous."""
    parser.add_argument("handlers", help="module:name of a failaware.Handlers(); 'module' alone means module:handlers")
    parser.add_argument("--until-idle", action="store_true", help="exit when no event is due within one second")
    parser.add_argument("--concurrency", type=int, default=1, metavar="N", help="handlers that run at once (default 1)")
    parser.add_argument(
        "--batch", type=int, default=BATCH, metavar="N", help=f"at most N events claimed at once (default {BATCH})"
    )
    parser.add_argument(
        "--lease",
        type=float,
        default=60.0,
        metavar="S",
        help="seconds without renewal after which a worker counts as lost (default 60)",
    )
    parser.add_argument(
        "--grace",
        type=float,
        default=GRACE_S,
        metavar="S",
        help=f"seconds that running handlers get to finish after SIGTERM (default {GRACE_S:g})",
    )
    add_synchronous(parser)


def run(args: argparse.Namespace) -> int:
    """Work until SIGINT or SIGTERM, or until idle."""
    place = resolve(args.db)  # handlers may change the folder
    with restored():
        handlers = load_handlers(args.handlers)
    with Store.open(place, synchronous=args.synchronous) as store, restored():
        worker = Worker(
            store, handlers, concurrency=args.concurrency, batch=args.batch, lease=args.lease, grace=args.grace
        )
        if not args.until_idle:
            sys.stderr.write(
                f"{worker.name} applies events of {shown_place(args.db)}; Ctrl-C finishes running events and stops\n"
            )
        worker.run(until_idle=args.until_idle)
    with Inspector.open(place) as inspector:
        health = inspector.health()
    Printer().write(
        f"{health.synced:,} synced, {health.failed:,} failed and due again, {health.dead:,} dead, "
        f"{health.pending:,} pending"
    )
    if args.until_idle and health.failed + health.pending:
        sys.stderr.write(
            "events due in more than one second, or without a handler, were left; "
            "run it again, or leave out --until-idle\n"
        )
    if worker.has_left_handlers:  # Python would wait for threads that handlers have made
        sys.stdout.flush()
        os._exit(0)
    return 0
