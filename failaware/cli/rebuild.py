"""`failaware rebuild`: derive everything again from the facts, by another policy if one is given."""

import argparse

from failaware.cli.arguments import must_exist, read_file
from failaware.cli.printer import Printer
from failaware.cli.progress import bar
from failaware.derive.grouping.groups import GroupingRules
from failaware.derive.rebuild import rebuild_store
from failaware.rules import Policy


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--policy, --grouping."""
    parser.add_argument(
        "--policy", metavar="FILE", help="from now on, derive severities with the thresholds in this TOML file"
    )
    parser.add_argument("--grouping", metavar="FILE", help="from now on, group failures by the rules in this TOML file")


def run(args: argparse.Namespace) -> int:
    """Rebuild, and report it."""
    must_exist(args.db)
    policy = grouping = None
    if args.policy is not None:
        policy = Policy.from_toml(read_file(args.policy), origin=args.policy)
    if args.grouping is not None:
        grouping = GroupingRules.from_toml(read_file(args.grouping), origin=args.grouping)
    with bar("deriving"):
        rebuild_store(args.db, policy, grouping)
    Printer().write("All derived rows were rebuilt from the facts.")
    return 0
