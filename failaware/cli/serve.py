"""`failaware serve`: receive failures over HTTP, until stopped or until a program has ended."""

import argparse
import ipaddress
import os
import re
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from failaware.cli.arguments import add_synchronous
from failaware.cli.streams import warn
from failaware.errors import FailawareError, UsageError
from failaware.store import Store
from failaware.text import counted, shown_place
from failaware.worker.subprocess_runner import SignalForwarder, popen

if TYPE_CHECKING:
    from failaware.serve.access import Access
    from failaware.serve.counters import Counters
    from failaware.serve.notices import Notices
    from failaware.serve.server import Address, Receiving

_ADDRESS = re.compile(r"(?:(?P<host>\[[^\]]+\]|[^:\[\]]*):)?(?P<port>\d{1,5})")
_DEFAULT = "127.0.0.1:9411"
_DSN_VARIABLES = (  # also under the names that the frameworks of web pages read
    "SENTRY_DSN",
    "NEXT_PUBLIC_SENTRY_DSN",
    "NUXT_PUBLIC_SENTRY_DSN",
    "PUBLIC_SENTRY_DSN",
    "REACT_APP_SENTRY_DSN",
    "VITE_SENTRY_DSN",
)
_LOOKS_S = 1.0  # whether it still receives
_NOT_EXECUTABLE, _NOT_FOUND = 126, 127


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--listen, --key, --allow-origin, --allow-host, --inspect, --quiet, --synchronous."""
    parser.usage = "failaware serve [OPTION]... [-- PROGRAM [ARGUMENT]...]"
    parser.add_argument(
        "--listen",
        type=_address,
        metavar="[HOST:]PORT",
        help=f"where to listen (default {_DEFAULT}, or any free port with a program); other than loopback needs a key",
    )
    parser.add_argument(
        "--key",
        default=os.environ.get("FAILAWARE_KEY", ""),
        metavar="KEY",
        help="the key that each request must have; $FAILAWARE_KEY is safer, since other users cannot see it",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="URL",
        help="accept requests from this web origin, such as https://shop.example; may be repeated",
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="accept requests addressed to this host name; may be repeated",
    )
    parser.add_argument("--inspect", action="store_true", help="open the inspector on the store while receiving")
    parser.add_argument("--quiet", action="store_true", help="do not print a line for each failure")
    add_synchronous(parser)


def run(args: argparse.Namespace) -> int:
    """Receive until SIGINT or SIGTERM, until the inspector is closed, or until the program has ended."""
    try:
        from failaware.serve.notices import Notices
        from failaware.serve.server import Address, listen, receiving
    except ImportError as error:
        raise UsageError(
            f"'failaware serve' needs a package that is not installed ({error.name}); pip install 'failaware[serve]'"
        ) from None
    if args.inspect and args.program:
        raise UsageError("--inspect needs the terminal for itself; leave it out, or start the program elsewhere")
    if args.inspect and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the inspector needs a terminal; leave out --inspect")
    args.listen = args.listen or _address("0" if args.program else _DEFAULT)
    access = _access(args)
    signals = SignalForwarder()
    with ExitStack() as stack:
        store = stack.enter_context(Store.open(args.db, synchronous=args.synchronous))
        listening = stack.enter_context(listen(Address(*args.listen)))
        address = Address(args.listen[0], listening.getsockname()[1])
        notices = Notices(_silent if args.quiet or args.inspect or args.program else _line)
        if not args.inspect:
            stack.enter_context(signals.watched())
        with receiving(store.session, listening, access, notices) as receiver:
            status = _meanwhile(args, signals, address, receiver, notices)
        notices.tell_counts()
    _tell(receiver.counters, args.db)
    return status


def _meanwhile(
    args: argparse.Namespace, signals: SignalForwarder, address: "Address", receiver: "Receiving", notices: "Notices"
) -> int:
    """What goes on while it receives; returns the exit status."""
    if args.program:
        return _run_program(args.program, signals, _environment(address, args.key))
    _tell_where(args, address)
    if args.inspect:
        from tui.app import run_inspector

        return run_inspector(args.db)
    while not signals.wait(_LOOKS_S):
        notices.tell_counts()
        if receiver.error is not None:
            raise FailawareError(f"the receiver has ended: {receiver.error}") from receiver.error
    return 0


def _tell_where(args: argparse.Namespace, address: "Address") -> None:
    """Say where it receives; below the inspector, this can be read when it has been closed."""
    end = "" if args.inspect else "; Ctrl-C stops"
    warn(f"receiving on {address.url} into {shown_place(args.db)}{end}")
    for line in (
        f"Sentry SDKs:    SENTRY_DSN={address.dsn('KEY' if args.key else '')}",
        f"OpenTelemetry:  OTEL_EXPORTER_OTLP_ENDPOINT={address.url}  (HTTP, JSON or protobuf)",
        f'anything else:  curl {address.url}/events -d \'{{"type": "backup", "error": {{"message": "disk full"}}}}\'',
    ):
        sys.stderr.write(f"  {line}\n")


def _run_program(command: list[str], signals: SignalForwarder, environment: dict[str, str]) -> int:
    """Run a program with the variables that make it report; returns its exit status as a shell would."""
    try:
        with signals.starting():
            program = popen(command, env=environment)
    except OSError as error:
        warn(f"{command[0]} cannot be started: {error.strerror}")
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
    with signals.forward_to(program):
        status = program.wait()
    return status if status >= 0 else 128 - status


def _environment(address: "Address", key: str) -> dict[str, str]:
    """The variables for a program, without changing one that is set: it may report elsewhere on purpose."""
    ours = dict.fromkeys(_DSN_VARIABLES, address.dsn(key))
    ours |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": address.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "FAILAWARE_URL": address.url,
    }
    if "SENTRY_DSN" in os.environ:
        ours["SENTRY_SPOTLIGHT"] = f"{address.url}/stream"  # the SDK reports there as well
    if key:
        ours |= {"OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{key}", "FAILAWARE_KEY": key}
    return {**ours, **os.environ}


def _access(args: argparse.Namespace) -> "Access":
    from failaware.serve.access import Access, allowed_hosts

    host = args.listen[0]
    is_loopback = _is_loopback(host)
    if not is_loopback and not args.key:
        raise UsageError(
            f"{host} can be reached by others; choose a key, such as FAILAWARE_KEY=$(openssl rand -hex 16), "
            "or listen on 127.0.0.1"
        )
    if args.key and not re.fullmatch(r"[A-Za-z0-9_.~-]{8,200}", args.key):
        raise UsageError("the key must have 8 to 200 letters, digits or any of _ . ~ - because it is a part of URLs")
    hosts = allowed_hosts(host, args.allow_host, is_loopback=is_loopback)
    return Access(args.key, hosts, frozenset(origin.rstrip("/") for origin in args.allow_origin))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _address(text: str) -> tuple[str, int]:
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65_535:
        raise argparse.ArgumentTypeError(f"'{text}' is not an address; write {_DEFAULT}, 0.0.0.0:9411 or 9411")
    return (match["host"] or "127.0.0.1").strip("[]"), int(match["port"])


def _line(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


_silent: Callable[[str], None] = lambda _text: None  # noqa: E731 - named next to its opposite


def _tell(counters: "Counters", place: str) -> None:
    warn(
        f"{counters.of('recorded'):,} recorded into {shown_place(place)}, {counters.of('skipped'):,} skipped as no "
        f"failures, {counters.of('rejected'):,} rejected, {counted(counters.of('refused'), 'request')} refused"
    )
