"""SIGKILL in the middle of everything: nothing acknowledged is lost, nothing is recorded twice."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from failaware import Handlers, Retry, Store, Worker
from failaware.ledger.verify import verify
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.sizes import sized
from tests.soak.kills import Ground

KILLS = sized(12, 50)

PRODUCER = """
import sys
from failaware import Store
store = Store.open(sys.argv[1])
n = 0
while True:
    event = store.record("job.kind%d" % (n % 3), {"n": n}, key=f"{sys.argv[2]}:{n}")
    print(event.event_id, f"{sys.argv[2]}:{n}", flush=True)  # acknowledged
    n += 1
"""
WORKER = """
import sys, time
from failaware import Handlers, Retry, Store, Worker
handlers = Handlers()
@handlers.on("job.*", retry=Retry(max_attempts=4, base=0.01))
def handle(event):
    time.sleep(0.06 if event.payload["n"] % 5 == 3 else 0.0005)  # a kill charges only attempts that take a while
    if event.payload["n"] % 4 == 0:
        raise ValueError(f"no luck with {event.payload['n']}")
store = Store.open(sys.argv[1], synchronous="NORMAL")
print("ready", flush=True)
Worker(store, handlers, concurrency=2, batch=20, lease=0.2).run()
"""


def start(program, *args):
    return processes.Popen([sys.executable, "-c", program, *map(str, args)], stdout=subprocess.PIPE, text=True)


def kill(process):
    process.send_signal(signal.SIGKILL)
    out, _ = process.communicate(timeout=30)
    return out


@pytest.mark.thinned
def test_workers_and_producers_killed_in_mid_batch_lose_and_double_nothing(path):
    rng = random.Random(os.getpid())
    Store.open(path).close()
    acknowledged, round_ = {}, -1
    while (round_ := round_ + 1) < KILLS or len(acknowledged) <= 50:
        producer = start(PRODUCER, path, round_) if round_ % sized(3, 10) == 0 else None
        worker = start(WORKER, path)
        assert worker.stdout.readline() == "ready\n"
        time.sleep(rng.uniform(0.0, 0.15))
        kill(worker)
        if producer is not None:
            for line in kill(producer).splitlines(keepends=True):
                if line.endswith("\n"):
                    event_id, key = line.split()
                    acknowledged[key] = int(event_id)
    with Store.open(path, synchronous="NORMAL") as store:
        assert verify(path).findings == ()
        assert acknowledged.items() <= dict(query(store, "SELECT key, event_id FROM event_key")).items()
        assert_rebuild_changes_nothing(store)
        finish(store)
        twice = "SELECT event_id, attempt_no FROM attempt_log GROUP BY 1, 2 HAVING count(*) > 1"
        assert query(store, twice) == []
        gaps = "SELECT event_id FROM attempt_log GROUP BY 1 HAVING count(*) <> max(attempt_no)"
        assert query(store, gaps) == []
        assert query(store, "SELECT count(*) FROM attempt_log WHERE error_type = 'WorkerLost'")[0][0] > 0
        assert query(store, "SELECT DISTINCT sync_status FROM event_state ORDER BY 1") == [("DEAD",), ("SYNCED",)]
        # An event is applied at least once unless it is DEAD, and SYNCED at most once.
        synced_twice = "SELECT event_id FROM attempt_log WHERE outcome = 'SYNCED' GROUP BY 1 HAVING count(*) > 1"
        assert query(store, synced_twice) == []
        assert_rebuild_changes_nothing(store)


def finish(store):
    """Work off what the killed ones left behind."""
    handlers = Handlers()

    @handlers.on("job.*", retry=Retry(max_attempts=4, base=0.01))
    def handle(event):
        if event.payload["n"] % 4 == 0:
            raise ValueError("no luck")

    Worker(store, handlers, lease=5).run(until_idle=True)


@pytest.mark.large
def test_whatever_uses_a_store_can_be_killed(tmp_path):
    ground = Ground(tmp_path, random.Random(os.getpid()))
    Store.open(ground.path).close()
    while ground.kills < sized(8, 20) or len(ground.acknowledged) <= 20:
        ground.round()
    ground.fresh()
    facts, lost = ground.look()
    assert lost == 0
    assert facts > len(ground.acknowledged)
