"""The wait after a failure: never earlier than asked, bounded, the same when computed again, and explained."""

import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from failaware import Permanent, Retry, RetryAfter, UsageError
from failaware.model import NEVER
from failaware.worker.retry import decide


class Unnumbered:
    """What raises when it is asked for a number, or to show itself."""

    def __float__(self):
        raise RuntimeError("no number")

    __index__ = __repr__ = __float__

    def __str__(self):
        return "unnumbered"


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
def test_a_decision_retries_or_gives_up_with_a_reason(policy, event_id, attempts, now):
    outcome = decide(policy, event_id=event_id, attempts=attempts, failed_at=now)
    assert (outcome.retry_at is None) == (attempts >= policy.max_attempts)
    assert outcome.retry_at is None or outcome.retry_at >= now
    assert outcome.retry_reason


@given(POLICIES, st.integers(1, 2**62), st.integers(1, 50), st.integers(0, 2**53))
def test_a_retry_is_never_earlier_than_the_delay_and_always_a_time_that_can_be_stored(policy, event_id, attempts, now):
    outcome = decide(policy, event_id=event_id, attempts=attempts, failed_at=now)
    if outcome.retry_at is not None:
        century = 100 * 365 * 86_400
        assert outcome.retry_at - now >= min(policy.delay(event_id, attempts), century) * 1_000_000
        assert outcome.retry_at < NEVER


def test_delays_at_the_cap_are_spread():
    policy = Retry(base=100, cap=10, jitter=0.5)
    assert len({policy.delay(event_id, 5) for event_id in range(50)}) == 50


@pytest.mark.parametrize(
    ("policy", "attempts", "error", "seconds", "because"),
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
def test_a_retry_decision(policy, attempts, error, seconds, because):
    outcome = decide(policy, event_id=1, attempts=attempts, failed_at=1_000, error=error)
    assert outcome.retry_at == (None if seconds is None else 1_000 + seconds * 1_000_000)
    assert outcome.retry_reason == because


NO_NUMBERS = [math.nan, math.inf, -math.inf, "3", b"3", None, [], {}, True, -1, 10**400, 1j, Unnumbered()]


@pytest.mark.parametrize("value", [*NO_NUMBERS, 0, 2.5, 10**10], ids=lambda value: str(value)[:20])
def test_a_number_of_attempts_that_makes_no_sense_is_refused(value):
    with pytest.raises(UsageError, match=r"max_attempts must be (a whole number|1 or more)"):
        Retry(max_attempts=value)


@pytest.mark.parametrize("name", ["base", "factor", "cap", "jitter"])
@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: str(value)[:20])
def test_a_policy_that_makes_no_sense_is_refused(name, value):
    with pytest.raises(UsageError, match=f"{name} must be (a number|[01] or more)"):
        Retry(**{name: value})


@pytest.mark.parametrize("wrong", [{"factor": 0.5}, {"jitter": 1e308}, {"base": 1e301}])
def test_a_number_out_of_range_is_refused(wrong):
    with pytest.raises(UsageError, match=r"must be (a number from|1 or more)"):
        Retry(**wrong)


def test_numbers_of_any_type_are_taken_as_what_they_are():
    assert Retry(base=Fraction(1, 2), cap=Decimal(8), jitter=0) == Retry(base=0.5, cap=8.0, jitter=0.0)
    assert Retry(base=Decimal("0.5"), jitter=0).delay(1, 2) == 1.0


NOW = 1_795_000_000
LATER = datetime.fromtimestamp(NOW + 90, UTC)


@pytest.mark.parametrize(
    "given",
    [
        *(90, 90.0, "90", " 90 ", b"90", Decimal(90), timedelta(seconds=90), LATER),
        *(LATER.strftime("%a, %d %b %Y %H:%M:%S GMT"), LATER.strftime("%A, %d-%b-%y %H:%M:%S GMT")),
        *(LATER.strftime("%a %b %e %H:%M:%S %Y"), LATER.isoformat(), LATER.astimezone(timezone(timedelta(hours=5)))),
    ],
    ids=str,
)
def test_a_retry_after_holds_what_a_header_says(given):
    outcome = decide(Retry(), event_id=1, attempts=1, failed_at=NOW * 1_000_000, error=RetryAfter(given, "busy"))
    assert outcome.retry_at == (NOW + 90) * 1_000_000
    assert outcome.retry_reason == "attempt 1 of 5: RetryAfter, 90 s asked for"


@pytest.mark.parametrize(
    "given",
    [
        *(None, "", "soon", "120, 120", math.nan, math.inf, "inf", -5, 10**400, {}, [1], True, Unnumbered()),
        *(
            "Wed, 21 Oct 2015 07:28:00 GMT",
            "Wed, 99 Oct 2099 07:28:00 GMT",
            LATER.replace(tzinfo=None),
            b"\xff",
            "9" * 5000,
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_retry_after_that_says_nothing_usable_leaves_the_policys_delay_and_the_message(given):
    error = RetryAfter(given, "503 from the upstream")
    assert str(error) == "503 from the upstream"
    outcome = decide(Retry(jitter=0), event_id=1, attempts=1, failed_at=NOW * 1_000_000, error=error)
    assert outcome.retry_at == (NOW + 5) * 1_000_000
    assert outcome.retry_reason == "attempt 1 of 5: 5 s + 0% jitter"


class Unfinished(RetryAfter):
    def __init__(self):
        """Without super().__init__."""


class Broken(RetryAfter):
    @property
    def until(self):
        raise RuntimeError

    @until.setter
    def until(self, value):
        pass


def with_seconds(seconds):
    error = RetryAfter(1)
    error.seconds = seconds
    return error


@pytest.mark.parametrize("error", [Unfinished(), Broken(3, "busy"), *map(with_seconds, ("soon", None, [], math.nan))])
def test_whatever_a_retry_after_has_become_the_policy_decides(error):
    assert decide(Retry(jitter=0), event_id=1, attempts=1, failed_at=0, error=error).retry_at == 5_000_000


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (3, "asked to retry after 3 s"),
        (None, "asked to retry later"),
        ("Wed, 21 Oct 2099 07:28:00 GMT", "asked to retry at 2099-10-21 07:28:00Z"),
    ],
)
def test_a_retry_after_without_a_message_says_what_was_asked(given, says):
    assert str(RetryAfter(given)) == says
