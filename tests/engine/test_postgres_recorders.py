"""PostgreSQL: recorders do not wait for each other. An event that becomes visible late is skipped by nothing."""

import json
import secrets
import threading
import time
from contextlib import contextmanager

import psycopg
import pytest

from failaware import Handlers, Inspector, Store, Worker
from failaware.engine.postgres import recording
from failaware.engine.postgres.parameters import numbered
from failaware.engine.postgres.place import parse
from failaware.engine.settled import settled_event
from failaware.errors import StoreBusy
from failaware.facts import append
from failaware.ledger.archive import archive
from failaware.ledger.copy import copy_store
from failaware.ledger.export import Export
from failaware.ledger.restore import restore_export
from failaware.ledger.sealing import seal_all
from failaware.ledger.verify import verify
from failaware.model import NewEvent
from tests.conftest import assert_rebuild_changes_nothing, plain, query
from tests.worker.helpers import eventually

pytestmark = pytest.mark.postgres


class Late:
    """A record by another program, which has its id, and is visible only once it has committed."""

    def __init__(self, path, key=None):
        place = parse(path)
        self._db = psycopg.connect(place.conninfo, autocommit=True)
        self._db.execute(f"SET search_path = {place.schema}")
        self._db.execute("BEGIN")
        self._cursor = psycopg.RawCursor(self._db)
        row = ("late", None, json.dumps({"late": True}), 1, 1, None, key)
        mark = self._cursor.execute(b"SELECT value FROM setting WHERE name = 'derivation'").fetchone()[0]
        calls = recording.call(place.schema, [row], (secrets.token_hex(8), 1), mark, refuse=True)
        _, (self.event_id,) = recording.parsed(self._cursor.execute(*numbered(*calls)).fetchone()[0])

    def commit(self):
        self._db.execute("COMMIT")

    def roll_back(self):
        self._db.execute("ROLLBACK")

    def close(self):
        self._db.close()


@pytest.fixture
def begin_late(path, store):
    """Begins a record that becomes visible late; what a test has not ended is rolled back."""
    begun = []

    def begin(**kwargs):
        begun.append(Late(path, **kwargs))
        return begun[-1]

    yield begin
    for late in begun:
        late.close()


@contextmanager
def in_thread(job):
    """Run a job that must be waiting when the block ends, and done soon after."""
    results = []
    thread = threading.Thread(target=lambda: results.append(job()), daemon=True)
    thread.start()
    yield results
    thread.join(30)
    assert results


def test_a_record_waits_neither_for_a_fold_nor_for_another_record(store, path, begin_late):
    late = begin_late()
    with Store.open(path) as other:

        def fold(db):
            db.query("SELECT 1")
            assert other.record("a").event_id == late.event_id + 1
            assert [event.event_id for event in other.record_many([("a", 1), ("a", 2)])] == [3, 4]

        store.session.write(fold)
    late.commit()
    assert query(store, "SELECT event_type FROM event_log ORDER BY event_id") == [("late",), ("a",), ("a",), ("a",)]


def test_counts_and_pages_have_a_late_event_and_a_worker_attempts_it(store, path, begin_late):
    seen = []
    handlers = Handlers()
    handlers.on("*")(lambda event: seen.append(event.event_id))
    late = begin_late()
    store.record_many([("a", n) for n in range(300)])  # enough to be stored, were it not for the late one
    with Inspector.open(path) as inspector:
        assert (inspector.health().total_events, inspector.count_events("status:PENDING")) == (300, 300)
        Worker(store, handlers).run(until_idle=True, patience=0)
        late.commit()
        assert inspector.health().total_events == 301
        assert [event.event_id for event in inspector.events("status:PENDING")] == [late.event_id]
        ids = [event.event_id for event in inspector.events(limit=200)]
        ids += [event.event_id for event in inspector.events(limit=200, before=ids[-1])]
        assert ids == list(range(301, 0, -1))
        Worker(store, handlers).run(until_idle=True, patience=0)
        assert inspector.health().synced == 301
    assert sorted(seen) == list(range(1, 302))
    assert_rebuild_changes_nothing(store)
    assert verify(path).findings == ()


def test_a_running_worker_attempts_what_becomes_visible_late(path, begin_late):
    seen = []
    handlers = Handlers()
    handlers.on("*")(lambda event: seen.append(event.event_type))
    late = begin_late()
    with Store.open(path) as store, Store.open(path) as other:
        worker = Worker(store, handlers)
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        other.record("a")
        eventually(lambda: seen == ["a"])
        late.commit()
        eventually(lambda: seen == ["a", "late"])
        worker.stop()
        thread.join(20)


@pytest.mark.parametrize("end", ["commit", "roll_back"])
def test_a_seal_covers_no_id_that_may_still_become_visible(store, path, end, begin_late):
    late = begin_late()
    store.record_many([("a", n) for n in range(5)])
    seal_all(store.session, store.session.clock())
    assert query(store, "SELECT count(*) FROM seal_log WHERE of_table = 'event_log'") == [(0,)]
    assert verify(path).findings == ()
    getattr(late, end)()
    seal_all(store.session, store.session.clock())
    assert query(store, "SELECT first_id, last_id FROM seal_log WHERE of_table = 'event_log'") == [(1, 6)]
    checked = verify(path)
    assert (checked.findings, checked.sealed) == ((), 6 if end == "commit" else 5)


def test_a_fact_inserted_where_a_seal_has_none_is_noticed(store, path, begin_late):
    begin_late().roll_back()
    store.record("a")
    seal_all(store.session, store.session.clock())
    with plain(path, guarded=False) as db:
        db.execute("INSERT INTO event_log SELECT 1, event_type, source, '1', 1, 1, NULL FROM event_log")
    assert [(finding.where, finding.problem) for finding in verify(path, facts_only=True).findings] == [
        ("event_log 1", "was inserted: there was no such fact when its range was sealed")
    ]


def test_more_unused_ids_than_a_seal_covers_do_not_end_sealing(store, path, begin_late):
    with plain(path) as db:
        db.execute("SELECT setval('event_ids', 5000)")
    store.record("a")
    seal_all(store.session, store.session.clock())
    checked = verify(path)
    assert (checked.findings, checked.sealed) == ((), 1)


def test_a_copy_to_a_file_waits_for_a_record_under_way(store, path, tmp_path, begin_late):
    late = begin_late()
    store.record("a")
    with in_thread(lambda: copy_store(path, tmp_path / "copy.db", progress=lambda *_: None)) as copied:
        time.sleep(0.3)
        assert not copied
        late.commit()
    assert copied[0].differences == ()
    begin_late().roll_back()
    store.record("b")
    assert copy_store(path, tmp_path / "copy.db", progress=lambda *_: None).differences == ()
    with Inspector.open(tmp_path / "copy.db") as inspector:
        assert [event.event_id for event in inspector.events()] == [4, 2, 1]
    assert verify(tmp_path / "copy.db").findings == ()


def test_events_are_settled_when_the_records_under_way_have_ended(store, path, begin_late):
    first = begin_late()
    store.record("a")
    with pytest.raises(StoreBusy, match="has been recording an event for a long time"):
        settled_event(store.session._db, patience_s=0.05)
    with in_thread(lambda: settled_event(store.session._db)) as settled:
        time.sleep(0.1)
        second = begin_late()
        first.commit()
        eventually(lambda: settled == [2])  # without the second, which has a higher id
        second.commit()


def test_the_past_has_an_event_that_became_visible_late(store, path, clock, begin_late):
    late = begin_late()
    store.record("a")
    with Inspector.open(path, clock=clock) as inspector, inspector.as_of(clock.now) as then:
        assert then.health().total_events == 1
        store.record("b")
        then.move(clock.now)
        assert then.health().total_events == 2
        late.commit()
        then.move(clock.now)
        assert then.health().total_events == 3
        store.record("c")
        then.move(clock.now)
        assert sorted(event.event_type for event in then.events()) == ["a", "b", "c", "late"]
        assert then.health().pending == 4


def test_an_archive_leaves_a_late_event(store, path, clock, tmp_path, begin_late):
    late = begin_late()
    handlers = Handlers()
    handlers.on("a")(lambda event: None)
    store.record_many([("a", n) for n in range(4)])
    Worker(store, handlers).run(until_idle=True, patience=0)
    clock.now += 10_000_000

    def archived(name):
        before, kwargs = clock.now, {"by": "me", "reason": "old", "progress": lambda *_: None}
        return archive(store.session, tmp_path / name, before=before, **kwargs).events

    assert archived("first.db") == 0
    late.commit()
    assert archived("second.db") == 3  # without the newest
    assert [row for (row,) in query(store, "SELECT event_type FROM event_log ORDER BY event_id")] == ["late", "a"]
    assert verify(path).findings == verify(tmp_path / "second.db").findings == ()


def test_an_export_with_gaps_is_restored(store, path, tmp_path, begin_late):
    begin_late().roll_back()
    store.record("a")
    store.session.write(lambda db: db.query("SELECT nextval('event_ids')"))
    store.record("b")
    with Inspector.open(path) as inspector:
        lines = [f"{line}\n".encode() for line in Export(inspector.db).lines()]
    with Store.open(tmp_path / "restored.db") as restored:
        assert restore_export(restored.session, lines, origin="export").added == 2
        assert restored.record("c").event_id == 5
    assert verify(tmp_path / "restored.db").findings == ()


def test_two_that_record_one_key_at_once_record_one_event(store, path, begin_late):
    late = begin_late(key="k")
    with in_thread(lambda: store.record("late", key="k").event_id) as recorded:
        time.sleep(0.2)
        assert not recorded
        late.commit()
    assert recorded == [late.event_id]
    assert query(store, "SELECT count(*) FROM event_log") == [(1,)]


def test_two_that_record_the_same_keys_in_another_order_do_not_wait_for_each_other(path):
    keys = [f"k{n}" for n in range(200)]
    Store.open(path).close()
    events = []

    def record(order):
        with Store.open(path) as store:
            events.append(
                {event.key: event.event_id for event in store.record_many({"type": "a", "key": key} for key in order)}
            )

    threads = [threading.Thread(target=record, args=(order,)) for order in (keys, keys[::-1], keys[100:] + keys[:100])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert events[0] == events[1] == events[2]
    with Store.open(path) as store:
        assert query(store, "SELECT count(*) FROM event_log") == [(200,)]


def test_a_transaction_of_a_writer_that_went_on_without_it_cannot_commit(store, path, begin_late):
    """The server may read a statement only after its client has given up and asked whether it had committed."""
    store.record("a")
    writer = store.session._db
    ticket = writer._tickets.writer, writer._tickets.number + 1
    assert writer.query("SELECT fence(?, ?)", ticket) == [(None,)]
    row = ("zombie", None, "1", 1, 1, None, None)
    assert writer._record_one.run((writer._mark, *ticket, *row[:-1])) is None
    with pytest.raises(Exception, match="the ticket is taken"):
        writer.query(*recording.call(writer._schema, [row, row], ticket, writer._mark, refuse=True))
    with pytest.raises(Exception, match="the ticket is taken"):
        writer.query("SELECT begin_write(?, ?)", ticket)
    assert query(store, "SELECT event_type FROM event_log") == [("a",)]


def test_an_event_is_recorded_once_after_the_server_has_forgotten_the_prepared_statements(store):
    store.record("a")
    store.session._db.raw("DEALLOCATE ALL")
    assert store.record("a").event_id == 2
    assert query(store, "SELECT count(*) FROM event_log") == [(2,)]


def test_times_of_any_size_are_recorded_together(store):
    times = [5, -(2**40), 2**52]
    store.session.record([NewEvent("a", "1", None, None, occurred, occurred) for occurred in times])
    assert query(store, "SELECT occurred_at FROM event_log ORDER BY event_id") == [(time,) for time in times]


@pytest.mark.parametrize("key", [None, "k"])
def test_texts_of_any_characters_are_recorded_together(store, key):
    texts = ['a"b', "a\\b", "{a,b}", "NULL", "null", "", "'", " a ", "ä\u2028\n\t", '\\"', "$1", "{"]
    store.session.record([NewEvent("a", json.dumps(text), key and f"{key}{text}", text, 1, 1, text) for text in texts])
    rows = query(store, "SELECT event_payload, source, fingerprint FROM event_log ORDER BY event_id")
    assert rows == [(json.dumps(text), text, text) for text in texts]
    known = [key for (key,) in query(store, "SELECT key FROM event_key ORDER BY event_id")]
    assert known == ([] if key is None else [f"{key}{text}" for text in texts])


RECORDED = [{"type": "a", "key": "k1"}, {"type": "a", "key": "k1"}, {"type": "a", "key": None}]


@pytest.fixture
def counted(store, path, clock, begin_late):
    """A store with 6 events recorded in each way, an id without an event, and a writer that has gone."""
    with Store.open(path, clock=clock) as other:
        other.record("a")
        other.record_many(RECORDED)
    begin_late().roll_back()
    store.record("a", key="k1")
    store.record_many([("a", 1), ("a", 2)])
    store.session.write(lambda db: append.events(db, [NewEvent("a", "1", None, None, 0, 0)]))
    assert verify(path).findings == ()
    return path


def findings(path):
    return [(finding.where, finding.problem) for finding in verify(path, facts_only=True).findings]


@pytest.mark.parametrize("event_id", ["5", "(SELECT max(event_id) FROM event_log)"])
def test_an_event_deleted_before_it_is_sealed_is_noticed(counted, event_id):
    with plain(counted, guarded=False) as db:
        db.execute(f"DELETE FROM event_log WHERE event_id = {event_id}")
    assert findings(counted) == [("event_log after 3", "lacks events that were recorded (1)")]


def test_an_event_inserted_under_an_id_that_was_never_used_is_noticed(counted):
    with plain(counted) as db:
        db.execute("INSERT INTO event_log SELECT 4, event_type, source, '1', 1, 1, NULL FROM event_log LIMIT 1")
    assert findings(counted) == [("event_log after 3", "has events that were not recorded (1)")]


def test_a_change_of_sealed_events_is_not_reported_twice(counted, store):
    seal_all(store.session, store.session.clock())
    with plain(counted, guarded=False) as db:
        db.execute("DELETE FROM event_log WHERE event_id IN (1, 2)")
        db.execute("INSERT INTO event_log SELECT 4, event_type, source, '1', 1, 1, NULL FROM event_log LIMIT 1")
    assert [where for where, _ in findings(counted)] == [
        *(f"event_log {number}" for number in (1, 2, 4)),
        "event_key k1",
    ]


def test_the_count_of_recorded_events_survives_an_archive_and_a_restore(counted, store, clock, tmp_path):
    handlers = Handlers()
    handlers.on("a")(lambda event: None)
    Worker(store, handlers).run(until_idle=True, patience=0)
    clock.now += 10_000_000
    kwargs = {"by": "me", "reason": "old", "progress": lambda *_: None}
    archived = archive(store.session, tmp_path / "old.db", before=clock.now, **kwargs)
    assert archived.events == 4  # without the newest, and the event of the newest attempt
    assert findings(counted) == []
    with Inspector.open(counted) as inspector:
        lines = [f"{line}\n".encode() for line in Export(inspector.db).lines()]
    restored_place, copied_place = f"{counted}_restored", f"{counted}_copied"
    with Store.open(restored_place) as restored:
        restore_export(restored.session, lines, origin="export")
        restored.record("a")
    assert findings(restored_place) == []
    assert copy_store(restored_place, copied_place, progress=lambda *_: None).differences == ()
    assert findings(copied_place) == []
