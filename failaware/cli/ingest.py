"""`failaware ingest FILE…|-`: record events from JSON Lines, CloudEvents, OpenTelemetry logs and JUnit reports."""

import argparse
import os
import sys
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from failaware.cli import printer
from failaware.cli.run import add_synchronous
from failaware.errors import StoreBusy, UsageError
from failaware.ingest.chunk import Ingested
from failaware.ingest.encoding import STANDARD_INPUT
from failaware.ingest.files import ingest_file, refuse_export
from failaware.ingest.stream import Input, is_stream
from failaware.store import Store
from failaware.text import counted, is_url, one_line, shown_place
from failaware.worker.subprocess_runner import Interrupts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

_LONG = 4 * 1_048_576  # bytes of a file from which on progress is shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILE…, --follow, --json, --synchronous."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="JSON Lines, CloudEvents, OTLP/JSON logs, JUnit XML; - is standard input",
    )
    parser.add_argument(
        "--follow", action="store_true", help="go on with what is added to the files, through rotation and restart"
    )
    printer.add_json(parser)
    add_synchronous(parser)


def run(args: argparse.Namespace) -> int:
    """Ingest them; exit status 1 when a line was rejected, 2 when a file could not be read to its end."""
    interrupts = Interrupts()
    total = Ingested()
    status = _follow(args, interrupts, total) if args.follow else _once(args, interrupts, total)
    if args.json:
        counts = ("recorded", "known", "rejected", "ignored", "skipped")
        printer.print_json({name: getattr(total, name) for name in counts})
    else:
        _report(total)
    return status or (1 if total.rejected else 0)


def _follow(args: argparse.Namespace, interrupts: Interrupts, total: Ingested) -> int:
    """Record until SIGINT or SIGTERM."""
    from failaware.ingest.follow import follow

    if "-" in args.files:
        raise UsageError("standard input is recorded as it comes anyway; leave out --follow")
    _refuse_the_store(args)
    _refuse_exports(args.files)
    with Store.open(args.db, synchronous=args.synchronous) as store, interrupts.watched():
        printer.say(f"following {', '.join(args.files)} into {shown_place(args.db)}; Ctrl-C stops")
        total.add(follow(store.session, args.files, stop=interrupts.wait, say=printer.say))
    return 0


def _once(args: argparse.Namespace, interrupts: Interrupts, total: Ingested) -> int:
    """Record what is in the files, and what comes through pipes until their end or a signal."""
    for name in args.files:
        if name != "-" and (os.path.isdir(name) or not os.path.exists(name)):
            raise UsageError(f"there is no file {shown_place(name)}")
    _refuse_the_store(args)
    with Store.open(args.db, synchronous=args.synchronous) as store, interrupts.watched():
        for name in args.files:
            if status := _ingest(store, name, interrupts, total):
                return status
    return 0


def _ingest(store: Store, name: str, interrupts: Interrupts, total: Ingested) -> int:
    """Record one input; the exit status, if it could not be read to its end."""
    shown = "standard input" if name == "-" else name
    try:
        file = open(0 if name == "-" else _opened(name), "rb", buffering=0, closefd=name != "-")  # noqa: SIM115
    except OSError as error:
        raise UsageError(f"cannot read {shown}: {error.strerror}") from None
    with file, _progress(name) as progress:
        source = Input(file, stop=lambda: interrupts.wait(0))

        def try_again(error: StoreBusy) -> bool:
            waits = is_stream(file.fileno()) and interrupts.first is None  # a file can be read again
            if waits:
                printer.say(f"{error}; {shown} waits")
            return waits

        origin = STANDARD_INPUT if name == "-" else name
        total.add(ingest_file(store.session, source, origin=origin, progress=progress, try_again=try_again))
        if source.error is not None:
            printer.say(f"cannot read {shown} after byte {source.bytes_read:,}: {source.error.strerror}")
            return 2
        if source.stopped and interrupts.first is not None and not is_stream(file.fileno()):
            printer.say(f"stopped by {interrupts.first.name} after byte {source.bytes_read:,} of {shown}")
            return 128 + interrupts.first
    return 0


def _opened(name: str) -> int:
    """A file, opened without waiting for the writer of a pipe: a signal must end that wait."""
    return os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _refuse_the_store(args: argparse.Namespace) -> None:
    """SQLite's locks on a file end when the same process closes it, however it was opened."""
    for name in args.files:
        with suppress(OSError):  # there may be no such file
            is_store = name != "-" and not is_url(args.db) and os.path.samefile(name, args.db)
            if is_store:
                raise UsageError(f"{name} is the store itself; name what is to be recorded in it")


def _refuse_exports(names: list[str]) -> None:
    """A followed file is read line by line, and each line of an export would be rejected."""
    for name in filter(os.path.isfile, names):
        with suppress(OSError), open(name, "rb", buffering=0) as file:
            refuse_export(Input(file).begins(), name)


def _report(total: Ingested) -> None:
    paper = printer.Paper()
    known = f", {total.known:,} known by their key" if total.known else ""
    ignored = f", {total.ignored:,} passed over as no failures" if total.ignored else ""
    skipped = f", {counted(total.skipped, 'line')} skipped: not text" if total.skipped else ""
    paper.print(printer.text(f"{total.recorded:,} recorded{known}{ignored}, {total.rejected:,} rejected{skipped}"))
    for reason in total.reasons[:5]:
        paper.print(printer.text(f"  {reason}", "yellow"))
    if total.rejected:
        paper.print(printer.text("What was rejected is kept; 'failaware rejects' lists it, with the reasons.", "dim"))


def _progress(name: str) -> "AbstractContextManager[Callable[[int], None]]":
    """A bar on standard error for a long file, when someone is looking."""
    size = os.path.getsize(name) if name != "-" and os.path.isfile(name) else 0
    if size < _LONG or not sys.stderr.isatty():
        return nullcontext(lambda _bytes: None)
    return _bar(name, size)


@contextmanager
def _bar(name: str, size: int) -> "Iterator[Callable[[int], None]]":
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(one_line(name, 30), total=size)
        yield lambda done: bar.advance(task, done)
