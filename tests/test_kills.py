"""A few kills of each kind of writer, alone and amid the others; the soak has hundreds."""

import os
import random

import pytest

from tests.soak.actors import ACTORS
from tests.soak.kills import try_kills


@pytest.mark.parametrize("name", sorted(ACTORS))
def test_whoever_is_killed_loses_and_doubles_nothing(tmp_path, name):
    counts = try_kills(tmp_path, random.Random(os.getpid()), [[name], [name, "producer", "worker"]])
    assert counts["kills"] == 4
    assert counts["acknowledged"] > 2
    assert counts["lost"] == 0
