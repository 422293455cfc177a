"""`failaware demo`: sample data in a temporary store, kept alive by a running worker, in the inspector.

Without a terminal, or with --no-tui, it prints the reports instead and is done.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from threading import Event, Thread

from failaware.cli.arguments import add_sample
from failaware.cli.printer import Printer
from failaware.cli.seed import seed_store
from failaware.cli.signals import unwinding
from failaware.read.inspector import Inspector
from failaware.text import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--no-tui, --events, --seed."""
    parser.add_argument("--no-tui", action="store_true", help="print reports instead of opening the inspector")
    add_sample(parser)


def run(args: argparse.Namespace) -> int:
    """Seed, then show."""
    with unwinding(), tempfile.TemporaryDirectory(prefix="failaware-demo-") as folder:
        place = str(Path(folder) / "demo.db")
        seed_store(place, events=args.events, seed=args.seed)
        if args.no_tui or not (sys.stdin.isatty() and sys.stdout.isatty()):
            return _reports(place)
        status = _inspector(place, args.seed)
        if not status:  # a signal may mean that the terminal is gone
            _count(place)
        return status


def _reports(place: str) -> int:
    from failaware.cli.main import main

    with Inspector.open(place) as inspector:
        worst = inspector.clusters(limit=1)[0]
    commands = [["health"], ["severity"], ["clusters", "status:unresolved"], ["explain", f"cluster/{worst.cluster_id}"]]
    printer = Printer()
    for command in commands:
        printer.print()
        printer.write(f"$ failaware {' '.join(command)}", "bold cyan")
        sys.stdout.flush()
        main(["--no-pager", "--db", place, *command])
    printer.print()
    printer.write("Keep some: 'failaware seed' makes failaware.db here, 'failaware tui' opens it.", "dim")
    return 0


def _inspector(place: str, seed: int) -> int:
    """The inspector, while a thread records events and applies them."""
    from sample_data import live
    from tui.app import run_inspector

    stop = Event()
    alive = Thread(target=live, args=(place,), kwargs={"seed": seed, "stop": stop}, daemon=True)
    alive.start()
    try:
        return run_inspector(place)
    finally:
        stop.set()
        alive.join(timeout=5)


def _count(place: str) -> None:
    """How many events there were at the end: more than were seeded."""
    with Inspector.open(place) as inspector:
        events = inspector.health().total_events
    Printer().write(
        f"At the end: {counted(events, 'event')}. This store is deleted; 'failaware seed' makes one to keep."
    )
