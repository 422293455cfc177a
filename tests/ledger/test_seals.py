"""Facts are sealed automatically, outside the transactions that append them, in one chain for all writers."""

import hashlib
import hmac
import json
import sys
from datetime import UTC, datetime

import pytest

from failaware import Handlers, Store, UsageError, Worker
from failaware.derive.settings import hold_seals, release_seals
from failaware.facts import append
from failaware.ledger.sealing import EVERY_US, RANGE, next_seals, seal_all, seal_archive, seal_round, seal_what_is_due
from failaware.ledger.sealing import append as append_seals
from failaware.ledger.verify import verify
from failaware.model import Failure, NewAttempt
from tests import processes
from tests.conftest import plain, query

FIRST_VERSION = "3101971b9827523654fd64157bfc033f3fad78bb13ea5302edabacdc4ef1ef7e"


def seals(store):
    return query(store, "SELECT seal_id, of_table, first_id, last_id FROM seal_log ORDER BY 1")


def test_nothing_is_sealed_while_facts_are_appended(store):
    store.record_many(("a", n) for n in range(RANGE + 100))
    assert seals(store) == []


def test_closing_seals_whole_ranges_and_what_an_hour_old_seal_has_left(path, clock):
    with Store.open(path, clock=clock) as store:
        store.record_many(("a", n) for n in range(3))
    with Store.open(path, clock=clock) as store:
        assert seals(store) == [(1, "event_log", 1, 3)]  # there was none yet
        store.record_many(("a", n) for n in range(3))
    with Store.open(path, clock=clock) as store:
        assert len(seals(store)) == 1
        store.record_many(("a", n) for n in range(RANGE))
    with Store.open(path, clock=clock) as store:
        assert seals(store)[1:] == [(2, "event_log", 4, RANGE + 3)]
        clock.now += EVERY_US
    with Store.open(path, clock=clock) as store:
        assert seals(store)[2:] == [(3, "event_log", RANGE + 4, RANGE + 6)]


def test_an_idle_worker_seals(store):
    handlers = Handlers()
    handlers.on("*")(lambda _event: None)
    store.record("a", 1)
    Worker(store, handlers).run(until_idle=True, patience=0)
    assert {row[1] for row in seals(store)} == {"event_log", "attempt_log"}


@pytest.mark.sqlite("its file has a size that can be limited")
def test_a_disk_that_is_full_keeps_nobody_from_closing(path, clock):
    store = Store.open(path, clock=clock)
    store.record_many(("a", {"text": "x" * 1_000}) for n in range(RANGE))
    store.session.read(lambda db: db.query("PRAGMA wal_checkpoint(TRUNCATE)"))
    ((pages,),) = query(store, "PRAGMA page_count")
    query(store, f"PRAGMA max_page_count = {pages}")
    store.close()
    with Store.open(path, clock=clock) as store:
        assert seals(store) == []


def test_a_seal_is_what_the_documentation_says(store):
    """Computed independently from the columns."""
    store.record("a.b", {"n": "ä"}, key="k", source="s")
    seal_all(store.session, 17)
    ((payload, occurred, detected),) = query(store, "SELECT event_payload, occurred_at, detected_at FROM event_log")
    ((key,),) = query(store, "SELECT value FROM setting WHERE name = 'key'")
    ((digest, kept),) = query(store, "SELECT digest, facts FROM seal_log")
    columns = [1, "a.b", "s", occurred, detected, None, "k"]
    row = json.dumps(columns, ensure_ascii=False, separators=(",", ":")).encode()
    text = hmac.new(bytes.fromhex(key), payload.encode(), hashlib.sha256).digest()
    fact = hashlib.sha256(row + text).digest()
    header = json.dumps([1, "event_log", 1, 1, 17], separators=(",", ":")).encode()
    assert kept == fact[:16]
    assert digest == hashlib.sha256(b"0" * 64 + header + kept).hexdigest()


def test_the_seals_of_a_store_from_before_there_were_keys_are_what_they_were(store, path):
    """These digests were made by the first version; they must never change."""
    store.session.write(lambda db: db.execute("DELETE FROM setting WHERE name = 'key'"))
    store.record("a.b", {"n": "ä"}, key="k", source="s", occurred_at=datetime(1970, 1, 1, microsecond=5, tzinfo=UTC))
    store.record("a.b", {"n": 2})
    failed = Failure("ValueError", "bad", "Traceback …", "OSError: no", None)
    for failure in (failed, None):
        attempt = NewAttempt(1, failure, "host:1", 7, 8, None, None if failure is None else "given up")
        store.session.write(lambda db, attempt=attempt: append.attempts(db, [attempt], store.session.policy))
    store.dismiss([2], because="seen", by="ann")
    with plain(path) as db:
        db.execute(
            "INSERT INTO archive_log (archive_id, name, events, before_at, archived_by, reason, archived_at) "
            "VALUES (1, 'old.db', 0, 5, 'me', 'old', 7)"
        )
    seal_all(store.session, 17)
    store.session.write(lambda db: seal_archive(db, 17))
    assert query(store, "SELECT digest FROM seal_log ORDER BY seal_id DESC LIMIT 1") == [(FIRST_VERSION,)]
    assert verify(path).findings == ()


SEALER = """
import sys
from datetime import UTC, datetime
from failaware import Store
from failaware.ledger.sealing import seal_all
store = Store.open(sys.argv[1], synchronous="NORMAL")
for n in range(40):
    store.record_many(("a", {"n": n}) for _ in range(7))
    seal_all(store.session, n)
"""


@pytest.mark.large
def test_many_processes_seal_one_chain(path):
    Store.open(path).close()
    running = [processes.Popen([sys.executable, "-c", SEALER, str(path)]) for _ in range(4)]
    assert [process.wait(timeout=100) for process in running] == [0] * 4
    result = verify(path)
    assert result.findings == ()
    assert result.sealed == result.facts == 4 * 40 * 7


@pytest.mark.parametrize("now", [0, -(10**15), 10**15])
def test_a_clock_that_jumps_does_not_stop_the_chain(store, path, now):
    store.record("a", 1)
    seal_all(store.session, 10**15)
    store.record("a", 2)
    seal_what_is_due(store.session, now)
    seal_all(store.session, now)
    assert verify(path).findings == ()


def test_who_seals_by_the_way_waits_while_facts_are_taken_over_and_who_asks_for_it_is_told(store):
    """A worker may have found that sealing is due, or made its seals, just before."""
    store.record("a", 1)
    made = store.session.read(lambda db: next_seals(db, 0))
    assert made
    store.session.write(hold_seals)
    store.session.write(lambda db: append_seals(db, made))
    assert not seal_round(store.session, 0)
    seal_what_is_due(store.session, 0)
    assert seals(store) == []
    with pytest.raises(UsageError, match="restore or copy into this store is in progress"):
        seal_all(store.session, 0)
    store.dismiss([1], because="to be erased")
    with pytest.raises(UsageError, match="restore or copy into this store is in progress"):
        store.erase([1], because="unsealed, it could not be proved")
    store.session.write(release_seals)
    seal_all(store.session, 0)
    assert {row[1] for row in seals(store)} == {"event_log", "decision_log"}
