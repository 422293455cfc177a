"""Holds the product's answers against the oracle's: reports, filters, the views for people, the past, what changed."""

from collections import Counter

from failaware.model.differences import Diff
from tests.oracle.clusters import HOUR
from tests.oracle.facts import NEVER
from tests.oracle.filters import words_of_clusters, words_of_events
from tests.oracle.reports import Oracle, diff


def compare_all(history, inspector, random):
    """Everything, now and at a moment before."""
    facts = history.facts()
    oracle = Oracle(facts)
    compare(inspector, oracle, random)
    compare_views(inspector.db, oracle)
    moment = facts.now - random.choice([0, 1, 1_800, 7_200, 40_000]) * 1_000_000
    before = Oracle(facts.as_of(moment))
    after = Oracle(facts.as_of(max(facts.now, moment)))
    with inspector.as_of(moment) as then:
        compare(then, before, random)
        compare_diff(then.diff(after.now), before, after, identities(inspector, oracle))


def identities(inspector, oracle):
    """The number of each cluster, by what it is in the oracle; and both part the failures in the same way."""
    numbers = dict(inspector.db.query("SELECT attempt_id, cluster_id FROM failure"))
    ours = {a.attempt_id: name for name, cluster in oracle.clusters.items() for a in cluster.attempts}
    assert set(numbers) == set(ours)
    pairs = {(ours[attempt], number) for attempt, number in numbers.items()}
    assert len(pairs) == len({name for name, _ in pairs}) == len({number for _, number in pairs}), pairs
    return dict(pairs)


def compare(inspector, oracle, random):
    """All reports of one moment."""
    ids = identities(inspector, oracle)
    compare_health(inspector, oracle)
    compare_events(inspector, oracle, ids)
    compare_clusters(inspector, oracle, ids)
    compare_patterns(inspector, oracle, ids)
    for _ in range(8):
        words = [words_of_events(random, oracle, ids) for _ in range(random.randint(1, 3))]
        text = " ".join(word for word, _ in words)
        said = [event.event_id for event in inspector.events(text, limit=10_000)]
        expected = [e for e, state in sorted(oracle.states.items()) if all(holds(state) for _, holds in words)]
        same(text, said, expected[::-1])
        words = [words_of_clusters(random, oracle, ids) for _ in range(random.randint(1, 2))]
        text = " ".join(word for word, _ in words)
        said = [cluster.cluster_id for cluster in inspector.clusters(text, limit=10_000)]
        expected = [c for c in oracle.clusters.values() if all(holds(c) for _, holds in words)]
        same(text, said, [ids[c.name] for c in sorted(expected, key=lambda c: (*c.order, ids[c.name]))])


def compare_health(inspector, oracle):
    said, expected = inspector.health(), oracle.health()
    for name in ("oldest_unresolved", "next_due"):
        same(name, ref.value if (ref := getattr(said, name)) else None, expected.pop(name))
    same("most retried", said.most_retried and (said.most_retried.event_id, said.most_retried.value),
         expected.pop("most_retried"))  # fmt: skip
    for name in ("waiting", "requeued"):
        same(name, dict(getattr(said, name)), dict(expected.pop(name)))
    same("attended", set(said.attended), expected.pop("attended"))
    for name, value in expected.items():
        same(name, getattr(said, name), value)
    counts = inspector.severity()
    same("events by severity", counts.events, oracle.severity("events") | {"CRITICAL": 0})
    same("clusters by severity", counts.clusters, oracle.severity("clusters"))


def compare_events(inspector, oracle, ids):
    said = {event.event_id: event for event in inspector.events(limit=10_000)}
    same("events", sorted(said), sorted(oracle.states))
    for event_id, state in oracle.states.items():
        event = said[event_id]
        last = state.failures[-1] if state.failures else None
        same(
            f"event {event_id}",
            (event.sync_status, event.dismissed, event.retry_count, event.attempts, event.severity, event.rule)
            + (event.cluster_id, event.last_error_type, event.last_error, event.first_failed_at, event.last_failed_at)
            + (event.due_at,),
            (state.status, state.dismissed, state.retries, state.count, state.severity, state.rule)
            + (ids.get(state.cluster), last and last.error_type, last and last.message, state.first_failed_at)
            + (state.last_failed_at, state.due_at),
        )
        same(
            f"runs of {event_id}",
            [
                (r.kind, r.name if r.kind == "STATE" else r.cluster_id, r.times)
                for r in inspector.patterns.runs(event_id)
            ],
            [(kind, of if kind == "STATE" else ids.get(of), times) for kind, of, times in oracle.runs(event_id)],
        )


def compare_clusters(inspector, oracle, ids):
    said = {cluster.cluster_id: cluster for cluster in inspector.clusters(limit=10_000)}
    for name, cluster in oracle.clusters.items():
        c = said.pop(ids[name])
        same(
            f"cluster {name}",
            (c.event_type, c.error_type, c.template, c.severity, c.rule, c.reason, c.events, c.unresolved, c.dead)
            + (c.retrying, c.recovered, c.failures, c.episodes, c.comebacks, c.first_failed_at, c.last_failed_at)
            + (c.example_attempt,),
            (cluster.event_type, cluster.error_type, cluster.template, cluster.severity, cluster.rule, cluster.reason)
            + (len(cluster.members), len(cluster.unresolved), cluster.standing("DEAD"), cluster.standing("FAILED"))
            + (cluster.recovered, len(cluster.attempts), cluster.episodes, len(cluster.relapses))
            + (cluster.first_failed_at, cluster.last_failed_at, max(a.attempt_id for a in cluster.attempts)),
        )
    assert not said
    hours = {(h.cluster_id, h.hour_at // HOUR): (h.failures, h.events) for h in inspector.patterns.timeline()}
    expected = {(ids[name], hour): n for name, cluster in oracle.clusters.items() for hour, n in cluster.hours.items()}
    same("hours", {key: counts for key, counts in hours.items() if any(counts)}, expected)


def compare_patterns(inspector, oracle, ids):
    for name, cluster in oracle.clusters.items():
        impact = inspector.patterns.impact(ids[name])
        same(f"impact of {name}", {key: getattr(impact, key).value for key in oracle.impact(cluster)},
             oracle.impact(cluster))  # fmt: skip
        said = inspector.patterns.transitions(ids[name])
        for side, expected in zip((said.before, said.after), oracle.transitions(cluster), strict=True):
            found = Counter({(move.kind, move.cluster_id): move.events for move in side})
            same(f"transitions of {name}", found, Counter({(k, ids.get(of)): n for (k, of), n in expected.items()}))
        explained = inspector.explain(f"cluster/{ids[name]}")
        same(f"rule of {name}", next((check.rule for check in explained.checks if check.held), None), cluster.rule)
    healed = inspector.patterns.healed()
    same("healed", numbers(healed.total), expected_numbers(oracle.healed(list(oracle.clusters.values()))))
    rows = {row.cluster_id: numbers(row.healing) for row in healed.clusters}
    expected = {ids[name]: oracle.healed([cluster]) for name, cluster in oracle.clusters.items()}
    same("healed by cluster", rows, {number: expected_numbers(of) for number, of in expected.items() if of[0] or of[1]})
    calendar = inspector.patterns.calendar()
    said = {t.event_type: (t.overdue, {n: c for n, c in enumerate(t.minutes) if c}, t.later) for t in calendar.types}
    same("calendar", said, oracle.calendar())


def numbers(healing):
    return tuple(healing)


def expected_numbers(of):
    healed, helped, attempts, delays = of
    ranks = [delays[-(-len(delays) * tenths // 10) - 1] if delays else None for tenths in (5, 9, 10)]
    return (healed, helped, attempts, *ranks, sum(delays))


def compare_diff(said: Diff, before, after, ids):
    for kind in ("event", "cluster"):
        expected = diff(before, after, kind)
        listed = said.events if kind == "event" else said.clusters
        found = {change.entity_id: (change.change, change.before, change.after, change.how) for change in listed}
        same(f"diff of {kind}s", found, {n if kind == "event" else ids[n]: row for n, row in expected.items()})
        counts = Counter(change for change, *_ in expected.values())
        same(f"{kind}s that changed", Counter({k: n for k, n in said.counts[kind].items() if n}), counts)


def compare_views(db, oracle):
    """The views that docs/schema.md describes."""
    rows = db.query("SELECT event_id, sync_status, retry_count, severity, rule, dismissed FROM event_detected")
    same(
        "event_detected",
        sorted(rows),
        sorted((e, s.status, s.retries, s.severity, s.rule, int(s.dismissed)) for e, s in oracle.states.items()),
    )
    rows = db.query("SELECT attempt_id, event_id, error_message FROM failures")
    failures = [a for state in oracle.states.values() for a in state.failures]
    same("failures", sorted(rows), sorted((a.attempt_id, a.event_id, a.message) for a in failures))
    rows = db.query("SELECT event_type, severity, rule, reason, failures, events, recovered, comebacks FROM clusters")
    expected = [
        (c.event_type, c.severity, c.rule, c.reason, len(c.attempts), len(c.members), c.recovered, len(c.relapses))
        for c in oracle.clusters.values()
    ]
    same("clusters", sorted(rows, key=repr), sorted(expected, key=repr))
    rows = db.query("SELECT severity, rule, reason FROM severities")
    found = [s for s in (*oracle.states.values(), *oracle.clusters.values()) if s.severity]
    same("severities", sorted(rows), sorted((s.severity, s.rule, s.reason) for s in found))
    runs = db.query(f"SELECT count(*) FROM event_cluster WHERE recovered_at < {NEVER}")
    recoveries = [c.recovery(state)[1] < NEVER for c in oracle.clusters.values() for state in c.members]
    same("event_cluster", runs, [(sum(recoveries),)])


def same(what, said, expected):
    assert said == expected, f"{what}: the product says {said}, the oracle {expected}"
