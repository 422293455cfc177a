"""Fairness of the write lock, with a simulated clock: waiting writers retry often, then yield to others."""

import sqlite3

import pytest

from failaware.engine.sqlite.lock_fairness import FairLock


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
def fair_lock(clock):
    return FairLock(clock.sleep, lambda: clock.now)


@pytest.fixture
def connections(tmp_path):
    both = [sqlite3.connect(tmp_path / "x.db", isolation_level=None, timeout=0) for _ in range(2)]
    both[0].execute("PRAGMA journal_mode = WAL")
    yield both
    for connection in both:
        connection.close()


def begin(fair_lock, db, patience_s=30.0):
    fair_lock.yield_to_others()
    fair_lock.run(db, "BEGIN IMMEDIATE", (), patience_s=patience_s)


def wait_for(fair_lock, clock, writer, other, *, retries):
    """Let `writer` get the lock from `other` after this many retries."""
    other.execute("BEGIN IMMEDIATE")
    clock.at_each = lambda: len(clock.slept) == retries and other.execute("COMMIT")
    begin(fair_lock, writer)
    clock.at_each = lambda: None
    assert len(clock.slept) == retries
    clock.slept.clear()


def test_a_lone_writer_never_sleeps(fair_lock, clock, connections):
    for _ in range(100):
        begin(fair_lock, connections[0])
        connections[0].execute("COMMIT")
        clock.now += 0.01
    assert not clock.slept


def test_a_waiting_writer_retries_within_a_millisecond(fair_lock, clock, connections):
    writer, other = connections
    other.execute("BEGIN IMMEDIATE")
    clock.at_each = lambda: len(clock.slept) == 500 and other.execute("COMMIT")
    begin(fair_lock, writer)
    assert writer.in_transaction
    assert len(clock.slept) == 500
    assert 0.0001 <= min(clock.slept) <= max(clock.slept) <= 0.0007


def test_the_wait_ends_after_the_timeout(fair_lock, clock, connections):
    writer, other = connections
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        begin(fair_lock, writer, patience_s=2.0)
    assert 2.0 <= clock.now <= 2.001


def test_the_wait_ends_after_the_timeout_also_if_pauses_take_longer_on_a_busy_machine(fair_lock, clock, connections):
    writer, other = connections
    other.execute("BEGIN IMMEDIATE")
    clock.at_each = lambda: setattr(clock, "now", clock.now + 0.015)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        begin(fair_lock, writer, patience_s=2.0)
    assert 2.0 <= clock.now <= 2.02


def test_other_errors_are_raised_at_once(fair_lock, clock, connections):
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        fair_lock.run(connections[0], "SELECT * FROM missing", (), patience_s=30.0)
    assert not clock.slept


def test_a_writer_that_waited_yields_after_each_ten_milliseconds_once_per_retry(fair_lock, clock, connections):
    writer, other = connections
    wait_for(fair_lock, clock, writer, other, retries=3)
    writer.execute("COMMIT")
    paused_before = []
    for number in range(100):
        clock.now += 0.004  # so long a transaction takes
        before = len(clock.slept)
        begin(fair_lock, writer)
        writer.execute("COMMIT")
        if len(clock.slept) > before:
            paused_before.append(number)
    assert paused_before == [2, 5, 8]  # three pauses, each after three transactions
    assert clock.slept == [0.001] * 3


def test_a_writer_yields_twenty_times_at_most(fair_lock, clock, connections):
    writer, other = connections
    wait_for(fair_lock, clock, writer, other, retries=400)
    writer.execute("COMMIT")
    for _ in range(100):
        clock.now += 0.01
        begin(fair_lock, writer)
        writer.execute("COMMIT")
    assert clock.slept == [0.001] * 20
