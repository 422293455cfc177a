"""People decide: a requeue gives a new budget, a dismissal ends the attempts; both are kept with name and reason."""

import pytest

from failaware import Handlers, NotFound, Retry, UsageError, Worker
from tests.conftest import assert_rebuild_changes_nothing, query


class Trouble:
    """A handler that fails until it is switched off."""

    def __init__(self, store, max_attempts=2):
        self.failing = True
        self.handlers = Handlers()
        self.handlers.on("*", retry=Retry(max_attempts=max_attempts, base=10, jitter=0))(self.handle)
        self.worker = Worker(store, self.handlers)

    def handle(self, event):
        if self.failing:
            raise ValueError("still broken")

    def run(self):
        self.worker.run(until_idle=True, patience=0)


@pytest.fixture
def dead(store, clock):
    """An event that died after two attempts, and its trouble."""
    trouble = Trouble(store)
    event_id = store.record("a", 1).event_id
    trouble.run()
    clock.advance(11)
    trouble.run()
    return event_id, trouble


def test_failed_then_dead_then_requeued_then_synced_with_every_attempt_kept(store, inspector, clock, dead):
    event_id, trouble = dead
    assert inspector.event(event_id).sync_status == "DEAD"
    store.requeue([event_id], because="fixed the gateway", by="ada")
    assert inspector.event(event_id).sync_status == "PENDING"
    trouble.failing = False
    trouble.run()
    event = inspector.event(event_id)
    assert event.sync_status == "SYNCED"
    assert [attempt.outcome for attempt in event.attempts] == ["FAILED", "FAILED", "SYNCED"]
    (decision,) = event.decisions
    assert (decision.decision, decision.decided_by, decision.reason) == ("REQUEUE", "ada", "fixed the gateway")
    assert_rebuild_changes_nothing(store)


def test_a_requeue_gives_a_fresh_budget(store, inspector, clock, dead):
    event_id, trouble = dead
    store.requeue([event_id], because="try again")
    trouble.run()
    assert inspector.event(event_id).sync_status == "FAILED"
    clock.advance(11)
    trouble.run()
    event = inspector.event(event_id)
    assert (event.sync_status, len(event.attempts)) == ("DEAD", 4)
    assert event.attempts[-1].retry_reason == "2 of 2 attempts used"


def test_a_dismissed_event_is_not_tried_and_not_unresolved(store, inspector, clock):
    trouble = Trouble(store)
    event_id = store.record("a", 1).event_id
    trouble.run()
    store.dismiss([event_id], because="the customer cancelled")
    clock.advance(1000)
    trouble.run()
    event = inspector.event(event_id)
    assert (event.sync_status, event.dismissed, event.due_at, len(event.attempts)) == ("FAILED", True, None, 1)
    health = inspector.health()
    assert (health.failed, health.dismissed, health.oldest_unresolved) == (0, 1, None)
    assert inspector.severity().LOW == 0
    store.requeue([event_id], because="no, they did not")
    assert inspector.health().pending == 1
    assert_rebuild_changes_nothing(store)


def test_decisions_that_make_no_sense_are_refused_and_nothing_is_decided(store, inspector, dead):
    dead_id, trouble = dead
    pending = store.record("b", 1).event_id
    with pytest.raises(UsageError, match="PENDING already"):
        store.requeue([dead_id, pending], because="x")
    with pytest.raises(NotFound, match="no event 99"):
        store.dismiss([dead_id, 99], because="x")
    assert inspector.event(dead_id).decisions == ()
    trouble.failing = False
    trouble.run()
    with pytest.raises(UsageError, match="is SYNCED"):
        store.dismiss([pending], because="x")
    store.dismiss([dead_id], because="x")
    with pytest.raises(UsageError, match="dismissed already"):
        store.dismiss([dead_id], because="x")


@pytest.mark.parametrize("because", [7, None, "x" * 5_000_000])
def test_a_reason_that_is_no_short_text_is_refused(store, because):
    store.record("a", 1)
    with pytest.raises(UsageError, match="because"):
        store.dismiss([1], because=because)
    assert query(store, "SELECT * FROM decision_log") == []


def test_a_reason_that_no_file_can_hold_is_made_legible(store):
    store.record("a", 1)
    store.dismiss([1], because="half \ud800", by="who \ud800")
    assert query(store, "SELECT reason, decided_by FROM decision_log") == [("half \\ud800", "who \\ud800")]


@pytest.mark.thinned
@pytest.mark.parametrize(
    "given", ["12", b"12", 1, None, ["1"], [None], [1.0], [True], [[1]], [float("nan")], ["1) --"]]
)
@pytest.mark.parametrize("decide", ["dismiss", "requeue", "erase"])
def test_what_is_no_event_id_is_refused_and_nothing_is_decided(store, given, decide):
    for _ in range(50):  # the digits of a text, and the bytes of one, are ids
        with store.attempt("a"):
            pass
    with pytest.raises(UsageError, match="event id"):
        getattr(store, decide)(given, because="x")
    assert query(store, "SELECT count(*) FROM decision_log") == [(0,)]


def test_what_counts_as_a_whole_number_is_an_event_id(store):
    class Number:
        def __index__(self):
            return 1

    store.record("a")
    store.dismiss(iter([Number(), 1]), because="x")
    assert query(store, "SELECT event_id FROM decision_log") == [(1,)]


@pytest.mark.parametrize("reason", ["", " ", "\t\n", "…", "...", "'…'", "-", "?", "\x00", "\u200b"])
def test_a_reason_without_words_decides_nothing(store, dead, reason):
    event_id, _ = dead
    for decide in (store.requeue, store.dismiss, store.erase):
        with pytest.raises(UsageError, match="needs a reason in words"):
            decide([event_id], because=reason)
    assert query(store, "SELECT count(*) FROM decision_log") == [(0,)]


def test_a_reason_may_be_in_any_script(store):
    store.dismiss([store.record("a").event_id], because="已修复", by="ada")
    assert query(store, "SELECT reason FROM decision_log") == [("已修复",)]
