"""`failaware rebuild`: derive everything anew from the facts, by another policy if one is given."""

import argparse

from failaware.cli import printer
from failaware.derive.grouping.groups import GroupingRules
from failaware.derive.rebuild import rebuild_store
from failaware.derive.rules import Policy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--policy, --grouping."""
    parser.add_argument(
        "--policy", metavar="FILE", help="from now on derive severities by the thresholds in this TOML file"
    )
    parser.add_argument("--grouping", metavar="FILE", help="from now on group failures by the rules in this TOML file")


def run(args: argparse.Namespace) -> int:
    """Rebuild, and say so."""
    printer.must_exist(args.db)
    policy = None
    if args.policy is not None:
        policy = Policy.from_toml(printer.read_file(args.policy), origin=args.policy)
    grouping = None
    if args.grouping is not None:
        grouping = GroupingRules.from_toml(printer.read_file(args.grouping), origin=args.grouping)
    rebuild_store(args.db, policy, grouping)
    printer.Paper().print(printer.text("Everything derived was made anew from the facts."))
    return 0
