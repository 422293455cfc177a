"""Every workload compared with plain sqlite3 and the other queues, by 1, 4, 8 and 16 processes on one file: one table.

A row is met if failaware reaches its share of the minimum's rate, and no other queue is ahead of it that has applied
each event exactly once.
"""

import multiprocessing
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.systems import PEERS, SYSTEMS
from benchmarks.work import Failing, payloads
from benchmarks.workloads import percentile, timed

_fork = multiprocessing.get_context("fork")
PROCESSES = (1, 4, 8, 16)


class Workload(NamedTuple):
    """What all processes do together, and the share of the minimum's rate that failaware is to reach."""

    name: str
    action: str
    synchronous: str
    count: int
    alone: float
    together: float


WORKLOADS = (
    Workload("record, FULL", "record", "FULL", 1_000, 0.95, 1.5),
    Workload("record, NORMAL", "record", "NORMAL", 8_000, 1.2, 1.1),
    Workload("bulk", "record_many", "NORMAL", 24_000, 0.9, 0.9),
    Workload("process", "work", "NORMAL", 8_000, 0.8, 0.8),
    Workload("process, 30 % failing", "fail", "NORMAL", 4_000, 0.45, 0.45),
)
_SLOW = 4_000  # events of other queues, except recorded one by one: some take longer the more there are


class Measured(NamedTuple):
    """Events per second, the 99th percentile of a call in ms, and how often an event was applied on average."""

    rate: float
    p99_ms: float
    applied: float


class Row(NamedTuple):
    """A workload with a number of processes: medians of all systems."""

    workload: str
    processes: int
    systems: dict[str, Measured]
    bound: float

    @property
    def verdict(self):
        """Met, or what is missed."""
        rate = self.systems["failaware"].rate
        missed = ["minimum"] if rate < self.bound * self.systems["minimum"].rate else []
        missed += [name for name in PEERS if self.systems[name].rate > rate and self.systems[name].applied == 1]
        return f"missed ({', '.join(missed)})" if missed else "met"


def measure(name, workload, processes):
    """Let so many processes do a workload together on a new file."""
    count = min(workload.count, _SLOW) if name in PEERS and workload.action != "record" else workload.count
    each = count // processes
    with tempfile.TemporaryDirectory() as folder:
        system = SYSTEMS[name](Path(folder), workload.synchronous)
        if workload.action in ("work", "fail"):
            system.record_many(list(payloads(each * processes)))
        system.close()
        ready, pipes, running = _fork.Barrier(processes), [], []
        for number in range(processes):
            ours, theirs = _fork.Pipe()
            given = list(payloads(each, first=number * each))
            pipes.append(ours)
            opened = partial(SYSTEMS[name], Path(folder), workload.synchronous)
            running.append(_fork.Process(target=_run, args=(opened, workload.action, given, ready, theirs)))
        for process in running:
            process.start()
        began, ended, calls, applied = zip(*(pipe.recv() for pipe in pipes), strict=True)
        for process in running:
            process.join()
    p99_s = percentile([seconds for some in calls for seconds in some], 0.99)
    return Measured(each * processes / (max(ended) - min(began)), p99_s * 1_000, sum(applied) / (each * processes))


def _run(opened, action, given, ready, answer):
    """Do it in one process; send when it began and ended, the duration of each call, and how many were applied."""
    system = opened()
    ready.wait()
    began = time.monotonic()
    if action == "record":
        calls, applied = [timed(system.record, payload) for payload in given], len(given)
    elif action == "record_many":
        calls, applied = [timed(system.record_many, given)], len(given)
    else:
        handler = Failing() if action == "fail" else Failing(0.0)
        calls = [timed(system.work, handler)]
        applied = handler.attempts.total() - handler.failures
    ended = time.monotonic()
    system.close()
    answer.send((began, ended, calls, applied))


def rows(rounds, note, numbers=PROCESSES, workloads=WORKLOADS):
    """Yield a row for each workload and number of processes; systems alternate."""
    for workload in workloads:
        for processes in numbers:
            runs = {name: [] for name in SYSTEMS}
            for _ in range(rounds):
                for name, measured in runs.items():
                    measured.append(measure(name, workload, processes))
            assert all(one.applied == 1 for one in runs["failaware"]), "an event was lost, or applied twice"
            medians = {name: Measured(*map(statistics.median, zip(*runs[name], strict=True))) for name in runs}
            row = Row(workload.name, processes, medians, workload.alone if processes == 1 else workload.together)
            note(f"{row.workload}, {row.processes}", {name: one.rate for name, one in medians.items()})
            yield row


def show(measured):
    """The rows as a table: rates as multiples of the minimum's, p99 of failaware and of the minimum."""
    others = [name for name in SYSTEMS if name != "minimum"]
    text = [("workload", "processes", "minimum/s", *others, "p99 ms (minimum)", "goal", "verdict")]
    for row in measured:
        minimum, ours = row.systems["minimum"], row.systems["failaware"]
        shares = (_share(row.systems[name], minimum) for name in others)
        p99 = f"{ours.p99_ms:.2f} ({minimum.p99_ms:.2f})" if row.workload.startswith("record") else ""
        goal = f"≥ {row.bound:.2f} ×"
        text.append((row.workload, str(row.processes), f"{minimum.rate:,.0f}", *shares, p99, goal, row.verdict))
    widths = [max(map(len, column)) for column in zip(*text, strict=True)]
    lines = (
        "  ".join(
            cell.ljust(width) if place in (0, len(widths) - 1) else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in text
    )
    return "\n".join(map(str.rstrip, lines))


def _share(system, minimum):
    """A share of the minimum's rate; with `!` if events were lost, or applied more than once."""
    return f"{system.rate / minimum.rate:.2f} ×{' !'[system.applied != 1]}"
