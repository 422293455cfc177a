"""Disks that fail: the caller gets one clear error, nothing is half-written, and it goes on afterwards."""

import random
import re
import tempfile
import time
from collections import Counter
from pathlib import Path

from failaware import Store
from failaware.errors import StoreError
from tests.conftest import Clock
from tests.disk import FAILURES, faulty_disk
from tests.remembering import Busy, Memory, facts, lost, must_hold

_ONE_SENTENCE = re.compile(r"[^\n]{20,400}")


def try_life(path, rng: random.Random, *, synchronous, steps):
    """A store lives on a disk that fails now and then; counts faults, errors raised, facts acknowledged and lost."""
    memory, clock, counts = Memory(), Clock(), Counter({"faults": 0, "errors raised": 0, "facts lost": 0})
    acknowledged = {}
    with faulty_disk() as disk:
        busy = Busy(path, clock, rng, synchronous=synchronous)
        busy.step()
        for _ in range(steps):
            what = rng.choice([*FAILURES])
            times = rng.choice((1, 1, 3, 1_000))
            only = rng.choice(("", "", "-wal", ".db"))
            message = None
            try:
                with disk.failing(what, nth=rng.randint(1, 12), times=times, only=only):
                    busy.step()
            except StoreError as error:
                counts["errors raised"] += 1
                message = str(error)
            assert message is None or _ONE_SENTENCE.fullmatch(message), message
            if busy.store is not None:
                acknowledged = memory.see(busy.store)  # the disk works again: it must be readable at once
        counts["faults"] = disk.failed
        busy.reopen()
    with Store.open(path, clock=clock) as store:
        store.record("after")
        memory.see(store)
        stored = facts(store)
    gone = lost(acknowledged, stored)
    assert not gone, gone[:5]
    assert not memory.foreign(stored), memory.foreign(stored)[:3]
    must_hold(path)
    counts["facts acknowledged"] = sum(map(len, stored.values()))
    return counts


def run(seconds, rng):
    """Life after life."""
    total, end = Counter(), time.monotonic() + seconds
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory() as folder:
            how = rng.choice(("FULL", "NORMAL"))
            total += try_life(Path(folder) / "store.db", rng, synchronous=how, steps=rng.randint(10, 80))
    return total
