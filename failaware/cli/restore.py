"""`failaware restore FILE|-`: take an export back into an empty store, all of it or nothing."""

import argparse
import os

from failaware.cli.printer import Printer
from failaware.cli.progress import byte_bar
from failaware.cli.streams import warn
from failaware.errors import StoreBusy, UsageError
from failaware.ingest.encoding import STANDARD_INPUT, check_text
from failaware.ingest.stream import Input, is_stream
from failaware.ledger.restore import Restored, restore_export
from failaware.store import Store
from failaware.text import counted, shown_place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILE."""
    parser.add_argument("file", metavar="FILE", help="what 'failaware export' wrote; - is standard input")


def run(args: argparse.Namespace) -> int:
    """Take it back; exit status 1 when the export says that facts were lost."""
    name = STANDARD_INPUT if args.file == "-" else args.file
    try:
        file = open(0 if args.file == "-" else args.file, "rb", buffering=0, closefd=args.file != "-")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from None

    def try_again(error: StoreBusy) -> bool:
        waits = is_stream(file.fileno())  # what came through a pipe cannot be read again
        if waits:
            warn(f"{error}; {name} waits")
        return waits

    with file:
        source = Input(file)
        check_text(source.begins(), name)
        size = os.fstat(file.fileno()).st_size
        with Store.open(args.db, synchronous="NORMAL") as store, byte_bar(name, size) as progress:
            lines = (data or b"" for data in iter(source.read, b""))
            restored = restore_export(store.session, lines, origin=name, progress=progress, try_again=try_again)
        if source.error is not None:
            raise UsageError(f"cannot read {name}: {source.error.strerror}")
    _report(restored, args)
    return 1 if restored.lost else 0


def _report(restored: Restored, args: argparse.Namespace) -> None:
    printer = Printer()
    known = f", {restored.known:,} were there already" if restored.known else ""
    printer.write(f"{counted(restored.added, 'fact')} restored into {shown_place(args.db)}{known}")
    if restored.lost:
        lost = f"{counted(restored.lost, 'fact')} could not be read when this was exported, from a damaged store; "
        printer.write(f"{lost}'failaware verify' lists what is missing", "yellow")
