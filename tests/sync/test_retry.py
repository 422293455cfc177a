"""The wait after a failure: never earlier than asked, bounded, the same when computed again, and explained."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failaware import Permanent, Retry, RetryAfter, UsageError
from failaware.model import NEVER
from failaware.sync.retry import decide

POLICIES = st.builds(
    Retry,
    max_attempts=st.integers(1, 1000),
    base=st.floats(0, 1e6),
    factor=st.floats(1, 1e3),
    cap=st.floats(0, 1e9),
    jitter=st.floats(0, 10),
)


@given(POLICIES, st.integers(1, 2**62), st.integers(1, 1000))
def test_a_delay_lies_between_the_bare_one_and_its_jitter(policy, event_id, n):
    try:
        bare = min(policy.cap, policy.base * policy.factor ** (n - 1))
    except OverflowError:
        bare = policy.cap if policy.base else 0
    delay = policy.delay(event_id, n)
    assert bare <= delay <= bare * (1 + policy.jitter)
    assert delay == policy.delay(event_id, n)


@given(POLICIES, st.integers(1, 2**62), st.integers(1, 2000), st.integers(0, 2**53))
def test_a_decision_waits_or_gives_up_and_says_why(policy, event_id, tries, now):
    outcome = decide(policy, event_id=event_id, tries=tries, failed_at=now)
    assert (outcome.retry_at is None) == (tries >= policy.max_attempts)
    assert outcome.retry_at is None or outcome.retry_at >= now
    assert outcome.because


@given(POLICIES, st.integers(1, 2**62), st.integers(1, 50), st.integers(0, 2**53))
def test_a_retry_is_never_earlier_than_the_delay_and_always_a_time_that_can_be_stored(policy, event_id, tries, now):
    outcome = decide(policy, event_id=event_id, tries=tries, failed_at=now)
    if outcome.retry_at is not None:
        century = 100 * 365 * 86_400
        assert outcome.retry_at - now >= min(policy.delay(event_id, tries), century) * 1_000_000
        assert outcome.retry_at < NEVER


def test_delays_at_the_cap_are_spread():
    policy = Retry(base=100, cap=10, jitter=0.5)
    assert len({policy.delay(event_id, 5) for event_id in range(50)}) == 50


@pytest.mark.parametrize(
    ("policy", "tries", "error", "seconds", "because"),
    [
        (Retry(jitter=0), 1, None, 5, "attempt 1 of 5: 5 s + 0% jitter"),
        (Retry(jitter=0), 3, None, 20, "attempt 3 of 5: 5 s · 2² + 0% jitter"),
        (Retry(max_attempts=99, jitter=0), 50, None, 3600, "attempt 50 of 99: the cap of 3600 s + 0% jitter"),
        (Retry(base=0), 1, None, 0, "attempt 1 of 5: at once"),
        (Retry(), 5, None, None, "5 of 5 attempts used"),
        (Retry(), 1, Permanent("no"), None, "Permanent: the handler says that trying again cannot help"),
        (Retry(), 1, RetryAfter(90), 90, "attempt 1 of 5: RetryAfter, 90 s asked for"),
        (Retry(base=60, jitter=0), 1, RetryAfter(2), 60, "attempt 1 of 5: 60 s + 0% jitter"),
        (Retry(), 5, RetryAfter(90), None, "5 of 5 attempts used"),
    ],
)
def test_the_reckoning(policy, tries, error, seconds, because):
    outcome = decide(policy, event_id=1, tries=tries, failed_at=1_000, error=error)
    assert outcome.retry_at == (None if seconds is None else 1_000 + seconds * 1_000_000)
    assert outcome.because == because


@pytest.mark.parametrize("wrong", [{"max_attempts": 0}, {"base": -1}, {"factor": 0.5}, {"cap": -1}, {"jitter": -0.1}])
def test_a_policy_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        Retry(**wrong)
