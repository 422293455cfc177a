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
    │   ├── StatementError    PostgreSQL refused a statement; its own error is the cause
    │   └── TransactionEnded  the server ended a transaction in which nothing happened for too long
    ├── NotFound              no such event or cluster                          exit status 2
    │
    ├── Permanent             raised by a handler: do not try again
    └── RetryAfter            raised by a handler: not before that many seconds

Each message is one sentence that says what is wrong and what to do. May touch: nothing.
"""


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
    """The PostgreSQL server refused a statement; `__cause__` is the error of its driver."""


class TransactionEnded(StoreError):
    """The PostgreSQL server ended a transaction in which nothing happened for too long; nothing of it was written."""


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

    Args:
        seconds: how long to wait at least (a number, or text that is one, as an HTTP header gives it); the policy's
            number of attempts still counts.
        message: what happened, for the attempt's error message.
        fingerprint: as of `Permanent`. Any other exception may carry one too, as its `failaware_fingerprint`.
    """

    def __init__(self, seconds: float | str, message: str = "", *, fingerprint: str | None = None) -> None:
        self.seconds = float(seconds)
        self.failaware_fingerprint = fingerprint
        super().__init__(message or f"asked to come back after {self.seconds:g} s")
