"""How a working system fails: each module makes the events of one trouble, and has the handler that meets it."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True, slots=True)
class Planned:
    """An event that will be detected at `at` (µs)."""

    at: int
    event_type: str
    payload: dict[str, Any]
    key: str | None
    source: str


@dataclass(frozen=True, slots=True)
class Scenario:
    """One trouble: its name, its part of all events, and what makes the payload of its n-th event.

    `certain` tells, of a history from the first to the second time (µs), when the events of some numbers are detected:
    those without which the trouble would only show by luck, where events are few.
    """

    name: str
    event_type: str
    share: float
    source: str
    payload: Callable[[Random, int], dict[str, Any]]
    certain: Callable[[int, int], dict[int, int]] = lambda _began, _ends: {}


def person(rng: Random) -> str:
    """An e-mail address of nobody."""
    names = ("ada", "grace", "linus", "barbara", "edsger", "margaret", "ken", "frances", "donald", "radia")
    return f"{rng.choice(names)}.{rng.randint(10, 9999)}@example.com"
