"""`failaware seal`: extend the hash chain over all facts, and print its head."""

import argparse
from typing import NamedTuple

from failaware.cli.arguments import must_exist
from failaware.cli.printer import Printer
from failaware.errors import NotFound
from failaware.ledger.sealing import seal_all
from failaware.ledger.seals import head
from failaware.store import Store
from failaware.text import moment, shown_place


class Sealed(NamedTuple):
    """The head of the chain as ID:DIGEST, and when it was sealed (µs)."""

    seal: str
    sealed_at: int


def act(args: argparse.Namespace) -> Sealed:
    """Seal all facts."""
    must_exist(args.db)
    with Store.open(args.db) as store:
        seal_all(store.session, store.session.clock())
        newest = store.session.read(head)
    if not newest.seal_id:
        raise NotFound(f"{shown_place(args.db)} holds no facts yet; there is nothing to seal")
    return Sealed(str(newest), newest.sealed_at)


def draw(sealed: Sealed, printer: Printer, _args: argparse.Namespace) -> None:
    """The head, and what to do with it."""
    printer.write(sealed.seal, "bold")
    printer.write(f"sealed {moment(sealed.sealed_at)}; keep it on another machine. Later,", "dim")
    printer.write(f"failaware verify --noted {sealed.seal}", "dim")
    printer.write("proves that no fact before it was changed, added or removed.", "dim")
