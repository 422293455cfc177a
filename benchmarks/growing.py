"""Goals 5 and 6: the costs and size of a growing store, and the speed of a rebuild."""

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.inspector import facts
from benchmarks.systems import SYSTEMS
from benchmarks.table import Line
from benchmarks.work import Failing, as_json, payloads, succeed
from benchmarks.workloads import timed
from failaware import Handlers, Inspector, Retry, Store, Worker

SMALL = 100_000
"""Attempts of the small store in each comparison."""

_REBUILD = """
import sys, time
from failaware import Store
with Store.open(sys.argv[1], synchronous="NORMAL") as store:
    began = time.perf_counter()
    store.rebuild()
    took = time.perf_counter() - began
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(took, int(peak.split()[1]) / 1024)
"""
_VERIFY = """
import sys, time
from failaware.ledger.sealing import seal_all
from failaware import Store
from failaware.clock import now_us
from failaware.ledger.verify import verify
with Store.open(sys.argv[1], synchronous="NORMAL") as store:
    seal_all(store.session, now_us())
for facts_only in (False, True):
    began = time.perf_counter()
    verification = verify(sys.argv[1], facts_only=facts_only)
    assert not verification.findings, verification.findings
    print(verification.facts / (time.perf_counter() - began))
"""
_AS_OF = """
import sys, time
from failaware import Inspector
HOUR = 3_600_000_000
inspector = Inspector.open(sys.argv[1])
((newest, facts),) = inspector.db.query("SELECT max(finished_at), count(*) FROM attempt_log")
began = time.perf_counter()
past = inspector.as_of(newest)
past.health()
first = time.perf_counter() - began
((middle,),) = inspector.db.query("SELECT finished_at FROM attempt_log WHERE attempt_id = ?", (facts // 2,))
past.move(middle - HOUR)
past.move(middle)  # the first move on makes a list of all moments
((hour,),) = inspector.db.query(
    "SELECT count(*) FROM attempt_log WHERE finished_at > ? AND finished_at <= ?", (past.at, past.at + HOUR))
began = time.perf_counter()
past.move(past.at + HOUR)
past.health()
print(first, time.perf_counter() - began, hour / facts)
"""
_PAGES = {  # filters for a page of events
    "all": "",
    "dead": "status:DEAD",
    "failed": "status:FAILED",
    "unresolved": "status:UNRESOLVED",
    "none": "severity:CRITICAL",
    "key": "key:job-1",
    "one type": "type:job.1",
    "high": "severity:HIGH+",
    "one cluster": "cluster:{cluster}",
    "type and status": "type:job.1 status:SYNCED",
}


def _run(program, path):
    """Run a program on a store in its own process; return the numbers it prints."""
    command = [sys.executable, "-c", program, str(path)]
    return [
        float(word) for word in subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    ]


def _rebuilt(path, attempts):
    """Rebuild the store; return attempts per second and peak memory in MB."""
    seconds, megabytes = _run(_REBUILD, path)
    return attempts / seconds, megabytes


def _history(path, rebuild_s):
    """Yield the speed of verify and of time travel."""
    ((rate, facts_only), (first, on, share)) = _run(_VERIFY, path), _run(_AS_OF, path)
    yield Line(6, "verify, per 1,000,000 facts", 1e6 / rate, 20.0, "s", most=True)
    yield Line(6, "verify --facts-only, per 1,000,000 facts", 1e6 / facts_only, 5.0, "s", most=True)
    yield Line(6, "first answer as of a moment vs. a rebuild", first / rebuild_s, 3.0, most=True)
    yield Line(6, "moving on by an hour vs. its share of a rebuild", on / rebuild_s / share, 3.0, most=True)


def _median_us(action, times=15):
    return statistics.median(timed(action) for _ in range(times)) * 1e6


class _Grown:
    """A store of a given size, and actions on it."""

    def __init__(self, path):
        self.store = Store.open(path, synchronous="NORMAL")
        self.inspector = Inspector.open(path)
        self.cluster = max(self.inspector.clusters(limit=1_000), key=lambda cluster: cluster.events).cluster_id
        self.newest = self.inspector.events(limit=1)[0].event_id

    def record(self):
        """Record a hundred events one by one."""
        for payload in payloads(100):
            self.store.record("job.1", payload)

    def work(self):
        """Process a thousand events in batches, 30 % of attempts failing, in the largest clusters; none stays due."""
        self.store.record_many(("job.1", payload) for payload in payloads(1_000))
        handlers, fails = Handlers(), Failing()

        @handlers.on("job.1", retry=Retry(max_attempts=1_000, base=0))
        def handle(event):
            fails(event.payload)

        Worker(self.store, handlers, batch=50).run(until_idle=True, patience=0)

    def refresh(self):
        """Run the queries of the inspector's overview after a change."""
        self.inspector.health()
        self.inspector.severity()
        self.inspector.clusters(limit=50)
        self.inspector.events(limit=50)

    def slowest_page(self):
        """Return the slowest filtered page of 50, newest or in the middle: its median in µs, and which it is."""
        times = {}
        for name, words in _PAGES.items():
            where = words.format(cluster=self.cluster)
            for before in (None, self.newest // 2):
                times[name, before] = _median_us(
                    lambda where=where, before=before: self.inspector.events(where, limit=50, before=before), 9
                )
        return max(times.values()), max(times, key=times.get)

    def queries(self):
        """Return median times in µs."""
        return {
            "health": _median_us(self.inspector.health),
            "severity": _median_us(self.inspector.severity),
            "clusters": _median_us(lambda: self.inspector.clusters(limit=50)),
        }

    def close(self):
        """Close both handles."""
        self.inspector.close()
        self.store.close()


def growth(rounds, note, attempts):
    """Compare a store of SMALL attempts with one of `attempts`."""
    with tempfile.TemporaryDirectory() as folder:
        grown, rates, memory = [], [], []
        for size in (SMALL, attempts):
            path = Path(folder) / f"{size}.db"
            facts(path, size // 3)
            rate, megabytes = _rebuilt(path, size // 3 * 3)
            rates.append(rate)
            memory.append(megabytes)
            grown.append(_Grown(path))
        note("rebuild, attempts", {f"{SMALL:,}": rates[0], f"{attempts:,}": rates[1]})
        actions = ("record", "work", "refresh")
        costs = {name: ([], []) for name in actions}
        for store in grown:
            store.work()  # handlers, statements and pages are warm
        for _ in range(3 * rounds):
            for name in actions:
                for store, seconds in zip(grown, costs[name], strict=True):
                    seconds.append(timed(getattr(store, name)))
        for name in actions:
            small, large = map(statistics.median, costs[name])
            note(f"{name}, ms", {f"{SMALL:,}": 1_000 * small, f"{attempts:,}": 1_000 * large})
            yield Line(5, f"{name}, {attempts:,} vs. {SMALL:,} attempts", large / small, 1.3, most=True)
        few, many = (store.queries() for store in grown)
        for name, took in many.items():
            note(f"{name}, µs", {f"{SMALL:,}": few[name], f"{attempts:,}": took})
            yield Line(5, f"{name} at {attempts:,} attempts", took / 1_000, 2.0, "ms", most=True)
            if attempts > 1_000_000:
                yield Line(5, f"{name}, {attempts:,} vs. {SMALL:,} attempts", took / few[name], 1.5, most=True)
        took, which = grown[1].slowest_page()
        yield Line(5, f"slowest page of 50 ({which[0]})", took / 1_000, 1.0, "ms", most=True)
        yield Line(5, "poll for change", _median_us(grown[1].inspector.db.change_token, 999), 20.0, "µs", most=True)
        for store in grown:
            store.close()
        yield from _history(path, (attempts // 3 * 3) / rates[1])
    yield Line(6, f"rebuild of {attempts:,}, per 1,000,000 attempts", 1e6 / rates[1], 20.0, "s", most=True)
    yield Line(6, f"rebuild, {attempts:,} vs. {SMALL:,} attempts", rates[1] / rates[0], 0.8)
    yield Line(6, f"rebuild, memory vs. {SMALL:,}", memory[1] / memory[0], 1.3, most=True)


def many_clusters(clusters=10_000):
    """Measure a store in which every failure has its own cluster."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "b.db"
        with Store.open(path, synchronous="NORMAL") as store:
            store.record_many((f"type.{n}", n) for n in range(clusters))
            handlers = Handlers()

            @handlers.on("*", retry=Retry(max_attempts=1))
            def handle(event):
                raise ValueError(f"{event.event_type} is wrong")

            Worker(store, handlers, batch=500).run(until_idle=True, patience=0)
        with Inspector.open(path) as inspector:
            took = _median_us(lambda: inspector.clusters(limit=50)) / 1_000
    yield Line(5, f"first page of {clusters:,} clusters", took, 100.0, "ms", most=True)


def size(count=20_000):
    """Measure the bytes of a closed store beyond the payloads, per succeeded event and per failure."""
    sizes, failures = [], 0
    for handler in (succeed, Failing()):
        with tempfile.TemporaryDirectory() as folder:
            system = SYSTEMS["failaware"](Path(folder), "NORMAL")
            system.record_many(list(payloads(count)))
            system.work(handler)
            system.close()
            sizes.append(system.path.stat().st_size)
        failures = getattr(handler, "failures", 0)
    payload = sum(len(as_json(one)) for one in payloads(count))
    yield Line(5, "size of a succeeded event, beyond the payload", (sizes[0] - payload) / count, 100, "B", True)
    yield Line(5, "size of a failure with a known traceback", (sizes[1] - sizes[0]) / failures, 250, "B", True)


def lines(rounds, note, attempts):
    """Yield every line of this module."""
    yield from size()
    yield from many_clusters()
    yield from growth(rounds, note, attempts)
