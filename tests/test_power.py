"""The power is cut: what FULL has acknowledged is there when it is back, and NORMAL loses only its end."""

import random

import pytest

from tests.sizes import sized
from tests.soak.power import try_life

pytestmark = pytest.mark.sqlite("its disk")


@pytest.mark.parametrize("seed", range(sized(2, 6)))
def test_a_full_store_loses_nothing_that_it_acknowledged(tmp_path, seed):
    counts = try_life(tmp_path, random.Random(seed), synchronous="FULL", steps=25, every=40)
    assert counts["power cuts"] > 5
    assert counts["facts acknowledged"] > 100
    assert counts["facts lost"] == 0


@pytest.mark.large
def test_a_normal_store_loses_only_its_newest_facts_and_stays_sound(tmp_path):
    counts = [
        try_life(tmp_path / str(seed), random.Random(seed), synchronous="NORMAL", steps=25, every=40)
        for seed in range(4)
    ]
    assert sum(one["lost, as NORMAL may"] for one in counts) > 0  # or the power cuts would prove nothing
    assert sum(one["facts lost"] for one in counts) == 0
