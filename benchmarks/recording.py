"""Goals 1, 2 and 4: recording, from one thread, many threads, many processes, and from a file."""

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
from benchmarks.workloads import alternate, bulk, one_by_one, processes, threads
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


def one_thread(rounds, note):
    """One event after the other."""
    full = {name: one_by_one(SYSTEMS[name], "FULL", 3_000) for name in ("minimum", "failaware", "huey")}
    normal = {name: one_by_one(SYSTEMS[name], "NORMAL", 8_000) for name in ("minimum", "failaware")}
    full, normal = alternate(full, rounds), alternate(normal, rounds)
    note("record FULL", full)
    note("record NORMAL", normal)
    yield Line(1, "record, FULL, beside the minimum", full["failaware"] / full["minimum"], 0.9)
    yield Line(1, "record, FULL, beside huey", full["failaware"] / full["huey"], 1.0)
    yield Line(1, "record, NORMAL, beside the minimum", normal["failaware"] / normal["minimum"], 0.75)


def many_threads(rounds, note):
    """Sixteen threads of one process, every record on the disk when it returns."""
    ratios, slowest = [], []
    for _ in range(rounds):
        alone, _p99 = threads(SYSTEMS["failaware"], "FULL", 2_000, 1)
        together, p99 = threads(SYSTEMS["failaware"], "FULL", 8_000, 16)
        ratios.append(together / alone)
        slowest.append(p99)
        note("threads FULL", {"1": alone, "16": together})
    yield Line(1, "record, FULL, 16 threads beside one", statistics.median(ratios), 2.5)
    yield Line(1, "record, FULL, 16 threads, p99", statistics.median(slowest), 5.0, "ms", most=True)


def in_bulk(rounds, note, lines):
    """In bulk, and from a file of `lines` lines."""
    rates = alternate({name: bulk(SYSTEMS[name], 50_000) for name in ("minimum", "failaware", "litequeue")}, rounds)
    note("bulk", rates)
    yield Line(2, "bulk, beside the minimum", rates["failaware"] / rates["minimum"], 0.7)
    yield Line(2, "bulk, beside litequeue", rates["failaware"] / rates["litequeue"], 1.4)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "events.jsonl"
        with file.open("w", encoding="utf-8") as out:
            for payload in payloads(lines):
                out.write(json.dumps({"type": EVENT_TYPE, "payload": payload}) + "\n")
        command = [sys.executable, "-c", _INGEST, str(Path(folder) / "b.db"), str(file)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-2:]
    rate, megabytes = lines / float(told[0]), float(told[1])
    note("ingest", {"lines": rate})
    yield Line(2, f"ingest of {lines:,} lines, beside bulk", rate / rates["failaware"], 0.5)
    yield Line(2, "ingest, memory", megabytes, 80, "MB", most=True)


def many_processes(rounds, note):
    """Four producers on one file."""
    for synchronous, count, bound in (("FULL", 1_500, 0.85), ("NORMAL", 4_000, 0.65)):
        rates, slowest = {"minimum": [], "failaware": []}, []
        for _ in range(rounds):
            for name, found in rates.items():
                with tempfile.TemporaryDirectory() as folder:
                    SYSTEMS[name](Path(folder), synchronous).close()
                    rate, p99 = processes(name, synchronous, count, 4, Path(folder))
                    found.append(rate)
                    if name == "failaware":
                        slowest.append(p99)
                        with Inspector.open(Path(folder) / "failaware.db") as inspector:
                            assert inspector.health().total_events == 4 * count, "an event was lost"
        medians = {name: statistics.median(found) for name, found in rates.items()}
        note(f"4 processes {synchronous}", medians)
        yield Line(
            4, f"4 processes, {synchronous}, beside the minimum", medians["failaware"] / medians["minimum"], bound
        )
        yield Line(4, f"4 processes, {synchronous}, p99", statistics.median(slowest), 8.0, "ms", most=True)


def writers_and_readers(note, seconds=4.0):
    """Eight writing threads with a store each and four readers: nobody hears of a busy file, the log stays small."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "b.db"
        Store.open(path).close()
        refused, done, until, largest = [], [0, 0], time.monotonic() + seconds, 0

        def keep(number, open_, act):
            try:
                with open_(path) as handle:
                    while time.monotonic() < until:
                        act(handle)
                        done[number] += 1
            except Exception as error:  # noqa: BLE001 - whatever it is, it reached someone
                refused.append(error)

        def write(store):
            store.record(EVENT_TYPE, {"n": 1})

        def read(inspector):
            inspector.health()
            time.sleep(0.01)

        hands = [threading.Thread(target=keep, args=(0, Store.open, write)) for _ in range(8)]
        hands += [threading.Thread(target=keep, args=(1, Inspector.open, read)) for _ in range(4)]
        for hand in hands:
            hand.start()
        while any(hand.is_alive() for hand in hands):
            time.sleep(0.05)
            largest = max(largest, os.path.getsize(f"{path}-wal") if os.path.exists(f"{path}-wal") else 0)
        note("8 writers, 4 readers", {"writes": done[0] / seconds, "reads": done[1] / seconds})
    yield Line(4, "8 writers and 4 readers, refused", len(refused), 0, "errors", most=True)
    yield Line(4, "8 writers and 4 readers, write-ahead log", largest / 1e6, 64, "MB", most=True)


def lines(rounds, note, ingested):
    """All of them."""
    yield from one_thread(rounds, note)
    yield from many_threads(rounds, note)
    yield from in_bulk(rounds, note, ingested)
    yield from many_processes(rounds, note)
    yield from writers_and_readers(note)
