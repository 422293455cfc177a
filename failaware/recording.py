"""What a program records in a store: events, and attempts at them. `Store` adds decisions and maintenance."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, TypedDict, TypeVar, Unpack

from failaware.capture.attempting import AttemptRecorder, attempted, in_thread
from failaware.capture.exceptions import MAX_MESSAGE, masked_and_bounded
from failaware.capture.external import event_of, failure_of
from failaware.capture.json_values import short_repr
from failaware.capture.record import Recorder, as_name, in_microseconds, parse_time
from failaware.engine import Writer
from failaware.errors import UsageError
from failaware.facts import append, claim
from failaware.identity import this_process
from failaware.model import UNNUMBERED, Event, EventWithAttempts, Failure, NewAttempt, NewEvent
from failaware.session import Session

F = TypeVar("F", bound=Callable[..., Any])
_CHUNK = 1_000  # events in one transaction of record_many
_NO_RETRY = "attempted by its caller; no worker retries it"


_RETRIED = "it will be attempted again"


class ReportedAttempt(TypedDict, total=False):
    """The arguments of `report_attempt`."""

    key: str | None
    error: BaseException | Failure | str | None
    started_at: datetime | int | None
    finished_at: datetime | int | None
    retry_at: datetime | int | None
    reason: str | None
    delegated_to: str | None
    source: str | None
    worker: str | None
    number: int | None


class Recording:
    """The methods of a `Store` that record."""

    def __init__(self, session: Session) -> None:
        """Record in the store of this session."""
        self.session = session
        """For failaware's own packages."""

    def record(
        self,
        event_type: str,
        payload: Any = None,
        *,
        key: str | None = None,
        source: str | None = None,
        occurred_at: datetime | int | None = None,
        fingerprint: str | None = None,
    ) -> Event:
        """Record an event and return it. It is PENDING until a worker's handler attempts it.

        Args:
            event_type: such as "payment.capture"; it selects the handler.
            payload: any JSON value.
            key: makes the call idempotent: if the key was recorded before, the first event with it is returned, with
                `known` true. A key belongs to one event type.
            source: where the event comes from, for people.
            occurred_at: when it happened: an aware datetime, or integer µs since the epoch; by default now. Times
                before March 1973 are refused, since they are most likely seconds or milliseconds.
            fingerprint: groups the event's failures when their messages do not: failures of one event type with the
                same fingerprint are one cluster. `{{ default }}` in it is replaced by the fingerprint of the message.

        Raises:
            PayloadError: the payload is not JSON, or exceeds the limit.
            KeyConflict: the key belongs to an event of another type.
            UsageError: a name or a time is not valid.
            StoreError: the store cannot be written; nothing was recorded.
        """
        return self._recorded(
            *self._new(event_type, payload, key=key, source=source, occurred_at=occurred_at, fingerprint=fingerprint)
        )

    async def arecord(
        self,
        event_type: str,
        payload: Any = None,
        *,
        key: str | None = None,
        source: str | None = None,
        occurred_at: datetime | int | None = None,
        fingerprint: str | None = None,
    ) -> Event:
        """Record an event, as `record`, without blocking the event loop.

        If the task that awaits it is cancelled, the event is recorded nevertheless.

        Args:
            event_type: as for `record`.
            payload: as for `record`.
            key: as for `record`.
            source: as for `record`.
            occurred_at: as for `record`, an aware datetime or µs since the epoch.
            fingerprint: as for `record`.

        Raises:
            PayloadError, KeyConflict, UsageError, StoreError: as `record`.
        """
        new, stored = self._new(
            event_type, payload, key=key, source=source, occurred_at=occurred_at, fingerprint=fingerprint
        )
        return await in_thread(partial(self._recorded, new, stored))

    def record_many(self, events: Iterable[tuple[str, Any] | Mapping[str, Any]]) -> list[Event]:
        """Record many events: (type, payload) pairs, or dicts with `type` and the arguments of `record`.

        They are committed in chunks of 1,000: if an event is refused, the chunks before its own are recorded.

        Raises:
            PayloadError, KeyConflict, UsageError, StoreError: as `record`.
        """
        recorded: list[Event] = []
        source = iter(events)
        while chunk := list(islice(source, _CHUNK)):
            recorded += self._record_chunk(self._new_events(chunk))
        return recorded

    def _record_chunk(self, new: list[tuple[NewEvent, Any]]) -> list[Event]:
        ids = self.session.record([event for event, _ in new])
        return [
            self._first_event(event_id) if known else _event(event_id, event, stored)
            for (event_id, known), (event, stored) in zip(ids, new, strict=True)
        ]

    def attempt(
        self,
        event_type: str,
        payload: Any = None,
        *,
        key: str | None = None,
        source: str | None = None,
        fingerprint: str | None = None,
    ) -> AttemptRecorder:
        """Record a block of code as an attempt: `with store.attempt("billing.sync", {...}): ...`, or `async with`.

        When the block ends, an event and its attempt are committed together: SYNCED, or DEAD with the exception and its
        traceback, since no worker retries it. The exception propagates unchanged. With a `key`, each block is another
        attempt at the same event, and a later success resolves it. A block whose task is cancelled
        (`asyncio.CancelledError`) is not recorded: it has neither succeeded nor failed.

        If the outcome cannot be written, a RuntimeWarning is issued; what the block raises or returns does not change.

        Args:
            event_type: as for `record`.
            payload: as for `record`.
            key: as for `record`.
            source: as for `record`.
            fingerprint: as for `record`.

        Raises:
            PayloadError, KeyConflict, UsageError: as `record`, before the block begins.
        """
        now = self.session.clock()
        event, _ = self.session.recorder.event(
            event_type, payload, now=now, key=key, source=source, fingerprint=fingerprint
        )
        return AttemptRecorder(
            event, self._record_attempt, self.session.recorder.masker, check=self._check_key, clock=self.session.clock
        )

    def attempted(
        self,
        event_type: str,
        *,
        payload: Callable[..., Any] | None = None,
        key: str | Callable[..., str] | None = None,
        source: str | None = None,
    ) -> Callable[[F], F]:
        """Decorate a function: each call is an attempt, as with `attempt`.

        Works for functions, methods, async functions, generators and async generators. The function is always called:
        an argument that is not JSON is recorded as the first 200 characters of its repr, and if the arguments cannot be
        recorded, the payload has the reason. The attempt ends when the function does; work in a task, a thread or a
        context manager that it returns is not part of it.

        Args:
            event_type: as for `record`.
            payload: makes the payload from the call's arguments; by default it is the arguments by name.
            key: as for `attempt`, or a function that makes it from the call's arguments: calls with the same key are
                attempts at one event. A call whose key cannot be made or used is recorded without one, with a
                RuntimeWarning.
            source: as for `record`.

        Raises:
            UsageError: a name is not valid, or the decorated object is not a function.
        """
        fixed = None if callable(key) else key
        self.session.recorder.event(event_type, None, now=0, key=fixed, source=source)
        make_key = key if callable(key) else lambda *_args, **_kwargs: fixed
        begin = partial(self._begin, event_type, source)
        return attempted(begin, payload, make_key)

    def report_attempt(
        self, event_type: str, payload: Mapping[str, Any] | None = None, **attempt: Unpack[ReportedAttempt]
    ) -> int:
        """Record an attempt that was made elsewhere, such as by a task queue; returns the id of its event.

        The event becomes SYNCED without an error, FAILED with an error and `retry_at`, and DEAD with an error and no
        `retry_at`. What cannot be recorded exactly is still recorded: invalid names are made valid, values that are not
        JSON are recorded as their repr, and members that make the payload too large are left out.

        Args:
            event_type: what was attempted: the name of the task.
            payload: the arguments and properties of the task, by name.
            key: identifies the task: attempts with the same key belong to one event.
            error: how it failed: an exception, a text such as a message or a whole traceback, or a Failure. None: it
                succeeded.
            started_at: when the attempt began: an aware datetime, or integer µs since the epoch; by default now.
            finished_at: when it ended; by default now.
            retry_at: when it will be attempted again: by `delegated_to`, or else by a worker with a handler for the
                type.
            reason: why it is retried then, or why it is not, in words.
            delegated_to: the queue that retries the task, by the name of its package, such as "huey": while the event
                is FAILED, no worker of failaware attempts it. The queue's own frames are left out of the traceback.
            source: where the event comes from, for people; by default `delegated_to`.
            worker: which process made the attempt; by default this one.
            number: the number of the attempt, from 1, if a later attempt may be recorded first.

        Raises:
            KeyConflict: the key belongs to an event of another type.
            UsageError: an argument is unknown, a time or the number is not valid, or there is a `retry_at` without an
                error.
            StoreError: the store cannot be written; nothing was recorded.
        """
        return self._reported(event_type, payload, attempt)()

    async def areport_attempt(
        self, event_type: str, payload: Mapping[str, Any] | None = None, **attempt: Unpack[ReportedAttempt]
    ) -> int:
        """Record an attempt that was made elsewhere, as `report_attempt`, without blocking the event loop.

        If the task that awaits it is cancelled, the attempt is recorded nevertheless.

        Args:
            event_type: as for `report_attempt`.
            payload: as for `report_attempt`.
            attempt: the other arguments of `report_attempt`.
        """
        return await in_thread(self._reported(event_type, payload, attempt))

    def _reported(
        self, event_type: str, payload: Mapping[str, Any] | None, about: ReportedAttempt
    ) -> Callable[[], int]:
        """Return what writes a reported attempt; all that belongs to the caller is read at once."""
        if unknown := about.keys() - ReportedAttempt.__annotations__.keys():
            raise UsageError(f"an attempt has no {', '.join(sorted(unknown))}")
        recorder, now, queue = self.session.recorder, self.session.clock(), about.get("delegated_to")
        event = reported_event(event_type, payload, about, recorder, now=now)
        attempt = _reported_attempt(about, recorder, began=event.occurred_at, now=now)

        def job(db: Writer) -> int:
            event_id = self._append(db, EventWithAttempts(event, (attempt,)))
            if queue is not None:
                claim.delegate(db, event_id, queue)
            return event_id

        return partial(self.session.write, job)

    def _new(
        self,
        event_type: str,
        payload: Any,
        *,
        key: str | None,
        source: str | None,
        occurred_at: datetime | int | None,
        fingerprint: str | None,
    ) -> tuple[NewEvent, Any]:
        return self.session.recorder.event(
            event_type,
            payload,
            now=self.session.clock(),
            key=key,
            source=source,
            occurred_at=None if occurred_at is None else in_microseconds(occurred_at),
            fingerprint=fingerprint,
        )

    def _recorded(self, new: NewEvent, stored: Any) -> Event:
        ((event_id, known),) = self.session.record([new])
        return self._first_event(event_id) if known else _event(event_id, new, stored)

    def _record_attempt(self, event: NewEvent, failure: Failure | None) -> int:
        """Record an event with its caller's attempt, which began at `detected_at` and ends now."""
        ended = max(event.detected_at, self.session.clock())  # the clock may have gone backwards
        retry_reason = None if failure is None else _NO_RETRY
        attempt = NewAttempt(UNNUMBERED, failure, this_process(), event.detected_at, ended, None, retry_reason)
        return self.session.write(lambda db: self._append(db, EventWithAttempts(event, (attempt,))))

    def _append(self, db: Writer, observed: EventWithAttempts) -> int:
        ((event_id, _),) = append.observed(db, [observed], self.session.policy, at_known=True)
        return event_id

    def _begin(self, event_type: str, source: str | None, payload: Any, key: str | None) -> AttemptRecorder:
        """Begin an attempt of a decorated function."""
        attempt = self.attempt(event_type, payload, key=key, source=source)
        attempt.needs_key = False
        return attempt

    def _check_key(self, event: NewEvent) -> None:
        """Raise KeyConflict if the event's key belongs to another type."""
        if event.key is not None:
            self.session.read(lambda db: append.check_key(db, event))

    def _new_events(self, items: list[tuple[str, Any] | Mapping[str, Any]]) -> list[tuple[NewEvent, Any]]:
        if all(type(item) is tuple and len(item) == 2 for item in items):
            return self.session.recorder.events(items, now=self.session.clock())  # type: ignore[arg-type]
        return [self._new_event(item) for item in items]

    def _new_event(self, item: tuple[str, Any] | Mapping[str, Any]) -> tuple[NewEvent, Any]:
        if isinstance(item, Mapping):
            return self.session.recorder.from_mapping(item, now=self.session.clock())
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise UsageError(f"an event must be a (type, payload) pair or a dict, not {short_repr(item)[:60]}")
        event_type, payload = item
        return self.session.recorder.event(event_type, payload, now=self.session.clock())

    def _first_event(self, event_id: int) -> Event:
        return self.session.read(lambda db: append.recorded(db, event_id))


def reported_event(
    event_type: str, payload: Mapping[str, Any] | None, about: ReportedAttempt, recorder: Recorder, *, now: int
) -> NewEvent:
    """Return the event of a reported attempt; `now` in µs."""
    source, key = about.get("source") or about.get("delegated_to"), about.get("key")
    return event_of(
        recorder,
        as_name(event_type, recorder),
        dict(payload or {}),
        now=now,
        key=None if key is None else as_name(key, recorder),
        source=None if source is None else as_name(source, recorder),
        occurred_at=_moment(about.get("started_at"), "started_at"),
    )


def _event(event_id: int, new: NewEvent, payload: Any) -> Event:
    return Event(event_id, new.event_type, payload, new.key, new.source, new.occurred_at, new.detected_at)


def _moment(value: datetime | int | None, name: str) -> int | None:
    return parse_time(in_microseconds(value, name), name)


def _reported_attempt(about: ReportedAttempt, recorder: Recorder, *, began: int, now: int) -> NewAttempt:
    finished, retry_at = (_moment(about.get(name), name) for name in ("finished_at", "retry_at"))  # type: ignore[arg-type]
    failure = failure_of(about.get("error"), recorder.masker, package=about.get("delegated_to"))
    if failure is None and retry_at is not None:
        raise UsageError("an attempt without an error has no retry_at; pass the error, or leave retry_at out")
    number = about.get("number")
    if number is not None and (not isinstance(number, int) or number < 1):
        raise UsageError(f"number counts the attempts at an event from 1, and is not {short_repr(number)[:60]}")
    reason = masked_and_bounded(about.get("reason") or "", MAX_MESSAGE, recorder.masker)
    return NewAttempt(
        UNNUMBERED,
        failure,
        as_name(about.get("worker") or this_process(), recorder),
        began,
        max(began, now if finished is None else finished),
        retry_at,
        None if failure is None else reason or (_NO_RETRY if retry_at is None else _RETRIED),
        number,
    )
