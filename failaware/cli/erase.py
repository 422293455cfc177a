"""`failaware erase EVENT…`: remove payloads, error messages and tracebacks that must not be kept."""

import argparse

from failaware.cli import printer
from failaware.store import Store
from failaware.text import counted, is_url

_LOG = (
    "a reader in the middle of a query keeps the write-ahead log, which still holds what was erased; "
    "it goes with the next checkpoint"
)
_SERVER = (
    "the server's files still hold what was erased: VACUUM FULL of event_log, attempt_log, traceback_log takes it out "
    "of the tables; its write-ahead log and its backups go by their own rules"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """EVENT…, --because, --by, --shared-tracebacks, --json."""
    parser.add_argument("events", nargs="+", type=printer.positive, metavar="EVENT", help="the numbers of the events")
    printer.add_decision(parser)
    parser.add_argument("--shared-tracebacks", action="store_true", help="erase tracebacks that other events have, too")
    printer.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Erase all of them, or none; exit status 1 when a trace of it is left."""
    printer.must_exist(args.db)
    with Store.open(args.db) as store:
        done = store.erase(args.events, because=args.because, by=args.by, shared_tracebacks=args.shared_tracebacks)
    if args.json:
        printer.print_json(done)
        return 0 if done.wiped else 1
    paper = printer.Paper()
    what = f"erased {counted(done.payloads, 'payload')}, {counted(done.errors, 'error')}, "
    paper.print(printer.text(what + counted(done.tracebacks, "traceback")))
    if done.shared:
        left = f"{counted(done.shared, 'traceback')} left, as other events have them; --shared-tracebacks erases them"
        paper.print(printer.text(left, "yellow"))
    if not done.wiped:
        paper.print(printer.text(_SERVER if is_url(args.db) else _LOG, "yellow"))
    return 0 if done.wiped else 1
