"""Reads the command line: which command, with which arguments; how the help lists the commands."""

import argparse
import os
import re
from collections.abc import Generator
from typing import Any

from failaware.cli.argparser import Parser
from failaware.cli.commands import COMMANDS, GROUPS, command_in
from failaware.cli.runner import add_options
from failaware.version import __version__

_EPILOG = """\
The store is --db PATH, or $FAILAWARE_DB, or failaware.db in the current directory; PATH may be a PostgreSQL URL.
Exit status: 0 success, 1 something was rejected, damaged or too severe, 2 the command line or the store is wrong;
'failaware help exit-status' lists all of them.
'failaware COMMAND --help' explains a command, 'failaware help' lists the topics.
"""
_NEGATED = re.compile(r"^-(?=[a-z]+:)")  # -type:x in a filter is no option; the filter language takes !type:x too
_FIRST_SPELLINGS = {"--health": "health", "--severity": "severity"}
_SECONDS = re.compile(r"\d+(\.\d+)?")


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments of the command that the line names.

    Raises:
        SystemExit: they are wrong, or the line asks for help, or names no command; it has been printed.
    """
    argv, program = _apart(argv)
    argv = _plain_spelling(argv)
    stores: list[str] = []
    parser = parser_of(command_in(argv), stores)
    args, unwanted = parser.parse_known_args(argv)
    if unwanted:
        getattr(args, "parser", parser).refuse(unwanted, parser)
    if args.command is None:
        parser.print_help()
        parser.exit()
    args.program, args.dbs = program, stores or [args.db]
    return args


def parser_of(wanted: str | None, stores: list[str] | None = None) -> Parser:
    """The parser of the whole line, in which only the wanted command is spelled out; all of them, if it is None.

    `stores` gets all values of `--db`.
    """
    stores = [] if stores is None else stores
    parser = Parser(
        prog="failaware",
        description="Failures are immutable facts. Severity is derived. Decisions remain human.",
        epilog=_EPILOG,
        formatter_class=_GroupedHelp,
    )
    parser.add_argument("--version", action="version", version=f"failaware {__version__}", help="print the version")
    _add_db(parser, os.environ.get("FAILAWARE_DB", "failaware.db"), stores)
    _add_reading(parser, default=False)
    choices = parser.add_subparsers(
        prog="failaware", title="commands", metavar="COMMAND", dest="command", parser_class=Parser
    )
    for command in COMMANDS.values():
        if wanted not in (None, command.name):
            continue  # only the help needs them all
        sub = choices.add_parser(
            command.name, help=command.help, description=f"{command.help[0].upper()}{command.help[1:]}."
        )
        if command.name == wanted:  # the others' modules stay unloaded
            _add_db(sub, argparse.SUPPRESS, stores)
            if command.read:
                _add_reading(sub, default=argparse.SUPPRESS)
            module = command.load()
            if hasattr(module, "add_arguments"):
                module.add_arguments(sub)
            add_options(sub, module)
            sub.set_defaults(module=module, read=command.read, parser=sub)
    return parser


class _GroupedHelp(argparse.RawDescriptionHelpFormatter):
    """Lists the commands by group."""

    def _iter_indented_subactions(self, action: argparse.Action) -> Generator[argparse.Action, None, None]:
        if not isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - argparse has no other way to them
            yield from super()._iter_indented_subactions(action)
            return
        listed = {sub.dest: sub for sub in action._get_subactions()}  # noqa: SLF001
        for title, commands in GROUPS.items():
            yield argparse.Action([], dest=title, metavar=title)
            self._indent()
            yield from (listed[command.name] for command in commands if command.name in listed)
            self._dedent()


class _AddStore(argparse.Action):
    """Sets `db`, and adds it to the list of all stores, before and after the command."""

    def __call__(self, _parser: object, namespace: argparse.Namespace, value: Any, _option: object = None) -> None:
        setattr(namespace, self.dest, value)
        self.const.append(value)


def _add_db(parser: argparse.ArgumentParser, default: str, stores: list[str]) -> None:
    parser.add_argument(
        "--db",
        metavar="PATH",
        action=_AddStore,
        const=stores,
        default=default,
        help="the store: a file, postgresql://user@host/database, for reports also ssh://host/path or @group; "
        "repeat it for several (default: $FAILAWARE_DB or failaware.db)",
    )


def _add_reading(parser: argparse.ArgumentParser, default: str | bool) -> None:
    parser.add_argument(
        "--utc", action="store_true", default=default, help="show and read times in UTC, not in your time zone"
    )
    parser.add_argument(
        "--no-pager", action="store_true", default=default, help="do not page output that is longer than the terminal"
    )


def _plain_spelling(argv: list[str]) -> list[str]:
    """Words as argparse takes them: not the first sketch's spellings, -type:x, or --watch before what is no number."""
    words = []
    for word, following in zip(argv, [*argv, ""][1:], strict=True):
        if word == "--watch" and not _SECONDS.fullmatch(following):
            word = "--watch=1"  # noqa: PLW2901 - else argparse takes the filter after it for the seconds
        words.append(_NEGATED.sub("!", _FIRST_SPELLINGS.get(word, word)))
    return words


def _apart(argv: list[str]) -> tuple[list[str], list[str]]:
    """Our own words, and those of the program that `exec` or `serve` runs, passed on unchanged."""
    if command_in(argv) not in ("exec", "serve") or "--" not in argv:
        return argv, []
    place = argv.index("--")
    return argv[:place], argv[place + 1 :]
