"""Keeps a store alive in real time: events come in, handlers meet them, a two-minute day brings its outage."""

import threading
from pathlib import Path
from random import Random

from failaware import Store, Worker

from .handlers import registry
from .plan import one
from .world import world

_HURRY = 30  # a day passes in two minutes: waits are shorter too, so that things are seen to heal
_FIRST = 100_000  # numbers beyond those that the scenarios make special


def live(path: str | Path, *, stop: threading.Event, seed: int = 7, rate: float = 3.0) -> None:
    """Record about `rate` events a second, and apply them, until `stop` is set."""
    world.go_live()
    rng = Random(seed)  # noqa: S311 - sample data
    with Store.open(path, synchronous="NORMAL") as store:
        worker = Worker(store, registry(hurry=_HURRY), concurrency=4)
        works = threading.Thread(target=worker.run, daemon=True)
        works.start()
        number = _FIRST
        try:
            while not stop.wait(rng.expovariate(rate)):
                number += 1
                event = one(rng, number, world.now())
                store.record(event.event_type, event.payload, key=event.key, source=event.source)
        finally:  # Ctrl-C ends it too, and the store must outlast its worker
            worker.stop()
            works.join(timeout=5)
