"""Every error that failaware raises to its callers.

    FailawareError
    ├── UsageError            the call or the command line is wrong             exit status 2
    │   ├── PayloadError      a payload is no JSON, or larger than the limit
    │   ├── KeyConflict       the key belongs to an event of another type
    │   ├── FilterError       a filter, a time or an identifier is not understood
    │   └── HandlerError      a handler module or its registry cannot be used
    ├── StoreError            the file or the database cannot be used           exit status 2
    │   ├── StoreMissing      there is none
    │   ├── StoreForeign      it is not a failaware store
    │   ├── StoreNewer        a newer failaware wrote it
    │   ├── StoreOlder        an older failaware wrote it; whoever may write to it brings it up to date
    │   ├── StoreCorrupt      it is damaged
    │   ├── StoreBusy         someone else holds it for longer than we wait
    │   ├── StatementError    the database refused a statement; its own error is the cause
    │   └── TransactionEnded  a transaction ended before its time: it was idle, or a statement ended it
    ├── NotFound              no such event or cluster                          exit status 2
    │
    ├── Permanent             raised by a handler: do not try again
    └── RetryAfter            raised by a handler: not before that many seconds

Each message is one sentence that says what is wrong and what to do. May touch: nothing.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class FailawareError(Exception):
    """Base of all of them; `exit_status` is what the command line ends with."""

    exit_status = 2


class UsageError(FailawareError):
    """The call or the command line is wrong."""


class PayloadError(UsageError):
    """A payload is not JSON, or larger than the limit."""


class KeyConflict(UsageError):
    """The key of an event belongs to an event of another type; neither the event nor an attempt was recorded."""


class FilterError(UsageError):
    """A filter, a time or an identifier is not understood."""


class HandlerError(UsageError):
    """A handler module or its registry cannot be used."""


class StoreError(FailawareError):
    """The store's file or database cannot be used."""


class StoreMissing(StoreError):
    """There is no store at that place."""


class StoreForeign(StoreError):
    """What is there is not a failaware store."""


class StoreNewer(StoreError):
    """A newer failaware wrote this store."""


class StoreOlder(StoreError):
    """An older failaware wrote this store, and it has not been opened for writing since."""


class StoreCorrupt(StoreError):
    """The store is damaged."""


class StoreBusy(StoreError):
    """Someone else holds the store for longer than we wait."""


class StatementError(StoreError):
    """The database refused a statement; `__cause__` is the error of its driver."""


class TransactionEnded(StoreError):
    """A transaction ended before its time: a PostgreSQL server found it idle for too long, or a statement ended it."""


class NotFound(FailawareError):
    """There is no such event or cluster."""


class Permanent(FailawareError):
    """Raise this in a handler when trying again cannot help: the event is DEAD at once.

    Args:
        message: what happened.
        fingerprint: what this failure is like, when the message does not say; failures with the same word are one
            cluster. `{{ default }}` in it stands for what the message would give.
    """

    def __init__(self, *message: object, fingerprint: str | None = None) -> None:
        super().__init__(*message)
        self.failaware_fingerprint = fingerprint


class RetryAfter(FailawareError):
    """Raise this in a handler when the other side says when to come back.

    Where `seconds` says nothing usable (None, since there was no such header; a text that is neither a number nor a
    date; nan), the attempt fails with the message, and the policy's own retry delay applies.

    Args:
        seconds: how long to wait at least: a number, or the value of an HTTP `Retry-After` header, which is a number or
            a date; a timedelta or an aware datetime will do as well. The policy's number of attempts still counts.
        message: what happened, for the attempt's error message.
        fingerprint: as of `Permanent`. Any other exception may carry one too, as its `failaware_fingerprint`.
    """

    seconds: float | None = None
    """How long to wait at least; None where a date says when, or nothing does."""
    until: float | None = None
    """When to come back (seconds since the epoch), where a date says so."""

    def __init__(self, seconds: object = None, message: str = "", *, fingerprint: str | None = None) -> None:
        try:
            self.seconds, self.until = _seconds_or_time(seconds)
        except Exception:  # noqa: BLE001 - the upstream's nonsense must not replace the failure that it came with
            self.seconds = self.until = None
        self.failaware_fingerprint = fingerprint
        super().__init__(message or self._default_message())

    def _default_message(self) -> str:
        if self.until is not None:
            from datetime import UTC, datetime, timedelta

            return f"asked to come back at {datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.until):%F %TZ}"
        return "asked to come back later" if self.seconds is None else f"asked to come back after {self.seconds:g} s"


def _seconds_or_time(given: object) -> tuple[float | None, float | None]:
    """What a Retry-After says: how many seconds, or when (seconds since the epoch); neither where it makes no sense."""
    import math
    from datetime import datetime, timedelta

    if given is None or isinstance(given, bool):
        return None, None
    if isinstance(given, timedelta):
        return given.total_seconds(), None
    if isinstance(given, bytes | bytearray):
        given = given.decode("latin-1")
    if isinstance(given, str):
        text = given.strip()
        try:
            given = float(text)
        except ValueError:
            given = _time(text)
    if isinstance(given, datetime):
        return None, given.timestamp() if given.tzinfo is not None else None
    seconds = float(given)  # type: ignore[arg-type]
    return (seconds, None) if math.isfinite(seconds) else (None, None)


def _time(text: str) -> "datetime":
    """A date of HTTP, in any of its three forms, or of ISO 8601; UTC unless it says otherwise."""
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = parsedate_to_datetime(text)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
