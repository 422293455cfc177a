"""Goal 3: processing with handlers that succeed or fail, and how quickly an idle worker starts."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.systems import SYSTEMS, best_peer
from benchmarks.table import Line
from benchmarks.work import FAILS
from benchmarks.workloads import alternate, percentile, process
from failaware import Store

_WORKER = """
import sys
from failaware import Handlers, Store, Worker
handlers = Handlers()
handlers.on("*")(lambda event: None)
Worker(Store.open(sys.argv[1]), handlers).run()
"""
_QUICK, _SLOW = 10_000, 2_000  # events, for systems that process more or less than 10,000 a second


def throughput(rounds, note):
    """Yield the rates of processed events, compared with the minimum and the other queues."""
    rates = {}
    for failing in (False, True):
        for synchronous in ("NORMAL", "FULL"):
            cases = {
                name: process(
                    system,
                    synchronous,
                    _QUICK if name in ("minimum", "failaware") else _SLOW,
                    failing=failing,
                )
                for name, system in SYSTEMS.items()
            }
            rates[failing, synchronous] = alternate(cases, rounds)
            note(f"process {synchronous}{', failing' * failing}", rates[failing, synchronous])
    good, bad, good_full, bad_full = (
        rates[key] for key in ((False, "NORMAL"), (True, "NORMAL"), (False, "FULL"), (True, "FULL"))
    )
    yield Line(3, "process, NORMAL vs. minimum", good["failaware"] / good["minimum"], 0.8)
    yield Line(3, "process, NORMAL vs. best peer", good["failaware"] / best_peer(good), 1.0)
    yield Line(3, "process, FULL vs. minimum", good_full["failaware"] / good_full["minimum"], 0.6)
    yield Line(3, "process, FULL vs. huey", good_full["failaware"] / good_full["huey"], 8.0)
    yield Line(3, "process, 30 % failing, NORMAL vs. minimum", bad["failaware"] / bad["minimum"], 0.45)
    yield Line(3, "process, 30 % failing, NORMAL vs. best peer", bad["failaware"] / best_peer(bad), 1.0)
    yield Line(3, "process, 30 % failing, NORMAL vs. huey", bad["failaware"] / bad["huey"], 8.0)
    yield Line(3, "process, 30 % failing, FULL vs. huey", bad_full["failaware"] / bad_full["huey"], 14.0)
    yield Line(3, "extra cost of a failure", _cost_of_a_failure(good, bad), 60.0, "µs", most=True)


def _cost_of_a_failure(good, bad):
    """Return the extra cost of a failure in µs. An event costs one success and FAILS / (1 - FAILS) failures."""
    failures = FAILS / (1 - FAILS)
    return (1e6 / bad["failaware"] - 1e6 / good["failaware"]) / failures


def waking(note, events=60, idle_s=6.0):
    """Yield the latency and idle cost of a worker in its own process, given single events."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "b.db"
        with Store.open(path) as store:
            store.record("a", 0)
            worker = subprocess.Popen([sys.executable, "-c", _WORKER, str(path)])
            reader = sqlite3.connect(path, isolation_level=None)
            _wait_until_synced(reader, 1)
            time.sleep(0.5)
            before = _cpu_s(worker.pid)
            time.sleep(idle_s)
            idle = (_cpu_s(worker.pid) - before) / idle_s
            latencies = []
            for n in range(events):
                began = time.perf_counter()
                _wait_until_synced(reader, store.record("a", n).event_id)
                latencies.append((time.perf_counter() - began) * 1_000)
                time.sleep(0.1)
            reader.close()
            worker.send_signal(signal.SIGTERM)
            worker.wait()
    note("wake-up, ms", {"p50": percentile(latencies, 0.5), "p99": percentile(latencies, 0.99)})
    yield Line(3, "record to durable result, idle store, p50", percentile(latencies, 0.5), 10.0, "ms", most=True)
    yield Line(3, "record to durable result, idle store, p99", percentile(latencies, 0.99), 10.0, "ms", most=True)
    yield Line(3, "idle worker, share of a core", 100 * idle, 0.5, "%", most=True)


def _wait_until_synced(reader, event_id):
    state = "SELECT sync_status FROM event_state WHERE event_id = ?"
    while reader.execute(state, (event_id,)).fetchone()[0] != "SYNCED":
        time.sleep(0.0005)


def _cpu_s(pid):
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lines(rounds, note):
    """Yield every line of this module."""
    yield from throughput(rounds, note)
    yield from waking(note)
