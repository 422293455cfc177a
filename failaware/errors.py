"""Every exception that failaware raises to its callers.

    FailawareError
    ├── UsageError            the call or the command line is wrong             exit status 2
    │   ├── PayloadError      a payload is not JSON, or exceeds the limit
    │   ├── KeyConflict       the key belongs to an event of another type
    │   ├── FilterError       a filter, a time or an identifier is not valid
    │   └── HandlerError      a handler module or its registry cannot be used
    ├── StoreError            the file or the database cannot be used           exit status 2
    │   ├── StoreMissing      it does not exist
    │   ├── StoreForeign      it is not a failaware store
    │   ├── StoreNewer        a newer failaware wrote it
    │   ├── StoreOlder        an older failaware wrote it; opening it for writing migrates it
    │   ├── StoreCorrupt      it is damaged
    │   ├── StoreBusy         another process locks it for longer than the timeout
    │   ├── StatementError    the database rejected a statement; the driver's error is `__cause__`
    │   └── TransactionEnded  the transaction was ended early: it was idle, or a statement ended it
    ├── NotFound              no such event or cluster                          exit status 2
    │
    ├── Permanent             raised by a handler: do not retry
    └── RetryAfter            raised by a handler: retry after a delay

Each message says what is wrong and what to do. Imports nothing of failaware.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class FailawareError(Exception):
    """Base class of all exceptions; `exit_status` is the exit status of the command line."""

    exit_status = 2


class UsageError(FailawareError):
    """The call or the command line is wrong."""


class PayloadError(UsageError):
    """A payload is not JSON, or exceeds the limit."""


class KeyConflict(UsageError):
    """The key belongs to an event of another type; neither the event nor an attempt was recorded."""


class FilterError(UsageError):
    """A filter, a time or an identifier is not valid."""


class HandlerError(UsageError):
    """A handler module or its registry cannot be used."""


class StoreError(FailawareError):
    """The store's file or database cannot be used."""


class StoreMissing(StoreError):
    """There is no store at this path or URL."""


class StoreForeign(StoreError):
    """The file or schema is not a failaware store."""


class StoreNewer(StoreError):
    """A newer failaware wrote this store."""


class StoreOlder(StoreError):
    """An older failaware wrote this store; opening it for writing migrates it."""


class StoreCorrupt(StoreError):
    """The store is damaged."""


class StoreBusy(StoreError):
    """Another process locks the store for longer than the timeout."""


class StoreFull(StoreError):
    """The disk or the store has no room for a write, or a value is too large; nothing of it was written."""


class StatementError(StoreError):
    """The database rejected a statement; `__cause__` is the driver's error."""


class TransactionEnded(StoreError):
    """A transaction was ended early: a PostgreSQL server found it idle for too long, or a statement ended it."""


class NotFound(FailawareError):
    """There is no such event or cluster."""


class Permanent(FailawareError):
    """Raise this in a handler when a retry cannot help: the event is DEAD at once.

    Args:
        message: the attempt's error message.
        fingerprint: groups this failure when its message does not: failures of one event type with the same
            fingerprint are one cluster. `{{ default }}` in it is replaced by the fingerprint of the message.
    """

    def __init__(self, *message: object, fingerprint: str | None = None) -> None:
        super().__init__(*message)
        self.failaware_fingerprint = fingerprint


class RetryAfter(FailawareError):
    """Raise this in a handler to set the minimum retry delay, such as that of an HTTP `Retry-After` header.

    If `seconds` is not usable (None, since there was no such header; a text that is neither a number nor a date; nan),
    the retry policy's own delay applies.

    Args:
        seconds: the minimum delay: a number of seconds, the value of a `Retry-After` header (a number or a date), a
            timedelta or an aware datetime. The retry policy's limit of attempts still applies.
        message: the attempt's error message.
        fingerprint: as for `Permanent`. Any other exception can have one as its attribute `failaware_fingerprint`.
    """

    seconds: float | None = None
    """The minimum delay in seconds; None if a date was passed, or nothing usable."""
    until: float | None = None
    """The earliest time of the next attempt, in seconds since the epoch, if a date was passed."""

    def __init__(self, seconds: object = None, message: str = "", *, fingerprint: str | None = None) -> None:
        try:
            self.seconds, self.until = _seconds_or_time(seconds)
        except Exception:  # noqa: BLE001 - an invalid header must not replace the failure
            self.seconds = self.until = None
        self.failaware_fingerprint = fingerprint
        super().__init__(message or self._default_message())

    def _default_message(self) -> str:
        if self.until is not None:
            from datetime import UTC, datetime, timedelta

            return f"asked to retry at {datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.until):%F %TZ}"
        return "asked to retry later" if self.seconds is None else f"asked to retry after {self.seconds:g} s"


def _seconds_or_time(value: object) -> tuple[float | None, float | None]:
    """Return the delay in seconds, or the time in seconds since the epoch, of a Retry-After; neither if invalid."""
    import math
    from datetime import datetime, timedelta

    if value is None or isinstance(value, bool):
        return None, None
    if isinstance(value, timedelta):
        return value.total_seconds(), None
    if isinstance(value, bytes | bytearray):
        value = value.decode("latin-1")
    if isinstance(value, str):
        text = value.strip()
        try:
            value = float(text)
        except ValueError:
            value = _time(text)
    if isinstance(value, datetime):
        return None, value.timestamp() if value.tzinfo is not None else None
    seconds = float(value)  # type: ignore[arg-type]
    return (seconds, None) if math.isfinite(seconds) else (None, None)


def _time(text: str) -> "datetime":
    """Parse an HTTP date in any of its three forms, or ISO 8601; UTC without a zone."""
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = parsedate_to_datetime(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
