"""The product and the second implementation in tests/oracle say the same of random histories, on both engines."""

import random
import tempfile

import pytest

from failaware import Inspector
from tests.oracle.compare import compare_all
from tests.oracle.history import History, store_in
from tests.sizes import sized

HISTORIES, AT_A_TIME, STEPS = sized(10, 200), sized(10, 20), 20
ON_POSTGRES = sized(6, 24)


@pytest.mark.parametrize("first", range(0, HISTORIES, AT_A_TIME))
def test_histories(first):
    for seed in range(first, first + AT_A_TIME):
        with tempfile.TemporaryDirectory() as folder:
            compare_history(store_in(folder), seed, archiving=seed % 10 == 0, commands=seed % 10 == 1)


@pytest.mark.large
@pytest.mark.postgres("the same, in one store that goes on")
def test_histories_on_postgres(path):
    history = History(path, random.Random(0))
    with history.store, Inspector.open(path, clock=history.clock) as inspector:
        for number in range(ON_POSTGRES):
            moves = history.live(STEPS // 2)
            compare_one(history, inspector, number, moves, commands=number == 3)


def compare_history(path, seed, *, archiving, commands, steps=STEPS):
    history = History(path, random.Random(seed))
    with history.store, Inspector.open(history.path, clock=history.clock) as inspector:
        moves = history.live(steps, archiving=archiving)
        compare_one(history, inspector, seed, moves, commands=commands)


def compare_one(history, inspector, seed, moves, *, commands):
    try:
        compare_all(history, inspector, random.Random(seed), commands=commands)
    except AssertionError as error:
        error.add_note(f"history {seed}: {moves}")
        raise
