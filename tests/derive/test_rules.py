"""Each rule on both sides of its threshold, and what a cluster's episodes and relapses are."""

from contextlib import suppress
from itertools import product

import pytest

from failaware import Store, UsageError
from failaware.derive.severity import case
from failaware.facts import append
from failaware.model import Failure, NewAttempt, SyncStatus
from failaware.rules import RULES, Policy, default_policy
from tests.conftest import HOUR, START, assert_rebuild_changes_nothing, plain

POLICY = default_policy()._replace(repeated_retries=3, multiple_events=4, recurring_episodes=5)
FAILURE = Failure("GatewayTimeout", "connect timed out", None)


class History:
    """Appends facts with the times one says."""

    def __init__(self, store):
        self.store = store

    def event(self):
        return self.store.record("payment.capture", 1).event_id

    def attempt(self, event_id, at, *, synced=False, dead=False, failure=FAILURE):
        retry_at = None if synced or dead else at + HOUR
        failure = None if synced else failure
        new = NewAttempt(event_id, failure, "w", at, at, retry_at, None)
        self.store.session.write(lambda db: append.attempts(db, [new], self.store.session.policy))

    def failing(self, at, attempts=1, *, dead=False):
        event_id = self.event()
        for number in range(attempts):
            self.attempt(event_id, at + number, dead=dead and number == attempts - 1)
        return event_id


@pytest.fixture
def history(store):
    yield History(store)
    assert_rebuild_changes_nothing(store)


def test_the_rules_are_those_that_the_design_names():
    assert [(rule.name, rule.of, rule.severity) for rule in RULES] == [
        ("recurring", "cluster", "CRITICAL"),
        ("multiple", "cluster", "HIGH"),
        ("dead", "event", "HIGH"),
        ("repeatedly-failing", "event", "MEDIUM"),
        ("retrying", "event", "LOW"),
    ]


@pytest.mark.parametrize(("attempts", "rule", "severity"), [(1, "retrying", "LOW"), (2, "retrying", "LOW"),
                                                         (3, "repeatedly-failing", "MEDIUM")])  # fmt: skip
def test_an_event_that_fails_is_low_until_it_has_failed_repeatedly(history, inspector, attempts, rule, severity):
    event = inspector.event(history.failing(START, attempts))
    assert (event.rule, event.severity, event.retry_count) == (rule, severity, attempts - 1)


def test_an_event_is_high_once_it_is_dead_and_nothing_once_it_is_synced(history, inspector):
    event_id = history.failing(START, 1, dead=True)
    assert (inspector.event(event_id).rule, inspector.event(event_id).severity) == ("dead", "HIGH")
    history.attempt(event_id, START + 5, synced=True)
    assert inspector.event(event_id).severity is None


def only_cluster(inspector):
    (cluster,) = inspector.clusters()
    return cluster


@pytest.mark.parametrize(("events", "severity"), [(1, None), (2, "HIGH")])
def test_a_cluster_is_high_when_two_events_failed_with_it(history, inspector, events, severity):
    for _ in range(events):
        history.failing(START)
    assert only_cluster(inspector).severity == severity


def test_a_cluster_has_no_severity_once_all_of_it_is_resolved(history, inspector, store):
    first, second = history.failing(START), history.failing(START)
    history.attempt(first, START + 5, synced=True)
    assert only_cluster(inspector).severity == "HIGH"
    store.dismiss([second], because="seen")
    cluster = only_cluster(inspector)
    assert (cluster.severity, cluster.unresolved, cluster.recovered) == (None, 0, 1)


@pytest.mark.parametrize(("gap_hours", "episodes", "severity"), [(0, 1, "HIGH"), (1, 1, "HIGH"), (2, 2, "CRITICAL")])
def test_episodes_are_parted_by_a_quiet_hour_and_two_are_critical(history, inspector, gap_hours, episodes, severity):
    start = START - START % HOUR
    history.failing(start)
    history.failing(start + gap_hours * HOUR)
    cluster = only_cluster(inspector)
    assert (cluster.episodes, cluster.severity) == (episodes, severity)


def test_a_retry_in_a_later_hour_is_no_new_episode(history, inspector):
    event_id = history.failing(START)
    history.attempt(event_id, START + 5 * HOUR)
    history.failing(START + 1)
    assert only_cluster(inspector).episodes == 1


def test_filling_the_quiet_hour_joins_two_episodes(history, inspector):
    start = START - START % HOUR
    history.failing(start)
    history.failing(start + 2 * HOUR)
    assert only_cluster(inspector).episodes == 2
    history.failing(start + HOUR)
    assert only_cluster(inspector).episodes == 1


@pytest.mark.parametrize(
    ("synced_at", "relapses", "severity"), [(50, 1, "CRITICAL"), (100, 0, "HIGH"), (150, 0, "HIGH")]
)
def test_a_cluster_that_came_back_after_it_had_recovered_is_critical(history, inspector, synced_at, relapses, severity):
    first = history.failing(START)
    history.attempt(first, START + synced_at, synced=True)
    history.failing(START + 100)
    cluster = only_cluster(inspector)
    assert (cluster.relapses, cluster.severity, cluster.episodes) == (relapses, severity, 1)


def test_a_cluster_that_still_has_trouble_does_not_come_back(history, inspector):
    recovered, _still_open = history.failing(START), history.failing(START + 1)
    history.attempt(recovered, START + 50, synced=True)
    history.failing(START + 100)
    assert only_cluster(inspector).relapses == 0


def test_thresholds_are_the_policys(history, inspector, store):
    event_id = history.failing(START, 2)
    history.failing(START)
    store.rebuild(default_policy()._replace(repeated_retries=1, multiple_events=3, recurring_episodes=2))
    assert inspector.event(event_id).severity == "MEDIUM"
    assert only_cluster(inspector).severity is None
    assert inspector.explain(f"event/{event_id}").checks[1].numbers["repeated_retries"] == 1
    assert store.session.policy.multiple_events == 3


@pytest.mark.parametrize("threshold", [1, 2, 4])
@pytest.mark.parametrize("offset", [-1, 0, 1])
def test_each_threshold_is_the_first_number_that_counts(history, inspector, store, threshold, offset):
    number, held = threshold + offset, offset >= 0
    store.rebuild(
        default_policy()._replace(repeated_retries=threshold, multiple_events=threshold, recurring_episodes=threshold)
    )
    start = START - START % HOUR
    if number == 0:
        event_id = history.failing(start)
        assert inspector.event(event_id).rule == "retrying"
        return
    event_id = history.failing(start, number + 1)
    for episode in range(1, number):
        history.failing(start + 2 * episode * HOUR)
    assert inspector.event(event_id).rule == ("repeatedly-failing" if held else "retrying")
    cluster = only_cluster(inspector)
    assert (cluster.events, cluster.episodes) == (number, number)
    assert cluster.rule == ("recurring" if held else None)
    store.rebuild(default_policy()._replace(repeated_retries=9, multiple_events=threshold, recurring_episodes=9))
    assert only_cluster(inspector).rule == ("multiple" if held else None)


def test_a_policy_that_another_process_sets_holds_from_the_next_fact_on(history, inspector, store, path):
    with Store.open(path) as other:
        other.rebuild(default_policy()._replace(repeated_retries=1, multiple_events=1, recurring_episodes=9))
    event_id = history.failing(START, 2)
    assert inspector.event(event_id).rule == "repeatedly-failing"
    assert only_cluster(inspector).rule == "multiple"
    assert store.session.policy.recurring_episodes == 9


def test_a_policy_is_kept_with_the_store(path, store):
    store.rebuild(POLICY)
    with Store.open(path) as again:
        assert again.session.policy == POLICY
        again.rebuild()
        assert again.session.policy == POLICY


def test_a_dismissed_event_has_no_severity_and_does_not_keep_its_cluster_up(history, inspector, store):
    first, second = history.failing(START, dead=True), history.failing(START + 1, dead=True)
    store.dismiss([first], because="seen")
    assert inspector.event(first).severity is None
    assert (only_cluster(inspector).severity, only_cluster(inspector).unresolved) == ("HIGH", 1)
    store.dismiss([second], because="seen")
    assert only_cluster(inspector).severity is None
    store.requeue([first], because="no, again")
    assert only_cluster(inspector).severity is None  # it waits; it does not fail
    history.attempt(first, START + 10, dead=True)
    assert (inspector.event(first).severity, only_cluster(inspector).severity) == ("HIGH", "HIGH")


def test_an_event_that_fails_with_another_error_leaves_its_cluster_unresolved_by_others_only(history, inspector, store):
    first, second = history.failing(START), history.failing(START)
    history.attempt(second, START + 5, failure=Failure("Other", "something else", None))
    clusters = {cluster.error_type: cluster for cluster in inspector.clusters()}
    assert (clusters["GatewayTimeout"].events, clusters["GatewayTimeout"].unresolved) == (2, 1)
    assert (clusters["Other"].events, clusters["Other"].unresolved) == (1, 1)
    history.attempt(first, START + 9, synced=True)
    assert inspector.cluster(clusters["GatewayTimeout"].cluster_id).severity is None


@pytest.mark.parametrize("decide", ["requeue", "dismiss"])
def test_an_event_that_succeeded_after_a_decision_is_not_recovered(decide, store, inspector):
    """Recovered means the same in every report: succeeded on a later attempt, without a decision."""

    def attempt(key, error=None):
        with suppress(OSError), store.attempt("backup", key=key):
            if error:
                raise error

    for key in ("on retry", "after a decision"):
        attempt(key, OSError("disk full"))
    getattr(store, decide)([2], because="the disk is replaced")
    for key in ("on retry", "after a decision"):
        attempt(key)
    (cluster,) = inspector.clusters()
    (recovered,) = inspector.patterns.recovered().clusters
    assert cluster.recovered == recovered.recovery.recovered == 1
    assert recovered.recovery.helped == (decide == "requeue")
    (behind,) = (
        b for b in inspector.explain(f"cluster/{cluster.cluster_id}", facts=True).behind if b.number == "recovered"
    )
    assert (behind.value, behind.ids) == (1, (1,))
    with inspector.as_of(0) as then:
        changes = {change.entity_id: change.how for change in then.diff(inspector.now()).events}
    assert changes == {1: "recovered", 2: "synced"}
    assert [c.cluster_id for c in inspector.clusters("status:RESOLVED")] == [cluster.cluster_id]


def test_an_event_that_fails_again_after_it_was_synced_is_not_recovered(history, inspector):
    event_id = history.failing(START)
    history.attempt(event_id, START + 5, synced=True)
    assert only_cluster(inspector).recovered == 1
    history.attempt(event_id, START + 10)  # the late result of a worker that was taken for lost
    cluster = only_cluster(inspector)
    assert (cluster.recovered, cluster.unresolved, cluster.relapses) == (0, 1, 0)


def test_an_explanation_shows_each_rule_its_numbers_and_whether_it_held(history, inspector):
    history.failing(START)
    history.failing(START, dead=True)
    cluster = only_cluster(inspector)
    explanation = inspector.explain(f"cluster/{cluster.cluster_id}")
    assert [(check.rule, check.held) for check in explanation.checks] == [("recurring", False), ("multiple", True)]
    assert explanation.checks[0].numbers["episodes"] == 1
    assert explanation.reason == (
        "2 events of payment.capture fail with 'connect timed out' since 2026-11-18 11:06Z; 1 dead, 1 retrying"
    )


def test_a_rule_holds_of_each_unresolved_event_and_of_no_other(store):
    """So "has a severity" and "is unresolved" are one, and the first is what queries and indexes ask for."""
    for status, dismissed, failed in product(SyncStatus, (0, 1), (0, 1, 2, 9)):
        evidence = f"SELECT '{status.value}' AS sync_status, {dismissed} AS dismissed, {failed} AS failed_attempts"
        sql = f"SELECT {case('event', 'name')} FROM ({evidence}) AS evidence"
        ((rule,),) = store.session.read(lambda db, sql=sql: db.query(sql, default_policy().parameters()))
        assert (rule is not None) == (status in {"FAILED", "DEAD"} and not dismissed), (status, dismissed, failed)


def test_whatever_severity_a_rule_gives_the_oldest_event_of_it_is_shown(history, inspector, path):
    """A rule of one's own may make an event CRITICAL, which none of ours does."""
    history.failing(START + 1)
    oldest = history.failing(START)
    with plain(path) as db:
        db.execute("UPDATE stored_state SET severity = 'CRITICAL' WHERE event_id = ?", (oldest,))
    assert inspector.health().oldest_unresolved.event_id == oldest
    with plain(path) as db:
        db.execute("UPDATE stored_state SET severity = 'LOW' WHERE event_id = ?", (oldest,))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense = 1", "no threshold 'nonsense'"),
        ("multiple_events = 0", "from 1 to 1,000,000, not 0"),
        ("multiple_events = 1000001", "from 1 to 1,000,000, not 1000001"),
        ("multiple_events = 'two'", "whole number"),
        ("multiple_events = true", "whole number"),
        ("= 3", "not TOML"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(text, says):
    with pytest.raises(UsageError, match=says):
        Policy.from_toml(text)


def test_a_policy_survives_its_own_text():
    assert Policy.from_toml(default_policy().to_toml()) == default_policy()
    assert Policy.from_toml("") == default_policy()
