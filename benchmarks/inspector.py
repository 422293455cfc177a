"""Measures the inspector on a large store against an empty Textual app: `python -m benchmarks.inspector`.

Prints start, keys, refresh and memory. A store of a million events is made in a temporary folder in about a minute.
Reads are timed on the Inspector, paints in the app under Textual's test driver, start and memory in processes.
"""

import argparse
import asyncio
import os
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from failaware import Inspector, Store

_BATCH = 50_000
_START = 1_795_000_000_000_000
_NOW = _START + 10**12
_HOUR = 3_600_000_000

_EMPTY = """
import sys
from textual.app import App
from textual.widgets import DataTable, Footer
class Empty(App):
    def compose(self):
        yield DataTable()
        yield Footer()
    def on_ready(self):
        self.call_after_refresh(self.exit)
Empty().run(headless=True, size=(160, 45))
print(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])
"""
_INSPECTOR = """
import sys
import tui.app
from tui.widgets.rows import Rows
class Measured(tui.app.InspectorApp):
    def run(self, **options):
        super().run(headless=True, size=(160, 45))
    def on_ready(self):
        self.set_interval(0.005, self.look)
    def look(self):
        rows = self.screen.query(Rows)
        if rows and rows.first().window.items:
            self.call_after_refresh(self.exit)
tui.app.InspectorApp = Measured
tui.app.run_inspector(sys.argv[1])
print(next(line for line in open("/proc/self/status") if line.startswith("VmRSS")).split()[1])
"""


def make(path, events):
    """Make a store with three attempts per event by plain inserts of facts and one rebuild."""
    facts(path, events)
    began = time.perf_counter()
    with Store.open(path, synchronous="NORMAL") as store:
        store.rebuild()
    print(f"rebuild: {3 * events / (time.perf_counter() - began):,.0f} attempts/s")


def facts(path, events, seed=7):
    """Insert the facts of that store without deriving anything.

    The third attempt comes after half a minute or more. In every seventh event it may fail with another error,
    and every hundredth event is requeued before it. For the last fiftieth of the events it is due in the two hours
    after `_NOW`.
    """
    Store.open(path).close()
    random.seed(seed)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA synchronous = OFF")
    attempt = 0
    for first in range(1, events + 1, _BATCH):
        rows, attempts, decisions = [], [], []
        for event in range(first, min(first + _BATCH, events + 1)):
            at = _START + event * 100_000
            kind = int(random.paretovariate(0.7)) % 400
            rows.append((event, f"job.{kind % 40}", f'{{"n":{event}}}', at, at))
            fraction = random.random()
            retried_later = event > events - events // 50
            if event % 100 == 0 and not retried_later:
                decisions.append((event, "REQUEUE", 2, "ada", "again", at + 5000))
            for no in range(1, 3 if retried_later else 4):
                attempt += 1
                failed = no < 3 or fraction < 0.3
                template = (kind + 40) % 400 if no == 3 and event % 7 == 0 else kind
                error = (
                    (f"Error{template % 7}", f"step {template} of host-{event % 50}.example failed")
                    if failed
                    else (None, None)
                )
                retry = at + no * 1_000_000 if failed and no < 3 else None
                if retried_later and no == 2:
                    retry = _NOW + int(fraction * 2 * _HOUR)
                outcome = "FAILED" if failed else "SYNCED"
                began = at + no * 1000 if no < 3 else at + 30_000_000 + int(random.expovariate(1 / 120_000_000))
                attempts.append((attempt, event, no, outcome, *error, "w:1", began, began + 1000, retry, "retry"))
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO event_log (event_id, event_type, event_payload, occurred_at, detected_at) "
            "VALUES (?, ?, ?, ?, ?)",
            rows,
        )
        db.executemany(
            "INSERT INTO attempt_log (attempt_id, event_id, attempt_no, outcome, error_type, error_message, worker, "
            "started_at, finished_at, retry_at, retry_reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            attempts,
        )
        db.executemany(
            "INSERT INTO decision_log (event_id, decision, after_attempt, decided_by, reason, decided_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            decisions,
        )
        db.execute("COMMIT")
    db.close()


def median_ms(call, rounds=9):
    """Return the median time of a call, in ms."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def reads(path):
    """Time the queries of the screens."""
    with Inspector.open(path, clock=lambda: _NOW) as inspector:
        clusters = inspector.clusters(limit=1_000)
        large = max(clusters, key=lambda cluster: cluster.events).cluster_id
        small = min(clusters, key=lambda cluster: cluster.events).cluster_id
        since = _START
        asks = {
            "change_token": inspector.db.change_token,
            "health": inspector.health,
            "severity": inspector.severity,
            f"clusters ({len(clusters)})": lambda: inspector.clusters(limit=1_000),
            "timeline, 24 h": lambda: inspector.patterns.timeline(since=since),
            "events, first page": lambda: inspector.events(limit=100),
            "events, in the middle": lambda: inspector.events(limit=100, before=500_000),
            "events, last page": lambda: inspector.events(limit=100, order="oldest"),
            "events of the largest cluster": lambda: inspector.events(f"cluster:{large}", limit=100),
            "events of the smallest cluster": lambda: inspector.events(f"cluster:{small}", limit=100),
            "events status:DEAD": lambda: inspector.events("status:DEAD", limit=100),
            "events status:PENDING (none)": lambda: inspector.events("status:PENDING", limit=100),
            "count of status:DEAD": lambda: inspector.count_events("status:DEAD"),
            "one event": lambda: inspector.event(500_000),
            "explain the largest": lambda: inspector.explain(f"cluster/{large}"),
            "runs of one event": lambda: inspector.patterns.runs(500_003),
            "impact of the largest": lambda: inspector.patterns.impact(large),
            "before and after the largest": lambda: inspector.patterns.transitions(large),
            "before and after the smallest": lambda: inspector.patterns.transitions(small),
            "due retries": inspector.patterns.calendar,
            "recovered": inspector.patterns.recovered,
        }
        for name, ask in asks.items():
            print(f"  {name:<34} {median_ms(ask):9.3f} ms")


async def paints(path):
    """Time keys until the end of their paint, and how long a refresh keeps the screen's thread busy."""
    from tui.app import InspectorApp
    from tui.screens.overview import Overview
    from tui.widgets.rows import Rows

    app = InspectorApp(path)
    busy = []
    original = Overview.answered_list

    def timed(screen, picture):
        began = time.perf_counter()
        original(screen, picture)
        screen.app.screen._compositor.render_strips()  # noqa: SLF001 - the paint itself
        busy.append((time.perf_counter() - began) * 1000)

    Overview.answered_list = timed
    async with app.run_test(size=(160, 45)) as pilot:
        while not (app.screen.query(Rows) and app.screen.query_one(Rows).window.items):
            await pilot.pause()
        overview = await keys(pilot, "j", 60)
        await pilot.press("e")
        while not app.screen.query_one(Rows).window.items:
            await pilot.pause()
        events = await keys(pilot, "j", 60)
        pages = await keys(pilot, "pagedown", 60)
        await pilot.press("escape")
        with Store.open(path, synchronous="NORMAL") as store:
            for n in range(20):
                store.record("job.1", {"n": n})
                await asyncio.sleep(0.15)
    for name, times in (("clusters", overview), ("events", events), ("a page of events", pages)):
        print(f"  key to paint, {name}: median {times[30]:.1f} ms, p99 {times[59]:.1f} ms")
    print(f"  refresh, screen's thread: {statistics.median(busy):.1f} ms (median of {len(busy)})")


async def keys(pilot, key, times):
    """Return the times from a key to its paint, in ms, the shortest first."""
    from textual import events

    milliseconds = []
    for _ in range(times):
        began = time.perf_counter()
        pilot.app.post_message(events.Key(key, None))
        target = asyncio.get_running_loop().create_future()
        pilot.app.screen.call_after_refresh(lambda target=target: target.done() or target.set_result(None))
        await target  # the paint itself
        milliseconds.append((time.perf_counter() - began) * 1000)
    return sorted(milliseconds)


def starts(path, rounds=7):
    """Measure the first paint with data and the memory, compared with an empty Textual app; modules are compiled."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = f"{tempfile.gettempdir()}/failaware-compiled"
    subprocess.run([sys.executable, "-c", _INSPECTOR, path], stdout=subprocess.DEVNULL, check=True, env=environment)
    figures = {"empty": ([], []), "inspector": ([], [])}
    for _ in range(rounds):
        for name, code in (("empty", _EMPTY), ("inspector", _INSPECTOR)):
            began = time.perf_counter()
            command = [sys.executable, "-c", code, path]
            out = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            figures[name][0].append(time.perf_counter() - began)
            figures[name][1].append(int(out.stdout.split()[-1]) / 1024)
    empty, inspector = (tuple(map(statistics.median, figures[name])) for name in ("empty", "inspector"))
    print(
        f"  start, first data, exit: {inspector[0]:.2f} s; empty app {empty[0]:.2f} s; {inspector[0] - empty[0]:+.2f} s"
    )
    print(f"  memory: {inspector[1]:.0f} MB; empty app {empty[1]:.0f} MB; {inspector[1] - empty[1]:+.0f} MB")


def main():
    """Make the store and measure it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--store", help="use this store; make it if it does not exist")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = args.store or str(Path(folder) / "large.db")
        if not Path(path).exists():
            make(path, args.events)
        print(f"store: {Path(path).stat().st_size / 1e6:,.0f} MB")
        reads(path)
        starts(path)
        asyncio.run(paints(path))


if __name__ == "__main__":
    main()
