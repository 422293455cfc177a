"""A storm of messages that no template unites ends in one overflow cluster, in any batches; proofs hold."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failaware import Inspector, Store, UsageError
from failaware.derive.grouping.groups import CLUSTERS_PER_TYPE, GroupingRules
from failaware.facts import append
from failaware.ledger.export import Export
from failaware.ledger.restore import restore_export
from failaware.ledger.verify import verify
from failaware.model import Failure, NewAttempt
from tests.conftest import HOUR, MINUTE, START, assert_rebuild_changes_nothing, derived, query
from tests.sizes import sized

WORDS = ("apple", "birch", "cedar", "daisy", "elder", "fern")
LIMIT = 3
LONG_AFTER = START + 100 * HOUR
storms = st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 40)), min_size=1, max_size=25)
batch_sizes = st.lists(st.integers(1, 6), max_size=12)


def limited(path, limit=LIMIT):
    store = Store.open(path, synchronous="NORMAL", clock=lambda: START)
    store.rebuild(grouping=GroupingRules.from_toml(f"clusters_per_type = {limit}"))
    return store


def fail(store, storm, sizes=(), event_type="mail"):
    """An event that failed so often as the storm has words: a word each, some minutes after START; in batches."""
    events = [event.event_id for event in store.record_many((event_type, n) for n in range(len(storm)))]
    new = [
        NewAttempt(event, Failure("E", word, None), "w", at, at, None, "given up")
        for event, (word, minutes) in zip(events, storm, strict=True)
        for at in [START + minutes * MINUTE]
    ]
    for size in [*sizes, len(new)]:
        batch, new = new[:size], new[size:]
        if batch:
            store.session.write(lambda db, batch=batch: append.attempts(db, batch, store.session.policy))
    return events


def templates(store):
    return {row[0]: row[1] for row in query(store, "SELECT template, failures FROM failure_cluster")}


@given(storms, batch_sizes)
@settings(max_examples=sized(10, 40), deadline=None)
def test_the_first_clusters_are_kept_and_what_would_be_more_is_one(storm, sizes):
    with tempfile.TemporaryDirectory() as folder, limited(Path(folder) / "s.db") as store:
        fail(store, storm, sizes)
        first = list(dict.fromkeys(word for word, _ in storm))[:LIMIT]
        counts = templates(store)
        more = {name: count for name, count in counts.items() if name.startswith("[overflow]")}
        assert {name: counts[name] for name in counts if name not in more} == {
            word: sum(word == other for other, _ in storm) for word in first
        }
        assert sum(more.values()) == sum(word not in first for word, _ in storm)
        assert len(more) <= 1
        assert_rebuild_changes_nothing(store)
        assert not verify(Path(folder) / "s.db").findings


@given(storms, batch_sizes, st.lists(st.integers(0, 45), min_size=1, max_size=4))
@settings(max_examples=sized(8, 25), deadline=None)
@pytest.mark.large
def test_the_past_has_the_clusters_of_the_present_however_it_is_reached(storm, sizes, stops):
    """Times do not follow the order in which facts were appended."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.db"
        with limited(path) as store:
            fail(store, storm, sizes)
            now = dict(query(store, "SELECT attempt_id, cluster_id FROM failure"))
        with Inspector.open(path) as inspector, inspector.as_of(START) as traveler:
            for minutes in sorted(stops):
                traveler.move(START + minutes * MINUTE)
                with inspector.as_of(START + minutes * MINUTE) as fresh:
                    assert fresh.clusters() == traveler.clusters()
                    then = dict(fresh.db.query("SELECT attempt_id, cluster_id FROM failure"))
                assert then == {attempt: now[attempt] for attempt in then}


def test_each_type_has_its_own_room_and_the_cluster_says_so(path):
    with limited(path) as store:
        for event_type in ("mail", "import"):
            fail(store, [(word, 0) for word in WORDS], event_type=event_type)
    with Inspector.open(path) as inspector:
        (cluster,) = [counts for counts in inspector.clusters("type:mail") if "overflow" in counts.template]
        assert cluster.template == "[overflow] failures outside the first 3 clusters of this type"
        assert (cluster.events, cluster.error_type) == (3, None)
        assert cluster.template in cluster.reason
        why = inspector.explain(f"cluster/{cluster.cluster_id}").grouped
        assert (why.by, why.text) == ("clusters_per_type = 3", "fern")
        assert len(inspector.clusters("type:import")) == LIMIT + 1


def test_what_was_erased_stays_where_it_was(path):
    with limited(path) as store:
        events = fail(store, [(word, 0) for word in (*WORDS, *WORDS)])
        store.erase([events[0], events[4]], because="asked to")
        before = derived(store)
        assert_rebuild_changes_nothing(store)
        store.erase(events[5:], because="asked to")
        assert_rebuild_changes_nothing(store)
        assert {row[1] for row in before["failure"]} == {row[1] for row in derived(store)["failure"]}
    assert not verify(path).findings


def test_an_export_comes_back_with_the_same_clusters(path, tmp_path):
    with limited(path) as store:
        fail(store, [(word, 0) for word in WORDS])
        before = derived(store)
    with Inspector.open(path) as inspector:
        lines = [line.encode() + b"\n" for line in Export(inspector.db).lines()]
    with Store.open(tmp_path / "other.db", synchronous="NORMAL") as other:
        restore_export(other.session, lines, origin="export")
        assert derived(other) == before


@pytest.mark.large
def test_other_rules_make_room(path):
    with limited(path) as store:
        fail(store, [(word, 0) for word in WORDS])
        store.rebuild(grouping=GroupingRules())
        assert set(templates(store)) == set(WORDS)
        fail(store, [(f"{'x' * (n % 30)}{'y' * (n // 30)}z", 0) for n in range(CLUSTERS_PER_TYPE + 50)])
        counts = templates(store)
        assert len(counts) == CLUSTERS_PER_TYPE + 1
        assert max(counts.values()) == len(WORDS) + 50


@pytest.mark.parametrize("given", ["0", "-1", "true", '"many"', "1.5"])
def test_a_limit_is_a_whole_number(given):
    with pytest.raises(UsageError, match="clusters_per_type is a whole number, 1 or more"):
        GroupingRules.from_toml(f"clusters_per_type = {given}")


def test_what_was_erased_in_the_overflow_stays_there_and_takes_no_place(store):
    """An erased failure keeps its cluster; that of all others has its own name, and counts as none of the first."""
    store.rebuild(grouping=GroupingRules.from_toml("clusters_per_type = 1"))
    _, second, *_ = fail(store, [("apple", 0), ("birch", 1)])
    store.erase([second], because="gdpr")
    store.rebuild(grouping=GroupingRules.from_toml("clusters_per_type = 2"))
    fail(store, [("cedar", 2)])
    beyond = "[overflow] failures outside the first 2 clusters of this type"
    assert templates(store) == {"apple": 1, "cedar": 1, beyond: 1}
    assert_rebuild_changes_nothing(store)
