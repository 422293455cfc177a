"""Clusters that a person merges or splits: facts that apply to all events, until another fact undoes them."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from failaware import Inspector, NotFound, UsageError
from failaware.facts import append
from failaware.ledger.verify import verify
from failaware.model import Failure, NewAttempt
from tests.conftest import MINUTE, START, assert_rebuild_changes_nothing, query
from tests.derive.test_learned import HOSTS, batch_sizes, fail, histories, learning, partition
from tests.sizes import sized

WHY = {"because": "they are one"}


def clusters(store):
    return dict(query(store, "SELECT template, cluster_id FROM failure_cluster ORDER BY 1"))


def failures(store):
    return dict(query(store, "SELECT template, failures FROM failure_cluster ORDER BY 1"))


def test_a_merge_applies_to_all_events_and_is_undone_by_another_fact(path):
    with learning(path) as store:
        fail(store, [("disk is full", 0, True), ("no space left here", 1, False)])
        ids = clusters(store)
        (number,) = store.merge_clusters([ids["disk is full"], ids["no space left here"]], **WHY)
        assert query(store, "SELECT template, failures, events, recovered, relapses FROM failure_cluster") == [
            ("disk is full", 2, 2, 1, 1)
        ]
        assert_rebuild_changes_nothing(store)
        fail(store, [("no space left here", 2, False)])
        assert failures(store) == {"disk is full": 3}
        assert_rebuild_changes_nothing(store)
        store.undo_correction(number, because="they are not")
        assert failures(store) == {"disk is full": 1, "no space left here": 2}
        assert_rebuild_changes_nothing(store)
    assert not verify(path).findings


def test_the_name_is_that_of_the_first_cluster_whichever_fails_first(path):
    with learning(path) as store:
        fail(store, [("disk is full", 0, True)])
        event = store.record("mail", fingerprint="mine")

        store.session.write(
            lambda db: append.attempts(
                db,
                [NewAttempt(event.event_id, Failure("E", "x", None), "w", START, START, None, "no")],
                store.session.policy,
            )
        )
        ids = clusters(store)
        store.merge_clusters([ids["mine"], ids["disk is full"]], **WHY)
        assert failures(store) == {"mine": 2}
        assert_rebuild_changes_nothing(store)
    with Inspector.open(path) as inspector:
        assert inspector.cluster(ids["disk is full"]).template == "mine"
        assert inspector.explain(f"cluster/{ids['disk is full']}").entity_id == ids["mine"]


def test_the_past_has_the_clusters_that_were_decided_then(path):
    now = START
    with learning(path) as store:
        store.session.clock = lambda: now
        fail(store, [("disk is full", 0, True), ("no space left here", 1, False), ("lost 5 hosts of ours", 1, False)])
        ids = clusters(store)
        now += 10 * MINUTE
        (merge,) = store.merge_clusters([ids["disk is full"], ids["no space left here"]], **WHY)
        now += 10 * MINUTE
        (split,) = store.split_cluster(ids["lost <n> hosts of ours"], split_by="<n>", because="by count")
        now += 10 * MINUTE
        store.undo_correction(merge, because="no")
        store.undo_correction(split, because="no")
        assert set(clusters(store)) == set(ids)
    with Inspector.open(path) as inspector, inspector.as_of(START + 5 * MINUTE) as then:

        def names():
            return {cluster.template for cluster in then.clusters()}

        one, other = {"disk is full", "lost <n> hosts of ours"}, {"no space left here"}
        both = {"disk is full", "lost <n> hosts of ours [<n>=5]"}
        assert names() == one | other
        for minutes, expected in ((15, one), (25, both), (15, one), (35, one | other), (25, both)):
            then.move(START + minutes * MINUTE)
            assert names() == expected, minutes


@pytest.mark.parametrize(("by", "parts"), [("<n>", 2), ("frame", 1)])
def test_a_split_is_by_the_values_of_a_placeholder_or_by_the_place(path, by, parts):
    with learning(path) as store:
        fail(store, [("lost 5 hosts of ours", 0, True), ("lost 6 hosts of ours", 1, False)])
        ((name, number),) = clusters(store).items()
        store.split_cluster(number, split_by=by, because="each")
        assert len(clusters(store)) == parts
        assert all(each.startswith(f"{name} [{by}=") for each in clusters(store))
        fail(store, [("lost 5 hosts of ours", 2, False)])
        assert sum(failures(store).values()) == 3
        assert_rebuild_changes_nothing(store)
    assert not verify(path).findings


def test_a_message_that_only_the_place_tells_is_split_by_its_number(path):
    traceback = 'Traceback:\n  File "/srv/shop.py", line 3, in pay\n    x'
    with learning(path) as store:
        for number in ("17", "18", "17"):
            event = store.record("mail")
            failure = NewAttempt(event.event_id, Failure("E", number, traceback), "w", START, START, None, "no")
            store.session.write(lambda db, failure=failure: append.attempts(db, [failure], store.session.policy))
        ((name, number),) = clusters(store).items()
        store.split_cluster(number, split_by="<n>", because="each")
        assert failures(store) == {f"{name} [<n>=17]": 2, f"{name} [<n>=18]": 1}
        assert_rebuild_changes_nothing(store)


def test_an_exception_group_is_split_by_its_members_in_any_order(path):
    with learning(path) as store:
        for members in (("disk 1 is full", "bad value 2"), ("bad value 2", "disk 1 is full")):
            with pytest.raises(ExceptionGroup), store.attempt("mail"):
                raise ExceptionGroup("two", [ValueError(text) for text in members])
        ((name, number),) = clusters(store).items()
        store.split_cluster(number, split_by="<n>", because="each")
        assert failures(store) == {f"{name} [<n>=2 1]": 2}
        assert_rebuild_changes_nothing(store)


def test_a_learned_cluster_is_split_into_its_words(path):
    with learning(path) as store:
        fail(store, [(f"{host} refused by peer", 0, False) for host in HOSTS])
        ((_, number),) = clusters(store).items()
        (split,) = store.split_cluster(number, split_by="<*>", because="each host has its own owner")
        assert len(clusters(store)) == len(HOSTS)
        fail(store, [("kilo refused by peer", 1, False)])
        assert len(clusters(store)) == len(HOSTS) + 1
        assert_rebuild_changes_nothing(store)
        store.undo_correction(split, because="no")
        assert len(clusters(store)) == 1


def test_what_cannot_be_corrected_says_why(path):
    with learning(path, limit=3) as store:
        fail(store, [("disk is full", 0, True), ("no space left here", 1, False), ("lost 5 hosts of ours", 1, False)])
        fail(store, [("more of these here", 0, False)])
        ids = clusters(store)
        disk, space = ids["disk is full"], ids["no space left here"]
        beyond = next(number for name, number in ids.items() if name.startswith("[overflow]"))
        for error, text, act in (
            (UsageError, "two clusters or more", lambda: store.merge_clusters([disk, disk], **WHY)),
            (NotFound, "there is no cluster 5", lambda: store.merge_clusters([disk, 5], **WHY)),
            (UsageError, "beyond a limit", lambda: store.merge_clusters([disk, beyond], **WHY)),
            (UsageError, "'<n>' is no placeholder of", lambda: store.split_cluster(disk, split_by="<n>", **WHY)),
            (UsageError, "'n' is no placeholder of", lambda: store.split_cluster(disk, split_by="n", **WHY)),
            (UsageError, "'' is no placeholder of", lambda: store.split_cluster(disk, split_by="", **WHY)),
            (NotFound, "there is no correction 9", lambda: store.undo_correction(9, **WHY)),
            (UsageError, "because", lambda: store.merge_clusters([disk, space], because=" ")),
        ):
            with pytest.raises(error, match=text):
                act()
        assert query(store, "SELECT count(*) FROM correction_log") == [(0,)]
        (merge,) = store.merge_clusters([disk, space], **WHY)
        with pytest.raises(UsageError, match=f"was merged by correction {merge}; undo the merge"):
            store.split_cluster(disk, split_by="frame", **WHY)
        (undo,) = store.undo_correction(merge, because="no")
        with pytest.raises(UsageError, match=f"undone already, by correction {undo}"):
            store.undo_correction(merge, because="no")
        with pytest.raises(UsageError, match="undoes another one"):
            store.undo_correction(undo, because="no")


def test_a_cluster_of_learned_templates_is_split_by_its_word_first(path):
    with learning(path) as store:
        fail(store, [(f"{host} refused by 7 peers", 0, False) for host in HOSTS])
        ((_, number),) = clusters(store).items()
        for by in ("frame", "<n>"):
            with pytest.raises(UsageError, match="templates that differ in a word; split it by '<\\*>'"):
                store.split_cluster(number, split_by=by, **WHY)
        (split,) = store.split_cluster(number, split_by="<*>", **WHY)
        part = clusters(store)[f"{HOSTS[0]} refused by <n> peer"]
        (again,) = store.split_cluster(part, split_by="<n>", **WHY)
        for cluster_id, correction in ((number, None), (part, again)):
            error = f"split by correction {correction or split}; choose a part, or undo the split"
            with pytest.raises(NotFound, match=error):
                store.merge_clusters([cluster_id, part], **WHY)
            with Inspector.open(path) as inspector, pytest.raises(NotFound, match=error):
                inspector.cluster(str(cluster_id)[:12])
        assert_rebuild_changes_nothing(store)


@given(histories, st.lists(st.tuples(st.sampled_from(["merge", "split", "undo"]), st.integers(0, 9)), max_size=3))
@settings(max_examples=sized(4, 60), deadline=None)
def test_a_preview_is_what_happens(history, decisions):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s.db"
        with learning(path) as store:
            fail(store, history)
            for kind, chosen in decisions:
                numbers = sorted(clusters(store).values()) or [1]
                number = numbers[chosen % len(numbers)]
                wanted = {
                    "merge": {"merge": [number, numbers[chosen // 2 % len(numbers)]]},
                    "split": {"split": (number, ["<n>", "<*>", "frame"][chosen % 3])},
                    "undo": {"undo": chosen},
                }[kind]
                with Inspector.open(path) as inspector:
                    before = {each.cluster_id: each for each in inspector.clusters()}
                    try:
                        changes = inspector.patterns.preview_correction(**wanted)
                    except (UsageError, NotFound) as refused:
                        changes = refused
                act = {
                    "merge": lambda wanted: store.merge_clusters(*wanted, **WHY),
                    "split": lambda wanted: store.split_cluster(wanted[0][0], split_by=wanted[0][1], **WHY),
                    "undo": lambda wanted: store.undo_correction(*wanted, **WHY),
                }[kind]
                if isinstance(changes, Exception):
                    with pytest.raises(type(changes)) as error:
                        act(list(wanted.values()))
                    assert str(error.value) == str(changes)
                    continue
                act(list(wanted.values()))
                with Inspector.open(path) as inspector:
                    after = {each.cluster_id: each for each in inspector.clusters()}
                assert {
                    each.cluster_id: (each.events_after, each.failures_after, each.severity_after) for each in changes
                } == {
                    number: (each.events, each.failures, each.severity) if (each := after.get(number)) else (0, 0, None)
                    for number in {*before, *after}
                    if shown(before.get(number)) != shown(after.get(number))
                }


def shown(cluster):
    return cluster and (cluster.error_type, cluster.template, cluster.events, cluster.failures, cluster.severity)


choices = st.lists(
    st.tuples(st.sampled_from(["merge", "merge", "split", "undo"]), st.integers(0, 50), st.integers(0, 50)), max_size=5
)


@given(histories, histories, choices, batch_sizes, st.integers(1, 10))
@settings(max_examples=sized(15, 150), deadline=None)
def test_any_corrections_lead_to_what_a_rebuild_derives(before, after, chosen, sizes, events):
    with tempfile.TemporaryDirectory() as name, learning(Path(name) / "s.db") as store:
        fail(store, before, sizes, events)
        for act, one, other in chosen:
            correct(store, act, one, other)
            assert_rebuild_changes_nothing(store)
        fail(store, after, sizes, events)
        assert_rebuild_changes_nothing(store)
        assert not verify(Path(name) / "s.db").findings
        with Inspector.open(Path(name) / "s.db") as inspector, inspector.as_of(START + 10_000 * MINUTE) as then:
            now = dict(query(store, "SELECT attempt_id, cluster_id FROM failure"))
            assert dict(then.db.query("SELECT attempt_id, cluster_id FROM failure")) == now


def correct(store, act, one, other):
    """One of the corrections that are possible, if any is."""
    ids = sorted(clusters(store).values())
    done = [number for (number,) in query(store, "SELECT correction_id FROM correction_log WHERE correction <> 'UNDO'")]
    try:
        if act == "merge":
            store.merge_clusters([ids[one % len(ids)], ids[other % len(ids)]], **WHY)
        elif act == "split":
            store.split_cluster(ids[one % len(ids)], split_by=("<*>", "frame", "<n>")[other % 3], **WHY)
        elif done:
            store.undo_correction(done[one % len(done)], **WHY)
    except UsageError:
        pass


@given(
    st.lists(
        st.sampled_from([f"{host} refused by peer" for host in HOSTS] + ["disk is full"]), min_size=2, max_size=25
    ),
    st.randoms(),
    st.integers(0, 50),
    st.integers(0, 50),
)
@settings(max_examples=sized(15, 100), deadline=None)
@pytest.mark.large
def test_it_does_not_matter_when_the_failures_came(messages, random, one, other):
    shuffled = random.sample(messages, len(messages))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with learning(folder / "1.db") as store, learning(folder / "2.db") as late:
            fail(store, [(text, 0, False) for text in messages])
            correct(store, "merge", one, other)
            for row in query(store, "SELECT * FROM correction_log"):
                late.session.write(
                    lambda db, row=row: db.append(
                        "correction_log",
                        [
                            "correction_id",
                            "correction",
                            "cluster_id",
                            "into_cluster",
                            "split_by",
                            "undoes",
                            "decided_by",
                            "reason",
                            "decided_at",
                        ],
                        [row],
                    )
                )
            fail(late, [(text, 0, False) for text in shuffled])
            assert partition(store) == partition(late)
            assert failures(store) == failures(late)


pairs = st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99)), min_size=1, max_size=4)


@given(histories, histories, pairs, st.integers(1, 10))
@settings(max_examples=sized(15, 100), deadline=None)
@pytest.mark.large
def test_merged_clusters_are_the_union_of_what_was_learned(before, after, merges, events):
    """Counted again from the failures of a store in which nothing was corrected."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with learning(folder / "1.db") as store, learning(folder / "2.db") as plain:
            for each in (store, plain):
                fail(each, before, events=events)
            attempts = [number for (number,) in query(plain, "SELECT attempt_id FROM failure ORDER BY 1")]
            chosen = [(attempts[one % len(attempts)], attempts[other % len(attempts)]) for one, other in merges]
            for attempt, into in chosen:
                of = dict(query(store, "SELECT attempt_id, cluster_id FROM failure"))
                if of[attempt] != of[into]:
                    store.merge_clusters([of[into], of[attempt]], **WHY)
            for each in (store, plain):
                fail(each, after, events=events)
            learned = dict(query(plain, "SELECT attempt_id, cluster_id FROM failure"))
            names = dict(query(plain, "SELECT cluster_id, template FROM failure_cluster"))
            belongs = {number: number for number in names}
            for attempt, into in chosen:
                was, now = belongs[learned[attempt]], belongs[learned[into]]
                belongs = {number: now if of == was else of for number, of in belongs.items()}
            rows = query(plain, "SELECT attempt_id, event_id FROM attempt_log WHERE outcome = 'FAILED'")
            expected = {}
            for attempt, event in rows:
                expected.setdefault(belongs[learned[attempt]], []).append(event)
            assert sorted(query(store, "SELECT cluster_id, template, failures, events FROM failure_cluster")) == sorted(
                (number, names[number], len(of), len(set(of))) for number, of in expected.items()
            )
            assert dict(query(store, "SELECT attempt_id, cluster_id FROM failure")) == {
                attempt: belongs[of] for attempt, of in learned.items()
            }
