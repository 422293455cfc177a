"""The same history, recorded on SQLite and on PostgreSQL: the same facts, the same derived rows, the same answers."""

import itertools
import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings

from failaware import Inspector
from failaware.engine.catalogue import FACTS
from failaware.ledger.sealing import seal_all
from failaware.ledger.verify import verify
from tests.conftest import derived, query
from tests.oracle.history import ERASING, History, seeds
from tests.read.test_as_of import reports
from tests.sizes import sized

_numbers = itertools.count(1)


def facts(store):
    return {table: query(store, f"SELECT * FROM {table} ORDER BY 1") for table in FACTS}


def lived(place, seed):
    """What a store holds that has lived through a history, and what its reports say."""
    history = History(place, Random(seed), moves=ERASING)
    history.worker._name = lambda: "host:1"  # which counts the workers of this process
    with history.store as store:
        query(store, "UPDATE setting SET value = ? WHERE name = 'key' RETURNING name", ("5e" * 32,))
        history.live(12)
        seal_all(store.session, history.clock.now)
        with Inspector.open(place, clock=history.clock) as inspector:
            words = reports(inspector)
            with inspector.as_of(history.clock.now - 3_600_000_000) as then:
                before = reports(then)
        found = verify(place)
        return {"facts": facts(store), "derived": derived(store), "now": words, "then": before, "verified": found}


@given(seeds)
@settings(max_examples=sized(8, 25), deadline=None)
def test_the_same_history_gives_the_same_rows_and_answers(postgres, seed):
    schema = f"both{next(_numbers)}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("failaware.worker.worker.token_hex", lambda _size: "of one run")  # a worker's name is random
        with tempfile.TemporaryDirectory() as folder:
            here = lived(Path(folder) / "s.db", seed)
        try:
            there = lived(postgres.url(schema), seed)
        finally:
            postgres.drop(schema)
    for what, expected in here.items():
        assert there[what] == expected, what
    assert here["verified"].findings == ()
