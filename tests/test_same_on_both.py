"""The same history, recorded on SQLite and on PostgreSQL: the same facts, the same derived rows, the same answers."""

import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings

from failaware import Inspector
from failaware.engine.catalogue import FACTS
from failaware.ledger.sealing import seal_all
from failaware.ledger.verify import verify
from tests.conftest import derived, query
from tests.life import Life, histories_with_erasures
from tests.read.test_as_of import reports
from tests.sizes import sized

_numbers = itertools.count(1)


def facts(store):
    return {table: query(store, f"SELECT * FROM {table} ORDER BY 1") for table in FACTS}


def lived(place, history):
    """What a store holds that has lived through this, and what its reports say."""
    life = Life(place)
    life.worker._name = lambda: "host:1"  # which counts the workers of this process
    with life.store as store:
        query(store, "UPDATE setting SET value = ? WHERE name = 'key' RETURNING name", ("5e" * 32,))
        for step, wait in history:
            life.step(*step)
            life.clock.advance(wait)
        seal_all(store.session, life.clock.now)
        with Inspector.open(place, clock=life.clock) as inspector:
            words = reports(inspector)
            with inspector.as_of(life.clock.now - 3_600_000_000) as then:
                before = reports(then)
        found = verify(place)
        return {"facts": facts(store), "derived": derived(store), "now": words, "then": before, "verified": found}


_TIED = [
    (("record", "a.x", 1), 0.000001),
    (("record", "a.x", 2), 0.000001),
    (("work", [None, ValueError("bad value 7"), ValueError("bad value 7")]), 1200),
    (("work", [ValueError("bad value 7")]), 0.000001),
    (("decide", "requeue", 2), 0.000001),
]
"""Two events are the most retried ones; which one is named must not depend on where rows lie."""


@given(histories_with_erasures)
@example(_TIED)
@settings(max_examples=sized(8, 25), deadline=None)
def test_the_same_history_gives_the_same_rows_and_answers(postgres, history):
    schema = f"both{next(_numbers)}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("failaware.worker.worker.token_hex", lambda _size: "of one run")  # a worker's name is random
        with tempfile.TemporaryDirectory() as folder:
            here = lived(Path(folder) / "s.db", history)
        try:
            there = lived(postgres.url(schema), history)
        finally:
            postgres.drop(schema)
    for what, expected in here.items():
        assert there[what] == expected, what
    assert here["verified"].findings == ()
