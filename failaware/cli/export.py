"""`failaware export`: all facts as JSON Lines, which `failaware restore` takes back."""

import argparse
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from failaware.cli.printer import Printer
from failaware.cli.progress import bar
from failaware.cli.streams import is_unread, warn
from failaware.errors import UsageError
from failaware.ledger.export import Export
from failaware.read.inspector import Inspector
from failaware.text import counted

_LINES_TO_LOOK = 256  # after so many, whether somebody still reads them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--out."""
    parser.add_argument(
        "--out", metavar="FILE", help="write to this file, which must not exist yet (default: standard output)"
    )


def run(args: argparse.Namespace) -> int:
    """Write them; exit status 1 when something could not be read."""
    amid = args.out is None and sys.stdout.isatty()
    with Inspector.open(args.db) as inspector, _opened(args.out) as file, bar("facts", shown=not amid) as progress:
        export = Export(inspector.db, progress)
        for number, line in enumerate(export.lines(), start=1):
            file.write(line + "\n")
            if args.out is None and number % _LINES_TO_LOOK == 0 and is_unread():
                return 0
    if export.lost:
        lost = f"{counted(export.lost, 'fact')} could not be read, as the store is damaged; the rest is saved"
        warn(lost)
    elif args.out is not None:
        Printer().write(f"{args.out} holds all facts; 'failaware --db NEW restore {args.out}' takes them back")
    return 1 if export.lost else 0


@contextmanager
def _opened(name: str | None) -> Iterator[TextIO]:
    if name is None:
        sys.stdout.flush()
        file = io.TextIOWrapper(sys.stdout.buffer, encoding="utf-8")
        try:
            yield file
        finally:
            file.detach()
        return
    try:
        handle = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)  # facts hold other people's data
    except FileExistsError:
        raise UsageError(f"{name} exists already; name a new file") from None
    except OSError as error:
        raise UsageError(f"cannot write {name}: {error.strerror}") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        yield file
