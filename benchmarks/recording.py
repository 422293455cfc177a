"""Goals 1, 2 and 4: recording from many threads and a file, and next to readers."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.systems import SYSTEMS
from benchmarks.table import Line
from benchmarks.work import EVENT_TYPE, payloads
from benchmarks.workloads import alternate, bulk, threads
from failaware import Inspector, Store

_INGEST = """
import sys, time
from failaware.cli.main import main
began = time.perf_counter()
assert main(["--db", sys.argv[1], "ingest", "--synchronous", "NORMAL", sys.argv[2]]) == 0
took = time.perf_counter() - began
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(took, int(peak.split()[1]) / 1024)
"""


def many_threads(rounds, note):
    """Yield the rate of sixteen threads of one process, with synchronous FULL."""
    ratios, slowest = [], []
    for _ in range(rounds):
        alone, _p99 = threads(SYSTEMS["failaware"], "FULL", 2_000, 1)
        together, p99 = threads(SYSTEMS["failaware"], "FULL", 8_000, 16)
        ratios.append(together / alone)
        slowest.append(p99)
        note("threads FULL", {"1": alone, "16": together})
    yield Line(1, "record, FULL, 16 threads vs. one", statistics.median(ratios), 2.5)
    yield Line(1, "record, FULL, 16 threads, p99", statistics.median(slowest), 5.0, "ms", most=True)


def from_a_file(rounds, note, lines):
    """Yield the rate of ingesting a file of `lines` lines, compared with recording in bulk."""
    rates = alternate({"failaware": bulk(SYSTEMS["failaware"], 50_000)}, rounds)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "events.jsonl"
        with file.open("w", encoding="utf-8") as out:
            for payload in payloads(lines):
                out.write(json.dumps({"type": EVENT_TYPE, "payload": payload}) + "\n")
        command = [sys.executable, "-c", _INGEST, str(Path(folder) / "b.db"), str(file)]
        seconds, megabytes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-2:]
    rate = lines / float(seconds)
    note("ingest", {"lines": rate})
    yield Line(2, f"ingest of {lines:,} lines vs. bulk", rate / rates["failaware"], 0.5)
    yield Line(2, "ingest, memory", float(megabytes), 80, "MB", most=True)


def writers_and_readers(note, seconds=4.0):
    """Yield the errors and the log size of eight writing threads, each with its own store, and four readers."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "b.db"
        Store.open(path).close()
        refused, done, until, largest = [], [0, 0], time.monotonic() + seconds, 0

        def repeat(number, open_, act):
            try:
                with open_(path) as handle:
                    while time.monotonic() < until:
                        act(handle)
                        done[number] += 1
            except Exception as error:  # noqa: BLE001 - any error counts
                refused.append(error)

        def write(store):
            store.record(EVENT_TYPE, {"n": 1})

        def read(inspector):
            inspector.health()
            time.sleep(0.01)

        threads_ = [threading.Thread(target=repeat, args=(0, Store.open, write)) for _ in range(8)]
        threads_ += [threading.Thread(target=repeat, args=(1, Inspector.open, read)) for _ in range(4)]
        for thread in threads_:
            thread.start()
        while any(thread.is_alive() for thread in threads_):
            time.sleep(0.05)
            largest = max(largest, os.path.getsize(f"{path}-wal") if os.path.exists(f"{path}-wal") else 0)
        note("8 writers, 4 readers", {"writes": done[0] / seconds, "reads": done[1] / seconds})
    yield Line(4, "8 writers and 4 readers, errors", len(refused), 0, "errors", most=True)
    yield Line(4, "8 writers and 4 readers, write-ahead log", largest / 1e6, 64, "MB", most=True)


def lines(rounds, note, ingested):
    """Yield every line of this module."""
    yield from many_threads(rounds, note)
    yield from from_a_file(rounds, note, ingested)
    yield from writers_and_readers(note)
