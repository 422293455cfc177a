"""A disk that fails now and then: a clear error, nothing half-written, and on it goes once the cause is gone."""

import tempfile
import time
from collections import Counter
from pathlib import Path

from failaware import StoreError
from tests.conftest import Clock
from tests.disk import FAILURES, faulty_disk
from tests.remembering import Busy, Memory, facts, lost, must_hold

FOR_EVER = 10**9
EVERY = 5  # steps between two proofs


def try_life(folder, rng, *, steps, whats=tuple(FAILURES)):
    """A store's life in which every other step meets a failing disk; counts faults, and facts acknowledged and lost."""
    path, memory, counts = Path(folder) / "store.db", Memory(), Counter({"lost": 0})
    with faulty_disk() as disk:
        busy = Busy(path, Clock(), rng, synchronous=rng.choice(("FULL", "NORMAL")))
        for number in range(steps):
            busy.step()
            before = None if busy.store is None else facts(busy.store)
            with disk.failing(rng.choice(whats), nth=rng.choice((1, 1, 2, 5, 30)), times=rng.choice((1, 3, FOR_EVER))):
                if rng.random() < 1 / 4:
                    busy.reopen()  # much can only go wrong then
                told = _told(busy)
            counts["told"] += told
            if busy.store is None:
                continue
            memory.see(busy.store)
            now = facts(busy.store)
            if told and before is not None and busy.last in busy.of_one_commit:
                before["seal_log"] = now["seal_log"]  # closing it may have added one
                assert now == before, f"{busy.last} has failed, and yet written"
            counts["lost"] += len(lost(memory.acknowledged, now))
            if number % EVERY == 0:
                must_hold(path)
        busy.reopen()
        counts["faults"] += disk.failed
    counts["acknowledged"] += must_hold(path)
    assert not counts["lost"]
    return counts


def _told(busy):
    """Whether the step said that it has failed; anything but one of our errors goes through."""
    try:
        busy.step()
    except StoreError as error:
        said = str(error)
    else:
        return False
    assert str(busy.path) in said, said
    return True


def run(seconds, rng):
    """One life after the other."""
    total, end = Counter(), time.monotonic() + seconds
    while time.monotonic() < end:
        with tempfile.TemporaryDirectory() as folder:
            total += try_life(folder, rng, steps=60)
    return dict(total)
