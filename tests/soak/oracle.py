"""Random histories, of which the product and the second implementation in tests/oracle must say the same."""

import random
import tempfile
import time
from collections import Counter

from failaware import Inspector
from tests.oracle.compare import compare_all
from tests.oracle.history import History, store_in

MOST = 2_000


def run(seconds, rng):
    """Compare histories for so long; returns how many."""
    until, counts = time.monotonic() + seconds, Counter()
    while time.monotonic() < until and counts["histories"] < MOST:
        number = rng.randrange(10**9)
        with tempfile.TemporaryDirectory() as folder:
            history = History(store_in(folder), random.Random(number))
            names = history.live(rng.randint(1, 60), archiving=rng.random() < 0.2)
            with history.store, Inspector.open(history.path, clock=history.clock) as inspector:
                try:
                    compare_all(history, inspector, rng)
                except AssertionError as error:
                    error.add_note(f"history {number}: {names}")
                    raise
        counts["histories"] += 1
    return counts
