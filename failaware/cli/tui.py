"""`failaware tui`: the inspector."""

import argparse
import sys

from failaware.errors import UsageError


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """None."""


def run(args: argparse.Namespace) -> int:
    """Open it on the terminal."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the inspector needs a terminal; 'failaware health' and the other reports work without one")
    from tui.app import run_inspector

    return run_inspector(args.db)
