"""Moments as people write them: `2h`, `30m ago`, `yesterday 14:00`, ISO 8601. Always µs since the epoch, UTC."""

import re
from datetime import UTC, datetime, timedelta

from failaware.errors import FilterError
from failaware.text import microseconds

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 604800}
_AGO = re.compile(r"(\d{1,6})\s*(s|m|min|h|d|w)(\s+ago)?")
_DAY = re.compile(r"(today|yesterday)(?:\s+(\d{1,2}):(\d{2}))?")


def parse_moment(text: str, *, now: int) -> int:
    """A moment before `now` (`2h` is two hours ago), or an absolute one; without a zone it is local time.

    Raises:
        FilterError: the text is not a time.
    """
    text = text.strip()
    if text == "now":
        return now
    if match := _AGO.fullmatch(text):
        return now - int(match[1]) * _UNITS[match[2]] * 1_000_000
    try:
        moment = _day(text, now) or datetime.fromisoformat(text)
        return microseconds(moment if moment.tzinfo else _local(moment))
    except (ValueError, OverflowError):
        raise FilterError(f"'{text}' is not a time; write 2h, 3d, 'yesterday 14:00' or 2026-11-20T10:03") from None


def _local(moment: datetime) -> datetime:
    """A local time with its zone; in UTC within a day of the calendar's ends, where Python cannot convert it."""
    try:
        return moment.astimezone()
    except (ValueError, OverflowError):
        return moment.replace(tzinfo=UTC)


def _day(text: str, now: int) -> datetime | None:
    match = _DAY.fullmatch(text)
    if not match:
        return None
    local = datetime.fromtimestamp(now / 1_000_000, UTC).astimezone()
    day = local - timedelta(days=match[1] == "yesterday")
    return day.replace(hour=int(match[2] or 0), minute=int(match[3] or 0), second=0, microsecond=0, tzinfo=None)
