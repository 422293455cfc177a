"""`failaware answer`: answers the questions of another failaware that started it over ssh; nothing is written."""

import argparse
import sys


def run(args: argparse.Namespace) -> int:
    """Answer until standard input ends."""
    from failaware.federation.serving import serve

    serve(args.db, sys.stdin.buffer, sys.stdout.buffer)
    return 0
