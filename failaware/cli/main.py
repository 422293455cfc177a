"""Parses the command line, runs one command, and turns our errors into one sentence and an exit status."""

import argparse
import importlib
import os
import re
import sys
from typing import NamedTuple, NoReturn, Protocol

from failaware.errors import FailawareError


class Command(NamedTuple):
    """One command: its module in this folder, and its line in the help."""

    name: str
    module: str
    help: str


COMMANDS = (
    Command("health", "health", "how many events stand where, and what stands out"),
    Command("severity", "severity", "unresolved events and clusters by severity"),
    Command("clusters", "clusters", "like failures gathered, worst first"),
    Command("cluster", "cluster", "one cluster: why its severity, its hours, its events, an example"),
    Command("events", "events", "events, newest first; takes a filter"),
    Command("event", "event", "one event: payload, every attempt, decisions"),
    Command("attempt", "attempt", "one attempt: how it ended, its traceback, the wait after it"),
    Command("explain", "explain", "every rule held against one event or cluster, the facts behind it, and since when"),
    Command("fingerprint", "fingerprint", "the template of any text, and what of it counts as variable"),
    Command("timeline", "timeline", "failures by hour and cluster"),
    Command("healed", "healed", "what failed and then was SYNCED by itself, and at what cost"),
    Command("due", "due", "the retries due within the hour, by minute; herds are marked"),
    Command("diff", "diff", "what is new, back, worse, better or gone between two moments"),
    Command("policy", "policy", "the thresholds of the severity rules, and what each does"),
    Command("tui", "tui", "the inspector: browse it all, live and read-only"),
    Command("run", "run", "apply due events through your handlers"),
    Command("exec", "exec", "run a program, try it again, and keep how it ended"),
    Command("ingest", "ingest", "record events from JSON Lines, CloudEvents, OpenTelemetry logs, JUnit reports"),
    Command("requeue", "decide", "record the decision to try events again"),
    Command("dismiss", "decide", "record the decision that events need nothing more"),
    Command("erase", "erase", "remove an event's payload and errors that must not be kept"),
    Command("seal", "seal", "put all facts under seals, and print the newest, to be noted elsewhere"),
    Command("verify", "verify", "prove facts and derivation intact; writes nothing"),
    Command("export", "export", "all facts as JSON Lines that ingest takes back"),
    Command("rebuild", "rebuild", "derive everything anew from the facts"),
    Command("seed", "seed", "fill a store with realistic sample data"),
    Command("demo", "demo", "a store full of sample failures, alive, in the inspector"),
)

_EPILOG = """\
examples:
  failaware health                        what is the state of things?
  failaware clusters severity:HIGH+       what is bad, worst first?
  failaware events status:DEAD since:2h   what died in the last two hours?
  failaware event 42                      what happened to it, attempt by attempt?
  failaware demo                          look around in sample data

The store is --db PATH, or $FAILAWARE_DB, or failaware.db in this folder.
Exit status: 0 done, 1 done but something was rejected or stands too high, 2 the command or the store is wrong.
"""
_NEGATED = re.compile(r"^-(?=[a-z]+:)")  # -type:x in a filter is no option; the filter language takes !type:x too
_FIRST_SPELLINGS = {"--health": "health", "--severity": "severity"}


class Module(Protocol):
    """What a command's module offers."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""

    def run(self, args: argparse.Namespace) -> int:
        """Run it; returns the exit status."""


def main(argv: list[str]) -> int:
    """Run a command line; returns the exit status."""
    argv, program = _apart(argv)
    argv = [_NEGATED.sub("!", _FIRST_SPELLINGS.get(word, word)) for word in argv]
    try:
        args = _parse(argv)
        args.program = program
        return _run(args)
    except FailawareError as error:
        from failaware.text import visible

        print(f"failaware: {visible(str(error))}", file=sys.stderr)  # noqa: T201 - stderr is for people
        return error.exit_status
    except BrokenPipeError:
        _give_up_output()  # whoever read us has enough
        return 0
    except OSError as error:
        if error.filename is not None:
            raise  # not what was written to standard output
        _give_up_output()
        print(f"failaware: the output could not be written: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        return 130


def _run(args: argparse.Namespace) -> int:
    status = int(args.run(args))
    if sys.stdout is not None:
        sys.stdout.flush()  # now, while it can still be said that it went wrong
    return status


def _give_up_output() -> None:
    """Keep Python from complaining again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    """argparse with our way of speaking: one sentence, and the nearest command when one is misspelt."""

    def error(self, message: str) -> NoReturn:
        if "invalid choice" in message and self.prog == "failaware":
            from difflib import get_close_matches

            word = message.split("'")[1]
            close = get_close_matches(word, [command.name for command in COMMANDS], 1)
            message = f"there is no command '{word}'" + (f"; did you mean '{close[0]}'?" if close else "")
        sys.stderr.write(f"failaware: {message}; see '{self.prog} --help'\n")
        sys.exit(2)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="failaware",
        description="Failures are immutable facts. Severity is derived. Decisions remain human.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    _add_db(parser, os.environ.get("FAILAWARE_DB", "failaware.db"))
    choices = parser.add_subparsers(
        prog="failaware", title="commands", metavar="COMMAND", dest="command", parser_class=_Parser
    )
    wanted = _command_in(argv)
    for command in COMMANDS:
        if wanted not in (None, command.name):
            continue  # only the help needs them all
        sub = choices.add_parser(command.name, help=command.help, description=command.help.capitalize() + ".")
        if command.name == wanted:  # the others' modules stay unloaded
            _add_db(sub, argparse.SUPPRESS)
            module: Module = importlib.import_module(f"failaware.cli.{command.module}")
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    args = parser.parse_args(argv)
    if args.version:
        args.run = _version
    elif args.command is None:
        parser.print_help()
        args.run = lambda _args: 0
    return args


def _apart(argv: list[str]) -> tuple[list[str], list[str]]:
    """Our own words, and those of the program that `exec` runs, which are nobody's business but its own."""
    if _command_in(argv) != "exec" or "--" not in argv:
        return argv, []
    place = argv.index("--")
    return argv[:place], argv[place + 1 :]


def _command_in(argv: list[str]) -> str | None:
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
        "--db", metavar="PATH", default=default, help="the store (default: $FAILAWARE_DB or failaware.db)"
    )


def _version(_args: argparse.Namespace) -> int:
    from failaware import __version__

    sys.stdout.write(f"failaware {__version__}\n")
    return 0
