"""`failaware cluster ID`: why its severity, its hours, its events, an example of the failure."""

import argparse
from typing import Any, NamedTuple

from failaware.cli.event import draw_attempt
from failaware.cli.events import draw_events
from failaware.cli.line import cause, failure, severity, short, text
from failaware.cli.printer import Printer
from failaware.cli.stores import command_for
from failaware.cli.timeline import draw_hours
from failaware.model import HOUR, Attempt, Cluster, EventSummary, HourCount
from failaware.model.patterns import NAMES, Impact, Transition, Transitions
from failaware.model.stores import ClusterOfStores
from failaware.read.inspector import Inspector
from failaware.text import counted, span, when

_DAYS = 7
_EVENTS = 10
_TRANSITIONS = 10


class Answer(NamedTuple):
    """All that is said of the cluster."""

    cluster: Cluster
    impact: Impact
    transitions: Transitions
    hours: list[HourCount]
    example: Attempt
    events: list[EventSummary]

    @property
    def document(self) -> dict[str, Any]:
        """The cluster with what belongs to it; its events are a report of their own."""
        more = {"impact": self.impact, "transitions": self.transitions, "hours": self.hours, "example": self.example}
        return {**self.cluster._asdict(), **more}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """ID."""
    parser.add_argument("id", help="the cluster's id, or its first digits")


def ask(inspector: Inspector, args: argparse.Namespace) -> Answer:
    """The cluster, and what belongs to it."""
    cluster = inspector.cluster(args.id)
    cluster_id = cluster.cluster_id
    return Answer(
        cluster,
        inspector.patterns.impact(cluster_id),
        inspector.patterns.transitions(cluster_id),
        inspector.patterns.timeline(since=inspector.now() - _DAYS * 24 * HOUR, cluster_id=cluster_id),
        inspector.attempt(cluster.example_attempt),
        inspector.events(f"cluster:{cluster_id}", limit=_EVENTS),
    )


def draw(answer: Answer, printer: Printer, args: argparse.Namespace) -> None:
    """From its severity down to an example."""
    _draw_head(answer.cluster, printer)
    _draw_stores(answer.cluster, printer)
    printer.heading("Its impact, and what lists the events")
    _draw_impact(answer.impact, printer, args)
    transitions = answer.transitions
    for side, clusters in (("before they first", transitions.before), ("after they last", transitions.after)):
        printer.heading(f"What came {side} failed with it")
        _draw_transitions(clusters, printer)
    printer.heading(f"Failures by hour, {_DAYS} days")
    draw_hours(printer, answer.hours, hours=_DAYS * 24)
    printer.heading("Its newest events")
    draw_events(answer.events, printer)
    example = answer.example
    printer.heading(f"An example: attempt {example.attempt_no} of event {example.event_id}")
    draw_attempt(example, printer)


def _draw_head(cluster: Cluster, printer: Printer) -> None:
    title = severity(cluster.severity) if cluster.severity else text("no severity", "dim")
    printer.print(title + text(f"  cluster {cluster.cluster_id}", "dim"))
    printer.print(failure(cluster.event_type, cluster.error_type, cluster.template))
    printer.print()
    if cluster.reason:
        printer.write(f"because {cluster.rule}: {cluster.reason}")
    printer.write(
        f"{cluster.unresolved:,} unresolved, {cluster.recovered:,} recovered; "
        f"{counted(cluster.episodes, 'episode')}, {counted(cluster.relapses, 'relapse')}"
    )
    printer.write(f"first {when(cluster.first_failed_at, printer.now)}")
    printer.write(f"last  {when(cluster.last_failed_at, printer.now)}")


def _draw_stores(cluster: Cluster, printer: Printer) -> None:
    """Its parts, if it is one of several stores: episodes and relapses do not add up."""
    if not isinstance(cluster, ClusterOfStores):
        return
    printer.heading("In each store")
    rows = [
        (one.store, short(one.cluster_id), *(f"{n:,}" for n in one[2:7]), when(one.last_failed_at, printer.now))
        for one in cluster.stores
    ]
    columns = ("store", "cluster", "events", "unresolved", "failures", "episodes", "relapses", "last seen")
    printer.rows(columns, rows, right=columns[2:-1])


def _draw_impact(impact: Impact, printer: Printer, args: argparse.Namespace) -> None:
    """A line each; a terminal wraps long commands, which can then be copied whole."""
    oldest = impact.oldest_age
    age = "—" if oldest.value is None else span(oldest.value)
    counts = {"events": impact.events, "attempts": impact.attempts, "dead": impact.dead, "waiting": impact.waiting}
    values = [(name, f"{figure.value:,}", figure.where) for name, figure in counts.items()]
    for name, value, where in [*values, ("oldest", age, oldest.where)]:
        printer.print(text(f"{name:<10}{value:>9}  ") + text(command_for(args, f"events {where}"), "dim"))


def _draw_transitions(transitions: tuple[Transition, ...], printer: Printer) -> None:
    for transition in transitions[:_TRANSITIONS]:
        if transition.cluster_id is None:
            name = text(NAMES[transition.kind])
        else:
            name = text(f"{short(transition.cluster_id)}  ", "dim")
            name += cause(transition.error_type, transition.template or "")
        printer.print_cut(text(f"{transition.events:>7,}  ") + name)
    if len(transitions) > _TRANSITIONS:
        printer.write(f"and {counted(len(transitions) - _TRANSITIONS, 'other')}; --json has them all", "dim")
