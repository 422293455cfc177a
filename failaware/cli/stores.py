"""Which stores a command is about: one, or for a report several, as `--db` names them."""

import argparse
import os
import shlex
from typing import TYPE_CHECKING

from failaware.errors import UsageError
from failaware.read.inspector import Inspector
from failaware.text import shown_place

if TYPE_CHECKING:
    from failaware.federation import StorePlace


def are_several(args: argparse.Namespace) -> bool:
    """Whether they are asked as one: several, a group, or one on another host."""
    return len(args.dbs) > 1 or args.db.startswith(("@", "ssh://"))


def places_of(args: argparse.Namespace) -> "list[StorePlace]":
    """The stores with their names."""
    from failaware.federation import named_places

    return named_places(args.dbs)


def opened(args: argparse.Namespace) -> Inspector:
    """All of them, for reading."""
    if not are_several(args):
        return Inspector.open(args.db)
    from failaware.federation import open_stores

    return open_stores(places_of(args))


def need_one(args: argparse.Namespace) -> None:
    """For commands that work on one store; a group of one store is one.

    Raises:
        UsageError: several are named, or one on another host.
    """
    if not are_several(args):
        return
    places = places_of(args)
    if len(places) > 1:
        raise UsageError(f"{args.command} works on one store, not on {len(places)}; name it with one --db")
    if places[0].is_remote:
        raise UsageError(
            f"{args.command} works on a store of this host; run it there: ssh HOST failaware {args.command}"
        )
    args.db = places[0].place


def shown(args: argparse.Namespace) -> str:
    """The stores, for a heading."""
    return ", ".join(place.name for place in places_of(args)) if are_several(args) else shown_place(args.db)


def command_for(args: argparse.Namespace, words: str) -> str:
    """The command that a person would type next, for the same stores."""
    if args.dbs == [os.environ.get("FAILAWARE_DB", "failaware.db")]:
        return f"failaware {words}"
    return f"failaware {' '.join(f'--db {shlex.quote(shown_place(place))}' for place in args.dbs)} {words}"
