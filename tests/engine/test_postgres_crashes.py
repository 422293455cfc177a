"""A PostgreSQL server that crashes: what was returned is there, exactly once, also with other writers."""

import os
import random
from functools import partial

import psycopg
import pytest

from failaware import Handlers, Store, StoreError, Worker
from failaware.ledger.verify import verify
from tests.conftest import query
from tests.servers import a_server
from tests.sizes import sized
from tests.soak.crashes import try_crashes

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server():
    with a_server() as server:
        yield server


@pytest.fixture
def crash_at_next_commit(server):
    """Crash the server instead of the store's next commit, and give the transaction's id to another writer."""

    def crash(store):
        writer = store.session._db
        ways = {name: getattr(writer, name) for name in ("_commit", "_answer_of")}

        def crash_and_commit(name, *args, **kwargs):
            for way in ways.items():
                setattr(writer, *way)
            lost = int(writer.query("SELECT pg_current_xact_id()::text")[0][0])
            server.restart("immediate")
            with Store.open(writer.url) as other, psycopg.connect(f"host={server.folder} user=postgres") as db:
                given = "SELECT pg_current_xact_id()::text::bigint"
                while db.execute(given).fetchone()[0] <= lost:
                    other.record("other", None)
                    db.commit()
            return ways[name](*args, **kwargs)

        for name in ways:
            setattr(writer, name, partial(crash_and_commit, name))

    return crash


@pytest.mark.thinned
@pytest.mark.parametrize("way", ["record", "record_many", "attempt", "dismiss", "requeue", "worker"])
def test_a_commit_that_a_crash_lost_is_made_again_though_its_number_is_anothers(server, crash_at_next_commit, way):
    url = server.url(way)
    handlers = Handlers()
    handlers.on("first")(lambda event: crash_at_next_commit(store) if way == "worker" else None)
    with Store.open(url) as store:
        if way in ("requeue", "worker", "dismiss"):
            store.record("first", 1)
        if way == "requeue":
            store.dismiss([1], because="enough")
        written = {
            "record": lambda: store.record("ours", 1),
            "record_many": lambda: store.record_many([("ours", 1)]),
            "attempt": lambda: attempt(store),
            "dismiss": lambda: store.dismiss([1], because="enough"),
            "requeue": lambda: store.requeue([1], because="again"),
            "worker": lambda: Worker(store, handlers).run(until_idle=True, patience=0),
        }[way]
        counted = {
            "dismiss": "SELECT count(*) FROM decision_log WHERE decision = 'DISMISS'",
            "requeue": "SELECT count(*) FROM decision_log WHERE decision = 'REQUEUE'",
            "worker": "SELECT count(*) FROM attempt_log",
        }.get(way, "SELECT count(*) FROM event_log WHERE event_type = 'ours'")
        if way != "worker":
            crash_at_next_commit(store)
        written()
        assert query(store, counted) == [(1,)]
    assert verify(url).findings == ()


WRITES = {
    "_answer_of": lambda store: store.record("a", 1),
    "_commit": lambda store: store.dismiss([1], because="seen"),
}
"""Ways to write, by the writer's method that gets the answer to the commit."""


def attempt(store):
    with store.attempt("ours", 1):
        pass


def test_a_commit_whose_fate_cannot_be_learned_is_said_to_be_unknown(server, monkeypatch):
    monkeypatch.setattr("failaware.engine.postgres.reader.RECONNECT_S", 0.2)
    with Store.open(server.url("unknown")) as store:
        store.record("z", 1)
        for way, write in WRITES.items():
            writer = store.session._db
            commit = getattr(writer, way)

            def answer_gets_lost(*args, commit=commit, writer=writer, **kwargs):
                commit(*args, **kwargs)
                server.stop()
                writer.run_untranslated("SELECT 1")

            setattr(writer, way, answer_gets_lost)
            with pytest.raises(StoreError, match="it is unknown whether the current transaction was committed"):
                write(store)
            setattr(writer, way, commit)
            server.start()
        store.record("b", 1)
        assert query(store, "SELECT event_type FROM event_log ORDER BY event_id") == [("z",), ("a",), ("b",)]
        assert query(store, "SELECT reason FROM decision_log") == [("seen",)]


def test_writers_leave_no_row_behind_when_they_close(server):
    url = server.url("rows")
    with Store.open(url) as store:
        store.record("a", 1)
        store.record("a", 2)
        assert query(store, "SELECT ticket FROM last_commit WHERE writer <> ''") == [(2,)]
        others = "('killed long ago', 7, 0, '', 3), ('killed', 8, (SELECT max(committed_at) FROM last_commit), '', 4)"
        store.session.write(lambda db: db.execute(f"INSERT INTO last_commit VALUES {others}"))
    with Store.open(url) as store:
        kept = [("", 0, 5), ("killed", 8, 4)]  # the row of no writer counts the events of those that were deleted
        assert query(store, "SELECT writer, ticket, recorded FROM last_commit ORDER BY 1") == kept
        store.record("a", 3)
        assert query(store, "SELECT ticket, recorded FROM last_commit ORDER BY 1") == [(0, 5), (1, 1), (8, 4)]


@pytest.mark.large
def test_producers_and_workers_lose_and_double_nothing_in_repeated_crashes():
    counts = try_crashes(random.Random(os.getpid()), crashes=sized(2, 4), producers=6, workers=2)
    assert counts["facts acknowledged"] > 20
    assert counts["results"] > 0
    assert counts["applied in the transaction"] > 0
    assert (counts["facts lost"], counts["results lost"], counts["recorded or applied twice"]) == (0, 0, 0)
