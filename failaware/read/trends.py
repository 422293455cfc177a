"""Trends: the failures of each cluster in the last day by hour, and which clusters are new or rising."""

from collections import defaultdict
from collections.abc import Sequence

from failaware.engine import Reader
from failaware.model import HOUR
from failaware.model.patterns import Trend
from failaware.read.clusters import current_id

DAY = 24
"""Clock hours of a trend, including the current one."""

RISING_LEAST, RISING_TIMES = 3, 2
"""A cluster is rising with RISING_LEAST failures in the last hour, and RISING_TIMES the mean of the day."""


def trends(db: Reader, *, now: int, cluster_id: int | None = None) -> list[Trend]:
    """The trends of the clusters, or of the one, that failed in the last 24 hours, by cluster id."""
    first = now // HOUR - (DAY - 1)
    with db.snapshot():
        only = "" if cluster_id is None else f"AND cluster_id = {current_id(db, cluster_id)}"
        # From an hour before: a cluster may be new, and have failed in the part of that hour that is within 24 hours.
        counts = db.query(
            "SELECT cluster_id, hour, failures FROM cluster_hour "
            f"WHERE hour >= ? AND hour < ? {only} ORDER BY cluster_id",
            (first - 1, first + DAY),
        )
        recent = db.query(
            f"SELECT cluster_id FROM failure_cluster WHERE first_failed_at > ? AND first_failed_at <= ? {only}",
            (now - DAY * HOUR, now),
        )
    new = {number for (number,) in recent}
    hours_of: defaultdict[int, list[int]] = defaultdict(lambda: [0] * (DAY + 1))
    for number, hour, failures in counts:
        hours_of[number][hour - first + 1] += failures
    return [
        _trend(number, tuple(hours[1:]), now, is_new=number in new)
        for number, hours in hours_of.items()
        if any(hours[1:]) or number in new
    ]


def in_last_hour(hours: Sequence[int], now: int) -> int:
    """The failures of the last 60 minutes: those of the current clock hour, and a share of the previous one's."""
    return hours[-1] + (hours[-2] * (HOUR - now % HOUR) + HOUR // 2) // HOUR


def _trend(cluster_id: int, hours: tuple[int, ...], now: int, *, is_new: bool) -> Trend:
    last_hour = in_last_hour(hours, now)
    is_rising = last_hour >= RISING_LEAST and last_hour * DAY >= RISING_TIMES * sum(hours)
    return Trend(cluster_id, hours, last_hour, "new" if is_new else "rising" if is_rising else None)
