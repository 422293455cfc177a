"""Health: what is due, counted from whichever end is shorter."""

import io
from contextlib import redirect_stdout, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failaware import Handlers, Retry, Worker
from failaware.cli.main import main
from failaware.ingest.lines import ingest_lines
from failaware.integrations.task_log import TaskLog
from failaware.model import NEVER
from failaware.read import health
from tests.conftest import HOUR, query
from tests.oracle.history import random_history, seeds
from tests.sizes import sized


def due_now(store, now):
    return query(store, "SELECT count(*) FROM event_state WHERE due_at <= ?", (now,))[0][0]


@pytest.mark.thinned
@pytest.mark.parametrize("few", [1, 2, 1_000])
@given(seed=seeds, ahead=st.sampled_from([0, 90, 3_700]))
@settings(max_examples=sized(10, 40), deadline=None)
def test_what_is_due_is_what_could_be_tried_at_once(few, seed, ahead):
    with random_history(seed) as (history, inspector), pytest.MonkeyPatch.context() as patch:
        patch.setattr(health, "_FEW", few)
        history.clock.advance(ahead)
        assert inspector.health().due_now == due_now(history.store, history.clock.now)


def test_a_backlog_is_not_counted_event_by_event(store, inspector, clock, monkeypatch):
    handlers = Handlers()

    @handlers.on("a", retry=Retry(base=3_600, jitter=0))
    def fails(event):
        raise ValueError("no")

    store.record_many(("a", n) for n in range(3))
    Worker(store, handlers).run(until_idle=True, patience=0)
    store.record_many(("a", n) for n in range(2_000))
    store.record_many(("b", n) for n in range(5))
    counted, counted_from_the_end, ask = {}, [], inspector.db.query

    def spy(sql, parameters=()):
        rows = ask(sql, parameters)
        if sql == health._DUE:
            counted.update({event_type: due for event_type, _, _, due, _ in rows if due > counted.get(event_type, 0)})
        if sql == health._LATER:
            counted_from_the_end.append((parameters["type"], rows[0][0]))
        return rows

    monkeypatch.setattr(inspector.db, "query", spy)
    assert inspector.health().due_now == 2_005
    assert counted == {"a": 500, "b": 5}
    assert counted_from_the_end == [("a", 3)]


def test_what_was_requeued_was_tried(store, inspector, path):
    with store.attempt("ok"):
        pass
    failing(store, "pay")
    store.requeue([2], because="again")
    health = inspector.health()
    assert (health.pending, health.waiting, health.requeued) == (1, (), (("pay", 1),))
    shown = report(path)
    assert "requeued, no attempt since" in shown
    assert "Requeued: pay (1)." in shown
    assert "no attempt yet" not in shown
    assert "first attempt" not in shown
    store.record("mail")
    assert "no attempt yet, or requeued" in report(path)
    assert "Waiting for their first attempt: mail (1)." in report(path)


def failing(store, event_type):
    with suppress(OSError), store.attempt(event_type):
        raise OSError("no")


@pytest.mark.parametrize("leased_by", ["celery", "host:1#exec", "gone:1"])
def test_nobody_is_taken_for_a_worker_that_is_none(store, inspector, path, clock, leased_by):
    until = {"celery": NEVER, "gone:1": clock.now - 1}.get(leased_by, clock.now + HOUR)
    store.record_many([("order.import", n) for n in range(500)] + [("shop.charge", 1)])
    row = (501, until, leased_by, 1 if leased_by == "gone:1" else 2)
    store.session.write(lambda db: db.append("lease", ("event_id", "leased_until", "leased_by", "begun"), [row]))
    health = inspector.health()
    assert (health.running, health.waiting, health.attended) == (1, (("order.import", 500),), ())
    assert "Waiting for their first attempt: order.import (500)." in report(path)
    assert "Is a worker" in report(path)


def test_a_worker_is_asked_for_by_type(store, inspector, path, clock):
    store.record_many([("mail", 1), ("mail", 2), ("order.import", 3)])
    lease = (1, clock.now + 10_000 * HOUR, "host:1")
    store.session.write(lambda db: db.append("lease", ("event_id", "leased_until", "leased_by"), [lease]))
    health = inspector.health()
    assert (health.waiting, health.attended) == ((("mail", 1), ("order.import", 1)), ("mail",))
    assert "Waiting for their first attempt: order.import (1)." in report(path)


def test_one_line_is_said_in_the_singular(store, path):
    ingest_lines(store.session, [b"{"], origin="elsewhere")
    store.record("a")
    assert "1 line could not be ingested" in report(path)


def report(path):
    with redirect_stdout(io.StringIO()) as shown:
        assert main(["--db", str(path), "health"]) == 0
    return shown.getvalue()


def test_a_store_of_rejects_alone_tells_of_them(store, path):
    ingest_lines(store.session, [b"{", b"["], origin="file")
    assert "Nothing is recorded yet" in report(path)
    assert "2 lines could not be ingested; 'failaware rejects'" in report(path)


def test_of_events_that_are_equally_old_the_first_one_is_named(store, inspector, clock):
    """With any severities."""
    failing(store, "pay")
    log = TaskLog(store, "celery")
    log.write("17", "mail", {}, error=OSError("no"), retry_at=clock() + 1)
    assert inspector.severity().events == {"CRITICAL": 0, "HIGH": 1, "MEDIUM": 0, "LOW": 1}
    assert inspector.health().oldest_unresolved == (1, "pay", clock())
