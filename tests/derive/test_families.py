"""Failures of many programs, each with different values: those of one kind meet, look-alikes stay apart."""

import pytest

from benchmarks.grouping import by_cluster, by_fingerprint, score
from tests.derive import families
from tests.derive.observed import observed
from tests.sizes import sized


@pytest.mark.parametrize(("samples", "ga", "fga"), [(families.written, 0.97, 0.96), (families.raised, 0.97, 0.98)])
def test_a_person_would_have_grouped_them_so(samples, ga, fga):

    samples = list(samples())
    assert len(samples) > 250
    result = score(samples, by_fingerprint(samples))
    assert result.ga >= ga
    assert result.fga >= fga
    assert result.apart >= 0.999


def test_a_person_would_have_grouped_what_programs_print_so():
    """Most of these values are recognized by no rule, so that their variables are learned."""
    samples = list(observed(every=sized(3, 1)))
    assert len(samples) > 1_500
    result = score(samples, by_cluster(samples))
    assert result.ga >= 0.95
    assert result.fga >= 0.87
    assert result.apart >= 0.999


def test_the_measure_itself():
    samples = [families.Sample("f", label, None, "") for label in "aabbc"]
    assert score(samples, list("aabbc")) == (1.0, 1.0, 1.0)
    assert score(samples, list("xxxxc")) == (0.2, 0.4, 2 / 3)
    assert score(samples, list("axbbc")) == (0.6, pytest.approx(4 / 7), 1.0)
