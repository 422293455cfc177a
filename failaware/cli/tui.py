"""`failaware tui`: the inspector, on the terminal or in a browser."""

import argparse
import sys

from failaware.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--inline, --no-mouse, --web, --port."""
    parser.add_argument("--inline", action="store_true", help="below the prompt instead of on the whole screen")
    parser.add_argument("--no-mouse", action="store_true", help="leave the mouse to the terminal, to select text")
    parser.add_argument(
        "--web", action="store_true", help="serve it to a browser on this machine, at an address that only you are told"
    )
    parser.add_argument("--port", type=_port, default=0, metavar="N", help="the port of --web (default: a free one)")


def run(args: argparse.Namespace) -> int:
    """Open it on the terminal, or serve it until Ctrl-C."""
    if args.web:
        return _serve(args)
    if args.port:
        raise UsageError("--port is for --web; add it, or leave out --port")
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the inspector needs a terminal; 'failaware health' and the other reports work without one")
    from tui.app import run_inspector

    return run_inspector(args.db, inline=args.inline, mouse=not args.no_mouse)


def _serve(args: argparse.Namespace) -> int:
    if args.inline or args.no_mouse:
        raise UsageError("--inline and --no-mouse are for a terminal; leave them out, or --web")
    try:
        from tui.web import serve
    except ModuleNotFoundError as missing:
        raise UsageError(f"--web needs {missing.name}; install failaware[web]") from None
    from secrets import token_urlsafe

    serve(args.db, port=args.port, token=token_urlsafe(32), say=_say)
    return 0


def _say(address: str) -> None:
    sys.stdout.write(f"{address}\n")
    sys.stdout.flush()
    sys.stderr.write("whoever has this address can read the store; Ctrl-C stops\n")


def _port(value: str) -> int:
    if not (value.isascii() and value.isdigit() and 1 <= int(value[:6]) <= 65_535):
        raise argparse.ArgumentTypeError(f"'{value}' is not a port; write a number of 1 to 65535")
    return int(value)
