"""Diff and what-if: what is not as it was, or would not be as it is; and both agree with the sample data's script."""

import tempfile
from random import Random

import pytest
from hypothesis import given, settings

from failaware import Handlers, Inspector, Retry, Store, Worker
from failaware.rules import default_policy
from tests.conftest import HOUR, NOON, START
from tests.oracle.history import FACTS, FORWARD_S, History, policies, random_history, seeds, store_in
from tests.sizes import sized

DAY = 24 * HOUR


def standing(inspector):
    """Everything that ever failed: by entity its severity, and whether it is unresolved."""
    events = {
        ("event", event.event_id): (event.severity, event.severity is not None)
        for event in inspector.events(limit=100)
        if event.first_failed_at is not None
    }
    clusters = {
        ("cluster", cluster.cluster_id): (cluster.severity, cluster.unresolved > 0)
        for cluster in inspector.clusters(limit=100)
    }
    return events | clusters


def expected(before, after):
    rank = {None: 0, "LOW": 1, "MEDIUM": 2, "HIGH": 3, "CRITICAL": 4}
    result = {}
    for entity, (severity, unresolved) in after.items():
        if entity not in before:
            result[entity] = "new"
        elif unresolved != before[entity][1]:
            result[entity] = "back" if unresolved else "gone"
        elif severity != before[entity][0]:
            result[entity] = "worse" if rank[severity] > rank[before[entity][0]] else "better"
    return result


@pytest.mark.large
@given(seeds)
@settings(max_examples=sized(12, 50), deadline=None)
def test_it_says_what_two_reports_show(seed):
    with tempfile.TemporaryDirectory() as folder:
        path = store_in(folder)
        history = History(path, Random(seed), moves=FACTS, waits=FORWARD_S)
        reported = [(START - 1, {}, None)]
        with history.store, Inspector.open(path, clock=history.clock) as inspector:
            for _ in range(12):
                history.move()
                reported.append((history.clock.now, standing(inspector), inspector.health()))
                history.wait()
            for since, before, _ in reported[:: max(1, len(reported) // 3)]:
                until, after, health = reported[-1]
                with inspector.as_of(since) as then:
                    diff = then.diff(until)
                changed = {(one.entity_type, one.entity_id): one for one in (*diff.clusters, *diff.events)}
                assert {entity: one.change for entity, one in changed.items()} == expected(before, after)
                assert diff.health_after == health
                for entity, one in changed.items():
                    assert (one.before, one.after) == (before.get(entity, (None,))[0], after[entity][0])


@given(seeds, policies)
@settings(max_examples=sized(12, 50), deadline=None)
@pytest.mark.large
def test_what_if_says_what_a_rebuild_would_do(seed, policy):
    with random_history(seed) as (history, inspector):
        before = standing(inspector)
        result = inspector.what_if(policy)
        assert result.before == inspector.severity()
        history.store.rebuild(policy)
        assert result.after == inspector.severity()
        after = standing(inspector)
        moves = {(move.entity_type, move.entity_id): (move.before, move.after) for move in result.moves}
        differ = {entity for entity in after if after[entity][0] != before[entity][0]}
        assert moves == {entity: (before[entity][0], after[entity][0]) for entity in differ}
        assert result.more == 0
        assert inspector.what_if(policy).moves == ()


def test_each_list_is_cut_by_itself_and_counted(store, inspector, clock):
    handlers = Handlers()
    handlers.on("*", retry=Retry(max_attempts=1))(lambda event: 1 / event.payload)
    worker = Worker(store, handlers)
    gone = [store.record("a", 0).event_id for _ in range(5)]
    worker.run(until_idle=True, patience=0)
    since = clock.now
    clock.advance(1)
    store.dismiss(gone, because="r")
    for _ in range(4):
        store.record("a", 0)
    worker.run(until_idle=True, patience=0)
    with inspector.as_of(since) as then:
        diff = then.diff(clock.now, limit=2)
    assert diff.counts["event"] == {"new": 4, "back": 0, "worse": 0, "better": 0, "gone": 5}
    assert [(one.change, one.how) for one in diff.events] == [("new", "dead")] * 2 + [("gone", "dismissed")] * 2
    result = inspector.what_if(
        default_policy()._replace(repeated_retries=1, multiple_events=50, recurring_episodes=1), limit=1
    )
    assert (len(result.moves), result.more) == (1, 0)


NIGHT = NOON - 10 * HOUR  # the outage of that night was from 2:00 to 3:30


@pytest.fixture(scope="module")
def sample(samples):
    with Inspector.open(samples(600, NOON), clock=lambda: NOON) as inspector:
        yield inspector


@pytest.mark.large
def test_the_outage_of_each_night_is_seen_in_the_diff(sample):
    """The gateway goes down every night from 2:00 to 3:30 and fails no payment at any other hour."""
    (gateway,) = sample.clusters("type:payment.capture")
    with sample.as_of(NIGHT) as then:
        diff = then.diff(NIGHT + 90 * 60_000_000)
    payments = [one for one in diff.events if one.title == "payment.capture"]
    assert payments
    assert {one.change for one in payments} <= {"new", "worse"}
    with sample.as_of(NIGHT + 3 * HOUR) as then:  # what was still retried has ended by then
        later = then.diff(NOON)
    assert not [one for one in later.events if one.title == "payment.capture" and one.change != "gone"]
    with sample.as_of(NIGHT - 5 * DAY) as then:
        whole = then.diff(NOON)
    (mine,) = [one for one in whole.clusters if one.entity_id == gateway.cluster_id]
    assert (mine.change, mine.after) == ("new", "CRITICAL")


def test_the_outage_is_recurring_since_a_night(sample):
    (gateway,) = sample.clusters("type:payment.capture")
    last = sample.explain(f"cluster/{gateway.cluster_id}", facts=True).since
    assert (last.after, last.rule) == ("CRITICAL", "recurring")
    assert 2 * HOUR <= last.at % DAY <= 5 * HOUR  # in the outage, or in the retries after it
    assert sample.event(last.event_id).event_type == "payment.capture"
    with sample.as_of(last.at - 1) as then:
        assert [cluster.severity for cluster in then.clusters("type:payment.capture")] in ([last.before], [])
    with sample.as_of(last.at) as then:
        assert then.cluster(gateway.cluster_id).severity == "CRITICAL"


def test_the_column_that_was_renamed_is_new_since_then(sample):
    """From about two thirds of the history on, contacts without a phone are refused."""
    (schema,) = sample.clusters("type:crm.contact.update")
    began = schema.first_failed_at
    with sample.as_of(began - 1) as then:
        assert then.clusters("type:crm.contact.update") == []
        diff = then.diff(NOON)
    assert [one.change for one in diff.clusters if one.entity_id == schema.cluster_id] == ["new"]
    last = sample.explain(f"cluster/{schema.cluster_id}", facts=True).since
    assert last.at >= began
    assert last.after == schema.severity == "CRITICAL"


def test_a_store_can_be_compared_with_its_beginning(tmp_path):
    with Store.open(tmp_path / "s.db") as store:
        store.record("a")
    with Inspector.open(tmp_path / "s.db") as inspector, inspector.as_of(0) as then:
        diff = then.diff(inspector.now())
        assert (diff.health_before.total_events, diff.health_after.total_events) == (0, 1)
        assert diff.clusters == diff.events == ()
