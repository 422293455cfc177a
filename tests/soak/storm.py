"""An error storm: failures of which every message is another one. Memory stays flat, and the store stays usable."""

import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from failaware import Inspector, Store
from failaware.derive.grouping.groups import CLUSTERS_PER_TYPE
from failaware.ingest.lines import ingest_lines

LETTERS = "bcdfghjklmnpqrstvwxz"
QUESTION_S = 2.0


def word(number):
    """A word of letters only: no mask makes two of them equal."""
    letters = []
    while number or not letters:
        number, rest = divmod(number, len(LETTERS))
        letters.append(LETTERS[rest] + "a")
    return "".join(letters)


def lines(first, count):
    """Failures, each of a word of its own, with too few other words for a learned variable."""
    for number in range(first, first + count):
        yield b'{"type": "import", "error": {"type": "E", "message": "no %s"}}' % word(number).encode()


def storm(path, seconds=float("inf"), most=sys.maxsize, page=10_000):
    """Ingest so many of them, or for so long; returns counts, and by how many MiB it grew after a page."""
    until, done, first_peak = time.monotonic() + seconds, 0, 0
    with Store.open(path, synchronous="NORMAL") as store:
        while done < most and time.monotonic() < until:
            count = min(page, most - done)
            assert ingest_lines(store.session, lines(done, count), origin="storm").recorded == count
            done += count
            first_peak = first_peak or _peak_mib()
    with Inspector.open(path) as inspector:
        started = time.monotonic()
        clusters = inspector.clusters(limit=2 * CLUSTERS_PER_TYPE)
        assert inspector.health().dead == done
        assert len(inspector.events(limit=50)) == min(done, 50)
        assert time.monotonic() - started < QUESTION_S
        assert sum(cluster.failures for cluster in clusters) == done
        assert len(clusters) == min(done, CLUSTERS_PER_TYPE + 1)
        beyond = [cluster.failures for cluster in clusters if cluster.template.startswith("[overflow]")]
        assert beyond == [done - CLUSTERS_PER_TYPE] * (done > CLUSTERS_PER_TYPE)
    return Counter({"facts acknowledged": done, "clusters": len(clusters), "MiB grown": _peak_mib() - first_peak})


def _peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def run(seconds, rng):
    """Let it storm for so long; returns how many failures there were."""
    with tempfile.TemporaryDirectory() as folder:
        return storm(Path(folder) / "store.db", seconds)
