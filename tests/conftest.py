"""What the tests share: a clock set by the test, a store in its own folder, and snapshots of the derived tables."""

import fcntl
import gc
import itertools
import os
import shutil
import signal
import sqlite3
import time
from collections import Counter
from contextlib import contextmanager
from functools import cache

import psycopg
import pytest
from hypothesis import settings

from failaware import Inspector, Store
from failaware.derive.fold import COMPARED, DERIVED
from failaware.engine.postgres.place import SCHEMA, parse
from failaware.ledger.copy import copy_facts
from failaware.ledger.transfer import finish
from sample_data import seed
from tests import citus, processes
from tests.servers import shared_server
from tests.sizes import sized

MINUTE = 60_000_000
HOUR = 60 * MINUTE
START = 1_795_000_000_000_000  # 2026-11-18
NOON = START // (24 * HOUR) * (24 * HOUR) + 12 * HOUR

_schemas = itertools.count(1)

settings.register_profile("sized", max_examples=sized(25, 100))
settings.load_profile("sized")


class Clock:
    """Time in µs, set by the test."""

    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += int(seconds * 1_000_000)


def pytest_configure():
    """Let what the tests start not inherit what a run in the background ignores."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGQUIT, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    # By default, a quarter of the CPU time goes into looking through what pytest holds.
    gc.set_threshold(20_000, 20, 20)
    gc.disable()  # while tests are collected


def pytest_collection_finish():
    """Keep the collector of garbage from looking through all tests again and again."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def no_process_is_left():
    """No process outlives the test that started it."""
    processes.started.clear()
    yield
    if processes.started and (left := processes.end_those_left()):
        pytest.fail(f"these outlived the test: {left}")


@pytest.fixture
def clock():
    return Clock()


# What is the same on both engines once a store is open: `make test` runs only the tests marked as tour on PostgreSQL.
_TOURED = (
    "tests/tui/",
    "tests/integrations/",
    "tests/capture/",
    "tests/cli/test_exec",
    "tests/ingest/",
    "tests/serve/",
)

# What depends on the engine case by case: `make test` runs each test's first case on PostgreSQL, and every fourth after
# it; elsewhere only the first one.
_BY_CASE = (
    "tests/engine/",
    "tests/derive/test_again",
    "tests/derive/test_expressions",
    "tests/derive/test_grouping",
    "tests/derive/test_overflow",
    "tests/derive/test_rules",
    "tests/read/",
    "tests/ledger/test_verify",
    "tests/facts/test_key",
)

# Where no test is about a place without a store.
_COPIED = ("tests/derive/", "tests/serve/", "tests/worker/")

_THINNED_TO = 10  # one case of so many, of tests marked as thinned
_ON_POSTGRES = 4  # one of so many, of what depends on the engine


def pytest_generate_tests(metafunc):
    """Run tests with a store on both engines, except those marked as for one."""
    if "engine" in metafunc.fixturenames:
        only = [name for name in ("sqlite", "postgres") if metafunc.definition.get_closest_marker(name)]
        if metafunc.definition.nodeid.startswith(_TOURED) and not metafunc.definition.get_closest_marker("tour"):
            only = only or sized(["sqlite"], [])
        metafunc.parametrize("engine", only or ["sqlite", "postgres"])


def pytest_collection_modifyitems(config, items):
    """Leave out what only the full size runs, unless it is asked for by name."""
    if sized(False, True) or any("::" in argument for argument in config.args):
        return
    cases, cases_on_postgres = Counter(), Counter()
    kept, left_out = [], []
    for item in items:
        test = item.nodeid.partition("[")[0]
        leave_out = item.get_closest_marker("large") is not None
        if item.get_closest_marker("thinned"):
            leave_out = leave_out or cases[test] % _THINNED_TO != 0
            cases[test] += not item.get_closest_marker("large")
        elif _thinned_on_postgres(item):
            every = _ON_POSTGRES if item.nodeid.startswith(_BY_CASE) else len(items)
            leave_out = leave_out or cases_on_postgres[test] % every != 0
            cases_on_postgres[test] += 1
        (left_out if leave_out else kept).append(item)
    items[:] = sorted(kept, key=lambda item: item.nodeid.count("/"))  # the longest are in files of the top folder
    config.hook.pytest_deselected(items=left_out)


def _thinned_on_postgres(item):
    on_postgres = hasattr(item, "callspec") and item.callspec.params.get("engine") == "postgres"
    return on_postgres and not item.get_closest_marker("postgres")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory, worker_id):
    """The run's PostgreSQL."""
    base = tmp_path_factory.getbasetemp()
    with shared_server(base if worker_id == "master" else base.parent) as server:
        yield server


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory):
    """A store without facts."""
    path = tmp_path_factory.mktemp("empty") / "store.db"
    Store.open(path).close()
    return path


@pytest.fixture(scope="session")
def empty_database(postgres):
    """The name of a database with a store without facts."""
    name = f"empty{os.getpid()}"
    postgres.create_database(name)
    Store.open(postgres.url(SCHEMA, database=name)).close()
    return name


@pytest.fixture
def path(engine, tmp_path, request):
    """Where a test's own store is to be: a file, or a schema.

    For a test with the fixture `store`, and in some folders, a copy of an empty store is there: making one takes long.
    Tests of the engines make theirs.
    """
    test = request.node.nodeid
    copied = test.startswith(_COPIED) or ("store" in request.fixturenames and not test.startswith("tests/engine/"))
    name = f"t{os.getpid()}_{next(_schemas)}"
    if engine == "sqlite":
        if copied:
            shutil.copy(request.getfixturevalue("empty_file"), tmp_path / "store.db")
        yield tmp_path / "store.db"
        return
    if citus.URL:
        with citus.distributed(name) as urls:
            yield urls[0]
        return
    server = request.getfixturevalue("postgres")
    if copied:
        server.create_database(name, request.getfixturevalue("empty_database"))
        yield server.url(SCHEMA, database=name)
        server.drop_database(name)
    else:
        yield server.url(name)
        server.drop(name)


@pytest.fixture
def store(path, clock):
    with Store.open(path, synchronous="NORMAL", clock=clock) as opened:
        yield opened


@pytest.fixture(scope="session")
def samples(tmp_path_factory, worker_id):
    """Files with so many events of sample data until the last midnight (UTC), or another time; copy before you write.

    Each is made once for all processes of the run. What a sample holds depends on the hour of the day that it ends at.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "samples"
    folder.mkdir(exist_ok=True)
    midnight = time.time_ns() // 1_000 // (24 * HOUR) * (24 * HOUR)

    @cache
    def made(events, now=midnight):
        path = folder / f"{events}-{now}.db"
        with open(path.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                seed(path.with_suffix(".part"), events=events, now=now)
                path.with_suffix(".part").rename(path)
        return path

    return made


@pytest.fixture
def put_sample(path, engine, samples):
    """Puts sample data where the test's own store is to be: playing it takes long, above all on PostgreSQL."""

    def put(events):
        if engine == "sqlite":
            shutil.copy(samples(events), path)
            return
        with Inspector.open(samples(events)) as source, Store.open(path, synchronous="NORMAL") as target:
            copy_facts(source.db, target.session)
            finish(target.session)

    return put


@pytest.fixture
def inspector(store, path, clock):
    with Inspector.open(path, clock=clock) as opened:
        yield opened


COUNTED = """
SELECT event_type, sync_status, dismissed, cluster_id, severity, sum(events) FROM event_counts GROUP BY 1, 2, 3, 4, 5
"""
"""The counts of events, one row for each combination."""


def derived(store):
    """All that is derived, as reports see it: however many of the newest events are stored yet."""
    complete = {
        **{table: f"SELECT * FROM {table}" for table in DERIVED if not table.startswith(("stored_", "cluster_part"))},
        **{view: f"SELECT * FROM {view}" for view in ("event_state", "unattempted_event")},
        **{view: f"SELECT * FROM {view}" for view, _ in COMPARED.values()},
        "event_counts": COUNTED,
    }
    return {name: sorted(query(store, sql), key=repr) for name, sql in complete.items()}


def stored(store):
    """All rows of all derived tables, with the clusters of those that are stored under parts of clusters."""
    shown = {table: COMPARED[table][0] if table in COMPARED else table for table in DERIVED if table != "cluster_part"}
    return {table: sorted(query(store, f"SELECT * FROM {name}"), key=repr) for table, name in shown.items()}


def assert_rebuild_changes_nothing(store):
    before, shown = stored(store), derived(store)
    store.rebuild()
    after = stored(store)
    for table, rows in before.items():
        assert rows == after[table], table
    assert derived(store) == shown


class _Plain:
    """A PostgreSQL store as sqlite3 would have it; a superuser who says so is not held up by the guards."""

    def __init__(self, path, guarded):
        place = parse(path)
        self.db = psycopg.connect(place.conninfo, autocommit=True)
        self.db.execute(f"SET search_path = {place.schema}")
        if not guarded:
            self.db.execute("SET session_replication_role = replica")

    def execute(self, sql, parameters=None):
        return self.db.execute(sql.replace("?", "%s"), parameters)


@contextmanager
def plain(path, *, guarded=True):
    """The store as any other program opens it, on either engine; without its guards, or with them."""
    if "://" in str(path):
        opened = _Plain(path, guarded)
        with opened.db:
            yield opened
        return
    with plain_sqlite(path) as db:
        if not guarded:
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                db.execute(f"DROP TRIGGER {name}")
        yield db


@contextmanager
def plain_sqlite(path, **options):
    """The file as any other program opens it."""
    db = sqlite3.connect(path, isolation_level=None, **options)
    try:
        yield db
    finally:
        db.close()


def query(store, sql, parameters=()):
    return store.session.read(lambda db: db.query(sql, parameters))
