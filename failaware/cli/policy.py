"""`failaware policy`: the thresholds in force, each with what it does; the output is a policy file again."""

import argparse
import re

from failaware.cli.line import block
from failaware.cli.printer import Printer
from failaware.read.inspector import Inspector
from failaware.rules import RULES, Policy, default_policy

OPTIONS = ("json",)
_THRESHOLD = re.compile(r":(\w+)")


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def ask(inspector: Inspector, _args: argparse.Namespace) -> Policy:
    """The policy in force."""
    return inspector.policy()


def draw(policy: Policy, printer: Printer, _args: argparse.Namespace) -> None:
    """A policy file; what the rules make of it are comments."""
    printer.print(block(policy.explained().rstrip()))
    printer.print()
    values = policy.parameters()
    for rule in RULES:
        condition = _THRESHOLD.sub(lambda name: str(values[name[1]]), rule.condition)
        printer.write(f"# {rule.name} ({rule.of}, {rule.severity}): {condition}", "dim")
    whose = "comes with failaware" if policy == default_policy() else "is this store's own"
    printer.write(f"# This policy {whose}. 'failaware severity --policy FILE' shows what another would change,", "dim")
    printer.write("# 'failaware rebuild --policy FILE' puts it in force.", "dim")
