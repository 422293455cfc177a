"""`failaware seal`: put all facts under seals, and print the newest one, to be noted elsewhere."""

import argparse

from failaware.cli import printer
from failaware.errors import NotFound
from failaware.ledger.sealing import seal_all
from failaware.ledger.seals import head
from failaware.store import Store
from failaware.text import moment, shown_place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Only --json."""
    printer.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Seal, and print the head of the chain."""
    printer.must_exist(args.db)
    with Store.open(args.db) as store:
        seal_all(store.session, store.session.clock())
        newest = store.session.read(head)
    if not newest.seal_id:
        raise NotFound(f"{shown_place(args.db)} holds no facts yet; there is nothing to seal")
    if args.json:
        printer.print_json({"seal": str(newest), "sealed_at": newest.sealed_at})
        return 0
    paper = printer.Paper()
    paper.print(printer.text(str(newest), "bold"))
    paper.print(
        printer.text(f"sealed {moment(newest.sealed_at)}; note it where this machine cannot reach it. Later,", "dim")
    )
    paper.print(printer.text(f"failaware verify --noted {newest}", "dim"))
    paper.print(printer.text("proves that no fact before it was changed, added or removed.", "dim"))
    return 0
