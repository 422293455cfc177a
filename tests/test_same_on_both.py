"""The same history, recorded on SQLite and on PostgreSQL: the same facts, the same derived rows, the same answers."""

import itertools
import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings

from failaware import Inspector
from failaware.ledger.sealing import seal_all
from failaware.ledger.verify import verify
from failaware.rules import Policy
from failaware.schema.catalogue import FACTS
from tests.conftest import HOUR, MINUTE, derived, query
from tests.oracle.history import FACTS as FACT_MOVES
from tests.oracle.history import History, seeds
from tests.read.test_as_of import reports
from tests.sizes import sized

_numbers = itertools.count(1)
_TIMES = (
    "SELECT max(detected_at) FROM event_log",
    "SELECT max(finished_at) FROM attempt_log",
    "SELECT max(decided_at) FROM decision_log",
    "SELECT max(rejected_at) FROM reject_log",
)


def facts(store):
    return {table: query(store, f"SELECT * FROM {table} ORDER BY 1") for table in FACTS}


def answers(place, end):
    """What an inspector says of the end, and as of other moments, in whichever order one goes there."""
    with Inspector.open(place, clock=lambda: end) as inspector:
        yield "now", reports(inspector)
        with inspector.as_of(end) as then:
            yield "as of now", reports(then)
            for ago in (90 * MINUTE, 5 * HOUR, 60 * MINUTE, 1):
                then.move(end - ago)
                yield f"{ago} µs ago", reports(then)
                yield f"{ago} µs ago, why", [then.explain(f"event/{one.event_id}", facts=True) for one in then.events()]
                yield f"{ago} µs ago, by another policy", then.what_if(Policy(*(1 for _ in Policy._fields)))
            then.move(end - 2 * HOUR)
            yield "what has changed", then.diff(end)
        clusters = [f"cluster/{cluster.cluster_id}" for cluster in inspector.clusters()]
        yield "why", [inspector.explain(cluster, facts=True) for cluster in clusters]


def filled_store(place, seed):
    """What a store holds that has lived through a history, and what its reports say."""
    history = History(
        place, Random(seed), moves=(*FACT_MOVES, "erase", "correct")
    )  # a lease is no fact: as of now there is none
    history.worker._name = lambda: "host:1"  # which counts the workers of this process
    with history.store as store:
        query(store, "UPDATE setting SET value = ? WHERE name = 'key' RETURNING name", ("5e" * 32,))
        history.live(12)
        seal_all(store.session, history.clock.now)
        times = [at for sql in _TIMES for (at,) in query(store, sql) if at is not None]
        reports = dict(answers(place, max([history.clock.now, *times])))  # the clock also goes backwards
        return {"facts": facts(store), "derived": derived(store), "verified": verify(place), **reports}


@given(seeds)
@settings(max_examples=sized(3, 25), deadline=None)
def test_the_same_history_gives_the_same_rows_and_answers(postgres, seed):
    schema = f"both{next(_numbers)}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("failaware.worker.worker.token_hex", lambda _size: "of one run")  # a worker's name is random
        with tempfile.TemporaryDirectory() as folder:
            here = filled_store(Path(folder) / "s.db", seed)
        try:
            there = filled_store(postgres.url(schema), seed)
        finally:
            postgres.drop(schema)
    for what, expected in here.items():
        assert there[what] == expected, what
    assert here["verified"].findings == ()
    assert here["as of now"] == here["now"]
