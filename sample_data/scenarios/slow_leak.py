"""A slow leak: reports take longer every day, and more and more of them time out."""

from random import Random
from typing import Any, NoReturn

from failaware import Event, Retry

from ..world import chance, world
from . import Scenario

RETRY = Retry(max_attempts=4, base=300, factor=2)
_LIMIT_S = 30


def payload(rng: Random, number: int) -> dict[str, Any]:
    """Return a report."""
    return {"report": rng.choice(["sales", "stock", "churn"]), "rows": rng.randint(2_000, 90_000), "run": number}


def render(event: Event) -> None:
    """Render the report within a time limit."""
    _within_limit(event)


def _within_limit(event: Event) -> None:
    slowness = 0.55 * world.progress() ** 2
    if chance("leak", event.event_id, event.attempt_no) < slowness:
        world.spend(_LIMIT_S * 1_000)
        _give_up(event.payload["rows"], event.payload["run"])
    world.spend(200 + event.payload["rows"] / 40)


def _give_up(rows: int, run: int) -> NoReturn:
    raise TimeoutError(f"rendering {rows} rows of run {run} exceeded {_LIMIT_S} s")


SCENARIO = Scenario("slow leak", "report.render", 0.06, "scheduler", payload)
