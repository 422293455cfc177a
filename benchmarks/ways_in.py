"""Measures integrations: a successful `attempt` block, a logged error, and a file of lines by its length.

python -m benchmarks.ways_in [LINES]
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from failaware import Store
from failaware.integrations.logging import FailureHandler

ROUNDS = 2_000


def lines(path, count):
    """Write a file of lines with keys, every fiftieth with a failure."""
    with path.open("w") as file:
        for n in range(count):
            line = {"type": f"order.import{n % 7}", "payload": {"order": n, "items": [1, 2, 3], "name": "Jane Roe"}}
            line |= {"key": f"order:{n}", "source": "web", "occurred_at": "2026-11-20T10:00:00Z"}
            if n % 50 == 0:
                line["error"] = {"type": "Timeout", "message": f"took {n % 9} s"}
            file.write(json.dumps(line) + "\n")


def ingest(folder, count):
    """Return lines per second and peak memory in MB, for a first and a second reading."""
    file = folder / f"{count}.jsonl"
    lines(file, count)
    figures = []
    for _ in range(2):
        command = [sys.executable, "-m", "failaware", "--db", str(folder / f"{count}.db"), "ingest", str(file)]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, _, usage = os.wait4(process.pid, 0)
        figures.append((count / (time.perf_counter() - began), usage.ru_maxrss / 1_024))
    return figures


def succeed(store):
    """Return the microseconds of a successful block."""
    began = time.perf_counter()
    for n in range(ROUNDS):
        with store.attempt("billing.sync", {"n": n}):
            pass
    return (time.perf_counter() - began) / ROUNDS * 1e6


def log(store):
    """Return the microseconds of a logged error in the calling thread."""
    handler, logger = FailureHandler(store, capacity=ROUNDS), logging.getLogger("benchmarks")
    logger.addHandler(handler)
    logger.propagate = False
    began = time.perf_counter()
    for n in range(ROUNDS):
        logger.error("no stock of %s", n)
    took = (time.perf_counter() - began) / ROUNDS * 1e6
    handler.close()
    return took


def main():
    most = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for synchronous in ("FULL", "NORMAL"):
            with Store.open(folder / f"{synchronous}.db", synchronous=synchronous) as store:
                print(f"a successful block, {synchronous:<6}    {succeed(store):>9.0f} µs")
        with Store.open(folder / "log.db", synchronous="NORMAL") as store:
            print(f"a logged error               {log(store):>9.0f} µs")
        for count in (most // 10, most):
            (rate, size), (again, size_again) = ingest(folder, count)
            print(f"{count:>9,} lines: {rate:>7,.0f}/s, {size:.0f} MB; again: {again:>7,.0f}/s, {size_again:.0f} MB")


if __name__ == "__main__":
    main()
