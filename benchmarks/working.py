"""Goal 3: how quickly an idle worker starts, and what it costs."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.table import Line
from benchmarks.workloads import percentile
from failaware import Store

_WORKER = """
import sys
from failaware import Handlers, Store, Worker
handlers = Handlers()
handlers.on("*")(lambda event: None)
Worker(Store.open(sys.argv[1]), handlers).run()
"""


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


def lines(note):
    """Yield every line of this module."""
    yield from waking(note)
