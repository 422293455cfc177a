"""Adds events to a store in real time and runs their handlers; a day with its outage takes two minutes."""

import threading
from pathlib import Path
from random import Random

from failaware import Store, Worker

from .handlers import registry
from .plan import one
from .world import world

_HURRY = 30  # a day takes two minutes; shorter retry delays make recoveries visible
_FIRST = 100_000  # above the numbers that scenarios treat specially


def live(path: str | Path, *, stop: threading.Event, seed: int = 7, rate: float = 3.0) -> None:
    """Record and process about `rate` events per second until `stop` is set."""
    world.go_live()
    rng = Random(seed)  # noqa: S311 - sample data
    with Store.open(path, synchronous="NORMAL") as store:
        worker = Worker(store, registry(hurry=_HURRY), concurrency=4)
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        number = _FIRST
        try:
            while not stop.wait(rng.expovariate(rate)):
                number += 1
                event = one(rng, number, world.now())
                store.record(event.event_type, event.payload, key=event.key, source=event.source)
        finally:  # also after Ctrl-C: the worker must end before the store is closed
            worker.stop()
            thread.join(timeout=5)
