"""`failaware policy`: the thresholds in force, each with what it does; the output is a policy file again."""

import argparse
import re

from failaware.cli import printer
from failaware.derive.rules import RULES, default_policy
from failaware.derive.settings import load_policy
from failaware.read.inspector import Inspector

_THRESHOLD = re.compile(r":(\w+)")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Only --json."""
    printer.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    with Inspector.open(args.db) as inspector:
        policy = load_policy(inspector.db)
    if args.json:
        printer.print_json(policy)
        return 0
    paper = printer.Paper()
    paper.print(printer.block(policy.explained().rstrip()))
    paper.print()
    values = policy.parameters()
    for rule in RULES:
        condition = _THRESHOLD.sub(lambda name: str(values[name[1]]), rule.condition)
        paper.print(printer.text(f"# {rule.name} ({rule.of}, {rule.severity}): {condition}", "dim"))
    whose = "comes with failaware" if policy == default_policy() else "is this store's own"
    paper.print(
        printer.text(
            f"# This policy {whose}. 'failaware severity --policy FILE' shows what another would change,", "dim"
        )
    )
    paper.print(printer.text("# 'failaware rebuild --policy FILE' puts it in force.", "dim"))
    return 0
