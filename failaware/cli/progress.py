"""Progress bars on standard error, where that is a terminal; silent otherwise."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Timer

from failaware.cli.signals import unwinding
from failaware.text import one_line

_SHOWN_AFTER_S = 0.5  # what ends sooner shows no bar
_LONG = 4 * 1_048_576  # bytes of a file from which on a bar is shown

Progress = Callable[[int, int], None]
"""Called with how many of how many are done."""


@contextmanager
def bars(*names: str, in_bytes: bool = False, shown: bool = True) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each name; yields what to call with a name, and how many of how many are done."""
    if not shown or not sys.stderr.isatty():
        yield lambda _name, _done, _total: None
        return
    from rich import progress
    from rich.console import Console

    columns = progress.Progress.get_default_columns()
    if in_bytes:
        text = progress.TextColumn("{task.description}", markup=False)
        columns = (text, progress.BarColumn(), progress.DownloadColumn(), progress.TimeRemainingColumn())
    live = progress.Progress(*columns, console=Console(stderr=True), transient=True)
    tasks = {name: live.add_task(one_line(name, 30), total=None, start=False) for name in names}

    def update(name: str, done: int, total: int) -> None:
        live.start_task(tasks[name])
        live.update(tasks[name], completed=done, total=total)

    start = Timer(_SHOWN_AFTER_S, live.start)
    start.daemon = True
    with unwinding():
        start.start()
        try:
            yield update
        finally:
            start.cancel()
            start.join()
            live.stop()


@contextmanager
def bar(name: str, *, shown: bool = True) -> Iterator[Progress]:
    """One bar, which pulses until something is done."""
    with bars(name, shown=shown) as update:
        yield partial(update, name)


@contextmanager
def byte_bar(name: str, size: int) -> Iterator[Callable[[int], None]]:
    """A bar for a file, if it is long; yields what to call with how many bytes more are done."""
    done = 0
    with bars(name, in_bytes=True, shown=size >= _LONG) as update:

        def advance(more: int) -> None:
            nonlocal done
            done += more
            update(name, done, size)

        yield advance
