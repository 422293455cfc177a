"""`failaware cluster ID`: why its severity, its hours, its events, an example of the failure."""

import argparse

from failaware.cli import printer, report_options
from failaware.cli.event import draw_attempt
from failaware.cli.events import print_events
from failaware.cli.timeline import draw_hours
from failaware.model import HOUR
from failaware.model.patterns import NAMES, Figure, Impact, Transition
from failaware.text import counted, span, when

_DAYS = 7
_EVENTS = 10
_TRANSITIONS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """ID, --json, --as-of."""
    parser.add_argument("id", help="the cluster's id, or its first digits")
    report_options.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    with report_options.inspector(args) as inspector:
        now = inspector.now()
        cluster = inspector.cluster(args.id)
        hours = inspector.patterns.timeline(since=now - _DAYS * 24 * HOUR, cluster_id=cluster.cluster_id)
        events = inspector.events(f"cluster:{cluster.cluster_id}", limit=_EVENTS)
        example = inspector.attempt(cluster.example_attempt)
        impact = inspector.patterns.impact(cluster.cluster_id)
        transitions = inspector.patterns.transitions(cluster.cluster_id)
    if args.json:
        more = {"impact": impact, "transitions": transitions, "hours": hours, "example": example}
        printer.print_json({**cluster._asdict(), **more})
        return 0
    paper = printer.Paper()
    title = printer.severity(cluster.severity) if cluster.severity else printer.text("no severity", "dim")
    paper.print(title + printer.text(f"  cluster {cluster.cluster_id}", "dim"))
    paper.print(printer.failure(cluster.event_type, cluster.error_type, cluster.template))
    paper.print()
    if cluster.reason:
        paper.print(printer.text(f"because {cluster.rule}: {cluster.reason}"))
    paper.print(
        printer.text(
            f"{cluster.unresolved:,} unresolved, {cluster.recovered:,} recovered; "
            f"{counted(cluster.episodes, 'episode')}, {counted(cluster.comebacks, 'comeback')}"
        )
    )
    paper.print(printer.text(f"first {when(cluster.first_failed_at, now)}"))
    paper.print(printer.text(f"last  {when(cluster.last_failed_at, now)}"))
    paper.print()
    paper.print(printer.text("Its impact, and what lists the events", "bold"))
    _draw_impact(paper, impact, args)
    for side, transitions_there in (("before they first", transitions.before), ("after they last", transitions.after)):
        paper.print()
        paper.print(printer.text(f"What came {side} failed with it", "bold"))
        _draw_transitions(paper, transitions_there)
    paper.print()
    paper.print(printer.text(f"Failures by hour, {_DAYS} days", "bold"))
    draw_hours(paper, hours, now, hours=_DAYS * 24)
    paper.print()
    paper.print(printer.text("Its newest events", "bold"))
    print_events(paper, events, now)
    paper.print()
    paper.print(printer.text(f"An example: attempt {example.attempt_no} of event {example.event_id}", "bold"))
    draw_attempt(paper, example, now)
    return 0


def _draw_impact(paper: printer.Paper, impact: Impact, args: argparse.Namespace) -> None:
    """A line each; a terminal folds the commands, so that they can be copied whole."""
    oldest = impact.oldest_age
    table: list[tuple[str, str, Figure]] = [
        ("events", f"{impact.events.value:,}", impact.events),
        ("attempts", f"{impact.attempts.value:,}", impact.attempts),
        ("dead", f"{impact.dead.value:,}", impact.dead),
        ("waiting", f"{impact.waiting.value:,}", impact.waiting),
        ("oldest", "—" if oldest.value is None else span(oldest.value), oldest),
    ]
    for name, value, figure in table:
        command = printer.text(printer.command(args, f"events {figure.where}"), "dim")
        paper.print(printer.text(f"{name:<10}{value:>9}  ") + command)


def _draw_transitions(paper: printer.Paper, found: tuple[Transition, ...]) -> None:
    for transition in found[:_TRANSITIONS]:
        if transition.cluster_id is None:
            name = printer.text(NAMES[transition.kind])
        else:
            name = printer.text(f"{printer.short(transition.cluster_id)}  ", "dim")
            name += printer.cause(transition.error_type, transition.template or "")
        paper.print_cut(printer.text(f"{transition.events:>7,}  ") + name)
    if len(found) > _TRANSITIONS:
        paper.print(printer.text(f"and {counted(len(found) - _TRANSITIONS, 'other')}; --json has them all", "dim"))
