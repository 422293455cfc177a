"""A bar on standard error for what may take long."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from failaware.cli.signals import unwinding

Told = Callable[[int, int], None]
"""Told how many of how many are done."""


@contextmanager
def bar(what: str) -> Iterator[Told]:
    """A bar while it lasts, when someone is looking."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with unwinding(), Progress(console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
