"""What the tests share: a clock moved by hand, a store in a folder of its own, and pictures of what is derived."""

import sqlite3
from contextlib import contextmanager

import pytest

from failaware import Inspector, Store
from failaware.derive.fold import DERIVED

MINUTE = 60_000_000
HOUR = 60 * MINUTE
START = 1_795_000_000_000_000  # 2026-11-18


class Clock:
    """Time in µs, moved by hand."""

    def __init__(self, now=START):
        self.now = now

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += int(seconds * 1_000_000)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "store.db"


@pytest.fixture
def store(path, clock):
    with Store.open(path, synchronous="NORMAL", clock=clock) as opened:
        yield opened


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
