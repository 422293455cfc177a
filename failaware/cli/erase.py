"""`failaware erase EVENT…`: remove payloads, error messages and tracebacks that must not be kept."""

import argparse

from failaware.cli.arguments import add_decision, must_exist, positive
from failaware.cli.printer import Printer
from failaware.ledger.erase import Erasure
from failaware.store import Store
from failaware.text import counted, is_url

_LOG = (
    "a reader in the middle of a query keeps the write-ahead log, which still holds what was erased; "
    "the next checkpoint removes it"
)
_SERVER = (
    "the server's files still hold what was erased: VACUUM FULL of event_log, attempt_log, traceback_log takes it out "
    "of the tables; its write-ahead log and backups are not changed"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """EVENT…, --because, --by, --shared-tracebacks."""
    parser.add_argument("events", nargs="+", type=positive, metavar="EVENT", help="the numbers of the events")
    add_decision(parser)
    parser.add_argument(
        "--shared-tracebacks", action="store_true", help="also erase tracebacks that other events share"
    )


def act(args: argparse.Namespace) -> Erasure:
    """Erase all of them, or none."""
    must_exist(args.db)
    with Store.open(args.db) as store:
        return store.erase(args.events, because=args.because, by=args.by, shared_tracebacks=args.shared_tracebacks)


def exit_status(erasure: Erasure, _args: argparse.Namespace) -> int:
    """1 when a trace of it is left."""
    return 0 if erasure.wiped else 1


def draw(erasure: Erasure, printer: Printer, args: argparse.Namespace) -> None:
    """What was erased, and what is left."""
    erased = f"erased {counted(erasure.payloads, 'payload')}, {counted(erasure.errors, 'error')}, "
    printer.write(erased + counted(erasure.tracebacks, "traceback"))
    if erasure.shared:
        left = counted(erasure.shared, "traceback")
        printer.write(f"{left} left, as other events have them; --shared-tracebacks erases them", "yellow")
    if not erasure.wiped:
        printer.write(_SERVER if is_url(args.db) else _LOG, "yellow")
