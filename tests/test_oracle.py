"""The product and the second implementation in tests/oracle say the same of random histories, on both engines."""

import contextlib
import io
import json
import random
import tempfile

import pytest

from failaware import Inspector
from failaware.cli.main import main
from tests.oracle.compare import compare_all
from tests.oracle.history import History, store_in
from tests.oracle.reports import Oracle

HISTORIES, AT_A_TIME, ON_POSTGRES, STEPS = 200, 20, 6, 20


def lived(path, number, *, archiving):
    """A history, and whatever it was made of, to be read when something differs."""
    history = History(path, random.Random(number))
    return history, history.live(STEPS, archiving=archiving)


@pytest.mark.parametrize("first", range(0, HISTORIES, AT_A_TIME))
def test_histories(first):
    for number in range(first, first + AT_A_TIME):
        with tempfile.TemporaryDirectory() as folder:
            history, names = lived(store_in(folder), number, archiving=number % 10 == 0)
            with history.store, Inspector.open(history.path, clock=history.clock) as inspector:
                try:
                    compare_all(history, inspector, random.Random(number))
                    if number % 10 == 1:
                        compare_json(history)
                except AssertionError as error:
                    error.add_note(f"history {number}: {names}")
                    raise


def compare_json(history):
    """What --json says is what the inspector says."""
    oracle = Oracle(history.facts())
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["--db", str(history.path), "clusters", "--limit", "1000", "--json"]) == 0
    said = json.loads(out.getvalue())
    assert sorted(c["reason"] or "" for c in said) == sorted(c.reason or "" for c in oracle.clusters.values())
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["--db", str(history.path), "events", "--limit", "1000", "--json"]) == 0
    said = {event["event_id"]: (event["sync_status"], event["severity"]) for event in json.loads(out.getvalue())}
    assert said == {number: (state.status, state.severity) for number, state in oracle.states.items()}


@pytest.mark.postgres("the same, in one store that goes on")
def test_histories_on_postgres(path):
    history = History(path, random.Random(0))
    with history.store, Inspector.open(path, clock=history.clock) as inspector:
        for number in range(ON_POSTGRES):
            names = history.live(STEPS // 2)
            try:
                compare_all(history, inspector, random.Random(number))
            except AssertionError as error:
                error.add_note(f"part {number}: {names}")
                raise
