"""Turns at the write lock, by a clock of our own: who waits asks often, who has waited lets others go first."""

import sqlite3

import pytest

from failaware.engine.sqlite.lock_fairness import Turns


class Clock:
    """Time that passes only while someone sleeps; `at_each` is called after each sleep."""

    def __init__(self):
        self.now, self.slept = 0.0, []
        self.at_each = lambda: None

    def sleep(self, seconds):
        self.now += seconds
        self.slept.append(seconds)
        self.at_each()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def turns(clock):
    return Turns(clock.sleep, lambda: clock.now)


@pytest.fixture
def connections(tmp_path):
    both = [sqlite3.connect(tmp_path / "x.db", isolation_level=None, timeout=0) for _ in range(2)]
    both[0].execute("PRAGMA journal_mode = WAL")
    yield both
    for connection in both:
        connection.close()


def begin(turns, db, patience_s=30.0):
    turns.let_others_go_first()
    turns.run(db, "BEGIN IMMEDIATE", (), patience_s=patience_s)


def wait_for(turns, clock, mine, other, *, asks):
    """The other holds the lock while it is asked for so often in vain."""
    other.execute("BEGIN IMMEDIATE")
    clock.at_each = lambda: len(clock.slept) == asks and other.execute("COMMIT")
    begin(turns, mine)
    clock.at_each = lambda: None
    assert len(clock.slept) == asks
    clock.slept.clear()


def test_who_is_alone_never_sleeps(turns, clock, connections):
    for _ in range(100):
        begin(turns, connections[0])
        connections[0].execute("COMMIT")
        clock.now += 0.01
    assert not clock.slept


def test_who_waits_asks_again_within_a_millisecond_however_long_it_takes(turns, clock, connections):
    mine, other = connections
    other.execute("BEGIN IMMEDIATE")
    clock.at_each = lambda: len(clock.slept) == 500 and other.execute("COMMIT")
    begin(turns, mine)
    assert mine.in_transaction
    assert len(clock.slept) == 500
    assert 0.0001 <= min(clock.slept) <= max(clock.slept) <= 0.0007


def test_patience_ends(turns, clock, connections):
    mine, other = connections
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        begin(turns, mine, patience_s=2.0)
    assert 2.0 <= clock.now <= 2.001


def test_what_is_no_lock_is_raised_at_once(turns, clock, connections):
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        turns.run(connections[0], "SELECT * FROM missing", (), patience_s=30.0)
    assert not clock.slept


def test_who_has_waited_pauses_after_each_half_millisecond_as_often_as_it_had_asked(turns, clock, connections):
    mine, other = connections
    wait_for(turns, clock, mine, other, asks=3)
    mine.execute("COMMIT")
    paused_before = []
    for number in range(100):
        clock.now += 0.0002  # so long a transaction takes
        before = len(clock.slept)
        begin(turns, mine)
        mine.execute("COMMIT")
        if len(clock.slept) > before:
            paused_before.append(number)
    assert paused_before == [2, 5, 8]  # three pauses, each after three transactions
    assert clock.slept == [0.001] * 3


def test_it_is_polite_twenty_times_at_most(turns, clock, connections):
    mine, other = connections
    wait_for(turns, clock, mine, other, asks=400)
    mine.execute("COMMIT")
    for _ in range(100):
        clock.now += 0.001
        begin(turns, mine)
        mine.execute("COMMIT")
    assert clock.slept == [0.001] * 20
