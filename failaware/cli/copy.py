"""`failaware copy FROM TO`: all facts of a store into another one, such as a SQLite file into PostgreSQL or back."""

import argparse

from failaware.cli.printer import Printer
from failaware.cli.progress import bar
from failaware.cli.streams import warn
from failaware.ledger.copy import copy_store
from failaware.text import counted, shown_place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FROM, TO."""
    parser.add_argument("source", metavar="FROM", help="a store: a file, or postgresql://user@host/database")
    parser.add_argument("target", metavar="TO", help="a new store, or one that an earlier copy began")


def run(args: argparse.Namespace) -> int:
    """Copy what is there, then what came meanwhile, and compare; exit status 1 when they are not the same."""
    with bar("facts") as progress:
        copied = copy_store(args.source, args.target, progress=progress)
    for difference in copied.differences:
        warn(f"{difference}; 'failaware verify' says which of the two is right")
    if copied.differences:
        return 1
    printer = Printer()
    printer.write(f"{counted(copied.facts, 'fact')} copied; {shown_place(args.target)} holds what the source held: ")
    derived = ", and the same rows in every derived table."
    if not copied.compared:
        derived = "; what another version of failaware derived from them was derived by this one there."
    printer.write(f"the same facts under the same seals{derived}", "dim")
    return 0
