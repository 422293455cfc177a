"""`failaware tui`: the inspector, on the terminal."""

import argparse
import sys

from failaware.cli import stores
from failaware.errors import UsageError

SEVERAL = True  # stores


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--no-mouse."""
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal, for selecting text")


def run(args: argparse.Namespace) -> int:
    """Open it on the terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the inspector needs a terminal; 'failaware health' and the other reports work without one")
    from tui.app import run_inspector

    places = stores.places_of(args) if stores.are_several(args) else []
    place = stores.shown(args) if places else args.db
    return run_inspector(place, stores=places, mouse=not args.no_mouse)
