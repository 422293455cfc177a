"""Plays the planned days in simulated time: records events, runs handlers, retries, lets a worker die."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from failaware import Inspector, Store, UsageError, Worker

from .handlers import handlers
from .plan import LEAST_EVENTS, plan
from .scenarios import Planned, lost_worker
from .world import DAY, SECOND, world

_DAYS = 5
_STEP = 60 * SECOND  # events and retries wait for the next full minute, and many share a run
_QUIET = 90 * SECOND  # the last events are recorded but not attempted


@dataclass(frozen=True, slots=True)
class SeedReport:
    """Counts of the filled store."""

    events: int
    attempts: int
    failures: int


def seed(
    path: str | Path,
    *,
    events: int = 2_000,
    seed: int = 7,
    now: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SeedReport:
    """Fill an empty store with five days that end now.

    Args:
        path: the store; created if it does not exist.
        events: how many, at least 100.
        seed: of the random numbers; each seed gives another history.
        now: the end of the five days (µs since the epoch).
        progress: called with the number of recorded events and the total.

    Raises:
        UsageError: the store holds events already, or `events` is too small.
    """
    if events < LEAST_EVENTS:
        raise UsageError(f"events must be at least {LEAST_EVENTS}, not {events}")
    ends = time.time_ns() // 1_000 if now is None else now
    began = ends - _DAYS * DAY
    with Store.open(path, synchronous="NORMAL", clock=world.now) as store, Inspector.open(path, clock=world.now) as eye:
        if eye.health().total_events:
            raise UsageError("the store already has events; seed a new one, such as --db sample.db")
        world.simulate(began, ends)
        try:
            _play(
                store,
                eye,
                str(path),
                plan(events, seed, began, ends),
                progress=progress or (lambda _done, _total: None),
            )
        finally:
            world.go_live()  # also after an error: all handlers of this process share the world
        clusters = eye.clusters(limit=10_000)
        return SeedReport(
            events=eye.health().total_events,
            attempts=sum(cluster.failures for cluster in clusters) + eye.health().synced,
            failures=sum(cluster.failures for cluster in clusters),
        )


def _play(
    store: Store, eye: Inspector, path: str, planned: list[Planned], *, progress: Callable[[int, int], None]
) -> None:
    ends = world.ends
    worker = Worker(store, handlers, batch=200)
    done = 0
    while True:
        moment = _next_moment(eye, planned[done] if done < len(planned) else None)
        if moment is None or moment > ends:
            break
        world.at(moment)
        batch = []
        while done < len(planned) and planned[done].at <= moment:
            batch.append(planned[done])
            done += 1
        _record(store, batch)
        progress(done, len(planned))
        if moment > ends - _QUIET:
            continue
        if _deadly_is_due(eye):
            _let_a_worker_die(path, world.now())
        worker.run(until_idle=True, patience=0, handle_signals=False)  # a signal ends seeding, not one run
    world.at(ends)
    _record(store, planned[done:])
    progress(len(planned), len(planned))


def _next_moment(eye: Inspector, planned: Planned | None) -> int | None:
    """Return the next full step at which an event is detected or due."""
    due = eye.health().next_due
    times = [planned.at] if planned else []
    if due is not None:
        times.append(max(due.value, world.now() + 1))
    return -(-min(times) // _STEP) * _STEP if times else None


def _record(store: Store, batch: list[Planned]) -> None:
    store.record_many(
        {
            "type": event.event_type,
            "payload": event.payload,
            "key": event.key,
            "source": event.source,
            "occurred_at": event.at / SECOND,
        }
        for event in batch
    )


def _deadly_is_due(eye: Inspector) -> bool:
    events = eye.events(f"type:{lost_worker.SCENARIO.event_type} status:PENDING,FAILED")
    due = [event for event in events if event.due_at is not None and event.due_at <= world.now()]
    return any(f'"{lost_worker.DEADLY}"' in eye.event(event.event_id).event_payload for event in due)


def _let_a_worker_die(path: str, now: int) -> None:
    """Start a process that attempts the due events of the type one by one until the deadly one ends it."""
    program = (
        "import os, sys; from sample_data.scenarios import lost_worker as w; "
        "w.die_of_it(os.environ['FAILAWARE_DB'], int(sys.argv[1]))"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}  # the same modules
    env["FAILAWARE_DB"] = path  # a URL may hold a password, and any user can read arguments
    command = [sys.executable, "-P", "-c", program, str(now)]
    done = subprocess.run(command, env=env, check=False, timeout=60)  # noqa: S603 - our own program
    # 0: the lease of the previous worker had just expired; this one recorded that, and nothing else was due
    assert done.returncode in {0, lost_worker.KILLED}, f"the deadly worker did not run: exit status {done.returncode}"
