"""Parses the command line, runs one command, and turns our errors into one sentence and an exit status."""

import argparse
import importlib
import os
import re
import sys
from contextlib import nullcontext
from typing import NamedTuple, Protocol

from failaware.cli import streams
from failaware.cli.argparser import Parser
from failaware.errors import FailawareError
from failaware.worker.children import awaited


class Command(NamedTuple):
    """One command: its module in this folder, its line in the help, and whether it is read, so that it may be long."""

    name: str
    module: str
    help: str
    read: bool = False


COMMANDS = (
    Command("health", "health", "how many events stand where, and what stands out", read=True),
    Command("severity", "severity", "unresolved events and clusters by severity", read=True),
    Command("clusters", "clusters", "like failures gathered, worst first", read=True),
    Command("cluster", "cluster", "one cluster: why its severity, its hours, its events, an example", read=True),
    Command("events", "events", "events, newest first; takes a filter", read=True),
    Command("event", "event", "one event: payload, every attempt, decisions", read=True),
    Command("attempt", "attempt", "one attempt: how it ended, its traceback, the wait after it", read=True),
    Command("rejects", "rejects", "input that could not be understood, and why not", read=True),
    Command("explain", "explain", "every rule held against an event or cluster, by which facts, since when", read=True),
    Command("fingerprint", "fingerprint", "the template of any text, and what of it counts as variable", read=True),
    Command("timeline", "timeline", "failures by hour and cluster", read=True),
    Command("healed", "recovered", "what failed and then was SYNCED by itself, and at what cost", read=True),
    Command("due", "due", "the retries due within the hour, by minute; herds are marked", read=True),
    Command("diff", "diff", "what is new, back, worse, better or gone between two moments", read=True),
    Command("policy", "policy", "the thresholds of the severity rules, and what each does", read=True),
    Command("tui", "tui", "the inspector: browse it all, live and read-only"),
    Command("run", "run", "apply due events through your handlers"),
    Command("exec", "exec", "run a program, try it again, and keep how it ended"),
    Command("ingest", "ingest", "record events from JSON Lines, CloudEvents, OpenTelemetry logs, JUnit reports"),
    Command("requeue", "decisions", "record the decision to try events again"),
    Command("dismiss", "decisions", "record the decision that events need nothing more"),
    Command("erase", "erase", "remove an event's payload and errors that must not be kept"),
    Command("seal", "seal", "put all facts under seals, and print the newest, to be noted elsewhere"),
    Command("verify", "verify", "prove facts and derivation intact; writes nothing", read=True),
    Command("export", "export", "all facts as JSON Lines that restore takes back"),
    Command("restore", "restore", "take an export back into a new store, all of it or nothing"),
    Command("copy", "copy", "all facts into another store: a file into PostgreSQL, or back"),
    Command("archive", "archive", "old events that are settled into a file of their own"),
    Command("rebuild", "rebuild", "derive everything anew from the facts"),
    Command("init", "init", "make a store; on PostgreSQL, roles for those who write and those who read"),
    Command("seed", "seed", "fill a store with realistic sample data"),
    Command("demo", "demo", "a store full of sample failures, alive, in the inspector"),
    Command("completion", "completion", "the lines that make your shell complete failaware's words"),
    Command("help", "help", "a topic, such as filters or exit-status, or a command", read=True),
)

_EPILOG = """\
The store is --db PATH, or $FAILAWARE_DB, or failaware.db in this folder; PATH may be a PostgreSQL URL.
Exit status: 0 done, 1 done but something was rejected or stands too high, 2 the command or the store is wrong;
'failaware help exit-status' has them all.
'failaware COMMAND --help' explains a command, 'failaware help' lists what else is explained.
"""
_NEGATED = re.compile(r"^-(?=[a-z]+:)")  # -type:x in a filter is no option; the filter language takes !type:x too
_FIRST_SPELLINGS = {"--health": "health", "--severity": "severity"}
_SECONDS = re.compile(r"\d+(\.\d+)?")
_NOT_OURS = {"run", "exec"}  # they run other people's code, whose time zone is not for us to choose


class Module(Protocol):
    """What a command's module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Run it; returns the exit status."""


def main(argv: list[str]) -> int:
    """Run a command line; returns the exit status."""
    if "_ARGCOMPLETE" in os.environ:
        from failaware.cli.completion import answer

        answer(parser_of)
    streams.prepare()
    status = _run(argv)
    acts = {command.name for command in COMMANDS if not command.read} - {"export"}
    return streams.finish(status, unwritten=status if command_in(argv) in acts else status or 2)


def _run(argv: list[str]) -> int:
    argv, program = _apart(argv)
    try:
        args = _parse(_plain_spelling(argv))
        args.program = program
        with nullcontext() if args.command == "exec" else awaited():  # exec gives it back to its program
            return _drawn(args)
    except FailawareError as error:
        return _refused(str(error), error.exit_status)
    except UnicodeEncodeError:
        wrong = next((word for word in argv if not _is_text(word)), None)
        if wrong is None:
            raise
        return _refused(f"the argument '{wrong}' is not UTF-8; write it in UTF-8", 2)
    except OSError as error:
        return _refused(": ".join(str(part) for part in (error.filename, error.strerror or error) if part), 2)
    except SystemExit as error:  # argparse has printed its sentence, or the help
        if not isinstance(error.code, int | None):
            raise
        return error.code or 0
    except KeyboardInterrupt:
        return 130


def _refused(sentence: str, status: int) -> int:
    from failaware.text import visible

    sys.stderr.write(f"failaware: {visible(sentence)}\n")
    return status


def _is_text(word: str) -> bool:
    """Whether an argument is text: Python makes lone surrogates of bytes that are none."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def parser_of(wanted: str | None) -> Parser:
    """The parser of the whole line, in which only the wanted command is spelled out; all of them, if it is None."""
    parser = Parser(
        prog="failaware",
        description="Failures are immutable facts. Severity is derived. Decisions remain human.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    _add_db(parser, os.environ.get("FAILAWARE_DB", "failaware.db"))
    _add_reading(parser, default=False)
    choices = parser.add_subparsers(
        prog="failaware", title="commands", metavar="COMMAND", dest="command", parser_class=Parser
    )
    for command in COMMANDS:
        if wanted not in (None, command.name):
            continue  # only the help needs them all
        sub = choices.add_parser(
            command.name, help=command.help, description=f"{command.help[0].upper()}{command.help[1:]}."
        )
        if command.name == wanted:  # the others' modules stay unloaded
            _add_db(sub, argparse.SUPPRESS)
            if command.read:
                _add_reading(sub, default=argparse.SUPPRESS)
            module: Module = importlib.import_module(f"failaware.cli.{command.module}")
            module.add_arguments(sub)
            sub.set_defaults(run=module.run, read=command.read, parser=sub)
    return parser


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = parser_of(command_in(argv))
    args, unwanted = parser.parse_known_args(argv)
    if unwanted:
        getattr(args, "parser", parser).refuse(unwanted, parser)
    if args.version:
        args.run, args.read = _version, False
    elif args.command is None:
        parser.print_help()
        args.run, args.read = lambda _args: 0, False
    return args


def _drawn(args: argparse.Namespace) -> int:
    """The command, in the time zone and on the kind of screen that was asked for."""
    zone = "UTC" if args.utc else os.environ.get("FAILAWARE_TZ")
    if zone and args.command not in _NOT_OURS:
        from failaware.cli.timezone import choose

        choose(zone)
    if getattr(args, "watch", None) is not None:
        from failaware.cli.watch import watch

        return watch(args)
    if args.read and not args.no_pager and sys.stdout.isatty():
        from failaware.cli.pager import paged

        return paged(lambda: int(args.run(args)))
    return int(args.run(args))


def _plain_spelling(argv: list[str]) -> list[str]:
    """Words as argparse takes them: not the first sketch's spellings, -type:x, or --watch before what is no number."""
    words = []
    for word, following in zip(argv, [*argv, ""][1:], strict=True):
        if word == "--watch" and not _SECONDS.fullmatch(following):
            word = "--watch=1"  # noqa: PLW2901 - else argparse takes the filter after it for the seconds
        words.append(_NEGATED.sub("!", _FIRST_SPELLINGS.get(word, word)))
    return words


def _apart(argv: list[str]) -> tuple[list[str], list[str]]:
    """Our own words, and those of the program that `exec` runs, which are nobody's business but its own."""
    if command_in(argv) != "exec" or "--" not in argv:
        return argv, []
    place = argv.index("--")
    return argv[:place], argv[place + 1 :]


def command_in(argv: list[str]) -> str | None:
    """The command that the line names, if it is one: the first word that is no option and no option's value."""
    words = iter(argv)
    for word in words:
        if word == "--db":
            next(words, None)
        elif not word.startswith("-"):
            return word if any(command.name == word for command in COMMANDS) else None
    return None


def _add_db(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--db",
        metavar="PATH",
        default=default,
        help="the store: a file, or postgresql://user@host/database (default: $FAILAWARE_DB or failaware.db)",
    )


def _add_reading(parser: argparse.ArgumentParser, default: str | bool) -> None:
    parser.add_argument("--utc", action="store_true", default=default, help="times in UTC instead of your zone")
    parser.add_argument(
        "--no-pager", action="store_true", default=default, help="print it all, also what is longer than the terminal"
    )


def _version(_args: argparse.Namespace) -> int:
    from failaware import __version__

    sys.stdout.write(f"failaware {__version__}\n")
    return 0
