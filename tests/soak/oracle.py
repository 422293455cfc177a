"""Random histories, of which the product and the second implementation in tests/oracle must say the same."""

import tempfile
import time
from collections import Counter

from tests.oracle.history import store_in
from tests.servers import a_server
from tests.test_oracle import compare_history

MOST = 2_000
ON_POSTGRES = 5  # of so many, one


def run(seconds, rng):
    """Compare histories for so long; returns how many."""
    until, counts = time.monotonic() + seconds, Counter()
    with a_server() as server:
        while time.monotonic() < until and counts["histories"] < MOST:
            options = {"seed": rng.randrange(10**9), "steps": rng.randint(1, 40), "commands": rng.random() < 0.1}
            if counts["histories"] % ON_POSTGRES:
                with tempfile.TemporaryDirectory() as folder:
                    compare_history(store_in(folder), archiving=rng.random() < 0.2, **options)
            else:
                compare_history(server.url("oracle"), archiving=False, **options)
                server.drop("oracle")
                counts["on PostgreSQL"] += 1
            counts["histories"] += 1
    return counts
