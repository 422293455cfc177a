"""Records, processes and starts up, each beside the hand-written minimum, alternating; prints medians and ratios."""

import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from failaware import Handlers, Retry, Store, Worker

ROUNDS = 5


def plain(path, synchronous):
    """The least that plain sqlite3 must do: an event row and a state row with a due index."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {synchronous}")
    db.execute("CREATE TABLE event (id INTEGER PRIMARY KEY, type TEXT, payload TEXT, at INTEGER)")
    db.execute("CREATE TABLE state (id INTEGER PRIMARY KEY, status INTEGER, due INTEGER)")
    db.execute("CREATE INDEX due ON state (due, id) WHERE status < 2")
    return db


def plain_records(path, synchronous, count):
    db = plain(path, synchronous)
    began = time.perf_counter()
    for n in range(count):
        db.execute("BEGIN IMMEDIATE")
        row = db.execute("INSERT INTO event (type, payload, at) VALUES ('a', ?, ?)", ('{"n":1}', n)).lastrowid
        db.execute("INSERT INTO state VALUES (?, 0, ?)", (row, n))
        db.execute("COMMIT")
    return count / (time.perf_counter() - began)


def our_records(path, synchronous, count):
    with Store.open(path, synchronous=synchronous) as store:
        began = time.perf_counter()
        for n in range(count):
            store.record("a", {"n": n})
        return count / (time.perf_counter() - began)


def plain_bulk(path, count):
    db = plain(path, "NORMAL")
    began = time.perf_counter()
    for start in range(0, count, 1000):
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO event VALUES (?, 'a', '{\"n\":1}', 0)", [(start + n,) for n in range(1000)])
        db.executemany("INSERT INTO state VALUES (?, 0, 0)", [(start + n,) for n in range(1000)])
        db.execute("COMMIT")
    return count / (time.perf_counter() - began)


def our_bulk(path, count):
    with Store.open(path, synchronous="NORMAL") as store:
        began = time.perf_counter()
        store.record_many(("a", {"n": n}) for n in range(count))
        return count / (time.perf_counter() - began)


def our_worker(path, count, failing):
    handlers = Handlers()

    @handlers.on("a", retry=Retry(max_attempts=5, base=0))
    def handle(event):
        if failing and (event.event_id * 7 + event.attempt_no) % 10 < 3:
            raise ValueError(f"bad {event.event_id}")

    with Store.open(path, synchronous="NORMAL") as store:
        store.record_many(("a", {"n": n}) for n in range(count))
        began = time.perf_counter()
        Worker(store, handlers).run(until_idle=True)
        return count / (time.perf_counter() - began)


def start_up(*words):
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return 1000 * (time.perf_counter() - began)


def measure(cases):
    """Medians of rounds that alternate between the cases."""
    figures = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, case in cases.items():
            with tempfile.TemporaryDirectory() as folder:
                figures[name].append(case(Path(folder) / "b.db"))
    return {name: statistics.median(values) for name, values in figures.items()}


def main():
    """Print the table."""
    rates = measure(
        {
            "record FULL, plain": lambda path: plain_records(path, "FULL", 1000),
            "record FULL": lambda path: our_records(path, "FULL", 1000),
            "record NORMAL, plain": lambda path: plain_records(path, "NORMAL", 4000),
            "record NORMAL": lambda path: our_records(path, "NORMAL", 4000),
            "bulk, plain": lambda path: plain_bulk(path, 20_000),
            "bulk": lambda path: our_bulk(path, 20_000),
            "worker, all succeed": lambda path: our_worker(path, 5_000, failing=False),
            "worker, 30 % fail": lambda path: our_worker(path, 5_000, failing=True),
        }
    )
    for name, rate in rates.items():
        beside = rates.get(f"{name}, plain")
        print(f"{name:<24}{rate:>12,.0f} events/s" + (f"{rate / beside:>8.2f} x plain" if beside else ""))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "b.db")
        with Store.open(path) as store:
            store.record("a", 1)
        times = measure(
            {
                "bare Python": lambda _: start_up("-c", "pass"),
                "import sqlite3, rich": lambda _: start_up("-c", "import sqlite3, rich"),
                "import failaware": lambda _: start_up("-c", "import failaware"),
                "health": lambda _: start_up("-m", "failaware", "--db", path, "health"),
                "health --json": lambda _: start_up("-m", "failaware", "--db", path, "health", "--json"),
            }
        )
    for name, ms in times.items():
        print(f"{name:<24}{ms:>12.1f} ms{ms / times['bare Python']:>13.2f} x bare Python")


if __name__ == "__main__":
    main()
