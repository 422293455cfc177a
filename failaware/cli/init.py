"""`failaware init`: make a store, and on PostgreSQL the roles whose members may write to it or only read it."""

import argparse
import sys

from failaware.cli.printer import Printer
from failaware.engine import is_postgres
from failaware.errors import UsageError
from failaware.store import Store
from failaware.text import shown_place


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--roles, --print."""
    parser.add_argument(
        "--roles",
        nargs="?",
        const="",
        metavar="NAME",
        help="on PostgreSQL, also create the roles NAME_writer and NAME_reader; NAME is the schema's name by default",
    )
    parser.add_argument(
        "--print",
        action="store_true",
        help="with --roles: only print the SQL that creates them, for an administrator",
    )


def run(args: argparse.Namespace) -> int:
    """Make what is missing, and say what is there."""
    if args.print and args.roles is None:
        raise UsageError("--print goes with --roles, whose SQL it prints")
    if args.roles is not None and not is_postgres(args.db):
        raise UsageError("a SQLite file has no roles; set its file permissions with chmod")
    if args.print:
        from failaware.engine.postgres.roles import script

        sys.stdout.write(script(args.db, args.roles))
        return 0
    Store.open(args.db).close()
    printer = Printer()
    printer.write(f"{shown_place(args.db)} is a store.")
    if args.roles is not None:
        from failaware.engine.postgres.roles import create

        writer, reader = create(args.db, args.roles)
        printer.write(f"{writer} may append facts and derive; {reader} may only read. Give them to users:")
        printer.write(f"GRANT {writer} TO name;  GRANT {reader} TO name;", "dim")
    return 0
