"""Each node of each sample line of each format replaced by odd values: an event or a reject, never an exception."""

import random

import pytest

from failaware.ingest import observed
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.sizes import sized
from tests.soak.structure import READERS, variants


@pytest.mark.parametrize("form", READERS)
def test_whatever_stands_at_a_node_is_recorded_or_rejected_with_a_reason(store, form):
    samples = list(variants(form))
    random.Random(7).shuffle(samples)
    READERS[form](store, samples[: sized(60 if form == "junit" else 200, None)])
    reasons = [error for (error,) in query(store, "SELECT error FROM reject_log")]
    assert all(reasons)
    assert not [error for error in reasons if "bug in failaware" in error]
    assert_rebuild_changes_nothing(store)


def test_what_nobody_foresaw_is_a_reject_that_says_so():
    assert "may be a bug in failaware: ZeroDivisionError" in observed.reason(ZeroDivisionError("x"))
