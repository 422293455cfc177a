"""A worker runs handlers side by side: threads, async handlers, quick and slow ones, batches."""

import asyncio
import itertools
import queue
import sys
import threading
import time

import pytest

from failaware import Handlers, Permanent, Store, Worker
from failaware.worker.worker import BATCH
from tests import processes
from tests.conftest import query
from tests.worker.helpers import eventually, handlers_of, run


def test_async_handlers_run_side_by_side(store):
    together = []

    async def handle(event):
        together.append(event.event_id)
        while len(together) < 5:  # returns only when all five have begun
            await asyncio.sleep(0.001)

    store.record_many(("a", n) for n in range(5))
    Worker(store, handlers_of(handle), concurrency=5).run(until_idle=True, patience=0)
    assert query(store, "SELECT DISTINCT sync_status FROM event_state") == [("SYNCED",)]


def test_async_handlers_fail_as_plain_ones_do(store, inspector):
    async def handle(event):
        await asyncio.sleep(0)
        raise event_error[event.payload]("no")

    event_error = {1: ValueError, 2: SystemExit, 3: asyncio.CancelledError, 4: Permanent}
    store.record_many(("a", n) for n in event_error)
    run(store, handle)
    assert [inspector.event(n).attempts[0].error_type for n in range(1, 5)] == [
        "ValueError",
        "SystemExit",
        "asyncio.exceptions.CancelledError",
        "failaware.Permanent",
    ]
    assert inspector.event(4).sync_status == "DEAD"


def test_an_object_with_an_async_call_is_awaited(store):
    seen = []

    class Applies:
        async def __call__(self, event):
            await asyncio.sleep(0)
            seen.append(event.event_id)

    store.record("a", 1)
    run(store, Applies())
    assert seen == [1]


@pytest.mark.parametrize("transaction", [False, True])
def test_a_coroutine_that_nobody_awaits_is_no_success(store, inspector, transaction):
    async def apply():
        pytest.fail("it is not awaited")

    store.record("a", 1)
    run(store, lambda *_: apply(), transaction=transaction)
    (attempt,) = inspector.event(1).attempts
    assert attempt.outcome == "FAILED"
    assert "returned the coroutine" in attempt.error_message


def test_threads_run_side_by_side(store):
    barrier = threading.Barrier(4, timeout=20)
    store.record_many(("a", n) for n in range(4))
    Worker(store, handlers_of(lambda event: barrier.wait()), concurrency=4).run(until_idle=True, patience=0)
    assert query(store, "SELECT DISTINCT sync_status FROM event_state") == [("SYNCED",)]


def test_a_slow_handler_does_not_hold_back_the_results_of_quick_ones(store, inspector):
    release = threading.Event()

    def handle(event):
        if event.payload == "slow":
            assert release.wait(20)

    store.record_many([("a", "slow"), ("a", 1), ("a", 2)])
    worker = Worker(store, handlers_of(handle), concurrency=2)
    thread = threading.Thread(target=worker.run, kwargs={"until_idle": True, "patience": 0})
    thread.start()
    eventually(lambda: inspector.health().synced == 2)
    assert inspector.health().running == 1  # a result ends its lease, and only its own
    release.set()
    thread.join(20)
    assert inspector.health().synced == 3


def test_no_type_waits_behind_anothers_flood(store):
    order = []
    store.record_many([("flood", n) for n in range(300)] + [("quiet", 0)])
    Worker(store, handlers_of(lambda event: order.append(event.event_type)), batch=50).run(until_idle=True, patience=0)
    assert order.index("quiet") <= 100


def test_what_an_async_handler_leaves_running_ends_with_the_run(store):
    left = []

    async def goes_on():
        try:
            await asyncio.sleep(60)
        finally:
            left.append("ended")

    async def handle(_event):
        left.append(asyncio.create_task(goes_on()))
        await asyncio.sleep(0)

    store.record("a", 1)
    run(store, handle)
    assert left[1:] == ["ended"]


def test_what_is_recorded_while_a_slow_handler_runs_does_not_wait_for_it(path):
    with Store.open(path, synchronous="NORMAL") as store:
        handlers, slow_may_end = Handlers(), threading.Event()
        handlers.on("slow")(lambda _event: slow_may_end.wait(20))
        handlers.on("quick")(lambda _event: None)
        store.record_many([("slow", 0), ("quick", 0)])
        worker = Worker(store, handlers, concurrency=2)
        thread = threading.Thread(target=worker.run)
        thread.start()
        done = "SELECT count(*) FROM event_state WHERE event_type = 'quick' AND sync_status = 'SYNCED'"
        try:
            for quick in (1, 2):
                eventually(lambda quick=quick: query(store, done) == [(quick,)], 5)
                time.sleep(0.1)  # the worker has found nothing more to do
                store.record("quick", quick)
        finally:
            slow_may_end.set()
            worker.stop()
            thread.join()


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_as_many_handlers_as_asked_for_are_in_flight_all_the_time(store, kind):
    """Those in flight end when they are let go; in their place others begin, while the rest still run."""
    hands, events = 32, 300
    running, most, guard = 0, 0, threading.Lock()
    begun = queue.SimpleQueue()  # for each handler that has begun, how to let it go

    def count(by):
        nonlocal running, most
        with guard:
            running += by
            most = max(most, running)

    def plain(_event):
        count(1)
        may_end = threading.Event()
        begun.put(may_end.set)
        assert may_end.wait(60)
        count(-1)

    async def waiting(_event):
        count(1)
        may_end, loop = asyncio.Event(), asyncio.get_running_loop()
        begun.put(lambda: loop.call_soon_threadsafe(may_end.set))
        await may_end.wait()
        count(-1)

    store.record_many(("a", n) for n in range(events))
    worker = Worker(store, handlers_of(plain if kind == "threads" else waiting), concurrency=hands)
    thread = threading.Thread(target=worker.run, kwargs={"until_idle": True, "patience": 0}, daemon=True)
    thread.start()
    in_flight = [begun.get(timeout=20) for _ in range(hands)]
    left, together = events - hands, itertools.cycle((1, 7, 31, 2, 16, 32))
    while left:
        ends = min(left, next(together))
        for let_go in in_flight[:ends]:
            let_go()
        in_flight = in_flight[ends:] + [begun.get(timeout=20) for _ in range(ends)]
        left -= ends
    for let_go in in_flight:
        let_go()
    thread.join(60)
    assert most == hands
    assert query(store, "SELECT count(*) FROM event_state WHERE sync_status = 'SYNCED'") == [(events,)]


@pytest.mark.parametrize("kind", ["threads", "asyncio"])
def test_nobody_waits_for_the_write_lock_while_a_handler_runs(store, path, kind):
    running, may_end = threading.Event(), threading.Event()

    def plain(_event):
        running.set()
        assert may_end.wait(20)

    async def waiting(_event):
        running.set()
        while not may_end.is_set():
            await asyncio.sleep(0.005)

    store.record("a", 1)
    worker = Worker(store, handlers_of(plain if kind == "threads" else waiting))
    thread = threading.Thread(target=worker.run, kwargs={"until_idle": True, "patience": 0})
    thread.start()
    assert running.wait(20)
    try:
        with Store.open(path) as other:  # which would have to wait where somebody holds the lock
            for _ in range(20):
                began = time.monotonic()
                other.session.write(lambda db: db.query("SELECT 1"))
                assert time.monotonic() - began < 0.5
                time.sleep(0.002)
    finally:
        may_end.set()
        thread.join(20)


def test_batches_grow_while_handlers_are_quick_and_shrink_when_they_are_not(store):
    worker = Worker(store, handlers_of(lambda event: time.sleep(0.026) if event.payload == "slow" else None))
    claimed = []
    claim = worker._dispatch.claim

    def spy(db, **options):
        batch = claim(db, **options)
        claimed.append(len(batch))
        return batch

    worker._dispatch.claim = spy
    store.record_many(("a", n) for n in range(1_500))
    worker.run(until_idle=True, patience=0)
    assert claimed[:16] == [1] * 16, "not before they have been seen to be quick"
    assert max(claimed) == BATCH
    claimed.clear()
    store.record_many(("a", "slow") for n in range(20))
    worker.run(until_idle=True, patience=0)
    assert claimed[0] == 20
    claimed.clear()
    store.record_many(("a", "slow") for n in range(20))
    worker.run(until_idle=True, patience=0)
    assert max(claimed) <= 2


def test_an_idle_worker_begins_at_once_what_another_process_records(path):
    with Store.open(path, synchronous="NORMAL") as store:
        begun = []
        worker = Worker(store, handlers_of(lambda event: begun.append(time.monotonic())))
        thread = threading.Thread(target=worker.run)
        thread.start()
        time.sleep(0.3)
        try:
            program = "import sys; from failaware import Store; Store.open(sys.argv[1]).record('a', 1)"
            processes.run([sys.executable, "-c", program, str(path)], check=True)
            eventually(lambda: begun, 5)
        finally:
            worker.stop()
            thread.join(20)
