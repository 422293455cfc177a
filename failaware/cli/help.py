"""`failaware help [TOPIC|COMMAND]`: short texts of a screen each, in the folder topics; a command's own help."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from failaware.cli import printer
from failaware.cli.argparser import nearest
from failaware.errors import UsageError

_FOLDER = Path(__file__).with_name("topics")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """WHAT."""
    parser.add_argument("what", nargs="?", metavar="TOPIC", help="a topic or a command (default: lists them)")


def run(args: argparse.Namespace) -> int:
    """Print it."""
    from failaware.cli.main import COMMANDS, parser_of

    paper = printer.Paper()
    if args.what is None:
        _list(paper, [("topics", topics()), ("commands", [(one.name, one.help) for one in COMMANDS])])
        return 0
    if args.what in {one.name for one in COMMANDS}:
        parser_of(args.what).parse_args([args.what, "--help"])
    known = dict(topics())
    if args.what not in known:
        close = nearest(args.what, [*known, *(one.name for one in COMMANDS)], "; 'failaware help' lists what there is")
        raise UsageError(f"there is no topic or command '{args.what}'{close}")
    title, _, body = (_FOLDER / f"{args.what}.txt").read_text(encoding="utf-8").partition("\n")
    paper.print(printer.text(title, "bold"), printer.block(body.rstrip()))
    return 0


def topics() -> list[tuple[str, str]]:
    """The topics, each with what it is about."""
    found = []
    for path in sorted(_FOLDER.glob("*.txt")):
        with path.open(encoding="utf-8") as file:
            name, _, about = file.readline().strip().partition(": ")
            found.append((name, about))
    return found


def _list(paper: printer.Paper, parts: Iterable[tuple[str, list[tuple[str, str]]]]) -> None:
    for title, entries in parts:
        paper.print(printer.text(title, "bold"))
        for name, about in entries:
            paper.print_cut(printer.text(f"  {name:<13}", "cyan") + printer.text(about))
        paper.print()
    paper.print(printer.text("'failaware help NAME' explains one of them.", "dim"))
