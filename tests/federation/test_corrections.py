"""Merges and splits that a person decided in one of several stores."""

import json
from contextlib import closing

import pytest

from failaware import Store
from failaware.cli.main import main
from failaware.errors import NotFound, UsageError
from failaware.federation import open_stores
from failaware.federation.places import StorePlace
from failaware.federation.questions import ANSWERS, Questions
from failaware.federation.wire import decoded, line, parsed
from failaware.ledger.verify import verify
from tests.conftest import Clock
from tests.derive.test_corrections import clusters

FULL, SPACE, LOST = "disk is full", "no space left here", "lost 5 hosts of ours"
NAMED = "lost <n> hosts of ours"
WORDS = ("amber", "birch", "cedar", "dahlia", "elder", "fern", "ginkgo", "hazel")
WHY = {"because": "they are one", "by": "ann"}


class TwoStores:
    """Two files, named one and two, in which the same messages fail."""

    def __init__(self, folder):
        self.clock = Clock()
        self.places = [StorePlace(name, str(folder / f"{name}.db")) for name in ("one", "two")]
        self.words = [word for place in self.places for word in ("--db", place.place)]

    def open(self, number):
        return Store.open(self.places[number].place, synchronous="NORMAL", clock=self.clock)

    def fail(self, number, *messages):
        with self.open(number) as store:
            for message in messages:
                self.clock.advance(1)
                store.report_attempt("pay", {}, error=f"OSError: {message}")

    def correct(self, number, decide):
        self.clock.advance(60)
        with self.open(number) as store:
            return decide(store)

    def ids(self):
        ids = {}
        for number in range(2):
            with self.open(number) as store:
                ids |= clusters(store)
        return ids

    def federation(self, *, reverse=False):
        return closing(open_stores(self.places[::-1] if reverse else self.places, clock=self.clock))


@pytest.fixture
def two(tmp_path):
    stores = TwoStores(tmp_path)
    stores.fail(0, FULL, SPACE, LOST)
    stores.fail(1, FULL, FULL, SPACE, LOST)
    return stores


def events(federation):
    return {cluster.template: cluster.events for cluster in federation.clusters()}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("number", [0, 1])
def test_a_merge_in_one_store_applies_to_all(two, number, reverse):
    ids = two.ids()
    (merge,) = two.correct(number, lambda store: store.merge_clusters([ids[FULL], ids[SPACE]], **WHY))
    two.fail(1 - number, SPACE)
    with two.federation(reverse=reverse) as federation:
        assert events(federation) == {FULL: 6, NAMED: 2}
        for cluster_id in (ids[SPACE], str(ids[SPACE])[:12], ids[FULL]):
            assert federation.cluster(cluster_id).cluster_id == ids[FULL]
        merged = federation.cluster(ids[FULL])
        assert (merged.failures, merged.unresolved, merged.severity) == (6, 6, "HIGH")
        assert sum(part.events for part in merged.stores) == 6
        for field in ("cluster", "last"):
            assert {federation.count_events(f"{field}:{ids[name]}") for name in (FULL, SPACE)} == {6}
        assert {event.cluster_id for event in federation.events(f"cluster:{ids[FULL]}")} == {ids[FULL]}
        assert federation.count_events(f"-cluster:{ids[SPACE]}") == 2
        assert federation.explain(f"cluster/{ids[SPACE]}", facts=True).entity_id == ids[FULL]
        assert sum(hour.failures for hour in federation.patterns.timeline(cluster_id=ids[FULL])) == 6
        assert federation.patterns.newest(ids[SPACE]).of == 6
        two.correct(number, lambda store: store.undo_correction(merge, **WHY))
        assert events(federation) == {FULL: 3, SPACE: 3, NAMED: 2}
    assert not any(verify(place.place).findings for place in two.places)


def test_each_cluster_of_a_store_has_a_line_with_its_id(two, capsys):
    """Episodes of clusters that one store has apart do not add up either."""
    ids = two.ids()
    two.correct(0, lambda store: store.merge_clusters([ids[FULL], ids[SPACE]], **WHY))
    with two.federation() as federation:
        behind = federation.explain(f"cluster/{ids[FULL]}", facts=True).behind
        values = {one.number: one.value for one in behind}
        assert (values["events"], values["episodes in one"], values["episodes in two"]) == (5, 1, 1)
    assert main([*two.words, "cluster", str(ids[FULL])]) == 0
    table = capsys.readouterr().out.partition("In each store")[2].splitlines()
    assert [row.split()[:3] for row in table[2:5]] == [
        ["one", str(ids[FULL])[:8], "2"], ["two", str(ids[FULL])[:8], "2"], ["two", str(ids[SPACE])[:8], "1"]
    ]  # fmt: skip


def test_the_cluster_that_was_named_first_of_all_stores_keeps_its_id(two):
    ids = two.ids()
    two.correct(1, lambda store: store.merge_clusters([ids[FULL], ids[SPACE]], **WHY))
    two.correct(0, lambda store: store.merge_clusters([ids[SPACE], ids[FULL]], **WHY))
    with two.federation() as federation:
        assert events(federation) == {FULL: 5, NAMED: 2}


def test_the_corrections_of_all_stores_apply_to_chosen_ones(two):
    ids = two.ids()
    two.correct(0, lambda store: store.merge_clusters([ids[FULL], ids[SPACE]], **WHY))
    with two.federation() as federation:
        assert {one.template: one.events for one in federation.clusters("store:one")} == {FULL: 2, NAMED: 1}
        assert {one.template: one.events for one in federation.clusters("store:two")} == {FULL: 3, NAMED: 1}
        assert len(federation.events(f"store:two cluster:{ids[SPACE]}")) == 3
        assert events(federation) == {FULL: 5, NAMED: 2}


def test_a_merge_needs_failures_of_both_clusters_in_its_store(two):
    two.fail(1, "the mount is read-only")
    ids = two.ids()
    pair = [ids[FULL], ids["the mount is read-only"]]
    with pytest.raises(NotFound, match="there is no cluster"):
        two.correct(0, lambda store: store.merge_clusters(pair, **WHY))
    two.correct(1, lambda store: store.merge_clusters(pair, **WHY))
    with two.federation() as federation:
        assert events(federation) == {FULL: 4, SPACE: 2, NAMED: 2}


def test_a_split_is_that_of_its_store(two):
    ids = two.ids()
    two.correct(0, lambda store: store.merge_clusters([ids[FULL], ids[SPACE]], **WHY))
    two.correct(1, lambda store: store.split_cluster(ids[NAMED], split_by="<n>", **WHY))
    with two.federation() as federation:
        assert events(federation) == {FULL: 5, NAMED: 1, f"{NAMED} [<n>=5]": 1}
        assert [part.store for part in federation.cluster(ids[NAMED]).stores] == ["one"]
        assert sum(federation.severity().events.values()) == federation.severity().events["HIGH"] == 7
        for cluster in federation.clusters():
            assert federation.count_events(f"cluster:{cluster.cluster_id}") == cluster.events
        assert sum(hour.failures for hour in federation.patterns.timeline()) == 7


@pytest.mark.parametrize("reverse", [False, True])
def test_a_split_by_word_applies_to_what_all_stores_learn(two, reverse):
    """The other store has learned the variable: its cluster stays one, and no event is in two."""
    for number in range(2):
        two.fail(number, *(f"no route to {word} from here" for word in WORDS))
    general = "no route to <*> from here"
    ids = two.ids()
    two.correct(0, lambda store: store.split_cluster(ids[general], split_by="<*>", **WHY))
    with two.federation(reverse=reverse) as federation:
        names = events(federation)
        assert names == {
            FULL: 3, SPACE: 2, NAMED: 2, general: 8, **{f"no route to {word} from here": 1 for word in WORDS}
        }  # fmt: skip
        for cluster in federation.clusters():
            assert federation.count_events(f"cluster:{cluster.cluster_id}") == cluster.events, cluster.template
            assert federation.patterns.newest(cluster.cluster_id).of == cluster.failures


def test_the_past_has_the_corrections_that_were_decided_then(two):
    ids = two.ids()
    before = two.clock.now
    two.correct(0, lambda store: store.merge_clusters([ids[FULL], ids[SPACE]], **WHY))
    two.clock.advance(60)
    merged = two.clock.now
    two.correct(0, lambda store: store.undo_correction(1, **WHY))
    with two.federation() as federation, closing(federation.as_of(before)) as past:
        assert events(past) == {FULL: 3, SPACE: 2, NAMED: 2}
        past.move(merged)
        assert events(past) == {FULL: 5, NAMED: 2}
        diff = past.diff(two.clock.now)
        assert [(one.entity_id, one.change) for one in diff.clusters] == [(ids[SPACE], "new")]
        assert events(past) == events(federation) == {FULL: 3, SPACE: 2, NAMED: 2}


def test_corrections_of_all_stores_are_listed_newest_first(two, capsys):
    ids = two.ids()
    two.correct(0, lambda store: store.merge_clusters([ids[FULL], ids[SPACE]], **WHY))
    two.correct(1, lambda store: store.split_cluster(ids[NAMED], split_by="<n>", because="each", by="bob"))
    two.correct(0, lambda store: store.undo_correction(1, because="no", by="ann"))
    assert main([*two.words, "corrections", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [(one["correction_id"], one["undoes"], one["undone_by"]) for one in listed] == [
        ("2@one", "1@one", None), ("1@two", None, None), ("1@one", None, "2@one"),
    ]  # fmt: skip
    assert (listed[2]["cluster_id"], listed[2]["into_cluster"]) == (ids[SPACE], ids[FULL])
    assert main([*two.words, "corrections", "--limit", "2"]) == 0
    shown = capsys.readouterr().out
    assert "2@one" in shown
    assert "undo 1@one" in shown
    assert shown.index("2@one") < shown.index("1@two")


def test_corrections_survive_the_wire(two):
    ids = two.ids()
    two.correct(0, lambda store: store.merge_clusters([ids[FULL], ids[SPACE]], **WHY))
    two.correct(0, lambda store: store.split_cluster(ids[NAMED], split_by="<n>", **WHY))
    with closing(Questions(two.places[0].place, None)) as questions:
        for question, args in (("aggregates", [-1]), ("corrections", [])):
            answer = questions.ask(0, question, args, {}, lambda *_: None)
            assert decoded(parsed(line({"answer": answer}))["answer"], ANSWERS[question]) == answer
        assert len(questions.ask(0, "corrections", [], {}, lambda *_: None)) == 2


@pytest.mark.parametrize("words", [["merge", "1", "2"], ["split", "1", "--by", "<n>"], ["undo", "1"]])
@pytest.mark.parametrize("how", [["--because", "one"], ["--preview"]])
def test_a_correction_is_recorded_in_one_store(two, capsys, words, how):
    assert main([*two.words, *words, *how]) == 2
    assert f"{words[0]} works on one store, not on 2; name it with one --db" in capsys.readouterr().err
    with two.federation() as federation:
        assert federation.patterns.corrections() == []
        with pytest.raises(UsageError, match="recorded in one store; name it alone with --db"):
            federation.patterns.preview_correction(undo=1)
