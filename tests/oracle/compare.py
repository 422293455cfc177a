"""Holds the product's answers against the oracle's: documents, filters, tables and views, the past, what changed."""

import json
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from io import StringIO
from unittest.mock import patch

from failaware import Inspector
from failaware.cli.main import main
from failaware.rules import Policy
from failaware.text import moment_utc
from tests.conftest import COUNTED
from tests.oracle.clusters import HOUR
from tests.oracle.documents import Documents
from tests.oracle.facts import NEVER
from tests.oracle.filters import words_of_clusters, words_of_events
from tests.oracle.grouping import number_of
from tests.oracle.reports import Oracle

ALL = 10_000


def compare_all(history, inspector, random, *, commands=False):
    """Everything, now and at a moment before; what the commands print as well."""
    facts = history.facts()
    oracle = Oracle(facts)
    ids = numbers_of(inspector.db, oracle)
    compare(inspector, Documents(oracle, ids), random)
    compare_tables(inspector.db, oracle, ids)
    moment = facts.now - random.choice([0, 1, 1_800, 7_200, 40_000]) * 1_000_000
    before = Documents(Oracle(facts.as_of(moment)), ids)
    after = Documents(Oracle(facts.as_of(max(facts.now, moment))), ids)
    with inspector.as_of(moment) as then:
        # A correction made other clusters since then, or was decided at a later time if the clock went back.
        before.ids = after.ids = Numbers(ids | numbers_of(then.db, before.oracle))
        compare(then, before, random)
        same("diff", plain(then.diff(after.now)), after.diff(before))
    if commands:
        compare_commands(history, Documents(oracle, ids), before, after)


def numbers_of(db, oracle):
    """The number of each cluster, by what it is in the oracle; and both part the failures in the same way."""
    numbers = dict(db.query("SELECT attempt_id, cluster_id FROM failure"))
    ours = {a.attempt_id: name for name, cluster in oracle.clusters.items() for a in cluster.attempts}
    assert set(numbers) == set(ours)
    pairs = {(ours[attempt], number) for attempt, number in numbers.items()}
    assert len(pairs) == len({name for name, _ in pairs}) == len({number for _, number in pairs}), pairs
    return dict(pairs)


class Numbers(dict):
    """The number of each cluster, also of one that is in neither of two moments."""

    def __missing__(self, name):
        return number_of(name)


def plain(value):
    """A value of the product as its JSON document."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def compare(inspector, documents, random):
    """All reports of one moment."""
    oracle, ids, patterns = documents.oracle, documents.ids, inspector.patterns
    same("health", plain(inspector.health()), documents.health())
    same("severity", plain(inspector.severity()), documents.severity())
    same("events", plain(inspector.events(limit=ALL)), documents.events())
    same("clusters", plain(inspector.clusters(limit=ALL)), documents.clusters())
    same("timeline", plain(patterns.timeline()), documents.timeline())
    same("event severities", plain(patterns.event_severities()), documents.event_severities())
    same("trends", plain(patterns.trends()), documents.trends())
    same("recovered", plain(patterns.recovered()), documents.recovered())
    same("due", plain(patterns.calendar()), documents.due())
    same("rejects", plain(inspector.rejects(limit=ALL)), documents.rejects())
    policy = Policy(*(random.randint(1, 3) for _ in Policy._fields))
    same("what if", plain(inspector.what_if(policy)), documents.what_if(policy))
    for number, state in oracle.states.items():
        document = plain(inspector.event(number)) | {"runs": plain(patterns.runs(number))}
        same(f"event {number}", document, documents.event(state))
    for cluster in oracle.clusters.values():
        compare_cluster(inspector, documents, cluster)
    for entities, most in ((oracle.states, 1), (oracle.clusters, 3)):
        for entity in random.sample(list(entities.values()), min(len(entities), most)):
            compare_explained(inspector, documents, entity)
    compare_filters(inspector, oracle, ids, random)


def compare_cluster(inspector, documents, cluster):
    number = documents.ids[cluster.name]
    same(f"impact of {number}", impact := plain(inspector.patterns.impact(number)), documents.impact(cluster))
    same(f"transitions of {number}", plain(inspector.patterns.transitions(number)), documents.transitions(cluster))
    last = [state for state in cluster.members if state.cluster == cluster.name]
    oldest = documents.oracle.oldest(cluster.unresolved)
    lists = {
        "events": cluster.members,
        "attempts": cluster.members,
        "dead": [state for state in last if state.shown_status == "DEAD"],
        "waiting": [state for state in last if state.shown_status in ("FAILED", "PENDING")],
        "oldest_age": [oldest] if oldest else [],
    }
    for name, states in lists.items():
        listed = [event.event_id for event in inspector.events(impact[name]["where"], limit=ALL)]
        same(f"{name} of {number}", listed, sorted((state.event.event_id for state in states), reverse=True))


def compare_explained(inspector, documents, entity):
    number = entity.event.event_id if hasattr(entity, "event") else documents.ids[entity.name]
    name = f"{'event' if hasattr(entity, 'event') else 'cluster'}/{number}"
    document = without_wording(plain(inspector.explain(name, facts=True)))
    expected = documents.explain(entity, change(documents.oracle.since(entity)))
    if documents.oracle.facts.corrected:  # the product looks for the change among the clusters of today
        del document["since"], expected["since"]
    same(f"explain {name}", document, expected)


def without_wording(document):
    """Without what is SQL or follows from the masks."""
    for check in document["checks"]:
        del check["condition"]
    if document["grouped"]:
        del document["grouped"]["masked"]
    return document


def change(last):
    """The document of the last change of a severity."""
    if last is None:
        return None
    at, before, after, rule, event_id, what = last
    sentence = f"{before or 'none'} → {after or 'none'} at {moment_utc(at)} by {what}"
    names = ("at", "before", "after", "rule", "event_id", "sentence")
    return dict(zip(names, (at, before, after, rule, event_id, sentence), strict=True))


def compare_filters(inspector, oracle, ids, random):
    for _ in range(8):
        words = [words_of_events(random, oracle, ids) for _ in range(random.randint(1, 3))]
        text = " ".join(word for word, _ in words)
        listed = [event.event_id for event in inspector.events(text, limit=ALL)]
        expected = [e for e, state in sorted(oracle.states.items()) if all(holds(state) for _, holds in words)]
        same(text, listed, expected[::-1])
        same(f"count of {text}", inspector.count_events(text), len(expected))
        words = [words_of_clusters(random, oracle, ids) for _ in range(random.randint(1, 2))]
        text = " ".join(word for word, _ in words)
        documents = Documents(oracle, ids)

        def holds(cluster, words=words):
            return all(each(cluster) for _, each in words)

        same(text, plain(inspector.clusters(text, limit=ALL)), documents.clusters(holds))
        same(f"recovered {text}", plain(inspector.patterns.recovered(text)), documents.recovered(holds))


def compare_commands(history, documents, before, after):
    """What the commands print with --json."""
    opened = Inspector.open.__func__

    def run(*words):
        def with_clock(cls, path, **how):
            return opened(cls, path, **{"clock": history.clock, **how})

        with patch.object(Inspector, "open", classmethod(with_clock)), redirect_stdout(StringIO()) as out:
            assert main(["--db", str(history.path), *words, "--json"]) == 0
        return json.loads(out.getvalue())

    limit = ("--limit", str(ALL))
    as_of = ("--as-of", iso(before.now))
    for options, of in ((), documents), (as_of, before):
        health = run("health", *options)
        assert health.pop("flush")
        same("health", health, of.health())
        same("severity", run("severity", *options), of.severity())
        same("events", run("events", *limit, *options), of.events())
        same("clusters", run("clusters", *limit, *options), of.clusters())
        same("timeline", run("timeline", *options), of.timeline(of.now - 47 * HOUR))
        same("recovered", run("recovered", *limit, *options), of.recovered())
        same("due", run("due", *options), of.due())
        same("rejects", run("rejects", *limit, *options), of.rejects())
        for number, state in list(of.states.items())[:2]:
            same(f"event {number}", run("event", str(number), *options), of.event(state))
            explained = without_wording(run("explain", f"event/{number}", *options))
            same(f"explain event/{number}", explained, of.explain(state, change(of.oracle.since(state))))
        for cluster in list(of.oracle.clusters.values())[:2]:
            number = str(of.ids[cluster.name])
            same(f"cluster {number}", run("cluster", number, *options), of.cluster(cluster))
            same("attempt", run("attempt", str(cluster.example.attempt_id), *options), of.attempt(cluster.example))
            explained = without_wording(run("explain", f"cluster/{number}", *options))
            same(f"explain cluster/{number}", explained, of.explain(cluster, change(of.oracle.since(cluster))))
    same("diff", run("diff", iso(before.now), iso(after.now), *limit), after.diff(before))


def compare_tables(db, oracle, ids):
    """What docs/schema.md says of the derived tables and of the views."""
    states, clusters = oracle.states, oracle.clusters

    def table(name, columns, expected):
        same(name, sorted(db.query(f"SELECT {columns} FROM {name}"), key=repr), sorted(expected, key=repr))

    table("event_state", "event_id, attempts, retry_count, last_success, budget_from, failed_attempts, last_failure, "
          "failing_since, changed_at",
          [(e, s.count, s.retries, s.last_success, s.budget_from, s.failed_attempts,
            s.failures[-1].attempt_id if s.failures else None, s.failing_since, s.changed_at)
           for e, s in states.items()])  # fmt: skip
    members = [(c, s, c.failures(s)) for c in clusters.values() for s in c.members]
    table("event_cluster", "event_id, cluster_id, failures, first_failed_at, last_failed_at, first_attempt, "
          "recovered_at, recovered",
          [(s.event.event_id, ids[c.name], len(failures), c.entered(s), max(a.finished_at for a in failures),
            failures[0].number, c.recovery(s)[1], int(s.recovered)) for c, s, failures in members])  # fmt: skip
    table("failure_after_success", "event_id, attempt_no, cluster_id, failed_at, recovered_at",
          [(e, a.number, ids[a.cluster], a.finished_at, NEVER if (at := s.next_success(a)) is None else at)
           for e, s in states.items() for a in s.failures
           if any(not b.failed and b.number < a.number for b in s.attempts)])  # fmt: skip
    table("failure_cluster", "cluster_id, changed_at", [(ids[c.name], c.changed_at) for c in clusters.values()])
    event_counts = {}
    for s in states.values():
        key = s.event.event_type, s.status, int(s.dismissed), ids.get(s.cluster, 0), s.severity or ""
        event_counts[key] = event_counts.get(key, 0) + 1
    same("event_counts", sorted(db.query(COUNTED)), sorted((*key, events) for key, events in event_counts.items()))
    compare_views(table, oracle, ids)


def compare_views(table, oracle, ids):
    states, clusters = oracle.states.values(), oracle.clusters.values()
    last = {s.event.event_id: s.failures[-1] if s.failures else None for s in states}
    table("event_detected", "*",
          [(e.event_id, e.event_type, s.status, s.retries, s.severity, s.rule, int(s.dismissed),
            (a := last[e.event_id]) and a.error_type, a and a.message, ids.get(s.cluster, 0), e.event_payload, e.key,
            e.source, *map(written, (e.occurred_at, e.detected_at, s.first_failed_at, s.last_failed_at, s.due_at)))
           for s in states for e in [s.event]])  # fmt: skip
    table("failures", "*",
          [(a.attempt_id, a.event_id, c.event_type, a.number, a.error_type, a.message, a.cause, ids[c.name], c.template,
            *map(written, (a.started_at, a.finished_at, a.retry_at)), a.retry_reason, a.worker, a.traceback)
           for c in clusters for a in c.attempts])  # fmt: skip
    table("clusters", "*",
          [(ids[c.name], c.event_type, c.error_type, c.template, c.severity, c.rule, c.reason, len(c.attempts),
            len(c.members), c.recovered, c.episodes, len(c.relapses), written(c.first_failed_at),
            written(c.last_failed_at), c.example.attempt_id) for c in clusters])  # fmt: skip
    result = [("event", s.event.event_id, s) for s in states] + [("cluster", ids[c.name], c) for c in clusters]
    table("severities", "*", [(kind, number, of.severity, of.rule, of.reason, written(of.changed_at))
                              for kind, number, of in result if of.severity])  # fmt: skip


def written(at):
    """As the views write a time."""
    return (
        None if at is None else f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at):%Y-%m-%dT%H:%M:%S.%fZ}"
    )


def iso(at):
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).isoformat()


def same(what, answer, expected):
    """Where they differ, only what differs is shown."""
    assert answer == expected, "\n".join(
        [f"{what}: the product's answer, and the oracle's", *differences(answer, expected)]
    )


def differences(answer, expected, place=""):
    if isinstance(answer, dict) and isinstance(expected, dict) and answer.keys() == expected.keys():
        for name in answer:
            yield from differences(answer[name], expected[name], f"{place}.{name}")
    elif isinstance(answer, list) and isinstance(expected, list) and len(answer) == len(expected):
        for number, pair in enumerate(zip(answer, expected, strict=True)):
            yield from differences(*pair, f"{place}[{number}]")
    elif answer != expected:
        yield f"{place}: {answer!r}, {expected!r}"
