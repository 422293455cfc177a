"""`--watch [SECONDS]`: a report that is drawn again whenever something was committed; read-only, ended by Ctrl-C.

On a terminal it stays in one place. Into a pipe, and as JSON, each change prints a report of its own.
"""

import argparse
import io
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout

from failaware.cli import stores
from failaware.cli.pager import CapturedTerminal
from failaware.cli.signals import unwinding
from failaware.cli.streams import is_unread
from failaware.clock import now_us
from failaware.errors import FailawareError, StoreError, UsageError
from failaware.text import moment, visible

_AGES_S = 10  # how old the "3 min ago" of a terminal may be

Show = Callable[[str], None]


def watch(args: argparse.Namespace, draw: Callable[[], int]) -> int:
    """Draw until Ctrl-C; the exit status is 0.

    Raises:
        UsageError: it is about the past, which does not change.
        FailawareError: the report cannot be drawn even once.
    """
    if getattr(args, "as_of", None) is not None:
        raise UsageError("--as-of shows a fixed moment; leave out --watch or --as-of")
    live = sys.stdout.isatty() and not args.json
    try:
        with unwinding(), _screen(args) if live else _pipe() as show:
            for n, _ in enumerate(_changes(args, live=live)):
                show(_report(draw, first=n == 0, live=live))
    except KeyboardInterrupt:
        pass
    return 0


def _report(draw: Callable[[], int], *, first: bool, live: bool) -> str:
    """The report as text; once it was there, what is wrong with the store takes its place until it is put right."""
    captured = CapturedTerminal() if live else io.StringIO()
    try:
        with redirect_stdout(captured):
            draw()
    except FailawareError as error:
        if first:
            raise
        return f"failaware: {visible(str(error))}\n"
    return captured.getvalue()


def _changes(args: argparse.Namespace, *, live: bool) -> Iterator[None]:
    """Now, and whenever a report would say something else; a store that was replaced is opened again."""
    opened = False
    while not is_unread():
        try:
            with stores.opened(args) as inspector:
                opened = True
                seen = None
                while not is_unread():
                    change_token = inspector.connections.change_token()
                    about = (change_token, shutil.get_terminal_size(), int(time.monotonic() / _AGES_S))
                    if seen != (about if live else about[:1]):
                        seen = about if live else about[:1]
                        yield
                    time.sleep(args.watch)
        except StoreError:
            if not opened:
                raise
            yield
            time.sleep(args.watch)


@contextmanager
def _screen(args: argparse.Namespace) -> Iterator[Show]:
    """The terminal, on which each report takes the place of the one before; the last one stays."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    last = ""
    console = Console(highlight=False, markup=False, emoji=False)
    try:
        with Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False) as live:

            def show(report: str) -> None:
                nonlocal last
                last = report
                head = Text(f"{moment(now_us())}, Ctrl-C ends  {visible(stores.shown(args))}\n", "dim", no_wrap=True)
                live.update(head + Text.from_ansi(report), refresh=True)

            yield show
    finally:
        sys.stdout.write(last)


@contextmanager
def _pipe() -> Iterator[Show]:
    def show(report: str) -> None:
        sys.stdout.write(report)
        sys.stdout.flush()

    yield show
