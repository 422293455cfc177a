"""Each node of each sample line of each format replaced by odd values: an event or a reject, never an exception."""

import random

import pytest

from failaware import UsageError
from failaware.capture import external
from failaware.cli.timezone import choose
from failaware.derive.grouping.groups import GroupingRules
from failaware.rules import Policy
from tests.conftest import assert_rebuild_changes_nothing, query
from tests.sizes import sized
from tests.soak.structure import READERS, variants


@pytest.mark.tour
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
    assert "may be a bug in failaware: ZeroDivisionError" in external.reason(ZeroDivisionError("x"))


@pytest.mark.parametrize("read", [Policy.from_toml, GroupingRules.from_toml])
@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "9" * 5_000,
        "[default]\nhigh.failed = inf",
        "a = nan",
        "\0",
        "[[rule]]\nmessage = 5",
    ],
)
def test_a_toml_file_of_any_content_is_refused_in_a_sentence(read, text):
    with pytest.raises(UsageError):
        read(text)


def test_a_time_zone_of_any_name_is_refused_in_a_sentence():
    for name in ("../x", "a\x01", "Europe", "x" * 300, "x" * 5_000, "/".join("x" * 900)):
        with pytest.raises(UsageError, match="knows no time zone"):
            choose(name)
