"""A PostgreSQL server that goes away and comes back: nothing acknowledged is lost, nothing is recorded twice."""

import random
import signal
import subprocess
import sys
import threading
import time

import psycopg
import pytest

from failaware import Handlers, Inspector, Store, Worker
from failaware.clock import now_us
from failaware.engine.postgres import reader as postgres
from failaware.errors import StoreError
from failaware.ledger.verify import verify
from tests import processes
from tests.conftest import HOUR, assert_rebuild_changes_nothing, query
from tests.engine.test_postgres_crashes import WRITES
from tests.servers import a_server
from tests.sizes import sized
from tests.worker.helpers import eventually

PRODUCER = """
import sys
from failaware import Store
store = Store.open(sys.argv[1])
print("ready", flush=True)
n = 0
while n < int(sys.argv[3]):
    event = store.record("job.kind%d" % (n % 3), {"n": n})
    print(event.event_id, f"{sys.argv[2]}:{n}", flush=True)  # acknowledged
    n += 1
"""
WORKER = """
import sys, time
from failaware import Handlers, Retry, Store, Worker
handlers = Handlers()
@handlers.on("job.*", retry=Retry(max_attempts=4, base=0.01))
def handle(event):
    time.sleep(0.0005)
    if event.payload["n"] % 4 == 0:
        raise ValueError(f"no luck with {event.payload['n']}")
store = Store.open(sys.argv[1])
print("ready", flush=True)
Worker(store, handlers, concurrency=2, batch=20, lease=1).run()
"""


@pytest.fixture
def server():
    with a_server() as server:
        yield server


def start(program, *words):
    command = [sys.executable, "-c", program, *map(str, words)]
    process = processes.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.large
def test_four_workers_and_four_producers_with_kills_and_restarts_lose_and_double_nothing(server):
    url, dice = server.url("busy"), random.Random(7)
    Store.open(url).close()
    each = sized(200, 400)
    producers = [start(PRODUCER, url, n, each) for n in range(4)]
    acknowledged_lines = [[] for _ in producers]
    readers = [
        threading.Thread(target=lambda out=p.stdout, to=to: to.extend(out.read().splitlines()))
        for p, to in zip(producers, acknowledged_lines, strict=True)
    ]
    for reader in readers:
        reader.start()
    workers = [start(WORKER, url) for _ in range(4)]
    for mode in ("immediate", "fast", "immediate")[: sized(2, 3)]:
        time.sleep(0.5)
        victim = dice.randrange(4)
        workers[victim].kill()
        workers[victim].communicate(timeout=30)
        server.restart(mode)
        workers[victim] = start(WORKER, url)
    for producer, reader in zip(producers, readers, strict=True):
        assert producer.wait(timeout=60) == 0
        reader.join(timeout=60)
        assert not reader.is_alive()
        producer.stdout.close()
    with Store.open(url) as store:
        eventually(lambda: query(store, "SELECT count(*) FROM event_state WHERE due_at IS NOT NULL") == [(0,)], 60)
        for worker in workers:
            worker.send_signal(signal.SIGTERM)
            worker.communicate(timeout=30)
        acknowledged = [int(line.split()[0]) for lines in acknowledged_lines for line in lines]
        assert len(acknowledged) == len(set(acknowledged)) == 4 * each
        # Each producer records each number once: what is there twice was written again although it had committed.
        assert query(store, "SELECT count(*) FROM event_log") == [(4 * each,)]
        assert query(store, "SELECT event_id FROM attempt_log GROUP BY 1 HAVING count(*) <> max(attempt_no)") == []
        assert query(store, "SELECT DISTINCT sync_status FROM event_state ORDER BY 1") == [("DEAD",), ("SYNCED",)]
        assert_rebuild_changes_nothing(store)
    assert verify(url).findings == ()


@pytest.mark.parametrize("way", WRITES)
@pytest.mark.parametrize("mode", ["immediate", "fast"])
@pytest.mark.thinned
def test_a_commit_whose_answer_was_lost_is_recognised(server, way, mode):
    with Store.open(server.url("lost")) as store:
        store.record("z", 1)
        writer = store.session._db
        commit, times = getattr(writer, way), []

        def answer_gets_lost(*args, **kwargs):
            result = commit(*args, **kwargs)
            times.append(time.monotonic())
            if len(times) == 1:
                server.restart(mode)
                writer.run_untranslated("SELECT 1")
            return result

        setattr(writer, way, answer_gets_lost)
        WRITES[way](store)
        setattr(writer, way, commit)
        assert len(times) == 1
        assert query(store, "SELECT count(*) FROM event_log") == [(2 if way == "_answer_of" else 1,)]
        assert query(store, "SELECT count(*) FROM decision_log") == [(0 if way == "_answer_of" else 1,)]


def test_what_had_not_committed_is_run_once_more(server):
    with Store.open(server.url("again")) as store:
        runs = []

        def job(db):
            db.query("SELECT 1")
            runs.append(len(runs))
            if len(runs) == 1:
                server.restart("fast")
            return db.query("SELECT 1")

        assert store.session.write(job) == [(1,)]
        assert runs == [0, 1]


def test_a_pipeline_that_cannot_be_left_when_the_server_says_goodbye_is_run_once_more(server):
    with Store.open(server.url("pipeline_left")) as store:
        runs = []

        def job(db):
            runs.append(db.query("SELECT 1"))
            if len(runs) == 1:
                db._db.close()
                try:
                    try:
                        raise psycopg.errors.AdminShutdown("terminating connection due to administrator command")
                    except psycopg.Error:
                        raise psycopg.OperationalError("cannot exit pipeline mode while busy")  # noqa: B904 - as psycopg does
                except psycopg.Error as error:
                    raise StoreError("the server cannot be reached") from error
            return len(runs)

        assert store.session.write(job) == 2


@pytest.mark.large
def test_readers_workers_and_what_they_wait_on_come_back(server):
    url, begun = server.url("back"), []
    handlers = Handlers()
    handlers.on("*")(lambda event: begun.append(event.payload))
    with Store.open(url) as store, Inspector.open(url) as inspector:
        worker = Worker(store, handlers)
        thread = threading.Thread(target=worker.run)
        thread.start()
        with Store.open(url) as other:
            other.record("a", 1)
            eventually(lambda: begun == [1])
            server.restart("fast")
            other.record("a", 2)
            eventually(lambda: begun == [1, 2])
            assert inspector.health().total_events == 2
            time.sleep(1.2)  # by now it listens again
            began = time.monotonic()
            other.record("a", 3)
            eventually(lambda: begun == [1, 2, 3])
            assert time.monotonic() - began < 0.5
        worker.stop()
        thread.join(20)


@pytest.mark.large
def test_a_server_that_stays_away_is_said_to(server, monkeypatch):
    monkeypatch.setattr(postgres, "RECONNECT_S", 0.3)
    with Store.open(server.url("gone")) as store, Inspector.open(server.url("gone")) as inspector:
        server.stop()
        for ask in (lambda: store.record("a", 1), inspector.health):
            with pytest.raises(StoreError, match="cannot be reached"):
                ask()
        server.start()
        assert store.record("a", 1).event_id == 1
        assert inspector.health().total_events == 1


def test_a_writer_that_is_killed_does_not_keep_the_lock(server):
    url = server.url("killed")
    hold = "import sys, time\nfrom failaware import Store\nstore = Store.open(sys.argv[1])\n"
    hold += "store.session.write(lambda db: (db.query('SELECT 1'), print('ready', flush=True), time.sleep(60)))"
    holder = start(hold, url)
    holder.kill()
    holder.communicate(timeout=30)
    began = time.monotonic()
    with Store.open(url) as store:
        store.record("a", 1)
    assert time.monotonic() - began < 5


def test_the_time_is_the_servers(server):
    url = server.url("time")
    now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    with Store.open(url) as store, psycopg.connect(f"host={server.folder} user=postgres dbname=postgres") as db:
        assert abs(store.session.clock() - db.execute(now).fetchone()[0]) < 1_000_000
        an_hour_fast = store.session._db.clock(lambda: now_us() + HOUR)  # this machine's own
        assert abs(an_hour_fast() - query(store, now)[0][0]) < 1_000_000


@pytest.mark.postgres
def test_a_writer_that_was_stopped_in_its_transaction_begins_it_again(path):
    """Its process was suspended, or the machine was busy, for longer than the server waits for a statement."""
    runs = []

    def job(db):
        runs.append(db.query("SELECT 7"))
        db.query("SELECT 7")  # the time counts after a statement that was sent alone
        if len(runs) == 1:
            time.sleep(0.4)
        db.query("SELECT 8")
        return db.query("SELECT count(*) FROM event_log")

    with Store.open(path + "&options=-c idle_in_transaction_session_timeout%3D200ms") as store:
        store.record("a")
        assert store.session.write(job) == [(1,)]
        assert len(runs) == 2
        assert store.record("a").event_id == 2
