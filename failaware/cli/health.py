"""`failaware health`: how many events stand where, and what stands out."""

import argparse
from typing import TYPE_CHECKING

from failaware.cli import output
from failaware.model import EventRef, Health
from failaware.read.inspector import Inspector
from failaware.text import when

if TYPE_CHECKING:
    from rich.console import RenderableType


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Only --json."""
    output.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print it."""
    with Inspector.open(args.db) as inspector:
        health = inspector.health()
        if args.json:
            output.print_json(health)
        else:
            console = output.console()
            for part in draw(health, args.db, inspector.now()):
                console.print(part)
    return 0


def draw(health: Health, place: str, now: int) -> "list[RenderableType]":
    """The report, part by part."""
    title = output.text(place, "bold")
    title.append(f"  {health.total_events:,} events", "")
    if not health.total_events:
        return [title, _nothing_yet(place)]
    parts: list[RenderableType] = [title, "", _counts(health), "", _notable(health, now)]
    if health.waiting and not health.in_hand:
        types = ", ".join(f"{event_type} ({events:,})" for event_type, events in health.waiting[:5])
        parts += ["", output.text(f"Waiting for their first attempt: {types}.", "blue")]
        parts.append(output.text("Is a worker with handlers for them running? failaware run MODULE", "dim"))
    if health.rejects:
        parts += [
            "",
            output.text(f"{health.rejects:,} lines could not be ingested; they are kept in reject_log", "yellow"),
        ]
    return parts


def _counts(health: Health) -> "RenderableType":
    table = output.table("state", "events", "", right=["events"])
    for name, count, meaning in (
        ("PENDING", health.pending, "not tried yet"),
        ("FAILED", health.failed, "failed, another attempt is due"),
        ("DEAD", health.dead, "failed, nothing more will be tried"),
        ("SYNCED", health.synced, "applied"),
        ("DISMISSED", health.dismissed, "a person said that no more is needed"),
    ):
        table.add_row(
            output.status(name) if count else output.text(name, "dim"), f"{count:,}", output.text(meaning, "dim")
        )
    return table


def _notable(health: Health, now: int) -> "RenderableType":
    table = output.table("", "", "")
    table.show_header = False

    def row(what: str, ref: EventRef | None, value: str) -> None:
        named = f"event {ref.event_id}  {ref.event_type}" if ref else ""
        table.add_row(output.text(what, "dim"), output.text(value), output.text(named))

    oldest, retried, due = health.oldest_unresolved, health.most_retried, health.next_due
    row("oldest unresolved", oldest, when(oldest.value, now) if oldest else "none")
    row(
        "most retried",
        retried,
        f"{retried.value:,} {'retry' if retried.value == 1 else 'retries'}" if retried else "none",
    )
    row("due next", due, when(due.value, now) if due else "nothing")
    row("due now", None, f"{health.due_now:,}, {health.in_hand:,} of them in hand")
    row("last fact", None, when(health.last_fact_at, now))
    return table


def _nothing_yet(place: str) -> "RenderableType":
    return output.text(
        f"Nothing is recorded yet. store.record(...) in Python, 'failaware ingest FILE', "
        f"or 'failaware seed --db {place}' for sample data."
    )
