"""`failaware exec -- PROGRAM [ARGUMENT…]`: run a program, retry it, and record its outcome."""

import argparse
import os
import re
import socket

from failaware.capture.record import Recorder, as_name
from failaware.capture.secrets.masking import Masker
from failaware.cli.streams import warn
from failaware.clock import now_us
from failaware.errors import PayloadError, UsageError
from failaware.model import NewEvent
from failaware.store import Store
from failaware.worker.exec import Plan, execute
from failaware.worker.retry import Retry

_UNITS = {"": 1, "s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(s|m|min|h|d|)")
_CODES = re.compile(r"(\d{1,3})(?:-(\d{1,3}))?")
_USAGE = "failaware exec [OPTION]... -- PROGRAM [ARGUMENT]..."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--type, --key, --source, --max-attempts, --backoff, --timeout, --retry-on."""
    parser.usage = _USAGE
    parser.add_argument("--type", metavar="T", help="the event's type (default: the program's name)")
    parser.add_argument("--key", metavar="K", help="runs with the same key are attempts at the same event")
    parser.add_argument("--source", metavar="S", default="exec", help="the event's source (default: exec)")
    parser.add_argument("--max-attempts", type=int, default=1, metavar="N", help="at most N attempts (default: 1)")
    parser.add_argument(
        "--backoff",
        type=_duration,
        default=(5.0, "5 s"),
        metavar="D",
        help="retry delay before the second attempt, doubled before each further one (default 5s)",
    )
    parser.add_argument(
        "--timeout",
        type=_duration,
        metavar="D",
        help="stop an attempt that takes longer, such as 30s, 5m or 2h: SIGTERM, SIGKILL 10 s later, exit status 124",
    )
    parser.add_argument(
        "--retry-on",
        type=_codes,
        metavar="CODES",
        help="exit statuses to retry on, such as 75,100-110 (default: all)",
    )


def run(args: argparse.Namespace) -> int:
    """Run it; returns the program's last exit status."""
    if not args.program:
        raise UsageError(f"there is no program to run; write {_USAGE}")
    plan = Plan(
        args.program,
        _event(args),
        Retry(max_attempts=args.max_attempts, base=args.backoff[0]),
        args.retry_on,
        args.timeout,
        args.key,
    )
    _give_back_locale()
    return execute(plan, lambda: Store.open(args.db), clock=now_us, warn=warn)


def _give_back_locale() -> None:
    """Undo what Python does in the C locale (PEP 538): it sets LC_CTYPE, which the program would inherit.

    What we were started with is known on Linux alone.
    """
    try:
        with open("/proc/self/environ", "rb") as file:
            given = dict(entry.partition(b"=")[::2] for entry in reversed(file.read().split(b"\0")))
    except OSError:
        return
    if b"LC_CTYPE" in given:
        os.environb[b"LC_CTYPE"] = given[b"LC_CTYPE"]
    else:
        os.environb.pop(b"LC_CTYPE", None)


def _event(args: argparse.Namespace) -> NewEvent:
    """What is recorded of the run; names that make no sense are refused before anything runs."""
    recorder = Recorder(Masker())
    name = as_name(os.path.basename(args.program[0]) or "program", recorder)
    about = {"cwd": _folder(), "host": socket.gethostname()}
    given = {"now": now_us(), "key": args.key, "source": args.source}
    event_type = args.type if args.type is not None else name
    try:
        return recorder.event(event_type, {"argv": args.program, **about}, **given)[0]
    except PayloadError as refused:
        return recorder.event(event_type, {"argv": f"not recorded: {refused}", **about}, **given)[0]


def _folder() -> str | None:
    """The current folder; where it was removed meanwhile, the one that the environment names, if it does."""
    try:
        return os.getcwd()
    except OSError:
        return os.environ.get("PWD")


def _duration(text: str) -> tuple[float, str]:
    match = _DURATION.fullmatch(text.strip())
    if match is None or not float(match[1]):
        raise argparse.ArgumentTypeError(f"'{text}' is not a duration; write 30s, 5m or 2h")
    return float(match[1]) * _UNITS[match[2]], f"{match[1]} {match[2] or 's'}"


def _codes(text: str) -> frozenset[int]:
    statuses: set[int] = set()
    for part in text.split(","):
        match = _CODES.fullmatch(part.strip())
        last = int(match[2] or match[1]) if match else 0
        if match is None or not 1 <= int(match[1]) <= last <= 255:
            raise argparse.ArgumentTypeError(
                f"'{text}' is not a list of exit statuses (1 to 255); write 75 or 1,100-110"
            )
        statuses.update(range(int(match[1]), last + 1))
    return frozenset(statuses)
