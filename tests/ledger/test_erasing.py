"""Erasing removes what must not be kept, with a decision, and leaves everything else provable."""

import sqlite3
from contextlib import suppress

import psycopg
import pytest

import failaware.engine.sqlite.writer as engine
from failaware import Handlers, Inspector, NotFound, Permanent, Retry, Store, UsageError, Worker
from failaware.derive.grouping.groups import GroupingRules
from failaware.ledger.copy import copy_facts
from failaware.ledger.transfer import finish
from failaware.ledger.verify import verify
from failaware.model import GroupedBy
from failaware.schema.catalogue import ERASED
from tests.conftest import assert_rebuild_changes_nothing, derived, plain, plain_sqlite, query

SECRET = "Ada Lovelace, born 1815"


def fail(store, *names):
    """An event for each name, all DEAD of the same kind of error."""
    handlers = Handlers()

    @handlers.on("*")
    def handle(event):
        try:
            raise KeyError(event.payload["name"])
        except KeyError as error:
            message = f"no account has the number {len(event.payload['name'])}"
            if event.payload["name"] == SECRET:
                raise Permanent(f"no account of {SECRET}") from error
            raise Permanent(message) from None

    events = store.record_many({"type": "account.find", "payload": {"name": name}} for name in names)
    Worker(store, handlers).run(until_idle=True, patience=0)
    return [event.event_id for event in events]


def in_files(path, text):
    return [file.name for file in path.parent.iterdir() if text.encode() in file.read_bytes()]


@pytest.mark.sqlite("its file and its log")
def test_no_trace_is_left_in_the_file(store, path, inspector):
    (event_id,) = fail(store, SECRET)
    assert in_files(path, SECRET)
    done = store.erase([event_id], because="she asked for it", by="dpo")
    assert done == (1, 1, 1, 0, True)
    assert in_files(path, SECRET) == []
    store.close()
    assert in_files(path, SECRET) == []
    event = inspector.event(event_id)
    assert event.event_payload == f'"{ERASED}"'
    (attempt,) = event.attempts
    assert (attempt.error_message, attempt.traceback, attempt.cause) == (ERASED, ERASED, ERASED)
    assert attempt.error_type == "failaware.Permanent"
    (decision,) = event.decisions
    assert (decision.decision, decision.decided_by, decision.reason) == ("ERASE", "dpo", "she asked for it")


def test_it_stays_in_its_cluster_and_everything_verifies(store, path, inspector):
    ids = fail(store, "A", "B", "C")
    (before,) = inspector.clusters()
    store.erase(ids[:1], because="asked")
    assert_rebuild_changes_nothing(store)
    assert inspector.clusters() == [before]
    store.erase(ids[1:], because="asked")
    assert_rebuild_changes_nothing(store)
    (after,) = inspector.clusters()
    assert after.template == ERASED
    assert ERASED in after.reason
    assert (after.cluster_id, after.events, after.severity) == (before.cluster_id, 3, before.severity)
    assert inspector.explain(f"event/{ids[0]}").severity == "HIGH"
    # The next of its kind gives the name back.
    fail(store, "D")
    assert_rebuild_changes_nothing(store)
    assert inspector.clusters()[0].template == before.template
    result = verify(path)
    assert result.findings == ()
    assert [(erased.event_id, erased.attempts) for erased in result.erased] == [(id_, 1) for id_ in ids]


def test_a_shared_traceback_is_left_unless_asked_for(store, inspector):
    handlers = Handlers()

    @handlers.on("*")
    def handle(_event):
        raise Permanent("always the same")

    one, two = store.record("a"), store.record("a")
    Worker(store, handlers).run(until_idle=True, patience=0)
    assert store.erase([one.event_id], because="asked")[2:4] == (0, 1)
    assert "Traceback" in inspector.event(one.event_id).attempts[0].traceback
    assert store.erase([two.event_id], because="asked", shared_tracebacks=True)[2:4] == (1, 0)
    assert inspector.event(one.event_id).attempts[0].traceback == ERASED


def test_what_will_be_tried_or_is_erased_or_unknown_is_refused(store):
    waiting = store.record("a").event_id
    (dead,) = fail(store, "A")[-1:]
    with pytest.raises(NotFound, match="no event 99"):
        store.erase([dead, 99], because="r")
    with pytest.raises(UsageError, match="will be attempted"):
        store.erase([store.record("b", {"name": "x"}, key="b").event_id], because="r")
    assert query(store, "SELECT count(*) FROM erasure_log") == [(0,)]
    store.erase([dead], because="r")
    with pytest.raises(UsageError, match="was erased"):
        store.erase([dead], because="r")
    with pytest.raises(UsageError, match="was erased"):
        store.requeue([dead], because="r")
    assert waiting


def test_a_dismissed_event_can_be_erased_untried(store, inspector):
    event_id = store.record("a", {"name": SECRET}).event_id
    store.dismiss([event_id], because="r")
    store.erase([event_id], because="r")
    assert inspector.event(event_id).dismissed
    assert_rebuild_changes_nothing(store)


def test_the_database_allows_nothing_else(store, path):
    ids = fail(store, "A", "B")
    store.erase(ids[:1], because="r")
    allowed, refused = ids
    with plain(path) as db:
        for statement in (
            f"UPDATE event_log SET event_payload = '\"{ERASED}\"' WHERE event_id = {refused}",  # without a decision
            f"UPDATE event_log SET event_payload = '1' WHERE event_id = {allowed}",  # no erasure
            f"UPDATE event_log SET event_type = 'x' WHERE event_id = {allowed}",
            f"UPDATE attempt_log SET error_message = '{ERASED}' WHERE event_id = {refused}",
            f"DELETE FROM event_log WHERE event_id = {allowed}",
            "INSERT INTO erasure_log VALUES (9, 99, 'event_log', 2, '', NULL)",
        ):
            with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError), match="failaware"):
                db.execute(statement)


@pytest.mark.sqlite("its file and its log")
def test_a_reader_in_the_middle_is_said_to_keep_a_trace(path, clock, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.05)
    with Store.open(path, clock=clock) as store:
        (event_id,) = fail(store, SECRET)
        with plain_sqlite(path, timeout=0) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM event_log").fetchall()
            assert not store.erase([event_id], because="r").wiped
        with Inspector.open(path) as inspector:
            assert inspector.event(event_id).event_payload == f'"{ERASED}"'


def bare(message=""):
    raise AssertionError(message)


@pytest.mark.parametrize("rules", ["", '[[rule]]\ntraceback = "bare"\ngroup = "legacy"\n'])
@pytest.mark.parametrize("again", [False, True])
@pytest.mark.thinned
def test_other_events_stay_in_the_cluster_that_a_shared_traceback_gave_them(store, path, tmp_path, clock, rules, again):
    """By its own word, or by the place in the code where a message says nothing."""
    store.rebuild(grouping=GroupingRules.from_toml(rules))
    handlers = Handlers()
    handlers.on("*", retry=Retry(max_attempts=1))(lambda event: bare("" if event.payload < 3 else "says much"))
    store.record_many((event_type, n) for event_type in ("cart", "order") for n in (1, 2, 3))
    Worker(store, handlers).run(until_idle=True, patience=0)
    before = derived(store)
    clock.advance(1)
    store.erase([1], because="gdpr", shared_tracebacks=True)
    if again:
        store.erase([2, 4], because="gdpr", shared_tracebacks=True)
    after = derived(store)
    assert after["failure"] == before["failure"]
    assert after["event_state"] == before["event_state"]
    assert verify(path).findings == ()
    assert_rebuild_changes_nothing(store)
    with Inspector.open(path, clock=clock) as inspector, inspector.as_of(clock.now) as then:
        assert then.clusters() == inspector.clusters()
    with Inspector.open(path) as source, Store.open(tmp_path / "copy.db") as copy:
        copy_facts(source.db, copy.session)
        finish(copy.session)
        assert derived(copy) == after
    assert verify(tmp_path / "copy.db").findings == ()


def test_explain_says_of_an_erased_failure_that_it_stays_where_it_was(store, inspector):
    """The marks that replace an erased cause and fingerprint are not taken for a cause or a fingerprint."""
    event_id, *_ = fail(store, "a")
    before = inspector.explain(f"event/{event_id}").grouped
    assert before.by == "the message"
    store.dismiss([event_id], because="gone")
    store.erase([event_id], because="gdpr")
    after = inspector.explain(f"event/{event_id}").grouped
    assert after == GroupedBy("what it was before it was erased", ERASED, ERASED, ())


def test_a_cluster_of_which_all_is_erased_is_named_by_its_first_failure(store, path):
    """Whether it is erased, or derived again: of two error types under one fingerprint, the first."""
    store.record("sync", key="a", fingerprint="the ledger")
    for error in (OSError("no route"), ConnectionError("refused")):
        with suppress(OSError), store.attempt("sync", key="a"):
            raise error
    store.dismiss([1], because="gone")
    store.erase([1], because="gdpr")
    assert query(store, "SELECT error_type, template FROM failure_cluster") == [("OSError", ERASED)]
    assert_rebuild_changes_nothing(store)
    assert verify(path).findings == ()


def test_a_failure_that_was_named_by_its_caller_and_erased_leaves_the_fingerprint_to_the_next(store, path):
    """A name has no error type; an erased failure has the one that its attempt keeps."""
    for key in ("a", "b"):
        with suppress(OSError), store.attempt("sync", key=key, fingerprint="the ledger"):
            raise OSError("no route")
    store.dismiss([1], because="gone")
    store.erase([1], because="gdpr")
    assert query(store, "SELECT error_type FROM fingerprint") == [(None,)]
    assert_rebuild_changes_nothing(store)
    assert verify(path).findings == ()
