"""Scenarios of failure: each module makes the events of one problem and has their handler."""

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
    """One problem: its name, its share of all events, and the function for the payload of its n-th event.

    `certain` returns, for a history between two times (µs), fixed detection times of some event numbers: those that
    show the problem even if there are few events.
    """

    name: str
    event_type: str
    share: float
    source: str
    payload: Callable[[Random, int], dict[str, Any]]
    certain: Callable[[int, int], dict[int, int]] = lambda _began, _ends: {}


def person(rng: Random) -> str:
    """Return a made-up e-mail address."""
    names = ("ada", "grace", "linus", "barbara", "edsger", "margaret", "ken", "frances", "donald", "radia")
    return f"{rng.choice(names)}.{rng.randint(10, 9999)}@example.com"
