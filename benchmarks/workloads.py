"""The timed workloads, one function each. Rates are per second; times are in the named unit."""

import statistics
import tempfile
import threading
import time
from pathlib import Path

from benchmarks.work import Failing, payloads, succeed


def alternate(cases, rounds):
    """Return the median result of each case over alternating rounds; each run gets an empty folder."""
    results = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            with tempfile.TemporaryDirectory() as folder:
                results[name].append(case(Path(folder)))
    return {name: statistics.median(values) for name, values in results.items()}


def timed(action, *arguments):
    """Return how long a call takes, in seconds."""
    began = time.perf_counter()
    action(*arguments)
    return time.perf_counter() - began


def one_by_one(system, synchronous, count):
    """Events recorded one by one."""

    def run(folder):
        opened, given = system(folder, synchronous), list(payloads(count))

        def record():
            for payload in given:
                opened.record(payload)

        took = timed(record)
        opened.close()
        return count / took

    return run


def bulk(system, count):
    """Events recorded in bulk, with synchronous NORMAL."""

    def run(folder):
        opened, given = system(folder, "NORMAL"), list(payloads(count))
        took = timed(opened.record_many, given)
        opened.close()
        return count / took

    return run


def process(system, synchronous, count, *, failing=False):
    """Events processed to the end; every event must succeed exactly once."""

    def run(folder):
        opened = system(folder, synchronous)
        opened.record_many(list(payloads(count)))
        handler = Failing() if failing else succeed
        took = timed(opened.work, handler)
        opened.close()
        if failing:
            assert handler.attempts.total() - handler.failures == count, "an event was lost, or applied twice"
        return count / took

    return run


def threads(system, synchronous, count, workers):
    """Events recorded by several threads of one process: (rate, 99th percentile in ms)."""
    with tempfile.TemporaryDirectory() as folder:
        opened, latencies = system(Path(folder), synchronous), []

        def record(first):
            latencies.extend(timed(opened.record, payload) for payload in payloads(count // workers, first))

        writers = [threading.Thread(target=record, args=(n * count,)) for n in range(workers)]
        began = time.perf_counter()
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        took = time.perf_counter() - began
        opened.close()
        return len(latencies) / took, percentile(latencies, 0.99) * 1_000


def percentile(values, share):
    """Return the value that this share of the values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]
