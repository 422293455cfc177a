"""`failaware seal`: put all facts under seals, and print the newest one, to be noted elsewhere."""

import argparse

from failaware.cli import output
from failaware.derive.seals import head
from failaware.errors import NotFound
from failaware.facts.seal import seal_all
from failaware.store import Store
from failaware.text import moment, shown_place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Only --json."""
    output.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Seal, and print the head of the chain."""
    output.must_exist(args.db)
    with Store.open(args.db) as store:
        seal_all(store, store.clock())
        newest = store.read(head)
    if not newest.seal_id:
        raise NotFound(f"{shown_place(args.db)} holds no facts yet; there is nothing to seal")
    if args.json:
        output.print_json({"seal": str(newest), "sealed_at": newest.sealed_at})
        return 0
    paper = output.Paper()
    paper.print(output.text(str(newest), "bold"))
    paper.print(
        output.text(f"sealed {moment(newest.sealed_at)}; note it where this machine cannot reach it. Later,", "dim")
    )
    paper.print(output.text(f"failaware verify --noted {newest}", "dim"))
    paper.print(output.text("proves that no fact before it was changed, added or removed.", "dim"))
    return 0
