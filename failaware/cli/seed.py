"""`failaware seed`: fill a store with realistic sample data, the same for the same numbers."""

import argparse
import sys

from failaware.cli.arguments import add_sample
from failaware.cli.printer import Printer
from failaware.cli.progress import bar
from failaware.errors import UsageError
from failaware.text import shown_place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--events, --seed, --live."""
    add_sample(parser)
    parser.add_argument("--live", action="store_true", help="then keep recording and applying events until Ctrl-C")


def run(args: argparse.Namespace) -> int:
    """Seed, and say what came of it."""
    if not 100 <= args.events <= 1_000_000:
        raise UsageError(f"--events is 100 to 1,000,000, not {args.events:,}")
    seed_store(args.db, events=args.events, seed=args.seed)
    if args.live:
        _keep_alive(args.db, args.seed)
    return 0


def seed_store(place: str, *, events: int, seed: int) -> None:
    """Fill the store, and say with what."""
    from sample_data import seed as fill

    with bar("five days of a working system") as progress:
        report = fill(place, events=events, seed=seed, progress=progress)
    failures = f"{report.attempts:,} attempts, {report.failures:,} of them failed"
    Printer().write(f"{shown_place(place)}: {report.events:,} events, {failures}")


def _keep_alive(place: str, seed: int) -> None:
    from threading import Event

    from sample_data import live

    sys.stderr.write(f"events keep coming into {shown_place(place)}; Ctrl-C stops\n")
    live(place, seed=seed, stop=Event())
