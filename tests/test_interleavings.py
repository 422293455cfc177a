"""Random interleavings of recording, working, deciding and crashing, from several processes: the fold stays exact."""

import subprocess
import sys

import pytest

from failaware import Store
from failaware.ledger.verify import verify
from tests import processes
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.sizes import sized

ACTOR = """
import os, random, sys, threading
from failaware import Handlers, Inspector, Retry, Permanent, RetryAfter, Store, UsageError, Worker
from failaware.rules import Policy, default_policy
path, rng = sys.argv[1], random.Random(int(sys.argv[2]))
store = Store.open(path, synchronous="NORMAL")
inspector = Inspector.open(path)
handlers = Handlers()
kinds = ["a.x", "a.y", "b"]

@handlers.on("*", retry=Retry(max_attempts=3, base=0.001, jitter=1))
def handle(event):
    dice = rng.random()
    if dice < 0.15: raise ValueError(f"bad value {event.event_id}")
    if dice < 0.25: raise ConnectionError(f"10.0.0.{event.event_id % 9} refused")
    if dice < 0.28: raise Permanent("never")
    if dice < 0.32: raise RetryAfter(0.002)
    if dice < 0.322: os._exit(9)  # in mid-batch

for _ in range(rng.randint(30, int(sys.argv[3]))):
    dice = rng.random()
    if dice < 0.35:
        kind = rng.choice(kinds)
        store.record(kind, {"n": rng.random()}, key=rng.choice([None, f"{kind}:{rng.randint(0, 10)}"]))
    elif dice < 0.5:
        store.record_many((rng.choice(kinds), n) for n in range(rng.randint(1, 20)))
    elif dice < 0.8:
        Worker(store, handlers, concurrency=rng.choice([1, 3]), batch=rng.choice([1, 7, 50]), lease=0.05).run(
            until_idle=True, patience=0)
    elif dice < 0.84:
        store.rebuild(default_policy()._replace(**{name: rng.randint(1, 3) for name in Policy._fields}))
    elif dice < 0.99:
        events = inspector.events(rng.choice(["status:unresolved", "status:PENDING", ""]), limit=5)
        if events:
            decide = rng.choice([store.requeue, store.dismiss])
            try:
                decide([rng.choice(events).event_id], because="dice")
            except UsageError:
                pass  # another process was quicker
    else:
        os._exit(9)
"""


def start(path, seed):
    command = [sys.executable, "-c", ACTOR, str(path), str(seed), str(sized(45, 120))]
    return processes.Popen(command, stderr=subprocess.PIPE, text=True)


@pytest.mark.thinned
@pytest.mark.parametrize("seed", range(sized(1, 6)))
def test_after_any_interleaving_a_rebuild_changes_nothing(path, seed):
    Store.open(path).close()
    for wave in range(2):  # those of the second wave find what the crashed ones of the first left behind
        actors = [start(path, 100 * seed + 10 * wave + n) for n in range(4)]
        for actor in actors:
            _, err = actor.communicate(timeout=100)
            assert actor.returncode in (0, 9), err
    with Store.open(path) as store:
        assert query(store, "SELECT count(*) FROM attempt_log")[0][0] > 0
        assert_rebuild_changes_nothing(store)
        assert query(store, "SELECT event_id FROM attempt_log GROUP BY 1 HAVING count(*) <> max(attempt_no)") == []
        assert verify(path).findings == ()
