"""The filter language: what it finds, and what it says when it is not understood."""

import os
import re
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from itertools import chain, pairwise

import pytest

from failaware import Handlers, Inspector, Permanent, Retry, Store, Worker
from failaware.errors import FilterError, NotFound
from failaware.read import events
from failaware.read.time_expressions import parse_moment
from tests.conftest import START, Clock


def fill(store, clock):
    handlers = Handlers()

    @handlers.on("payment.*", retry=Retry(base=100))
    def payment(event):
        raise TimeoutError("gateway timed out") if event.payload == "slow" else Permanent("100% refused")

    handlers.on("mail")(lambda event: None)
    store.record("payment.capture", "slow", source="web", key="p1")
    store.record("payment.refund", "bad", source="api")
    clock.advance(3600)
    store.record("mail", 1)
    Worker(store, handlers).run(until_idle=True, patience=0)
    store.record("mail_x", 1)
    store.record("payment.capture", "slow")
    Worker(store, handlers).run(until_idle=True, patience=0)
    store.dismiss([5], because="seen")
    clock.advance(7200)
    store.record("late", 1)


@pytest.fixture(scope="module")
def filled(request, tmp_path_factory):
    """A store to read from, filled once for each engine."""
    with ExitStack() as opened:

        @cache
        def inspector(engine):
            path, clock = tmp_path_factory.mktemp("filled") / "store.db", Clock()
            if engine == "postgres":
                server, schema = request.getfixturevalue("postgres"), f"filled{os.getpid()}"
                path = server.url(schema)
                opened.callback(server.drop, schema)
            with Store.open(path, synchronous="NORMAL", clock=clock) as store:
                fill(store, clock)
            return opened.enter_context(Inspector.open(path, clock=clock))

        yield inspector


@pytest.fixture
def full(engine, filled):
    return filled(engine)


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("", [6, 5, 4, 3, 2, 1]),
        ("status:DEAD", [2]),
        ("status:failed", [5, 1]),
        ("status:unresolved", [2, 1]),
        ("status:dismissed", [5]),
        ("status:DEAD,SYNCED", [3, 2]),
        ("-status:PENDING -status:SYNCED", [5, 2, 1]),
        ("!type:payment.*", [6, 4, 3]),
        ("type:mail", [3]),
        ("type:mail*", [4, 3]),
        ("type:mail_x", [4]),
        ("error:timed", [5, 1]),
        ("error:TimeoutError", [5, 1]),
        ("TIMED", [5, 1]),
        ('"100% ref"', [2]),
        ("error:100%", [2]),
        ("error:1_0", []),
        ("severity:HIGH", [2]),
        ("severity:low+", [2, 1]),
        ("severity:HIGH,LOW,high+", [2, 1]),
        ("-severity:HIGH", [6, 5, 4, 3, 1]),
        ("severity:med+", [2]),  # the short words of the inspector's lists
        ("severity:CRIT", []),
        ("severity:LOW status:DEAD", []),
        ("status:failed,dead", [5, 2, 1]),
        ("status:dead,unresolved", [2, 1]),
        ("status:dismissed severity:LOW+", []),
        ("status:dismissed status:FAILED", [5]),
        ("key:p1", [1]),
        ("key:p1,p2,p1", [1]),
        ("key:p1 -status:FAILED", []),
        ("-key:p1 status:FAILED", [5]),
        ("source:web,api", [2, 1]),
        ("key:p*", [1]),
        ("id:>=4", [6, 5, 4]),
        ("retries:0 status:FAILED", [5, 1]),
        ("retries:0 status:PENDING", [6, 4]),
        ("retries:<0", []),
        ("type:MAIL*", [4, 3]),
        ("key:P*", [1]),
        ("since:1h", [6]),
        ("until:1h", [5, 4, 3, 2, 1]),
        ("type:payment.* status:FAILED timed", [5, 1]),
    ],
)
def test_what_a_filter_finds(full, words, ids):
    assert [event.event_id for event in full.events(words)] == ids


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("error:Ärger", True),
        ("ÄRGER", True),
        ("ärger", False),
        ("MIT_ÉCLAIRS", False),
        ('"Mit É"', True),
        ("type:Öl*", True),
        ("type:öl*", False),
        ("type:ÖL*", True),
    ],
)
def test_words_are_found_whatever_the_case_of_a_to_z(store, inspector, words, expected):
    """Both engines know no more: so SQLite's lower() has it, and PostgreSQL's where texts are compared by bytes."""
    handlers = Handlers()

    @handlers.on("*")
    def fails(event):
        raise Permanent("Ärger mit Éclairs")

    store.record("Öl.Wechsel")
    Worker(store, handlers).run(until_idle=True, patience=0)
    assert len(inspector.events(words)) == len(inspector.clusters(words)) == expected


def test_events_come_in_pages(full):
    first = full.events(limit=4)
    assert [event.event_id for event in full.events(limit=4, before=first[-1].event_id)] == [2, 1]


def test_clusters_are_filtered_too(full):
    assert [c.template for c in full.clusters("type:payment.capture")] == ["gateway timed out"]
    assert [c.template for c in full.clusters("status:dead")] == ["<percent> refused"]
    assert full.clusters("severity:CRITICAL") == []
    assert len(full.clusters("since:1h")) == 0


def test_a_cluster_is_found_by_its_first_digits(full):
    (cluster, _) = full.clusters()
    assert full.cluster(str(cluster.cluster_id)[:9]) == cluster == full.cluster(cluster.cluster_id)
    with pytest.raises(NotFound):
        full.cluster("0")
    with pytest.raises(NotFound):
        full.cluster("x' OR 1")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("sevrity:HIGH", "did you mean 'severity'"),
        ("foo:1", "no field 'foo'"),
        ("status:GONE", "not a status"),
        ("severity:BAD", "not a severity"),
        ("id:x", "not a number"),
        ("id:99999999999999999999", "not a number"),
        ("since:soon", "not a time"),
        ('error:"open', "close the quote"),
        ("status:,", "needs a value"),
        ("id:" + "9" * 5_000, "4,096 characters at most"),
        ("id:" + "9" * 4_000, "not a number"),
        ("cluster:" + "9" * 4_000, "not a number"),
        ("last:" + "9" * 4_000, "not a number"),
        ("x" * 100_000, "4,096 characters at most"),
        ("id:" + ",".join(["1"] * 1_000), "200 values"),
        ("x " * 1_000, "200 values"),
    ],
)
def test_what_is_not_understood_is_said(full, words, says):
    with pytest.raises(FilterError, match=says):
        full.events(words)


@pytest.mark.parametrize("ask", ["events", "clusters"])
@pytest.mark.parametrize(
    "words",
    [
        "-error:x " * 200,
        "error:" + ",".join(["x"] * 200),
        "severity:" + ",".join(["LOW+"] * 200),
        "cluster:" + ",".join(map(str, range(200))),
        '"' + "%😀" * 2_047 + '"',
    ],
    ids=range(5),
)
def test_the_largest_filters_are_answered(full, ask, words):
    assert isinstance(getattr(full, ask)(words), list)


def test_values_never_become_sql(full):
    assert full.events("type:x';DROP_TABLE_event_log;--") == []
    assert full.health().total_events == 6


def test_moments(monkeypatch):
    assert parse_moment("2h", now=START) == START - 7_200_000_000
    assert parse_moment("3 d ago", now=START) == START - 3 * 86_400_000_000
    assert parse_moment("now", now=START) == START
    at = int(datetime(2026, 11, 20, 10, 3, tzinfo=UTC).timestamp()) * 1_000_000
    assert parse_moment("2026-11-20T10:03Z", now=START) == at
    yesterday = datetime.fromtimestamp(parse_moment("yesterday 14:00", now=START) / 1e6, UTC).astimezone()
    assert (yesterday.hour, yesterday.minute) == (14, 0)
    for wrong in ("", "2 parsecs", "yesterday 25:00", "2026-13-01"):
        with pytest.raises(FilterError):
            parse_moment(wrong, now=START)


def ids(expected):
    return [event.event_id for event in expected]


@pytest.mark.parametrize(
    "words",
    [
        "severity:LOW+",
        "status:UNRESOLVED type:payment.*",
        "status:FAILED,DEAD",
        "status:DISMISSED",
        "status:PENDING",
        "status:SYNCED,PENDING",
        "status:PENDING type:late,mail_x -status:DISMISSED",
        "key:p1,p2",
        "last:{}",
    ],
)
def test_an_index_only_leads_to_what_is_found_without_it(full, words, monkeypatch):
    """Whole, in pages, from either end and counted."""
    words = words.format(full.event(2).cluster_id)

    def asked():
        pages = [
            ids(full.events(words, limit=limit, before=before, order=order, skip=skip))
            for limit in (1, 2, 50)
            for before in (None, 1, 2, 5)
            for order in ("newest", "oldest")
            for skip in (0, 1)
        ]
        return pages, full.count_events(words), full.count_events(words, at_most=1)

    led = asked()
    monkeypatch.setattr(events, "EVENT_WALKS", {})
    monkeypatch.setattr(events, "_COUNTED_FIELDS", set())
    assert led == asked()
    assert any(led[0])


@pytest.mark.parametrize(
    "words", ["type:*", "-type:x", "retries:>=0", "since:2000-01-01", "id:>0", "-source:x", "-error:x"]
)
def test_events_with_and_without_a_state_are_pages_of_one_list(full, words):
    """Attempted, listed as unattempted, and newer than that."""
    everything = ids(full.events())
    assert everything == [6, 5, 4, 3, 2, 1]
    assert ids(full.events(words)) == everything
    assert ids(full.events(words, order="oldest")) == everything[::-1]
    assert ids(full.events(words, before=5, limit=2)) == [4, 3]
    assert ids(full.events(words, skip=2, limit=3)) == [4, 3, 2]
    assert full.count_events(words) == full.count_events() == 6
    assert full.count_events(words, at_most=4) == full.count_events(at_most=4) == 4


@pytest.mark.sqlite("its query plans")
@pytest.mark.parametrize(
    ("words", "index"),
    [
        ("cluster:7", "event_cluster_member"),
        ("status:DEAD cluster:7 -error:x", "event_cluster_member"),
        ("last:7 status:DEAD -status:DISMISSED", "event_cluster_member"),
        ("severity:HIGH+", "event_of_severity"),
        ("type:a severity:LOW error:x", "event_of_severity"),
        ("status:UNRESOLVED", "event_of_severity"),
        ("status:DEAD", "event_not_synced"),
        ("status:FAILED,DEAD type:a", "event_not_synced"),
        ("status:PENDING,DEAD type:a", "event_not_synced"),
        ("status:DISMISSED", "event_dismissed"),
        ("status:FAILED key:a,b", "PRIMARY KEY (key=?)"),
    ],
)
def test_what_few_events_have_leads_to_them_along_an_index(inspector, words, index, monkeypatch):
    """In a store of a million events the others must not be walked through."""
    plans, query = [], inspector.db.query

    def explained(sql, parameters=()):
        if re.search("(event|stored)_state s", sql):
            plans.append([row[3] for row in query(f"EXPLAIN QUERY PLAN {sql}", parameters)])
        return query(sql, parameters)

    monkeypatch.setattr(inspector.db, "query", explained)
    inspector.events(words, before=9)
    inspector.count_events(words)
    page, *counts = plans
    assert any(index in step for step in page)
    for step in chain(page, *counts):
        assert not re.match("SCAN [aems]( |$)", step) or f"INDEX {index}" in step, "all events are walked through"
    for before, step in pairwise(page):
        assert "TEMP B-TREE" not in step or not re.match("(SCAN|SEARCH) [ms] ", before), "more than a page is sorted"


def test_the_events_of_a_cluster_are_those_that_ever_failed_with_it(store, inspector):
    handlers = Handlers()
    messages = {1: "disk is full", 2: "host is gone", 3: "disk is full"}

    @handlers.on("a")
    def fails(event):
        raise Permanent(messages[event.event_id])

    store.record_many(("a", n) for n in range(3))
    Worker(store, handlers).run(until_idle=True)
    of_first = inspector.event(1).cluster_id
    assert [event.event_id for event in inspector.events(f"cluster:{of_first}")] == [3, 1]
    assert [event.event_id for event in inspector.events(f"cluster:{of_first}", order="oldest")] == [1, 3]
    assert [event.event_id for event in inspector.events(f"cluster:{of_first}", before=3)] == [1]
    assert [event.event_id for event in inspector.events(f"-cluster:{of_first}")] == [2]
    assert [event.event_id for event in inspector.events(f"cluster:{of_first} id:1")] == [1]
    messages[1] = "host is gone"
    store.requeue([1], because="again")
    Worker(store, handlers).run(until_idle=True)
    assert [event.event_id for event in inspector.events(f"cluster:{of_first}")] == [3, 1]
    assert [event.event_id for event in inspector.events(f"last:{of_first}")] == [3]
    assert [event.event_id for event in inspector.events(f"-last:{of_first}")] == [2, 1]
    assert [event.event_id for event in inspector.events(f"cluster:{of_first} -last:{of_first}")] == [1]
    assert inspector.count_events(f"cluster:{of_first}") == 2
    assert inspector.count_events("status:DEAD", at_most=2) == 2
    assert [event.event_id for event in inspector.events(skip=1, limit=1)] == [2]


def test_a_cluster_is_meant_by_its_first_digits(full):
    (first, *_) = full.clusters()
    others = {str(cluster.cluster_id) for cluster in full.clusters()} - {str(first.cluster_id)}
    short = next(
        str(first.cluster_id)[:n]
        for n in range(1, 20)
        if not any(o.startswith(str(first.cluster_id)[:n]) for o in others)
    )
    for field in ("cluster", "last"):
        assert full.events(f"{field}:{short}") == full.events(f"{field}:{first.cluster_id}") != []
    assert [cluster.cluster_id for cluster in full.clusters(f"cluster:{short}")] == [first.cluster_id]
    assert full.events("cluster:12345678901") == []


def test_digits_with_which_several_clusters_begin_are_not_guessed(store, inspector, clock):
    fill(store, clock)
    store.session.write(lambda db: [db.execute(_LIKE, (int(f"77{n}"),)) for n in range(2)])
    with pytest.raises(FilterError, match="more than one cluster begins with 77;"):
        inspector.events("cluster:77")
    assert inspector.events("cluster:770") == []


_LIKE = """
INSERT INTO failure_cluster
SELECT ?, event_type, error_type, template, failures, events, recovered, episodes, relapses,
       first_failed_at, last_failed_at, example_attempt, severity, rule, reason, changed_at FROM failure_cluster LIMIT 1
"""
