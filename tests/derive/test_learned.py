"""Words at a position where many were seen are a variable: their clusters become one, in any order and batches."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failaware import Inspector, Store, UsageError
from failaware.derive.grouping.groups import GroupingRules
from failaware.facts import append
from failaware.ledger.verify import verify
from failaware.model import Failure, NewAttempt
from tests.conftest import MINUTE, START, assert_rebuild_changes_nothing, query
from tests.sizes import sized

HOSTS = ("alpha", "bravo", "delta", "hotel", "india")
STATES = ("refused", "reset", "lost", "closed")
texts = st.builds("{} {} by peer".format, st.sampled_from(HOSTS), st.sampled_from(STATES))
histories = st.lists(st.tuples(texts, st.integers(0, 300), st.booleans()), min_size=1, max_size=40)
batch_sizes = st.lists(st.integers(1, 12), max_size=12)


def learning(path, after=3, limit=1_000):
    store = Store.open(path, synchronous="NORMAL", clock=lambda: START)
    store.rebuild(grouping=GroupingRules.from_toml(f"variable_after = {after}\nclusters_per_type = {limit}"))
    return store


def fail(store, history, sizes=(), events=None):
    """Each failure at one of a few events; those that recover succeed right after it."""
    kept = [event.event_id for event in store.record_many(("mail", n) for n in range(events or len(history)))]
    new, numbers = [], dict.fromkeys(kept, 0)
    for place, (text, minutes, recovers) in enumerate(history):
        event, at = kept[place % len(kept)], START + minutes * MINUTE
        numbers[event] += 1
        new.append(NewAttempt(event, Failure("E", text, None), "w", at, at, at + MINUTE, "again"))
        if recovers:
            new.append(NewAttempt(event, None, "w", at + 1, at + 1, None, None))
    for size in [*sizes, len(new)]:
        batch, new = new[:size], new[size:]
        if batch:
            store.session.write(lambda db, batch=batch: append.attempts(db, batch, store.session.policy))


def partition(store):
    """The texts that share a cluster, with the cluster's id."""
    rows = query(store, "SELECT f.cluster_id, a.error_message FROM failure f JOIN attempt_log a USING (attempt_id)")
    return {(row[0], row[1]) for row in rows}


@given(histories, batch_sizes, st.integers(1, 10))
@settings(max_examples=sized(25, 200), deadline=None)
def test_any_batches_lead_to_what_a_rebuild_derives(history, sizes, events):
    with tempfile.TemporaryDirectory() as folder, learning(Path(folder) / "s.db") as store:
        fail(store, history, sizes, events)
        assert_rebuild_changes_nothing(store)
        assert not verify(Path(folder) / "s.db").findings


@given(st.lists(texts, min_size=1, max_size=25), st.randoms(), batch_sizes)
@settings(max_examples=sized(25, 200), deadline=None)
@pytest.mark.large
def test_the_order_does_not_matter(messages, random, sizes):
    shuffled = random.sample(messages, len(messages))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with learning(folder / "1.db") as store, learning(folder / "2.db") as other:
            fail(store, [(text, 0, False) for text in messages])
            fail(other, [(text, 0, False) for text in shuffled], sizes)
            assert partition(store) == partition(other)


def test_the_last_word_that_is_needed_unites_the_clusters(path):
    with learning(path) as store:
        fail(store, [("alpha refused by peer", 0, True), ("bravo refused by peer", 1, False)])
        before = query(store, "SELECT cluster_id FROM failure_cluster ORDER BY 1")
        assert len(before) == 2
        fail(store, [("delta refused by peer", 2, False)])
        after = query(store, "SELECT template, failures, events, relapses FROM failure_cluster")
        assert after == [("<*> refused by peer", 3, 3, 1)]
        assert_rebuild_changes_nothing(store)


def test_old_ids_lead_to_the_merged_cluster_and_it_names_the_words(path):
    with learning(path) as store:
        fail(store, [(f"{host} refused by peer", 0, False) for host in HOSTS[:2]])
        old = [row[0] for row in query(store, "SELECT cluster_id FROM failure_cluster")]
        fail(store, [(f"{host} refused by peer", 1, False) for host in HOSTS[2:]])
    with Inspector.open(path) as inspector, inspector.as_of(START + 2 * MINUTE) as then:
        for each in (inspector, then):
            (cluster,) = each.clusters()
            number = cluster.cluster_id
            assert cluster.template == "<*> refused by peer"
            for was in old:
                assert each.cluster(was) == each.cluster(str(was)) == each.cluster(str(was)[:8]) == cluster
                assert each.patterns.impact(was).cluster_id == each.patterns.transitions(was).cluster_id == number
                assert each.patterns.timeline(cluster_id=was) == each.patterns.timeline(cluster_id=number)
                assert len(each.events(f"cluster:{was}")) == len(HOSTS)
                why = each.explain(f"cluster/{was}")
                assert (why.entity_id, why.grouped.learned) == (number, HOSTS)


def test_all_reports_read_the_parts_of_a_merged_cluster(path):
    """Rows that were stored before the merge, and those of events that failed in several of the clusters."""
    with learning(path) as store:
        before = [(f"{host} refused by peer", 1, False) for host in HOSTS[:2] * 3]
        fail(store, before, events=4)
        fail(store, [(f"{host} refused by peer", 2, True) for host in HOSTS], events=3)
        numbers = query(store, "SELECT count(DISTINCT cluster_id), count(DISTINCT part_id) FROM cluster_part")
        assert numbers == [(1, 3)]
    with Inspector.open(path) as inspector:
        (cluster,) = inspector.clusters()
        assert (cluster.events, cluster.failures, cluster.recovered) == (7, 11, 3)
        where = f"cluster:{cluster.cluster_id}"
        assert [event.event_id for event in inspector.events(where)] == [7, 6, 5, 4, 3, 2, 1]
        assert [event.event_id for event in inspector.events(where, limit=3, before=5)] == [4, 3, 2]
        assert [event.event_id for event in inspector.events(f"last:{cluster.cluster_id} status:DEAD,FAILED")] == [
            4,
            3,
            2,
            1,
        ]
        assert inspector.count_events(f"last:{cluster.cluster_id}") == inspector.count_events(where) == 7
        facts = {
            fact.number: fact.ids for fact in inspector.explain(f"cluster/{cluster.cluster_id}", facts=True).behind
        }
        assert set(facts["events"]) == set(range(1, 8))
        assert len(facts["failures"]) == 10
        assert inspector.patterns.newest(cluster.cluster_id).attempt.event_id in {6, 7}
        assert sum(hour.events for hour in inspector.patterns.timeline()) == 7


@pytest.mark.sqlite("its count of changed rows")
def test_a_merge_writes_as_many_rows_for_any_number_of_events(path):
    def changed(events):
        with learning(Path(f"{path}{events}")) as store:
            fail(store, [(f"{host} refused by peer", 1, False) for host in HOSTS[:2] * events])
            before = store.session.write(lambda db: db.query("SELECT total_changes()"))[0][0]
            fail(store, [("delta refused by peer", 1, False)])
            return store.session.write(lambda db: db.query("SELECT total_changes()"))[0][0] - before

    assert changed(2) == changed(40)


@given(histories, st.lists(st.integers(0, 320), min_size=1, max_size=4))
@settings(max_examples=sized(8, 40), deadline=None)
def test_the_past_has_the_clusters_of_the_present_however_it_is_reached(history, stops):
    with tempfile.TemporaryDirectory() as folder, learning(Path(folder) / "s.db") as store:
        half = len(history) // 2
        fail(store, history[:half] or history)
        with Inspector.open(Path(folder) / "s.db") as inspector, inspector.as_of(START) as traveler:
            fail(store, history[half:])
            for minutes in sorted(stops):
                traveler.move(START + minutes * MINUTE)
                with inspector.as_of(START + minutes * MINUTE) as fresh:
                    assert fresh.clusters() == traveler.clusters()
            with inspector.as_of(START + 1_000 * MINUTE) as last:
                assert [plain(c) for c in last.clusters()] == [plain(c) for c in inspector.clusters()]


def plain(cluster):
    """Without what depends on the time at which it is asked for."""
    return cluster._replace(reason=None, severity=None, rule=None)


@given(histories, st.data(), batch_sizes)
@settings(max_examples=sized(10, 60), deadline=None)
@pytest.mark.large
def test_an_erasure_leaves_what_a_rebuild_derives(history, data, sizes):
    with tempfile.TemporaryDirectory() as folder, learning(Path(folder) / "s.db") as store:
        fail(store, [(text, minutes, True) for text, minutes, _ in history], sizes)
        erased = data.draw(st.lists(st.integers(1, len(history)), min_size=1, max_size=6, unique=True))
        store.erase(erased, because="asked to")
        assert_rebuild_changes_nothing(store)
        fail(store, history, sizes)
        assert_rebuild_changes_nothing(store)
        assert not verify(Path(folder) / "s.db").findings


def test_beyond_the_limit_a_template_that_fits_a_variable_joins_its_cluster(path):
    with learning(path, limit=4) as store:
        words = [f"{host} refused by peer" for host in HOSTS[:3]]
        fail(
            store, [(text, 0, False) for text in (*words, "disk is full", "kilo refused by peer", "no memory is left")]
        )
        fail(store, [("kilo refused by peer", 1, False), ("lima refused by peer", 2, False)])
        assert dict(query(store, "SELECT substr(template, 1, 10), failures FROM failure_cluster")) == {
            "<*> refuse": 6, "disk is fu": 1, "[overflow]": 1
        }  # fmt: skip
        assert_rebuild_changes_nothing(store)


@pytest.mark.parametrize("given", ["1", "-1", "true", "'8'", "2.5"])
def test_the_number_of_words_is_a_whole_number(given):
    with pytest.raises(UsageError, match="variable_after is a whole number, 2 or more, or 0 for never"):
        GroupingRules.from_toml(f"variable_after = {given}")


def test_new_rules_learn_or_unlearn_what_is_in_the_store(path):
    with learning(path, after=0) as store:
        fail(store, [(f"{host} refused by peer", 0, False) for host in HOSTS])
        assert len(query(store, "SELECT 1 FROM failure_cluster")) == len(HOSTS)
        for after, clusters in ((3, 1), (8, len(HOSTS)), (5, 1), (0, len(HOSTS))):
            store.rebuild(grouping=GroupingRules.from_toml(f"variable_after = {after}"))
            assert len(query(store, "SELECT 1 FROM failure_cluster")) == clusters


@pytest.mark.parametrize(
    "rule",
    ['message = "refused"\napart = true', 'message = "(?P<host>^.)"\nsplit = "host"', 'error = "E"\ngroup = "{}"'],
)
def test_clusters_of_rules_are_left_alone(path, rule):
    with learning(path) as store:
        store.rebuild(grouping=GroupingRules.from_toml(f"variable_after = 2\n[[rule]]\n{rule}"))
        fail(store, [(f"{host} refused by peer", 0, False) for host in HOSTS])
        assert len(query(store, "SELECT 1 FROM failure_cluster")) == (1 if "group" in rule else len(HOSTS))


@pytest.mark.parametrize(
    "form",
    [
        "no mode '{}' in the peers here",
        "no file extension: {}",
        "unknown archive format '{}'",
        "{} is refused, since {} is not a peer of these",
    ],
)
def test_a_word_in_quotes_after_a_colon_or_in_several_places_is_learned(path, form):
    with learning(path) as store:
        fail(store, [(form.replace("{}", word), 0, False) for word in HOSTS])
        templates = query(store, "SELECT template FROM failure_cluster")
        assert templates == [(form.replace("{}", "<*>"),)]


@pytest.mark.parametrize(
    "form",
    ["no column '{}' in orders", "no column {} in orders", "{} refused", "got {}1 of the peers here"]
    + ["order: '{}' is required here", "the '{}' field of this order is wrong"],
)
def test_names_and_short_texts_are_not_learned(path, form):
    with learning(path) as store:
        fail(store, [(form.format(word), 0, False) for word in HOSTS])
        assert len(query(store, "SELECT 1 FROM failure_cluster")) == len(HOSTS)
