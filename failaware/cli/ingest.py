"""`failaware ingest FILE…|-`: record failures from files and pipes; their formats are detected from the content."""

import argparse
import os
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from failaware.cli.answer import Answer
from failaware.cli.arguments import add_synchronous
from failaware.cli.line import text
from failaware.cli.printer import Printer
from failaware.cli.progress import byte_bar
from failaware.cli.streams import warn
from failaware.errors import StoreBusy, UsageError
from failaware.ingest.chunk import Ingested
from failaware.ingest.encoding import STANDARD_INPUT
from failaware.ingest.files import ingest_file, refuse_export
from failaware.ingest.options import reading_options
from failaware.ingest.reader import ReadingOptions
from failaware.ingest.stream import Input, is_stream
from failaware.store import Store
from failaware.text import counted, is_url, one_line, shown_place
from failaware.worker.subprocess_runner import SignalForwarder

if TYPE_CHECKING:
    from failaware.ingest.explain import Explanation


_WHY = {
    "recorded": "recorded, since {why}",
    "no failure": "no failure, since not: {why}",
    "rejected": "rejected: {why}",
}


class Outcome(NamedTuple):
    """What became of the records, and the exit status of what ended it early."""

    total: Ingested
    status: int

    @property
    def document(self) -> dict[str, int]:
        """The counts."""
        return {name: getattr(self.total, name) for name in ("recorded", "known", "rejected", "ignored", "skipped")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FILE…, --follow, --map, --only, --anyway, --explain, --template, --synchronous."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="JSON Lines, CloudEvents, OTLP/JSON logs, JUnit XML, CTRF, logs of many programs; - is standard input",
    )
    parser.add_argument(
        "--follow", action="store_true", help="keep reading lines appended to the files, across rotation and restarts"
    )
    parser.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="FILE|FIELD=EXPRESSION",
        help="how records are read: a format's file or name, or a JMESPath expression for a field; may be repeated",
    )
    parser.add_argument("--only", metavar="EXPRESSION", help="record only records for which this JMESPath is true")
    parser.add_argument("--anyway", action="store_true", help="read on if none of the first 100 lines can be read")
    parser.add_argument(
        "--explain", action="store_true", help="show what would be recorded of the first 20 lines, and write nothing"
    )
    parser.add_argument("--template", metavar="FORMAT", help="print a format's file, to copy and change for --map")
    add_synchronous(parser)


def act(args: argparse.Namespace) -> "Outcome | Answer[Any, list[Explanation] | str]":
    """Ingest the files, or explain what would be recorded."""
    if args.template is not None:
        from failaware.ingest.format import source_of

        return Answer({"template": source_of(args.template)}, source_of(args.template))
    if not args.files:
        raise UsageError("name a file, or - for standard input")
    args.options = reading_options(args.map, args.only, keep_all=args.anyway)
    if args.explain:
        explained = _explanations(args)
        return Answer(explained, explained)
    signals = SignalForwarder()
    total = Ingested()
    return Outcome(total, _follow(args, signals, total) if args.follow else _once(args, signals, total))


def exit_status(outcome: "Outcome | Answer[Any, Any]", _args: argparse.Namespace) -> int:
    """1 when a line was rejected, 2 when a file could not be read to its end, 128 and a signal's number."""
    if isinstance(outcome, Answer):
        return 0
    return outcome.status or (1 if outcome.total.rejected else 0)


def draw(
    outcome: "Outcome | Answer[Any, list[Explanation] | str]", printer: Printer, _args: argparse.Namespace
) -> None:
    """The counts, and why lines were rejected; or an explanation."""
    if isinstance(outcome, Answer):
        if isinstance(outcome.more, str):
            printer.print(*map(text, outcome.more.splitlines()))
        else:
            _draw_explanations(outcome.more, printer)
        return
    total = outcome.total
    known = f", {total.known:,} known by their key" if total.known else ""
    ignored = f", {total.ignored:,} ignored as no failures" if total.ignored else ""
    skipped = f", {counted(total.skipped, 'line')} skipped" if total.skipped else ""
    printer.write(f"{total.recorded:,} recorded{known}{ignored}, {total.rejected:,} rejected{skipped}")
    for reason in total.reasons[:5]:
        printer.write(f"  {reason}", "yellow")
    if total.rejected:
        printer.write("Rejected input is stored; 'failaware rejects' lists it, with the reasons.", "dim")


def _explanations(args: argparse.Namespace) -> "list[Explanation]":
    """What would become of the first lines of each file."""
    from failaware.clock import now_us
    from failaware.ingest.explain import explain

    explained: list[Explanation] = []
    for name in args.files:
        with _open(name) as file:
            origin = STANDARD_INPUT if name == "-" else name
            explained += explain(Input(file), origin, args.options, now_us)
    return explained


def _draw_explanations(explained: "list[Explanation]", printer: Printer) -> None:
    for each in explained:
        why = _WHY.get(each.outcome, f"{each.outcome}: {{why}}").format(why=each.why) if each.why else each.outcome
        printer.write(f"line {each.line_no}  {each.format}: {why}", "" if each.fields else "dim")
        rows = [(field.name, field.expression or "", field.value or "") for field in each.fields]
        for name, expression, value in rows:
            printer.write(f"  {name:<16}{one_line(value, 90)}" + (f"   ← {expression}" if expression else ""))


def _follow(args: argparse.Namespace, signals: SignalForwarder, total: Ingested) -> int:
    """Record until SIGINT or SIGTERM."""
    from failaware.ingest.follow import follow

    if "-" in args.files:
        raise UsageError("standard input is always followed; leave out --follow")
    _refuse_the_store(args)
    _refuse_exports(args.files)
    with Store.open(args.db, synchronous=args.synchronous) as store, signals.watched():
        warn(f"following {', '.join(args.files)} into {shown_place(args.db)}; Ctrl-C stops")
        total.add(follow(store.session, args.files, stop=signals.wait, warn=warn, options=args.options))
    return 0


def _once(args: argparse.Namespace, signals: SignalForwarder, total: Ingested) -> int:
    """Record what is in the files, and what comes through pipes until their end or a signal."""
    for name in args.files:
        if name != "-" and (os.path.isdir(name) or not os.path.exists(name)):
            raise UsageError(f"there is no file {shown_place(name)}")
    _refuse_the_store(args)
    with Store.open(args.db, synchronous=args.synchronous) as store, signals.watched():
        for name in args.files:
            if status := _ingest(store, name, args.options, signals, total):
                return status
    return 0


def _ingest(store: Store, name: str, options: ReadingOptions, signals: SignalForwarder, total: Ingested) -> int:
    """Record one input; the exit status, if it could not be read to its end."""
    shown = "standard input" if name == "-" else name
    with _open(name) as file, byte_bar(name, _size(name)) as progress:
        source = Input(file, stop=lambda: signals.wait(0))

        def try_again(error: StoreBusy) -> bool:
            waits = is_stream(file.fileno()) and signals.first is None  # a file can be read again
            if waits:
                warn(f"{error}; {shown} waits")
            return waits

        origin = STANDARD_INPUT if name == "-" else name
        done = ingest_file(
            store.session, source, origin=origin, options=options, progress=progress, try_again=try_again
        )
        total.add(done)
        if source.error is not None:
            warn(f"cannot read {shown} after byte {source.bytes_read:,}: {source.error.strerror}")
            return 2
        if source.stopped and signals.first is not None and not is_stream(file.fileno()):
            warn(f"stopped by {signals.first.name} after byte {source.bytes_read:,} of {shown}")
            return 128 + signals.first
    return 0


def _open(name: str) -> IO[bytes]:
    try:
        return open(0 if name == "-" else _opened(name), "rb", buffering=0, closefd=name != "-")
    except OSError as error:
        raise UsageError(f"cannot read {'standard input' if name == '-' else name}: {error.strerror}") from None


def _size(name: str) -> int:
    return os.path.getsize(name) if name != "-" and os.path.isfile(name) else 0


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
