"""The power is cut at some moment of a store's life: FULL keeps what it acknowledged, NORMAL loses only a tail."""

import random

import pytest

from tests.soak.power import try_life

SEEDS = range(4)


@pytest.mark.parametrize("seed", SEEDS)
def test_full_keeps_all_that_was_acknowledged(tmp_path, seed):
    counts = try_life(tmp_path, random.Random(seed), synchronous="FULL", steps=25, every=23)
    assert counts["power cuts"] > 10
    assert counts["acknowledged"] > 100
    assert counts["lost"] == 0


def test_normal_loses_only_a_tail_and_stays_consistent(tmp_path):
    counts = [
        try_life(tmp_path / str(seed), random.Random(seed), synchronous="NORMAL", steps=25, every=23) for seed in SEEDS
    ]
    assert sum(count["lost, as NORMAL may"] for count in counts) > 0  # so the power cuts do take what was not flushed
