"""`failaware copy FROM TO`: all facts of a store into another one, such as a SQLite file into PostgreSQL or back."""

import argparse

from failaware.cli import printer
from failaware.cli.progress import bar
from failaware.derive.settings import archive_of
from failaware.errors import UsageError
from failaware.ledger.compare import derived_alike, differences
from failaware.ledger.copy import copy_facts
from failaware.ledger.transfer import finish
from failaware.read.inspector import Inspector
from failaware.store import Store
from failaware.text import counted, shown_place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """FROM, TO."""
    parser.add_argument("source", metavar="FROM", help="a store: a file, or postgresql://user@host/database")
    parser.add_argument("target", metavar="TO", help="a new store, or one that an earlier copy began")


def run(args: argparse.Namespace) -> int:
    """Copy what is there, then what came meanwhile, and compare; exit status 1 when they are not the same."""
    if args.source == args.target:
        raise UsageError("FROM and TO are the same store")
    with (
        Inspector.open(args.source) as source,
        Store.open(args.target, synchronous="NORMAL") as target,
        bar("facts") as progress,
    ):
        added = copy_facts(source.db, target, progress)
        with source.snapshot():  # of one moment, which is soon reached: most is there
            added += copy_facts(source.db, target, progress)
            with Inspector.open(args.target) as copy:
                found, alike = list(differences(source.db, copy.db)), derived_alike(source.db, copy.db)
        finish(target, archive=archive_of(source.db))
    for difference in found:
        printer.say(f"{difference}; 'failaware verify' says which of the two is right")
    if found:
        return 1
    paper = printer.Paper()
    paper.print(
        printer.text(f"{counted(added, 'fact')} copied; {shown_place(args.target)} holds what the source held: ")
    )
    derived = ", and the same rows in every derived table."
    if not alike:
        derived = "; what another version of failaware derived from them was derived by this one there."
    paper.print(printer.text(f"the same facts under the same seals{derived}", "dim"))
    return 0
