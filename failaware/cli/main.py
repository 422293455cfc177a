"""Runs one command line, and turns our errors into one sentence and an exit status."""

import os
import sys
from contextlib import nullcontext

from failaware.cli import streams
from failaware.cli.commands import COMMANDS, command_in
from failaware.errors import FailawareError
from failaware.worker.children import awaited


def main(argv: list[str]) -> int:
    """Run a command line; returns the exit status."""
    if "_ARGCOMPLETE" in os.environ:
        from failaware.cli.completion import answer

        answer()
    streams.prepare()
    status = _run(argv)
    command = COMMANDS.get(command_in(argv) or "")
    acts = command is not None and not command.read and command.name != "export"
    return streams.finish(status, unwritten=status if acts else status or 2)


def _run(argv: list[str]) -> int:
    from failaware.cli import commandline, runner

    try:
        args = commandline.parse(argv)
        with nullcontext() if args.command == "exec" else awaited():  # exec gives it back to its program
            return runner.run(args)
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
