"""Several stores, asked as one, answer what one store that holds everything does, except what does not add up."""

import itertools
import os
import shutil
from contextlib import closing
from operator import itemgetter

import pytest

from failaware.engine.postgres.place import SCHEMA
from tests.federation.history import SHARED, DividedHistory
from tests.sizes import sized

SEEDS, STEPS = sized(1, 40), 60
PER_STORE = {"episodes", "relapses", "severity", "rule", "reason"}
FILTERS = (
    "-last:0",
    *("", "status:DEAD", "status:UNRESOLVED", "type:shared.*", "-error:route", "severity:HIGH+", "since:3h"),
    *("status:SYNCED source:web", "retries:>0", 'error:"no route"', "status:DISMISSED type:alone.1"),
)
CLUSTER_FILTERS = ("", "status:UNRESOLVED", "type:alone.*", "error:route", "events:>1", "since:2h", "failed:5h..1h")
_names = itertools.count()


@pytest.fixture
def divided(tmp_path, postgres, empty_file, empty_database):
    databases = []

    def make(seed):
        folder = tmp_path / str(seed)
        folder.mkdir()
        for name in ("whole", "one", "three"):
            shutil.copy(empty_file, folder / f"{name}.db")
        own = [f"f{os.getpid()}_{next(_names)}" for _ in range(2)]
        for name in own:
            postgres.create_database(name, empty_database)
            databases.append(name)
        two, four = (postgres.url(SCHEMA, database=name) for name in own)
        return DividedHistory(folder / "whole.db", [folder / "one.db", two, folder / "three.db", four], seed)

    yield make
    for name in databases:
        postgres.drop_database(name)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_random_history_in_four_stores_is_answered_as_if_it_were_in_one(divided, seed):
    with divided(seed) as history:
        history.live(STEPS)
        whole, several = history.inspectors()
        with closing(whole), closing(several):
            compare(history, whole, several)
            # Earlier, an erased failure is in the cluster that its own store knew it in.
            moments = [at for at in history.moments if at >= history.erased_at] or history.moments[-1:]
            at, until = (history.random.choice(moments) for _ in range(2))
            at, until = sorted((at, until))
            with closing(whole.as_of(at)) as one, closing(several.as_of(at)) as then:
                compare(history, one, then)
                assert one.neighbour(1) == then.neighbour(1)
                assert one.neighbour(-1) == then.neighbour(-1)
                compare_diff(history, one.diff(until), then.diff(until))
                compare(history, one, then)
            assert several.connections.notes() == []


def compare(history, whole, several):
    same(history, whole.health(), several.health())
    events, own = whole.severity(), several.severity()
    assert own.events == events.events
    assert sum(own.clusters.values()) == sum(events.clusters.values())
    compare_clusters(history, whole, several)
    for where in FILTERS:
        if where in ("", FILTERS[history.random.randrange(len(FILTERS))]):
            compare_pages(history, whole, several, where)
        same(history, whole.events(where), several.events(where))
        assert whole.count_events(where) == several.count_events(where), where
    for event in whole.events(limit=5):
        event_id = history.id_of(event.event_id)
        same(history, whole.event(event.event_id), several.event(event_id))
        same(history, whole.patterns.runs(event.event_id), several.patterns.runs(event_id))
    for report in (
        lambda i: i.patterns.timeline(),
        lambda i: i.patterns.trends(),
        lambda i: i.patterns.event_severities(),
    ):
        same(history, report(whole), report(several))
    same(
        history,
        whole.patterns.timeline(since=whole.now() - 7_200_000_000),
        several.patterns.timeline(since=whole.now() - 7_200_000_000),
    )


def compare_clusters(history, whole, several):
    for where in CLUSTER_FILTERS:
        one = {cluster.cluster_id: cluster for cluster in whole.clusters(where, limit=1_000)}
        own = {cluster.cluster_id: cluster for cluster in several.clusters(where, limit=1_000)}
        assert own.keys() == one.keys(), where
        if not any(cluster.event_type in SHARED for cluster in own.values()):
            assert list(own) == list(one), where
        for cluster_id, cluster in own.items():
            expected, answer = history.in_whole(one[cluster_id]), history.in_whole(cluster)
            if len(cluster.stores) > 1:
                assert (answer["severity"] is None) == (expected["severity"] is None)
                expected, answer = ({k: v for k, v in d.items() if k not in PER_STORE} for d in (expected, answer))
            assert answer == expected, where
    for cluster_id, cluster in own.items():
        if len(cluster.stores) == 1:
            entity = f"cluster/{cluster_id}"
            answers = [inspector.explain(entity)._replace(grouped=None) for inspector in (whole, several)]
            same(history, *answers)  # its store groups by the template that it knows
        for where in (f"cluster:{cluster_id}", f"last:{str(cluster_id)[:12]} status:UNRESOLVED"):
            same(history, whole.events(where), several.events(where))
            assert whole.count_events(where) == several.count_events(where), where
        one, answer = whole.patterns.impact(cluster_id), several.patterns.impact(cluster_id)
        assert [figure.value for figure in one[1:]] == [figure.value for figure in answer[1:]]
        if len({part.store for part in cluster.stores}) == len(cluster.stores):  # else its store has several clusters
            same(history, whole.patterns.transitions(cluster_id), several.patterns.transitions(cluster_id))
        same(history, whole.patterns.trends(cluster_id=cluster_id), several.patterns.trends(cluster_id=cluster_id))
        ids = [event.event_id for event in whole.events(f"cluster:{cluster_id}", limit=9)]
        expected = [history.in_whole(one) for one in whole.patterns.masked(cluster_id, ids)]
        masked = several.patterns.masked(cluster_id, [history.id_of(event_id) for event_id in ids])
        if {part.cluster_id for part in cluster.stores} == {cluster_id}:  # else its stores have other templates
            assert sorted(map(str, map(history.in_whole, masked))) == sorted(map(str, expected))


def compare_pages(history, whole, several, where):
    """All pages with both orders, and back from the middle of each."""
    for order, other in (("newest", "oldest"), ("oldest", "newest")):
        expected = whole.events(where, limit=1_000, order=order)
        listed, size = [], history.random.choice([5, 40])
        while True:
            page = several.events(where, limit=size, order=order, before=listed[-1].event_id if listed else None)
            listed += page
            if len(page) < size:
                break
        same(history, expected, listed)
        assert history.in_whole(several.events(where, limit=5, skip=3, order=order)) == history.in_whole(expected[3:8])
        if listed:
            middle = len(listed) // 2
            back = several.events(where, limit=1_000, order=other, before=listed[middle].event_id)
            same(history, expected[:middle][::-1], back)
            plain = history.id_of(expected[middle].event_id)  # without a cursor, as from a command line
            same(history, expected[:middle][::-1], several.events(where, limit=1_000, order=other, before=plain))


def compare_diff(history, one, own):
    for name in ("health_before", "health_after", "since", "until"):
        same(history, getattr(one, name), getattr(own, name))
    assert own.severity_after.events == one.severity_after.events
    assert own.counts["event"] == one.counts["event"]
    by_id = itemgetter("entity_id")
    assert sorted(history.in_whole(own.events), key=by_id) == sorted(history.in_whole(one.events), key=by_id)
    shared = tuple(f"{kind} " for kind in SHARED)
    alone = [[c for c in history.in_whole(d.clusters) if not c["title"].startswith(shared)] for d in (one, own)]
    assert alone[0] == alone[1]


def same(history, expected, answer):
    assert history.in_whole(answer) == history.in_whole(expected)
