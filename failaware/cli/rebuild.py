"""`failaware rebuild`: derive everything anew from the facts, by another policy if one is given."""

import argparse
from pathlib import Path

from failaware.cli import output
from failaware.derive.rules import Policy
from failaware.errors import StoreMissing, UsageError
from failaware.store import Store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--policy."""
    parser.add_argument(
        "--policy", metavar="FILE", help="from now on derive severities by the thresholds in this TOML file"
    )


def run(args: argparse.Namespace) -> int:
    """Rebuild, and say so."""
    if not Path(args.db).exists():
        raise StoreMissing(f"there is no store at {args.db}")
    policy = None
    if args.policy is not None:
        try:
            policy = Policy.from_toml(Path(args.policy).read_text(encoding="utf-8"), origin=args.policy)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {args.policy}: {error}") from None
    with Store.open(args.db) as store:
        store.rebuild(policy)
    output.Paper().print(output.text("Everything derived was made anew from the facts."))
    return 0
