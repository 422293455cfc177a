"""`failaware cluster ID`: why its severity, its hours, its events, an example of the failure."""

import argparse

from failaware.cli import asking, output
from failaware.cli.event import draw_attempt
from failaware.cli.events import print_events
from failaware.cli.timeline import draw_hours
from failaware.model import HOUR
from failaware.text import when

_DAYS = 7
_EVENTS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """ID, --json, --as-of."""
    parser.add_argument("id", help="the cluster's id, or its first digits")
    asking.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    with asking.inspector(args) as inspector:
        now = inspector.now()
        cluster = inspector.cluster(args.id)
        hours = inspector.timeline(since=now - _DAYS * 24 * HOUR, cluster_id=cluster.cluster_id)
        events = inspector.events(f"cluster:{cluster.cluster_id}", limit=_EVENTS)
        example = inspector.attempt(cluster.example_attempt)
    if args.json:
        output.print_json({**cluster._asdict(), "hours": hours, "example": example})
        return 0
    paper = output.Paper()
    title = output.severity(cluster.severity) if cluster.severity else output.text("no severity", "dim")
    paper.print(title + output.text(f"  cluster {cluster.cluster_id}", "dim"))
    paper.print(output.failure(cluster.event_type, cluster.error_type, cluster.template))
    paper.print()
    if cluster.reason:
        paper.print(output.text(f"because {cluster.rule}: {cluster.reason}"))
    paper.print(
        output.text(
            f"{cluster.events:,} events: {cluster.dead:,} dead, {cluster.retrying:,} retrying, "
            f"{cluster.recovered:,} recovered; {cluster.failures:,} failed attempts; {cluster.episodes:,} episodes, "
            f"{cluster.comebacks:,} comebacks"
        )
    )
    paper.print(output.text(f"first {when(cluster.first_failed_at, now)}"))
    paper.print(output.text(f"last  {when(cluster.last_failed_at, now)}"))
    paper.print()
    paper.print(output.text(f"Failures by hour, {_DAYS} days", "bold"))
    draw_hours(paper, hours, now, hours=_DAYS * 24)
    paper.print()
    paper.print(output.text("Its newest events", "bold"))
    print_events(paper, events, now)
    paper.print()
    paper.print(output.text(f"An example: attempt {example.attempt_no} of event {example.event_id}", "bold"))
    draw_attempt(paper, example, now)
    return 0
