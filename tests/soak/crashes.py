"""A PostgreSQL server crashes again and again under producers and workers: what was returned is there, exactly once.

Producers record by every way in; workers apply what they recorded, one of them in the store's own transaction. A result
that was acknowledged to a worker and then lost leaves its event under a lease that lasts longer than this does.
"""

import json
import subprocess
import sys
import threading
import time
from collections import Counter

from failaware import Store
from failaware.ledger.verify import verify
from tests.servers import a_server

PRODUCER = """
import sys
from failaware import Store, StoreError
store, name = Store.open(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
for n in range(10_000_000):
    payload = {"by": name, "n": n}
    if n % 3 == 0:
        print(store.record("job", payload).event_id, n, flush=True)
    elif n % 3 == 1:
        ((event),) = store.record_many([("job", payload)])
        print(event.event_id, n, flush=True)
    else:
        with store.attempt("own", payload):
            pass
        print(0, n, flush=True)
"""
WORKER = """
import signal, sys, threading
from failaware import Handlers, Store, Worker
handlers = Handlers()
if sys.argv[2] == "transactional":
    @handlers.on("job", transaction=True)
    def apply(event, transaction):
        transaction.execute("INSERT INTO applied VALUES (?)", (event.event_id,))
else:
    @handlers.on("job")
    def apply(event):
        pass
store = Store.open(sys.argv[1])
worker = Worker(store, handlers, concurrency=2, batch=20, lease=600)
print("ready", flush=True)
worker.run()
"""


class Process:
    """A program, and the lines that it has written."""

    def __init__(self, program, *words):
        command = [sys.executable, "-c", program, *map(str, words)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "ready\n"
        self.lines = []
        self._reader = threading.Thread(target=lambda: self.lines.extend(self._process.stdout))
        self._reader.start()

    def end(self, *, kill):
        """End it; what it said on stderr, of one that was asked to end."""
        (self._process.kill if kill else self._process.terminate)()
        self._reader.join(60)
        error = self._process.stderr.read()
        self._process.wait(60)
        self._process.stdout.close()
        self._process.stderr.close()
        return "" if kill else error


def try_crashes(rng, *, crashes, producers, workers):
    """Stop a server of its own so many times; returns counts."""
    with a_server() as server:
        url = server.url("crashes")
        with Store.open(url) as store:
            store.session.write(lambda db: db.execute("CREATE TABLE applied (event_id bigint)"))
        recording = [Process(PRODUCER, url, name) for name in range(producers)]
        working = [Process(WORKER, url, "transactional" if n == 0 else "plain") for n in range(workers)]
        for _ in range(crashes):
            _wait_until_all_wrote(recording)
            time.sleep(0.3 * rng.random())
            server.restart("immediate")
        time.sleep(0.3)
        for process in recording:
            process.end(kill=True)
        with Store.open(url) as store:
            unfinished = _wait_until_worked_off(store)
        errors = "".join(process.end(kill=False) for process in working)
        counts = _counts(url, [process.lines for process in recording])
    assert errors == "", errors
    return counts + Counter({"crashes": crashes, "results lost": unfinished})


def _wait_until_all_wrote(recording, patience_s=60):
    """A transaction that loses its server five times in a row is given up: on a slow machine it needs time for one."""
    written = [len(process.lines) for process in recording]
    until = time.monotonic() + patience_s
    while any(len(p.lines) == n for p, n in zip(recording, written, strict=True)) and time.monotonic() < until:
        time.sleep(0.01)


def _wait_until_worked_off(store, patience_s=60):
    waiting = "SELECT count(*) FROM event_state WHERE due_at IS NOT NULL"
    until = time.monotonic() + patience_s
    while (left := store.session.read(lambda db: db.query(waiting)[0][0])) and time.monotonic() < until:
        time.sleep(0.05)
    return left


def _counts(url, lines_of):
    with Store.open(url) as store:
        rows = store.session.read(lambda db: db.query("SELECT event_id, event_payload FROM event_log"))
        outcomes = store.session.read(lambda db: db.query("SELECT event_id, outcome FROM attempt_log"))
        applied = Counter(
            event_id for (event_id,) in store.session.read(lambda db: db.query("SELECT event_id FROM applied"))
        )
    stored = {event_id: json.loads(payload) for event_id, payload in rows}
    times = Counter((payload["by"], payload["n"]) for payload in stored.values())
    returned = lost = 0
    for name, lines in enumerate(lines_of):
        for line in lines:
            if line.endswith("\n"):
                event_id, n = map(int, line.split())
                returned += 1
                theirs = {"by": str(name), "n": n}
                lost += times[str(name), n] == 0 or (event_id > 0 and stored.get(event_id) != theirs)
    synced = Counter(event_id for event_id, outcome in outcomes if outcome == "SYNCED")
    twice = [count for counted in (times, synced, applied) for count in counted.values() if count > 1]
    assert verify(url).findings == ()
    return Counter(
        {
            "facts acknowledged": returned,
            "facts lost": lost,
            "recorded or applied twice": len(twice),
            "results": len(synced),
            "applied in the transaction": len(applied),
            "ids left out": max(stored, default=0) - len(stored),
        }
    )


def run(seconds, rng):
    """Crash servers for so long."""
    until, counts = time.monotonic() + seconds, Counter()
    while time.monotonic() < until:
        counts += try_crashes(rng, crashes=10, producers=8, workers=4)
        assert not counts["facts lost"] + counts["results lost"] + counts["recorded or applied twice"], counts
    return counts
