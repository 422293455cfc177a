"""A store copied between engines is the same store; broken off, the copy goes on where it was."""

import random
import signal
import subprocess
import sys
import time

import pytest

from failaware import Inspector, Store
from failaware.ledger.sealing import seal_all
from failaware.ledger.verify import verify
from tests import processes
from tests.conftest import derived, plain, query
from tests.test_same_on_both import facts


def copy(source, target):
    command = [sys.executable, "-m", "failaware", "copy", str(source), str(target)]
    return processes.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def other(engine, tmp_path, postgres):
    """A place for a store of the other engine."""
    if engine == "postgres":
        yield tmp_path / "other.db"
        return
    schema = f"copy_{random.randrange(2**40):x}"
    yield postgres.url(schema)
    postgres.drop(schema)


@pytest.fixture
def filled(path, put_sample):
    """A store with some history, a policy of its own, seals and an erasure."""
    put_sample(120)
    with Store.open(path) as store:
        store.rebuild(store.session.policy._replace(repeated_retries=1))
        with Inspector.open(path) as inspector:
            dead = inspector.events("status:DEAD", limit=3)
        store.erase([event.event_id for event in dead], because="asked")
        seal_all(store.session, store.session.clock())
        store.record("unsealed", {"ü": "\x1b"}, key="ключ")
    return path


@pytest.mark.thinned
def test_a_copy_is_the_same_store_and_lives_on(filled, other):
    done = copy(filled, other)
    assert done.returncode == 0, done.stderr
    assert "the same rows in every derived table" in done.stdout
    with Store.open(filled) as one, Store.open(other) as two:
        assert facts(one) == facts(two)
        assert derived(one) == derived(two)
        assert two.session.policy.repeated_retries == 1
        assert two.record("more").event_id == one.record("more").event_id
        seal_all(two.session, two.session.clock())
    assert verify(other).findings == ()
    assert copy(other, filled).returncode == 2  # it has a fact of its own by now


@pytest.mark.thinned
@pytest.mark.large
def test_a_copy_goes_on_with_what_came_since_and_there_and_back_is_nothing_new(filled, other, tmp_path):
    assert copy(filled, other).returncode == 0
    with Store.open(filled) as store:
        store.record_many(("later", n) for n in range(50))
    assert copy(filled, other).stdout.startswith("50 facts copied")
    assert copy(other, filled).stdout.startswith("0 facts copied")
    assert copy(other, tmp_path / "third.db").returncode == 0


@pytest.mark.thinned
@pytest.mark.large
def test_one_that_is_killed_again_and_again_is_finished_by_the_next(filled, other):
    command = [sys.executable, "-m", "failaware", "copy", str(filled), str(other)]
    for delay in (0.25, 0.3, 0.35, 0.4):
        process = processes.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
    assert copy(filled, other).returncode == 0
    assert verify(other).findings == ()


@pytest.mark.thinned
def test_a_target_that_is_not_the_same_is_told(filled, other):
    assert copy(filled, other).returncode == 0
    with plain(other) as db:
        db.execute("UPDATE failure_cluster SET events = events + 1")
    done = copy(filled, other)
    assert done.returncode == 1
    assert "failure_cluster" in done.stderr
    assert copy(filled, filled).returncode == 2


def test_a_target_with_facts_of_its_own_is_refused(filled, other):
    with Store.open(other) as store:
        store.record("mine")
    done = copy(filled, other)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    with Store.open(other) as store:
        assert query(store, "SELECT count(*) FROM event_log") == [(1,)]
        seal_all(store.session, store.session.clock())  # it goes on sealing


@pytest.mark.large
def test_writers_may_go_on_meanwhile(filled, other):
    program = "import sys, time\nfrom failaware import Store\nstore = Store.open(sys.argv[1], synchronous='NORMAL')\n"
    program += "print('ready', flush=True)\nwhile True: store.record('meanwhile'); time.sleep(0.005)"
    writer = processes.Popen([sys.executable, "-c", program, str(filled)], stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout.readline() == "ready\n"
        done = copy(filled, other)
    finally:
        writer.kill()
        writer.communicate(timeout=30)
    assert done.returncode == 0, done.stderr
