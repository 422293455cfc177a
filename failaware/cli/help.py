"""`failaware help [TOPIC|COMMAND]`: short texts of a screen each, in the folder topics; a command's own help."""

import argparse
from pathlib import Path

from failaware.cli.argparser import nearest
from failaware.cli.commandline import parser_of
from failaware.cli.commands import COMMANDS, GROUPS
from failaware.cli.line import block, text
from failaware.cli.printer import Printer
from failaware.errors import UsageError

_FOLDER = Path(__file__).with_name("topics")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """WHAT."""
    parser.add_argument("what", nargs="?", metavar="TOPIC", help="a topic or a command (default: lists them)")


def run(args: argparse.Namespace) -> int:
    """Print it."""
    printer = Printer()
    if args.what is None:
        _list(printer)
        return 0
    if args.what in COMMANDS:
        parser_of(args.what).parse_args([args.what, "--help"])
    known = dict(topics())
    if args.what not in known:
        close = nearest(args.what, [*known, *COMMANDS], "; 'failaware help' lists what there is")
        raise UsageError(f"there is no topic or command '{args.what}'{close}")
    title, _, body = (_FOLDER / f"{args.what}.txt").read_text(encoding="utf-8").partition("\n")
    printer.print(text(title, "bold"), block(body.rstrip()))
    return 0


def topics() -> list[tuple[str, str]]:
    """The topics, each with what it is about."""
    titles = []
    for path in sorted(_FOLDER.glob("*.txt")):
        with path.open(encoding="utf-8") as file:
            name, _, about = file.readline().strip().partition(": ")
            titles.append((name, about))
    return titles


def _list(printer: Printer) -> None:
    listed = {title: [(command.name, command.help) for command in group] for title, group in GROUPS.items()}
    for title, entries in {"Topics": topics(), **listed}.items():
        printer.write(title, "bold")
        for name, about in entries:
            printer.print_cut(text(f"  {name:<13}", "cyan") + text(about))
        printer.print()
    printer.write("'failaware help NAME' explains one of them.", "dim")
