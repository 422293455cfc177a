"""The views for people who open a store with another tool say what the inspector says."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from failaware import Inspector, Store
from tests.conftest import plain

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def seeded(path, put_sample):
    put_sample(120)
    return path


def rows(path, sql):
    with plain(path) as db:
        result = db.execute(sql)
        names = [column[0] for column in result.description]
        return [dict(zip(names, row, strict=True)) for row in result]


def in_us(text):
    return None if text is None else (datetime.fromisoformat(text) - EPOCH) // timedelta(microseconds=1)


@pytest.mark.thinned
def test_event_detected_has_every_event_as_it_stands(seeded):
    result = rows(seeded, "SELECT * FROM event_detected ORDER BY event_id DESC")
    with Inspector.open(seeded) as inspector:
        events = inspector.events(limit=1_000)
        assert len(result) == len(events) == 120
        for row, event in zip(result, events, strict=True):
            detail = inspector.event(event.event_id)
            state = row["event_id"], row["event_type"], row["sync_status"], bool(row["dismissed"])
            assert state == event[:4]
            assert row["retry_count"] == event.retry_count
            assert (row["severity"], row["rule"]) == (event.severity, event.rule)
            assert (row["event_payload"], row["key"], row["source"]) == (
                detail.event_payload,
                detail.key,
                detail.source,
            )
            assert in_us(row["detected_at"]) == event.detected_at
            assert in_us(row["due_at"]) == detail.due_at


def test_failures_have_every_failed_attempt_with_its_traceback(seeded):
    result = rows(seeded, "SELECT * FROM failures")
    with Inspector.open(seeded) as inspector:
        assert len(result) == sum(cluster.failures for cluster in inspector.clusters(limit=1_000))
        for row in result:
            attempt = inspector.attempt(row["attempt_id"])
            assert (row["error_type"], row["error_message"]) == (attempt.error_type, attempt.error_message)
            assert (row["cluster_id"], row["traceback"]) == (attempt.cluster_id, attempt.traceback)
            assert in_us(row["finished_at"]) == attempt.finished_at


def test_clusters_and_severities_are_those_of_the_reports(seeded):
    result = {row["cluster_id"]: row for row in rows(seeded, "SELECT * FROM clusters")}
    by_entity = {(row["entity_type"], row["entity_id"]): row for row in rows(seeded, "SELECT * FROM severities")}
    with Inspector.open(seeded) as inspector:
        clusters = inspector.clusters(limit=1_000)
        assert set(result) == {cluster.cluster_id for cluster in clusters}
        for cluster in clusters:
            row = result[cluster.cluster_id]
            assert (row["severity"], row["reason"], row["events"]) == (cluster.severity, cluster.reason, cluster.events)
            assert ("cluster", cluster.cluster_id) in by_entity or cluster.severity is None
        counts = inspector.severity()
    assert len([key for key in by_entity if key[0] == "event"]) == sum(counts.events.values())


def test_times_are_iso_8601_to_the_microsecond_also_before_1970(path):
    moments = (-86_400_000_001, -1, 0, 1_795_000_000_123_456)
    with Store.open(path) as store:
        for at in moments:
            store.record("a", at, occurred_at=EPOCH + timedelta(microseconds=at))
    texts = [row["occurred_at"] for row in rows(path, "SELECT occurred_at FROM event_detected ORDER BY event_id")]
    assert texts[1] == "1969-12-31T23:59:59.999999Z"
    assert tuple(map(in_us, texts)) == moments


@pytest.mark.sqlite("it keeps the comments")
def test_the_schema_says_what_the_columns_are(seeded):
    texts = rows(seeded, "SELECT name, sql FROM sqlite_master WHERE sql LIKE 'CREATE %' AND type IN ('table', 'view')")
    bare = {row["name"] for row in texts if "--" not in row["sql"]}
    assert bare <= {"_sqlite_migrations", "lease", "cluster_hour", "setting"}


def test_the_traceback_of_an_error_without_a_message_ends_as_in_the_reports(store, path, inspector):
    with suppress(AssertionError), store.attempt("check"):
        raise AssertionError
    (row,) = rows(path, "SELECT traceback FROM failures")
    assert row["traceback"] == inspector.attempt(1).traceback
    assert row["traceback"].endswith("\nAssertionError\n")
