"""What can go wrong under an open store: each is said in a sentence, leaves nothing half-written, and passes."""

import random

import pytest

from tests.disk import FAILURES
from tests.soak.faults import try_life


@pytest.mark.parametrize("what", FAILURES)
def test_a_disk_that_fails_now_and_then_loses_nothing(tmp_path, what):
    counts = try_life(tmp_path, random.Random(what), steps=30, whats=(what,))
    assert counts["faults"] > 0
    assert counts["told"] > 0 or what in {
        "delete",
        "truncate",
    }  # of the log, when it is not needed: nobody needs to know
    assert counts["acknowledged"] > 20
