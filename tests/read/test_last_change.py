"""Since when: the fact that changed a severity last is the one after which the reports said something else."""

import threading
import time

import pytest
from hypothesis import given, settings

from failaware import Handlers, Retry, StoreError, Worker
from failaware.integrations.task_log import TaskLog
from failaware.read import last_change as module
from tests.conftest import START, query
from tests.oracle.history import random_history, seeds
from tests.sizes import sized


def severities(inspector):
    """Each entity's severity now."""
    clusters = {f"cluster/{cluster.cluster_id}": cluster.severity for cluster in inspector.clusters(limit=100)}
    return clusters | {f"event/{event.event_id}": event.severity for event in inspector.events(limit=100)}


def moments(inspector, store):
    """All moments at which a fact became known."""
    times = (("detected_at", "event_log"), ("finished_at", "attempt_log"), ("decided_at", "decision_log"))
    return sorted(at for (at,) in query(store, " UNION ".join(f"SELECT {name} FROM {table}" for name, table in times)))


@pytest.mark.large
@given(seeds)
@settings(max_examples=sized(12, 50), deadline=None)
def test_it_is_the_last_moment_at_which_the_reports_changed(seed):
    with random_history(seed) as (history, inspector), inspector.as_of(START - 1) as then:
        was, changed, current = {}, {}, {}
        for at in moments(inspector, history.store):
            then.move(at)
            current = severities(then)
            changed |= {
                entity: (at, was.get(entity), level) for entity, level in current.items() if was.get(entity) != level
            }
            was = current
        assert current == severities(inspector)
        for entity in current:
            last = inspector.explain(entity, facts=True).since
            if entity not in changed:
                # It may have come and gone within one moment.
                assert last is None or last.after is None or last.before == last.after
                continue
            assert last.at == changed[entity][0], entity
            assert last.after == changed[entity][2]
            assert then.explain(entity, facts=True).since == last


def failing(store, times=3):
    handlers = Handlers()

    @handlers.on("*", retry=Retry(max_attempts=times, base=60, jitter=0))
    def handle(_event):
        raise ValueError("no")

    return Worker(store, handlers)


def test_the_sentence_names_the_fact(store, inspector, clock):
    worker = failing(store)
    event_id = store.record("a").event_id
    assert inspector.explain("event/1", facts=True).since is None
    reported = []
    for _ in range(3):
        worker.run(until_idle=True, patience=0)
        reported.append(inspector.explain(f"event/{event_id}", facts=True).since.sentence)
        clock.advance(300)
    assert reported == [
        "none → LOW at 2026-11-18 11:06:40Z by attempt 1 of event 1",
        "none → LOW at 2026-11-18 11:06:40Z by attempt 1 of event 1",
        "LOW → HIGH at 2026-11-18 11:16:40Z by attempt 3 of event 1",
    ]
    store.dismiss([event_id], because="enough", by="ada")
    assert inspector.explain("event/1", facts=True).since.sentence == (
        "HIGH → none at 2026-11-18 11:21:40Z by the DISMISS of event 1 by ada"
    )
    with inspector.as_of(clock.now - 1) as then:
        assert then.explain("event/1", facts=True).since.sentence == reported[-1]


@pytest.mark.large
def test_of_very_many_facts_it_says_how_far_back_it_looked(store, inspector, clock, monkeypatch):
    monkeypatch.setattr(module, "_WINDOWS", (4, 8, 16))
    worker = failing(store, times=1)
    for n in range(40):
        store.record("a", n)
        worker.run(until_idle=True, patience=0)
        clock.advance(1)
    (cluster,) = inspector.clusters()
    entity = f"cluster/{cluster.cluster_id}"
    last = inspector.explain(entity, facts=True).since
    assert last.sentence == "HIGH throughout its last 16 facts, since 2026-11-18 11:07:12Z at least"
    for n in range(2, 40):
        store.dismiss([n], because="r")
    store.dismiss([1, 40], because="r")
    last = inspector.explain(entity, facts=True).since
    assert (last.before, last.after, last.event_id) == ("HIGH", None, 40)


def test_the_facts_behind_the_numbers_can_be_opened(store, inspector, clock):
    worker = failing(store, times=2)
    for n in range(12):
        store.record("a", n)
    worker.run(until_idle=True, patience=0)
    clock.advance(3600 * 3)
    store.record("a", 13)
    worker.run(until_idle=True, patience=0)
    (cluster,) = inspector.clusters()
    current = {
        behind.number: behind for behind in inspector.explain(f"cluster/{cluster.cluster_id}", facts=True).behind
    }
    assert (current["events"].value, current["events"].ids[0], len(current["events"].ids)) == (13, 13, 10)
    assert set(current["dead"].ids) <= set(range(1, 13))
    assert current["dead"].value == 12
    assert current["retrying"].ids == (13,)
    assert current["episodes"].ids == (13, 1)
    assert "recovered" not in current
    assert current["failures"].ids == tuple(range(25, 15, -1))  # 12 events twice, and the last one once
    (attempts,) = inspector.explain("event/1", facts=True).behind
    assert (attempts.number, attempts.value) == ("attempts", 2)
    assert [inspector.attempt(number).attempt_no for number in attempts.ids] == [2, 1]


@pytest.mark.large
def test_it_can_be_ended_though_it_reads_on_connections_of_its_own(store, inspector):
    worker = failing(store, times=1)
    store.record_many(("a", n) for n in range(1_500))
    worker.run(until_idle=True, patience=0)
    (cluster,) = inspector.clusters()
    asked, ended = threading.Event(), []

    def ask():
        asked.set()
        try:
            inspector.explain(f"cluster/{cluster.cluster_id}", facts=True)
        except StoreError as error:
            ended.append("ended from outside" in str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    assert asked.wait(20)
    time.sleep(0.3)
    while thread.is_alive():  # one that falls between two queries ends neither
        inspector.connections.interrupt()
        thread.join(0.01)
    assert ended == [True]


def test_the_attempts_behind_an_event_are_those_that_there_are(store, inspector, clock):
    """A task queue may have left numbers out."""
    log = TaskLog(store, "celery")
    log.write("17", "shop.charge", {}, error=ConnectionError("refused"), number=5)
    assert inspector.explain("event/1", facts=True).behind == (("attempts", 1, "attempt", (1,)),)
