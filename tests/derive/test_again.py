"""Events that are tried again although they were SYNCED: nightly jobs with a key, task queues, late results."""

import pytest

from failaware.facts import append
from failaware.model import Failure, NewAttempt
from tests.conftest import HOUR, MINUTE, START, assert_rebuild_changes_nothing

LEDGER = Failure("TimeoutError", "no answer from the ledger", None)
DISK = Failure("OSError", "disk full", None)


class Jobs:
    """Jobs with keys, and their runs."""

    def __init__(self, store, clock):
        self.store, self.clock = store, clock

    def run(self, key, error=None, after=MINUTE):
        """One more try at a job, which ends in so many µs; returns its event."""
        self.clock.now += after
        try:
            with self.store.attempt("job", key=key):
                if error:
                    raise {"TimeoutError": TimeoutError, "OSError": OSError}[error.error_type](error.error_message)
        except (TimeoutError, OSError):
            pass
        return self.store.record("job", key=key).event_id

    def attempt(self, event_id, error, retry_at=None, number=None, at=None):
        at = self.clock.now if at is None else at
        new = NewAttempt(event_id, error, "w:1", at, at, retry_at, None, number)
        self.store.session.write(lambda db: append.attempts(db, [new], self.store.session.policy))


@pytest.fixture
def jobs(store, clock):
    yield Jobs(store, clock)
    assert_rebuild_changes_nothing(store)


def cluster(inspector, error=LEDGER):
    (result,) = inspector.clusters(f"error:{error.error_type}")
    return result


@pytest.mark.parametrize(
    "then",
    [
        [],
        [("de", LEDGER)],
        [("de", None)],
        [("de", LEDGER), ("de", None)],
        [("de", DISK)],
        [("de", DISK), ("de", None)],
    ],
)
def test_a_relapse_stays_one_whatever_is_tried_again_later(jobs, inspector, then):
    jobs.run("de", LEDGER)
    jobs.run("de")
    jobs.run("at", LEDGER)
    for key, error in then:
        jobs.run(key, error)
    assert (cluster(inspector).relapses, cluster(inspector).severity) == (1, "CRITICAL")


@pytest.mark.parametrize(("before", "relapses"), [(None, 0), (DISK, 1)])
def test_an_event_that_fails_again_when_another_enters_makes_that_no_relapse(jobs, inspector, before, relapses):
    """With the cluster: another error of an event that had recovered from it is none of it."""
    jobs.run("de", LEDGER)
    jobs.run("de")
    jobs.run("de", before or LEDGER)
    jobs.run("at", LEDGER)
    assert cluster(inspector).relapses == relapses
    assert cluster(inspector).recovered == 0
    explained = inspector.explain(f"cluster/{cluster(inspector).cluster_id}", facts=True).behind
    assert [result.ids for result in explained if result.number == "relapses"] == [(2,)] * relapses


def test_a_relapse_counts_every_event_that_was_failing_again(jobs, inspector):
    for key in ("a", "b"):
        jobs.run(key, LEDGER)
        jobs.run(key)
    assert cluster(inspector).relapses == 1  # b
    jobs.run("a", LEDGER)
    jobs.run("c", LEDGER)
    assert cluster(inspector).relapses == 1
    for key in ("a", "c"):
        jobs.run(key)
    jobs.run("d", LEDGER)
    assert cluster(inspector).relapses == 2


def test_a_success_that_is_recorded_late_parts_two_times_of_failing(jobs, store, inspector, clock):
    event_id, other = (store.record("job", n).event_id for n in range(2))
    for number, error, at in ((1, LEDGER, 10), (3, LEDGER, 30), (4, None, 40), (2, None, 20)):
        jobs.attempt(event_id, error, number=number, at=START + at)
    jobs.attempt(other, LEDGER, at=START + 25)
    assert cluster(inspector).relapses == 1
    assert inspector.patterns.recovered().total.total_delay == 10
    assert inspector.event(event_id).retry_count == 2


@pytest.mark.parametrize("nights", [0, 1, 31])
def test_good_nights_after_it_recovered_do_not_make_it_longer(jobs, inspector, nights):
    jobs.run("backup", DISK)
    jobs.run("backup", after=5 * MINUTE)
    for _ in range(nights):
        jobs.run("backup", after=24 * HOUR)
    recovered = inspector.patterns.recovered()
    assert (recovered.total.recovered, recovered.total.median_delay, recovered.total.attempts) == (1, 5 * MINUTE, 1)
    assert recovered.clusters[0].recovery == recovered.total


def test_a_later_failure_does_not_make_it_longer_either(jobs, inspector):
    jobs.run("backup", DISK)
    jobs.run("backup", after=5 * MINUTE)
    jobs.run("backup", DISK, after=24 * HOUR)
    assert inspector.patterns.recovered().total.recovered == 0
    jobs.run("backup", after=7 * MINUTE)
    assert inspector.patterns.recovered().total[:5] == (1, 0, 2, 5 * MINUTE, 5 * MINUTE)


@pytest.mark.parametrize("nights", [0, 3, 100])
def test_successes_are_no_failed_attempts(jobs, inspector, clock, nights):
    event_id = None
    for _ in range(nights):
        event_id = jobs.run("n", after=24 * HOUR)
    assert inspector.health().most_retried is None
    event_id = event_id or jobs.store.record("job", key="n").event_id
    jobs.attempt(event_id, DISK, clock.now + HOUR)
    event = inspector.event(event_id)
    assert (event.severity, event.rule, event.retry_count) == ("LOW", "retrying", 0)
    assert event.reason == "1 attempt failed, another is due"
    assert inspector.events("retries:>0") == []
    jobs.attempt(event_id, DISK, clock.now + HOUR)
    assert (inspector.event(event_id).severity, inspector.event(event_id).retry_count) == ("LOW", 1)
    jobs.attempt(event_id, DISK, clock.now + HOUR)
    assert inspector.event(event_id).severity == "MEDIUM"
    assert inspector.event(event_id).reason == "3 attempts failed, another is due"
    numbers = inspector.explain(f"event/{event_id}").checks[1].numbers
    assert (numbers["failed_attempts"], numbers["repeated_retries"]) == (3, 2)


def test_a_requeue_begins_anew(jobs, store, inspector, clock):
    event_id = store.record("a").event_id
    for _ in range(4):
        jobs.attempt(event_id, DISK)
    assert inspector.event(event_id).reason == "4 attempts failed, none will follow"
    store.requeue([event_id], because="again")
    jobs.attempt(event_id, DISK, clock.now + HOUR)
    assert (inspector.event(event_id).severity, inspector.event(event_id).retry_count) == ("LOW", 4)
    assert inspector.event(event_id).reason == "1 attempt failed, another is due"


def test_a_number_that_a_queue_left_out_did_not_fail(jobs, store, inspector):
    event_id = store.record("a").event_id
    for number in (1, 3):
        jobs.attempt(event_id, DISK, number=number)
    assert inspector.event(event_id).reason == "2 attempts failed, none will follow"


def test_a_worker_has_a_fresh_budget_after_a_success(jobs, store):
    event_id = jobs.run("n")
    for _ in range(5):
        jobs.run("n")
    jobs.attempt(event_id, DISK, store.session.clock())
    ((attempts,),) = store.session.read(lambda db: db.query("SELECT attempts - budget_from FROM event_state"))
    assert attempts == 1


def test_a_dismissal_ends_with_a_later_success(jobs, store, inspector):
    event_id = jobs.run("backup", DISK)
    store.dismiss([event_id], because="the disk is being replaced")
    jobs.run("backup", DISK)
    assert (inspector.health().dismissed, inspector.event(event_id).severity) == (1, None)
    jobs.run("backup")
    assert (inspector.health().dismissed, inspector.health().synced) == (0, 1)
    jobs.run("backup", DISK)
    assert (inspector.health().dismissed, inspector.health().dead) == (0, 1)
    assert (inspector.event(event_id).severity, inspector.event(event_id).dismissed) == ("HIGH", False)
    assert [event.event_id for event in inspector.events("status:UNRESOLVED")] == [event_id]
    assert [run.words for run in inspector.patterns.runs(event_id)][-1] == "DEAD"
    store.dismiss([event_id], because="again")
    assert inspector.health().dismissed == 1


def test_its_age_counts_from_its_last_success(jobs, inspector, clock):
    jobs.run("old", LEDGER)
    jobs.run("old")
    other = jobs.run("other", LEDGER, after=24 * HOUR)
    failed_at = clock.now
    jobs.run("old", LEDGER, after=24 * HOUR)
    oldest = inspector.health().oldest_unresolved
    assert (oldest.event_id, oldest.value) == (other, failed_at)
    impact = inspector.patterns.impact(cluster(inspector).cluster_id)
    assert (impact.oldest_age.where, impact.oldest_age.value) == (f"id:{other}", 24 * HOUR)
    jobs.run("other")
    assert inspector.health().oldest_unresolved.value == clock.now - MINUTE
    assert inspector.patterns.impact(cluster(inspector).cluster_id).oldest_age.value == MINUTE
