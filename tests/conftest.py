"""What the tests share: a clock moved by hand, a store in a folder of its own, and pictures of what is derived."""

import itertools
import os
import shutil
import signal
import sqlite3
from contextlib import contextmanager
from functools import cache

import psycopg
import pytest

from failaware import Inspector, Store
from failaware.derive.fold import DERIVED
from failaware.engine.postgres.place import parse
from failaware.facts.copy import copy_facts
from failaware.facts.restore import finish
from sample_data import seed
from tests import processes
from tests.servers import shared_server

MINUTE = 60_000_000
HOUR = 60 * MINUTE
START = 1_795_000_000_000_000  # 2026-11-18

_schemas = itertools.count(1)


class Clock:
    """Time in µs, moved by hand."""

    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += int(seconds * 1_000_000)


def pytest_configure():
    if (
        signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    ):  # as of a run in the background: what it starts would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)


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


def pytest_generate_tests(metafunc):
    """Whatever has a store runs on both engines, but for what is marked as about one of them."""
    if "engine" in metafunc.fixturenames:
        only = [name for name in ("sqlite", "postgres") if metafunc.definition.get_closest_marker(name)]
        metafunc.parametrize("engine", only or ["sqlite", "postgres"])


@pytest.fixture(scope="session")
def postgres(tmp_path_factory, worker_id):
    """The run's PostgreSQL."""
    base = tmp_path_factory.getbasetemp()
    with shared_server(base if worker_id == "master" else base.parent) as server:
        yield server


@pytest.fixture
def path(engine, tmp_path, request):
    """Where a test's own store is to be: a file, or a schema."""
    if engine == "sqlite":
        yield tmp_path / "store.db"
        return
    server = request.getfixturevalue("postgres")
    schema = f"t{os.getpid()}_{next(_schemas)}"
    yield server.url(schema)
    server.drop(schema)


@pytest.fixture
def store(path, clock):
    with Store.open(path, synchronous="NORMAL", clock=clock) as opened:
        yield opened


@pytest.fixture(scope="session")
def samples(tmp_path_factory):
    """Files with so many events of sample data, each made once."""
    folder = tmp_path_factory.mktemp("samples")

    @cache
    def made(events):
        seed(folder / f"{events}.db", events=events)
        return folder / f"{events}.db"

    return made


@pytest.fixture
def put_sample(path, engine, samples):
    """Puts sample data where the test's own store is to be: playing it takes long, above all on PostgreSQL."""

    def put(events):
        if engine == "sqlite":
            shutil.copy(samples(events), path)
            return
        with Inspector.open(samples(events)) as source, Store.open(path, synchronous="NORMAL") as target:
            copy_facts(source.db, target)
            finish(target)

    return put


@pytest.fixture
def inspector(store, path, clock):
    with Inspector.open(path, clock=clock) as opened:
        yield opened


def derived(store):
    """All rows of all derived tables."""
    return {
        table: sorted(store.read(lambda db, table=table: db.query(f"SELECT * FROM {table}")), key=repr)
        for table in DERIVED
    }


def assert_rebuild_changes_nothing(store):
    before = derived(store)
    store.rebuild()
    after = derived(store)
    for table in DERIVED:
        assert before[table] == after[table], table


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
    return store.read(lambda db: db.query(sql, parameters))
