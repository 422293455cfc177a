"""`failaware ingest FILE…|-`: record events from JSON Lines, CloudEvents, OpenTelemetry logs and JUnit reports."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from failaware.cli import output
from failaware.cli.run import add_synchronous
from failaware.errors import UsageError
from failaware.ingest.files import ingest_file
from failaware.ingest.lines import Ingested
from failaware.store import Store
from failaware.text import one_line, shown_place

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from io import BufferedReader

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
    output.add_json(parser)
    add_synchronous(parser)


def run(args: argparse.Namespace) -> int:
    """Ingest them; exit status 1 when a line was rejected."""
    total = _follow(args) if args.follow else _once(args)
    if args.json:
        counts = ("recorded", "known", "rejected", "ignored")
        output.print_json({name: getattr(total, name) for name in counts})
    else:
        _report(total)
    return 1 if total.rejected else 0


def _follow(args: argparse.Namespace) -> Ingested:
    """What was recorded until SIGINT or SIGTERM."""
    from failaware.ingest.follow import follow
    from failaware.sync.program import Interrupts

    if "-" in args.files:
        raise UsageError("standard input is read to its end anyway; leave out --follow")
    interrupts = Interrupts()
    with Store.open(args.db, synchronous=args.synchronous) as store, interrupts.watched():
        output.say(f"following {', '.join(args.files)} into {shown_place(args.db)}; Ctrl-C stops")
        return follow(store, args.files, stop=interrupts.wait, say=output.say)


def _once(args: argparse.Namespace) -> Ingested:
    """What was recorded of the files as they are."""
    for name in args.files:
        if name != "-" and (os.path.isdir(name) or not os.path.exists(name)):
            raise UsageError(f"there is no file {shown_place(name)}")
    total = Ingested()
    with Store.open(args.db, synchronous=args.synchronous) as store:
        for name in args.files:
            with _opened(name) as file, _progress(name) as progress:
                done = ingest_file(store, file, origin="stdin" if name == "-" else name, progress=progress)
            total.recorded += done.recorded
            total.known += done.known
            total.rejected += done.rejected
            total.ignored += done.ignored
            total.reasons += done.reasons
    return total


def _report(total: Ingested) -> None:
    paper = output.Paper()
    known = f", {total.known:,} known by their key" if total.known else ""
    ignored = f", {total.ignored:,} passed over as no failures" if total.ignored else ""
    paper.print(output.text(f"{total.recorded:,} recorded{known}{ignored}, {total.rejected:,} rejected"))
    for reason in total.reasons[:5]:
        paper.print(output.text(f"  {reason}", "yellow"))
    if total.rejected:
        paper.print(output.text("What was rejected is kept; 'failaware rejects' lists it, with the reasons.", "dim"))


@contextmanager
def _opened(name: str) -> Iterator["BufferedReader"]:
    standard = name == "-"
    try:
        with open(0 if standard else name, "rb", closefd=not standard) as file:
            yield file
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from None


def _progress(name: str) -> "AbstractContextManager[Callable[[int], None]]":
    """A bar on standard error for a long file, when someone is looking."""
    size = os.path.getsize(name) if name != "-" else 0
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
