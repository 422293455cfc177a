"""Keeps a store alive in real time: events come in, handlers meet them, a two-minute day brings its outage."""

import threading
from pathlib import Path
from random import Random

from failaware import Store, Worker

from .handlers import handlers
from .plan import one
from .world import world


def live(path: str | Path, *, stop: threading.Event, seed: int = 7, rate: float = 3.0) -> None:
    """Record about `rate` events a second, and apply them, until `stop` is set."""
    world.go_live()
    rng = Random(seed)  # noqa: S311 - sample data
    with Store.open(path, synchronous="NORMAL") as store:
        worker = Worker(store, handlers, concurrency=4)
        works = threading.Thread(target=worker.run, daemon=True)
        works.start()
        number = world.now() // 1_000_000
        while not stop.wait(rng.expovariate(rate)):
            number += 1
            event = one(rng, number, world.now())
            store.record(event.event_type, event.payload, key=event.key, source=event.source)
        worker.stop()
        works.join(timeout=5)
