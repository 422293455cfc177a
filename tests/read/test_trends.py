"""New and rising clusters, clusters that failed in a period, and the newest failures of a cluster."""

import pytest

from failaware import Handlers, Permanent, Worker
from failaware.errors import FilterError, NotFound
from tests.conftest import HOUR, START
from tests.sizes import sized


@pytest.fixture
def fail(store, clock):
    """Fail so many events of a type now, each with this text and its number."""
    handlers = Handlers()

    @handlers.on("*")
    def fails(event):
        raise Permanent(event.payload)

    def make(event_type, text, times=1):
        store.record_many((event_type, text.format(number)) for number in range(times))
        Worker(store, handlers).run(until_idle=True, patience=0)

    return make


def trend_of(inspector, event_type):
    ids = {cluster.cluster_id: cluster.event_type for cluster in inspector.clusters()}
    return next((trend for trend in inspector.patterns.trends() if ids[trend.cluster_id] == event_type), None)


def at_hour(clock, hours, minutes=0):
    clock.now = (START // HOUR + hours) * HOUR + minutes * HOUR // 60


@pytest.mark.parametrize(
    ("earlier", "now", "change"),
    sized(
        [((5, 5), 3, "rising"), ((20, 20), 3, None)],
        [((5, 5), 3, "rising"), ((5, 5), 2, None), ((20, 20), 3, None), ((20, 13), 3, "rising"), ((20, 14), 3, None)],
    ),
)
def test_a_cluster_is_rising_from_three_in_the_last_hour_and_twice_the_mean(
    fail, inspector, clock, earlier, now, change
):
    at_hour(clock, 0)
    fail("old", "refused")
    for ago, times in zip((10, 20), earlier, strict=True):
        at_hour(clock, 48 - ago)
        fail("old", "refused", times)
    at_hour(clock, 48, 30)
    fail("old", "refused", now)
    trend = trend_of(inspector, "old")
    assert (sum(trend.hours), trend.hours[-1], trend.last_hour, trend.change) == (sum(earlier) + now, now, now, change)


def test_the_last_hour_has_its_share_of_the_previous_clock_hour(fail, inspector, clock):
    at_hour(clock, 0)
    fail("old", "refused", 8)
    at_hour(clock, 1, 15)
    assert trend_of(inspector, "old").last_hour == 6
    at_hour(clock, 2)
    assert trend_of(inspector, "old").last_hour == 0


def test_the_peak_is_never_below_what_the_last_hour_has(fail, inspector, clock):
    at_hour(clock, 0, 50)
    fail("old", "refused", 6)
    at_hour(clock, 1, 10)
    fail("old", "refused", 4)
    trend = trend_of(inspector, "old")
    assert (trend.last_hour, trend.peak, max(trend.hours)) == (9, 9, 6)
    at_hour(clock, 3)
    assert trend_of(inspector, "old").peak == 6


def test_a_cluster_is_new_for_24_hours(fail, inspector, clock):
    at_hour(clock, 0, 45)
    fail("young", "refused")
    assert trend_of(inspector, "young").change == "new"
    at_hour(clock, 24, 44)
    trend = trend_of(inspector, "young")
    assert (trend.change, sum(trend.hours)) == ("new", 0), "it failed in the part of its hour that is within the day"
    at_hour(clock, 24, 45)
    assert trend_of(inspector, "young") is None


def test_the_clusters_that_failed_in_a_period(fail, inspector, clock):
    for hour, event_type in ((0, "early"), (1, "late"), (3, "early")):
        at_hour(clock, hour, 20)
        fail(event_type, "refused")
    at_hour(clock, 4)

    def types(where):
        return {cluster.event_type for cluster in inspector.clusters(where)}

    assert types("failed:4h..3h") == {"early"}
    assert types("failed:3h..2h") == {"late"}
    assert types("failed:2h..1h") == set()
    assert types("failed:2h..") == {"early"}
    assert types("failed:..2h") == {"early", "late"}
    assert types("-failed:3h..2h") == {"early"}
    assert types("failed:3h..2h,1h..now") == {"early", "late"}
    second = (START // HOUR + 1) * HOUR
    assert inspector.patterns.hours(since=second)[0].hour_at == second
    for wrong in ("3h", "..", "soon..now"):
        with pytest.raises(FilterError, match=r"period|time"):
            types(f"failed:{wrong}")


def test_the_newest_failures_and_what_their_placeholders_stand_for(fail, inspector, clock):
    fail("pay", "timed out after {} ms at 10.0.0.1", 4)
    fail("pay", "timed out after 3 ms at 10.0.0.2")
    (cluster,) = inspector.clusters()
    newest = inspector.patterns.newest(cluster.cluster_id, limit=3)
    assert (newest.attempt.event_id, newest.of) == (5, 3)
    assert newest.attempt.error_message == "timed out after 3 ms at 10.0.0.2"
    assert "raise Permanent(event.payload)" in newest.attempt.traceback
    assert [(masked.placeholder, dict(masked.values)) for masked in newest.masked] == [
        ("<duration>", {"3 ms": 2, "2 ms": 1}),
        ("<ip>", {"10.0.0.1": 2, "10.0.0.2": 1}),
    ]
    with pytest.raises(NotFound, match="there is no cluster 99"):
        inspector.patterns.newest(99)


def test_the_masked_values_of_single_events(fail, inspector, store):
    fail("pay", "timed out after {} ms at 10.0.0.1", 3)
    fail("pay", "refused")
    cluster = next(cluster for cluster in inspector.clusters() if cluster.events == 3)
    masked = inspector.patterns.masked(cluster.cluster_id, [1, 3, 4, 99])
    assert masked == [
        (1, (("<duration>", "0 ms"), ("<ip>", "10.0.0.1"))),
        (3, (("<duration>", "2 ms"), ("<ip>", "10.0.0.1"))),
    ]
    assert inspector.patterns.masked(cluster.cluster_id, []) == []
    assert inspector.patterns.masked(cluster.cluster_id, [99]) == []


def test_the_trend_of_one_cluster_is_that_of_all(fail, inspector):
    fail("pay", "refused", 2)
    fail("mail", "lost")
    trends = inspector.patterns.trends()
    assert [inspector.patterns.trends(cluster_id=trend.cluster_id) for trend in trends] == [[trend] for trend in trends]
    assert inspector.patterns.trends(cluster_id=99) == []
