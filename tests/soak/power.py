"""Power cuts: with any subset of the unflushed writes, what FULL has acknowledged is there when it is back."""

import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from failaware import Store
from tests.conftest import Clock
from tests.disk import ALL_GOT_THROUGH, NOTHING_GOT_THROUGH, PowerCut, by_chance, faulty_disk, lay_out
from tests.remembering import Busy, Memory, facts, lost, must_hold

ACKNOWLEDGED = "acknowledged"


def used(path, rng, *, synchronous, steps):
    """What a store did to the disk while it lived, with its acknowledgements in between, and what it remembers."""
    memory, clock = Memory(), Clock()
    with faulty_disk() as disk:
        disk.noting = True
        busy = Busy(path, clock, rng, synchronous=synchronous)
        for _ in range(steps):
            busy.step()
            if busy.store is not None:
                disk.note(ACKNOWLEDGED, memory.see(busy.store))
        busy.reopen()
    with Store.open(path, clock=clock) as store:
        memory.see(store)  # also the seals that closing has added
    return disk.log, memory


def cuts(log, points):
    """At each of these points of a log: what was acknowledged by then, and the power cut there."""
    power, acknowledged = PowerCut(), {}
    for number, (what, *values) in enumerate(log):
        if number in points:
            yield acknowledged, power
        if what == ACKNOWLEDGED:
            (acknowledged,) = values
        else:
            power.play(what, *values)


def after(power, luck, folder):
    """The facts of the store that is found when the power is back; it must verify, and go on."""
    lay_out(power.left(luck), folder)
    path = Path(folder) / "store.db"
    with Store.open(path) as store:
        stored = facts(store)
        store.record("after")
        must_hold(path)
    return stored


def try_life(folder, rng, *, synchronous, steps, every):
    """Cut the power of one life at every so manieth operation; counts cuts, and facts acknowledged and lost."""
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    log, memory = used(folder / "store.db", rng, synchronous=synchronous, steps=steps)
    points = set(range(rng.randrange(every), len(log), every))
    counts = Counter({"power cuts": 0, "facts acknowledged": 0, "facts lost": 0, "lost, as NORMAL may": 0})
    for acknowledged, power in cuts(log, points):
        luck = rng.choice((NOTHING_GOT_THROUGH, ALL_GOT_THROUGH, by_chance(rng), by_chance(rng)))
        stored = after(power, luck, folder / "cut")
        shutil.rmtree(folder / "cut")
        assert not memory.foreign(stored), memory.foreign(stored)[:3]
        assert all(set(rows) == set(range(1, len(rows) + 1)) for table, rows in stored.items() if table != "event_key")
        gone = lost(acknowledged, stored)
        assert not gone or synchronous == "NORMAL", gone[:5]
        counts["power cuts"] += 1
        counts["facts acknowledged"] += sum(map(len, acknowledged.values()))
        counts["lost, as NORMAL may" if synchronous == "NORMAL" else "facts lost"] += len(gone)
    return counts


def run(seconds, rng):
    """Lives with FULL and, every fourth, with NORMAL."""
    total, life, end = Counter(), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        life += 1
        with tempfile.TemporaryDirectory() as folder:
            how = "NORMAL" if life % 4 == 0 else "FULL"
            total += try_life(folder, rng, synchronous=how, steps=rng.randint(5, 60), every=rng.randint(5, 60))
    return total
