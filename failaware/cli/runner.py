"""Runs a command: opens the store for a report, in the time zone, at the moment and in the form that were asked for.

A command's module has `add_arguments(parser)` and one of

- `ask(inspector, args)`: a report, the answer to a question about the store; it takes --json, --watch and --as-of,
- `act(args)`: it does something, or needs no inspector; it takes --json,
- `run(args)`: it prints for itself, and returns the exit status.

For the first two, `draw(answer, printer, args)` prints the answer for people, and `exit_status(answer, args)`, where
there is one, says how the command ends. A report that takes fewer options names those in `OPTIONS`.
Reports read several stores; of the other commands those that define `SEVERAL`.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

from failaware.cli import stores
from failaware.cli.answer import print_json
from failaware.cli.arguments import add_json
from failaware.cli.printer import Printer
from failaware.cli.streams import warn
from failaware.read.inspector import Inspector
from failaware.text import when

_ALL = ("json", "watch", "as_of")
_INCOMPLETE = 4  # the exit status
_OWN_ZONE = {"run", "exec", "serve"}  # they run user code, which keeps its own time zone


def add_options(parser: argparse.ArgumentParser, module: Any) -> None:
    """Add the options that the runner carries out for a command."""
    default = _ALL if hasattr(module, "ask") else _ALL[:1] if hasattr(module, "act") else ()
    options = getattr(module, "OPTIONS", default)
    if "json" in options:
        add_json(parser)
    if "watch" in options:
        parser.add_argument(
            "--watch",
            nargs="?",
            type=_seconds,
            const=1.0,
            metavar="SECONDS",
            help="redraw after each change, checking every SECONDS (default 1); Ctrl-C ends",
        )
    if "as_of" in options:
        parser.add_argument(
            "--as-of", metavar="TIME", help="the report as of that time: 2h (ago), 'yesterday 14:00', 2026-11-20T10:03Z"
        )


def _seconds(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0.1 <= number <= 3_600:
        raise argparse.ArgumentTypeError(f"'{value}' is not a number of seconds from 0.1 to 3600")
    return number


def run(args: argparse.Namespace) -> int:
    """Run a command, repeatedly for --watch, and through the pager on a terminal; returns the exit status."""
    zone = "UTC" if args.utc else os.environ.get("FAILAWARE_TZ")
    if zone and args.command not in _OWN_ZONE:
        from failaware.cli.timezone import choose

        choose(zone)
    if not hasattr(args.module, "ask") and not hasattr(args.module, "SEVERAL"):
        stores.need_one(args)
    once = partial(_once, args.module, args)
    if getattr(args, "watch", None) is not None:
        from failaware.cli.watch import watch

        return watch(args, once)
    if args.read and not args.no_pager and sys.stdout.isatty():
        from failaware.cli.pager import paged

        return paged(once)
    return once()


def _once(module: Any, args: argparse.Namespace) -> int:
    """Run it once."""
    if hasattr(module, "run"):
        return int(module.run(args))
    if hasattr(module, "act"):
        answer = module.act(args)
        _print(module, args, answer, now=0)
    else:
        with stores.opened(args) as current, _as_of(current, args) as inspector:
            answer = module.ask(inspector, args)
            if inspector is not current and not args.json:
                Printer().write(f"as of {when(inspector.now(), current.now())}", "reverse")
            if not args.json and isinstance(answer, Iterator):
                answer = list(answer)
            _print(module, args, answer, now=inspector.now())
            if not _note(current, args):
                return _INCOMPLETE
    return int(module.exit_status(answer, args)) if hasattr(module, "exit_status") else 0


def _note(inspector: Inspector, args: argparse.Namespace) -> bool:
    """Print what the answer does not show; return whether it is about all stores."""
    for note in inspector.connections.notes():
        if args.json:
            warn(note)
        else:
            Printer().write(f"{note}.", "yellow")
    return inspector.connections.is_complete()


def _print(module: Any, args: argparse.Namespace, answer: Any, now: int) -> None:
    if args.json:
        print_json(answer)
    else:
        module.draw(answer, Printer(now), args)


def _as_of(current: Inspector, args: argparse.Namespace) -> AbstractContextManager[Inspector]:
    """The store as it was at --as-of, if that is given."""
    if getattr(args, "as_of", None) is None:
        return nullcontext(current)
    from failaware.cli.progress import bar
    from failaware.read.time_expressions import parse_moment

    at = parse_moment(args.as_of, now=current.now())
    with bar("replaying") as progress:
        return current.as_of(at, progress=progress)
