"""`failaware seed`: fill a store with realistic sample data, the same for the same numbers."""

import argparse
import sys

from failaware.cli import printer
from failaware.cli.progress import bar
from failaware.errors import UsageError
from failaware.text import shown_place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--events, --seed, --live."""
    parser.add_argument("--events", type=int, default=2_000, metavar="N", help="how many events (default 2000)")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="another number, another history (default 7)")
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
    """Fill the store, with a bar on standard error when someone is looking."""
    from sample_data import seed as fill

    with bar("five days of a working system") as progress:
        report = fill(place, events=events, seed=seed, progress=progress)
    printer.Paper().print(
        printer.text(
            f"{shown_place(place)}: {report.events:,} events, {report.attempts:,} attempts, "
            f"{report.failures:,} of them failed"
        )
    )


def _keep_alive(place: str, seed: int) -> None:
    from threading import Event

    from sample_data import live

    sys.stderr.write(f"events keep coming into {shown_place(place)}; Ctrl-C stops\n")
    live(place, seed=seed, stop=Event())
