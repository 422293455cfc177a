"""Many writers and readers of one store at once: nobody hears that it is locked, nobody is held up by a reader."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from failaware import Inspector, Store
from failaware.clock import now_us
from tests.remembering import must_hold
from tests.soak.kills import ROOT

WRITERS, READERS = 8, 4
LOG_BYTES = 64 * 1_048_576
"""The write-ahead log is no longer than this while a reader keeps letting go. One of 1,000 pages has 4 MB."""


def write(path, number, seconds):
    """Record for so long; returns how long each record() took, in seconds."""
    took, end = [], time.monotonic() + seconds
    with Store.open(path) as store:
        while (began := time.monotonic()) < end:
            store.record(f"job.{number}", {"n": len(took)}, key=f"{number}:{len(took)}")
            took.append(time.monotonic() - began)
    return took


def read(path, number, seconds):
    """Ask for so long, as an inspector does, or as of a moment, or within one long snapshot; returns how often."""
    asked, end = 0, time.monotonic() + seconds
    with Inspector.open(path) as inspector:
        while time.monotonic() < end:
            if number == 0:
                asked += _long_snapshot(inspector, min(1.0, seconds / 6))
                continue
            if number == 1:
                with inspector.as_of(now_us() - 500_000) as then:
                    then.health()
            else:
                inspector.health(), inspector.severity(), inspector.clusters(), inspector.events(limit=50)
            asked += 1
            time.sleep(0.02)
    return asked


def _long_snapshot(inspector, seconds):
    with inspector.db.snapshot():
        before = inspector.health()
        time.sleep(seconds)
        assert inspector.health() == before
    time.sleep(seconds / 2)
    return 1


def contend(path, seconds, *, readers=READERS):
    """All at once; returns the latencies of record() in seconds, how often was read, and the longest log in bytes."""
    Store.open(path).close()
    begun = [_start(path, "write", n, seconds) for n in range(WRITERS)]
    begun += [_start(path, "read", n, seconds) for n in range(readers)]
    log, longest = Path(f"{path}-wal"), 0
    while any(process.poll() is None for process in begun):
        longest = max(longest, log.stat().st_size if log.exists() else 0)
        time.sleep(0.05)
    said = []
    for process in begun:
        out, wrong = process.communicate()
        assert process.returncode == 0, wrong
        said.append(json.loads(out))
    return [took for each in said[:WRITERS] for took in each], sum(said[WRITERS:]), longest


def _start(path, what, number, seconds):
    command = [sys.executable, "-m", "tests.soak.contention", what, str(path), str(number), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


def p99_in_medians(took):
    """How many times the median the 99th percentile is."""
    return statistics.quantiles(took, n=100)[98] / statistics.median(took)


def run(seconds, rng):
    """A minute at a time."""
    counts = {"records": 0, "reads": 0, "p99 / median, the worst": 0.0, "MB of log, the longest": 0.0}
    counts |= {"acknowledged": 0, "lost": 0}
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 5 or not counts["records"]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "store.db"
            took, asked, log = contend(path, max(5, min(60, left)))
            counts["lost"] += len(took) - must_hold(path)
        assert log < LOG_BYTES, log
        assert p99_in_medians(took) < 20, p99_in_medians(took)
        counts["records"] += len(took)
        counts["acknowledged"] += len(took)
        counts["reads"] += asked
        _most(counts, "p99 / median, the worst", p99_in_medians(took))
        _most(counts, "MB of log, the longest", log / 1_000_000)
    return counts


def _most(counts, name, value):
    counts[name] = max(counts[name], round(value, 1))


if __name__ == "__main__":
    what, where, number, seconds = sys.argv[1:]
    print(json.dumps({"write": write, "read": read}[what](where, int(number), float(seconds))))
