"""The product and the second implementation in tests/oracle say the same of random histories, on both engines."""

import random
import tempfile

import pytest

from failaware import Inspector
from tests.oracle.compare import compare_all
from tests.oracle.history import CORRECTING, EVERYTHING, History, store_in
from tests.sizes import sized

HISTORIES, AT_A_TIME, STEPS = sized(10, 200), sized(10, 20), 20
ON_POSTGRES = sized(6, 24)


@pytest.mark.parametrize("first", range(0, HISTORIES, AT_A_TIME))
def test_histories(first):
    for seed in range(first, first + AT_A_TIME):
        with tempfile.TemporaryDirectory() as folder:
            compare_history(store_in(folder), seed, archiving=seed % 10 == 0, commands=seed % 10 == 1)


@pytest.mark.parametrize("first", range(1_000, 1_000 + sized(6, 100), sized(6, 20)))
def test_histories_with_corrections(first):
    """Merges, splits and what undoes them: folded, derived again, and as of a moment before or after one."""
    for seed in range(first, first + sized(6, 20)):
        with tempfile.TemporaryDirectory() as folder:
            history = History(store_in(folder), random.Random(seed), moves=CORRECTING)
            with history.store, Inspector.open(history.path, clock=history.clock) as inspector:
                moves = history.live(STEPS)
                compare_one(history, inspector, seed, moves, commands=False)
                history.store.rebuild()
                compare_one(history, inspector, seed, moves, commands=False)


@pytest.mark.large
@pytest.mark.parametrize("moves", [EVERYTHING, CORRECTING], ids=["everything", "correcting"])
@pytest.mark.postgres("the same, in one store that goes on")
def test_histories_on_postgres(path, moves):
    history = History(path, random.Random(0), moves=moves)
    with history.store, Inspector.open(path, clock=history.clock) as inspector:
        for number in range(ON_POSTGRES):
            steps = history.live(STEPS // 2)
            compare_one(history, inspector, number, steps, commands=number == 3)


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
