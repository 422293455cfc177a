"""`failaware rebuild`: derive everything anew from the facts, by another policy if one is given."""

import argparse

from failaware.cli import output
from failaware.derive.grouping import GroupingRules
from failaware.derive.rules import Policy
from failaware.facts.rebuild import rebuild_store


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--policy, --grouping."""
    parser.add_argument(
        "--policy", metavar="FILE", help="from now on derive severities by the thresholds in this TOML file"
    )
    parser.add_argument("--grouping", metavar="FILE", help="from now on group failures by the rules in this TOML file")


def run(args: argparse.Namespace) -> int:
    """Rebuild, and say so."""
    output.must_exist(args.db)
    policy = None
    if args.policy is not None:
        policy = Policy.from_toml(output.read_file(args.policy), origin=args.policy)
    grouping = None
    if args.grouping is not None:
        grouping = GroupingRules.from_toml(output.read_file(args.grouping), origin=args.grouping)
    rebuild_store(args.db, policy, grouping)
    output.Paper().print(output.text("Everything derived was made anew from the facts."))
    return 0
