"""A store that an older failaware made is migrated when it is opened for writing, and only then."""

import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from failaware import Inspector, Store
from failaware.engine.postgres import lock, schema
from failaware.engine.sql import digest_of
from failaware.errors import StoreOlder
from failaware.ledger.sealing import seal_all
from failaware.ledger.verify import verify
from failaware.schema import versions
from failaware.schema.guards import guard_statements
from tests import processes
from tests.conftest import derived, plain, query
from tests.test_same_on_both import facts

STEP = versions.Step("own_word", ("ALTER TABLE event_log ADD COLUMN fingerprint TEXT",))
"""As if this column of today's had come with one version more."""
STEPS = (*versions.STEPS, STEP)


VIEWS = [
    "event_detected",
    "failures",
    "clusters",
    "severities",
    "failure_severity",
    "known_fingerprint",
    "learned_fingerprint",
]
VIEWS += ["known_slot"]
CREATED_ONLY_BY_A_STEP = (9, "f303ad8b32d2a3fe91bd1b7b")


def test_changed_functions_and_guards_come_with_a_step():
    """Existing stores get them only when they are migrated: add an empty step, and note the digest of all of them."""
    created = [*guard_statements(), *schema._helpers("s"), *schema.guard_statements("s", "s"), *lock.TABLES]
    assert (versions.current(), digest_of(created)) == CREATED_ONLY_BY_A_STEP


def make_older(path):
    """Take away what the version before did not have: guards and views go with it, as they would have been others."""
    with plain(path, guarded=False) as db:
        for view in VIEWS:
            db.execute(f"DROP VIEW {view}")
        for table in versions.FORMER_TABLES:
            db.execute(f"DROP VIEW {table}")
            db.execute(f"CREATE TABLE {table} (as_it_was INTEGER)")
        db.execute("DROP TABLE cluster_hour")
        db.execute("CREATE TABLE cluster_hour (as_it_was INTEGER)")
        db.execute("ALTER TABLE event_log DROP COLUMN fingerprint")
        if "://" in str(path):
            db.execute("DROP FUNCTION hex, event_log_refuses_update CASCADE")
            db.execute("DROP TABLE write_lock, last_commit")


@pytest.fixture
def older(path, put_sample, monkeypatch):
    """A store of the version before, what it held, and what was derived from it."""
    put_sample(120)
    with Store.open(path) as store:
        store.rebuild(store.session.policy._replace(repeated_retries=1))
        seal_all(store.session, store.session.clock())
        held = facts(store), derived(store)
    make_older(path)
    monkeypatch.setattr(versions, "STEPS", STEPS)
    return held


def test_facts_stay_and_all_else_is_made_anew(older, path):
    with Store.open(path) as store:
        assert (facts(store), derived(store)) == older
        assert store.session.policy.repeated_retries == 1
    assert verify(path).findings == ()
    with Store.open(path) as store:  # and only once
        assert store.record("more").event_id == 121


def test_a_reader_says_who_can_do_it(older, path):
    with pytest.raises(StoreOlder, match=rf"schema {len(STEPS)}, this one reads {len(STEPS) + 1}.*failaware init"):
        Inspector.open(path)
    Store.open(path).close()
    Inspector.open(path).close()


def test_many_at_once_do_it_once(older, path):
    def record(n):
        with Store.open(path) as store:
            return store.record("more", {"n": n}).event_id

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(record, range(6))) == list(range(121, 127))
    assert verify(path).findings == ()


def test_what_fails_in_the_middle_leaves_it_as_it_was(older, path, monkeypatch):
    monkeypatch.setattr(versions, "STEPS", (*STEPS, versions.Step("wrong", ("ALTER TABLE nowhere ADD COLUMN x TEXT",))))
    with pytest.raises(Exception, match="nowhere"):
        Store.open(path)
    monkeypatch.setattr(versions, "STEPS", STEPS)
    with Store.open(path) as store:
        assert (facts(store), derived(store)) == older


def test_killed_at_any_moment_the_next_one_does_it(older, path):
    program = (
        "import sys; from failaware import Store; from failaware.schema import versions; "
        f"versions.STEPS += (versions.Step({STEP.name!r}, {STEP.statements!r}),); "
        "print('here', flush=True); Store.open(sys.argv[1]).close()"
    )
    for n in range(12):
        with processes.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            time.sleep(n * 0.006)
            process.send_signal(signal.SIGKILL)
    with Store.open(path) as store:
        assert (facts(store), derived(store)) == older
    assert verify(path).findings == ()


def test_a_new_store_has_taken_every_step(path, monkeypatch):
    monkeypatch.setattr(versions, "STEPS", STEPS)
    with Store.open(path) as store:
        store.record("a")
        if "://" not in str(path):
            steps = query(store, "SELECT name FROM _sqlite_migrations WHERE migration_set = 'failaware' ORDER BY id")
            assert steps == [("spine",), *((step.name,) for step in STEPS)]
    assert verify(path).findings == ()


def make_version_1(path):
    """A store as version 1 made it: no key, no digest of an archive, and an erasure keeps no other event's cluster."""
    with plain(path, guarded=False) as db:
        for view in VIEWS:
            db.execute(f"DROP VIEW {view}")
        db.execute("DELETE FROM setting WHERE name = 'key'")
        db.execute("DROP INDEX reject_of_line")
        db.execute("DROP TABLE correction_log")
        db.execute("ALTER TABLE archive_log DROP COLUMN digest")
        db.execute("ALTER TABLE lease DROP COLUMN begun")
        db.execute("ALTER TABLE attempt_log RENAME COLUMN retry_reason TO because")
        if "://" in str(path):
            db.execute("ALTER TABLE erasure_log DROP CONSTRAINT erasure_log_of_table_check")
            kinds = "('event_log', 'attempt_log', 'traceback_log')"
            db.execute(f"ALTER TABLE erasure_log ADD CHECK (of_table IN {kinds})")
            db.execute("UPDATE failaware_schema SET version = 1")
            return
        db.execute("DROP TABLE erasure_log")
        db.execute(versions._ERASURE_LOG.format(name="erasure_log", more=""))
        db.execute("DELETE FROM _sqlite_migrations WHERE name <> 'spine'")
        db.execute("PRAGMA user_version = 1")


def test_a_store_of_version_1_goes_on_under_its_seals_without_a_key(path, clock):
    with Store.open(path, clock=clock) as store:
        store.session.write(lambda db: db.execute("DELETE FROM setting WHERE name = 'key'"))
    with Store.open(path, clock=clock) as store:
        store.record("a", {"n": 1}, key="user=7 otp=482913")
        with pytest.raises(ValueError, match="bad"), store.attempt("b"):
            raise ValueError("bad")
        seal_all(store.session, clock.now)
        noted = verify(path).head
    make_version_1(path)
    with pytest.raises(StoreOlder):
        Inspector.open(path)
    with Store.open(path, clock=clock) as store:
        assert store.record("a", key="user=7 otp=482913").known
        assert query(store, "SELECT name FROM setting WHERE name = 'key'") == []
        store.erase([2], because="asked to")
        seal_all(store.session, clock.now)
    assert verify(path, noted=noted).findings == ()
