"""Trends: the failures of each cluster in the last day by hour, and which clusters are new or rising."""

from collections import defaultdict
from collections.abc import Sequence

from failaware.engine import Reader
from failaware.model import HOUR
from failaware.model.patterns import Trend

DAY = 24
"""Clock hours of a trend, including the current one."""

RISING_LEAST, RISING_TIMES = 3, 2
"""A cluster is rising with RISING_LEAST failures in the last hour, and RISING_TIMES the mean of the day."""


def trends(db: Reader, *, now: int) -> list[Trend]:
    """The trends of the clusters that failed in the last 24 hours, by cluster id."""
    first = now // HOUR - (DAY - 1)
    with db.snapshot():
        # From an hour before: a cluster may be new, and have failed in the part of that hour that is within 24 hours.
        counts = db.query(
            "SELECT cluster_id, hour, failures FROM cluster_hour WHERE hour >= ? AND hour < ? ORDER BY cluster_id",
            (first - 1, first + DAY),
        )
        recent = db.query(
            "SELECT cluster_id FROM failure_cluster WHERE first_failed_at > ? AND first_failed_at <= ?",
            (now - DAY * HOUR, now),
        )
    new = {cluster_id for (cluster_id,) in recent}
    hours_of: defaultdict[int, list[int]] = defaultdict(lambda: [0] * (DAY + 1))
    for cluster_id, hour, failures in counts:
        hours_of[cluster_id][hour - first + 1] += failures
    return [
        _trend(cluster_id, tuple(hours[1:]), now, is_new=cluster_id in new)
        for cluster_id, hours in hours_of.items()
        if any(hours[1:]) or cluster_id in new
    ]


def in_last_hour(hours: Sequence[int], now: int) -> int:
    """The failures of the last 60 minutes: those of the current clock hour, and a share of the previous one's."""
    return hours[-1] + (hours[-2] * (HOUR - now % HOUR) + HOUR // 2) // HOUR


def _trend(cluster_id: int, hours: tuple[int, ...], now: int, *, is_new: bool) -> Trend:
    last_hour = in_last_hour(hours, now)
    is_rising = last_hour >= RISING_LEAST and last_hour * DAY >= RISING_TIMES * sum(hours)
    return Trend(cluster_id, hours, last_hour, "new" if is_new else "rising" if is_rising else None)
