"""Plans when each event is detected: every scenario has a share, spread over the days."""

from dataclasses import replace
from random import Random

from .scenarios import (
    Planned,
    Scenario,
    flapping,
    healthy,
    lost_worker,
    outage,
    poison,
    rate_limit,
    schema_change,
    slow_leak,
)
from .world import SECOND

SCENARIOS = (
    outage.SCENARIO,
    poison.SCENARIO,
    flapping.SCENARIO,
    rate_limit.SCENARIO,
    schema_change.SCENARIO,
    slow_leak.SCENARIO,
    lost_worker.SCENARIO,
    *healthy.SCENARIOS,
)
"""All scenarios; their shares add up to 1."""

LEAST_EVENTS = 100
"""With fewer events the shares would be meaningless."""

_WAITING, _JUST_NOW = 3, 20 * SECOND  # the last few are too late to be attempted
_LEAST = 4  # events of each scenario, at least


def plan(events: int, seed: int, began: int, ends: int) -> list[Planned]:
    """Return all events, in order of time; the last ones without a fixed time are too late to be attempted."""
    rng = Random(seed)  # noqa: S311 - sample data, and the same every time
    counts = [max(_LEAST, round(events * scenario.share)) for scenario in SCENARIOS]
    counts[-1] += events - sum(counts)
    anytime: list[Planned] = []
    certain: list[Planned] = []
    for scenario, count in zip(SCENARIOS, counts, strict=True):
        moments = scenario.certain(began, ends)
        for number in range(1, count + 1):
            event = _planned(scenario, rng, number, rng.randrange(began, ends))
            if number in moments:
                certain.append(replace(event, at=moments[number]))
            else:
                anytime.append(event)
    anytime.sort(key=_at)
    just_now = [replace(event, at=ends - _JUST_NOW) for event in anytime[-_WAITING:]]
    return sorted(anytime[:-_WAITING] + just_now + certain, key=_at)


def one(rng: Random, number: int, at: int) -> Planned:
    """Return one live event of a random scenario; its key differs from seeded keys and those of other runs."""
    scenario = rng.choices(SCENARIOS, [scenario.share for scenario in SCENARIOS])[0]
    return replace(_planned(scenario, rng, number, at), key=f"{scenario.event_type}:live:{at}")


def _at(event: Planned) -> int:
    return event.at


def _planned(scenario: Scenario, rng: Random, number: int, at: int) -> Planned:
    payload = scenario.payload(rng, number)
    return Planned(at, scenario.event_type, payload, f"{scenario.event_type}:{number}", scenario.source)
