"""Store: the writer's handle. It holds the connection, the clock and the limits; the work is done in the rooms."""

import getpass
import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from failaware.capture.attempting import Attempting, attempted
from failaware.capture.json_values import shown
from failaware.capture.record import MAX_PAYLOAD_BYTES, Recorder, event_numbers, in_microseconds
from failaware.capture.secrets.masking import Masker
from failaware.clock import now_us
from failaware.derive.fold import derive_again
from failaware.derive.grouping.groups import GroupingRules
from failaware.derive.rules import Policy
from failaware.derive.settings import archive_of, load_key, load_policy
from failaware.derive.version import our_derivation
from failaware.engine import Projection, Writer, open_writer
from failaware.errors import StoreError, UsageError
from failaware.facts import append
from failaware.facts.batch import Appended, Batch
from failaware.facts.commit import GroupCommit
from failaware.ledger.erase import Erasure, erase
from failaware.ledger.sealing import seal_what_is_due
from failaware.model import (
    UNNUMBERED,
    DecisionKind,
    Event,
    Failure,
    NewAttempt,
    NewEvent,
    NewReject,
    Observed,
)

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
_CHUNK = 1_000  # events in one transaction of record_many


class Store:
    """A store opened for writing. Safe from many threads and many processes; on PostgreSQL, on many hosts.

    What a method has returned is on the disk (`synchronous="FULL"`, the default: it survives power loss) or with the
    operating system (`"NORMAL"`: it survives a killed process, and is several times faster).
    """

    def __init__(self, db: Writer, recorder: Recorder, clock: Callable[[], int]) -> None:
        """Use `Store.open`."""
        self._db = db
        self._commits = GroupCommit(db)
        self.recorder = recorder
        """The limits and the masking of this store."""
        self.clock = clock
        """The time in µs since the epoch, UTC."""
        self._closed = False
        self.read(load_policy)  # one that makes no sense is refused now, not at the first event
        if self.read(archive_of) is not None:
            raise UsageError("this is an archive, to which nothing is added; record into the store that it came from")

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        synchronous: str = "FULL",
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
        mask: bool | Iterable[str] = True,
        clock: Callable[[], int] | None = None,
    ) -> "Store":
        """Open a store; the file is made, readable by its owner only, when there is none.

        Args:
            path: a SQLite file, or a PostgreSQL database: postgresql://user@host/database, `?schema=NAME` for another
                schema than failaware.
            synchronous: "FULL" or "NORMAL", see the class.
            max_payload_bytes: the largest payload that is accepted, as JSON in UTF-8.
            mask: replace secrets by `[masked]` before they are written; keys to mask besides the usual ones, or False.
            clock: gives the time in µs since the epoch, UTC; by default the machine's, or the PostgreSQL server's.

        A store that an older failaware derived is derived again, in one transaction, for which other writers wait:
        about a second for 80,000 attempts. From 100,000 attempts on, a RuntimeWarning says so.

        Raises:
            StoreNewer: a newer failaware has derived or made it.
            StoreError: the file cannot be used; the message says why and what to do.
        """
        extra = () if isinstance(mask, bool) else mask
        masker = Masker(extra_keys=extra, enabled=mask is not False)
        db = open_writer(path, synchronous=synchronous, projection=Projection(our_derivation(), derive_again))
        try:
            return cls(db, Recorder(masker, max_payload_bytes, load_key(db)), clock or db.clock(now_us))
        except BaseException:
            db.close()
            raise

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
        """Record an event; it is PENDING until a worker's handler has applied it.

        Args:
            event_type: such as "payment.capture"; handlers are found by it.
            payload: any JSON value.
            key: makes this idempotent: a key that was recorded before gives that first event (`known` is true). It
                belongs to one event type.
            source: where it comes from, for people.
            occurred_at: when it happened: an aware datetime, or whole µs since the epoch (from March 1973 on, so
                that no number of seconds is taken for it); now, when left out.
            fingerprint: what its failures are like, when their messages do not say; `{{ default }}` in it stands for
                what the message would give.

        Raises:
            PayloadError: the payload is not JSON or too large.
            KeyConflict: the key belongs to an event of another type.
            UsageError: a name or a time is wrong.
            StoreError: it could not be written; nothing was recorded.
        """
        new, kept = self.recorder.event(
            event_type,
            payload,
            now=self.clock(),
            key=key,
            source=source,
            occurred_at=in_microseconds(occurred_at),
            fingerprint=fingerprint,
        )
        ((event_id, known),) = self.write(lambda db: append.events(db, [new]))
        return self._first_event(event_id) if known else _event(event_id, new, kept)

    def record_many(self, events: Iterable[tuple[str, Any] | Mapping[str, Any]]) -> list[Event]:
        """Record many events: (type, payload) pairs, or dicts with the names that `record` has, and `type`.

        They are committed in chunks of 1,000: when one of them is refused, the chunks before its own are recorded.

        Raises:
            PayloadError, KeyConflict, UsageError, StoreError: as `record`.
        """
        recorded: list[Event] = []
        source = iter(events)
        while chunk := list(islice(source, _CHUNK)):
            recorded += self._record_chunk([self._new_event(item) for item in chunk])
        return recorded

    def _record_chunk(self, new: list[tuple[NewEvent, Any]]) -> list[Event]:
        ids = self.write(lambda db: append.events(db, [event for event, _ in new]))
        return [
            self._first_event(event_id) if known else _event(event_id, event, kept)
            for (event_id, known), (event, kept) in zip(ids, new, strict=True)
        ]

    def attempt(
        self,
        event_type: str,
        payload: Any = None,
        *,
        key: str | None = None,
        source: str | None = None,
        fingerprint: str | None = None,
    ) -> Attempting:
        """Record what you try yourself: `with store.attempt("billing.sync", {...}): ...`, or `async with`.

        When the block ends, an event and its one attempt are committed together: SYNCED, or DEAD with the exception and
        its traceback, since nobody here will retry it; the exception propagates unchanged. With a `key`, each block is
        one more attempt at the same event, so that a later success resolves it. A block whose task is cancelled
        (`asyncio.CancelledError`) is not recorded: it has neither succeeded nor failed.

        An outcome that cannot be written is a RuntimeWarning: it changes neither what the block raises nor what it
        returns.

        Args:
            event_type: as of `record`.
            payload: as of `record`.
            key: as of `record`.
            source: as of `record`.
            fingerprint: as of `record`.

        Raises:
            PayloadError, KeyConflict, UsageError: as `record`, before the block begins.
        """
        now = self.clock()
        event, _ = self.recorder.event(event_type, payload, now=now, key=key, source=source, fingerprint=fingerprint)
        return Attempting(event, self._tried, self.recorder.masker, check=self._check_key, clock=self.clock)

    def attempted(
        self, event_type: str, *, payload: Callable[..., Any] | None = None, source: str | None = None
    ) -> Callable[[F], F]:
        """`attempt` as a decorator for functions, async functions and generators of both kinds, and methods.

        The function is called whatever its arguments are: what is no JSON value is kept as the beginning of its repr,
        and where they cannot be recorded at all, the payload says why. What it leaves to a task, a thread or a context
        manager that it returns is no part of the attempt.

        Args:
            event_type: as of `record`.
            payload: makes the payload from the call's arguments; by default these are it, by name.
            source: as of `record`.

        Raises:
            UsageError: a name is wrong, or what is decorated is no function; when it is decorated.
        """
        self.recorder.event(event_type, None, now=0, source=source)
        return attempted(lambda given: self.attempt(event_type, given, source=source), payload)

    def requeue(self, event_ids: Iterable[int], *, because: str, by: str | None = None) -> None:
        """Record a person's decision that these events (`event_ids`) be tried again, with a fresh retry budget.

        `because` says why, in words; `by` who: you, when left out.

        Raises:
            NotFound, UsageError: an event does not exist, or is SYNCED or waiting already; then nothing is decided.
        """
        self._decide(DecisionKind.REQUEUE, event_ids, because, by)

    def dismiss(self, event_ids: Iterable[int], *, because: str, by: str | None = None) -> None:
        """Record a person's decision that these events (`event_ids`) need nothing more: they are not tried again.

        `because` says why, in words; `by` who: you, when left out.

        Raises:
            NotFound, UsageError: an event does not exist, or is SYNCED or dismissed already; then nothing is decided.
        """
        self._decide(DecisionKind.DISMISS, event_ids, because, by)

    def erase(
        self, event_ids: Iterable[int], *, because: str, by: str | None = None, shared_tracebacks: bool = False
    ) -> Erasure:
        """Remove what must not be kept, such as personal data: payloads, error messages, causes, tracebacks.

        Everything else stays: that the events were, their types, keys and sources, when they failed, with which kind of
        error, in which cluster; and who erased them, when and why.

        Args:
            event_ids: the events; none may still be going to be tried.
            because: why, in words; it is kept with the decision.
            by: who decides; you, when left out.
            shared_tracebacks: erase also tracebacks that attempts of other events have.

        Raises:
            NotFound, UsageError: an event does not exist, will be tried again, or was erased before; then nothing is.
        """
        ids, who, now = event_numbers(event_ids), self._who(by), self.clock()
        reason = self.recorder.reason(because)

        def job(db: Writer) -> tuple[int, int, int, int]:
            return erase(db, ids, by=who, reason=reason, now=now, policy=self.policy, shared=shared_tracebacks)

        removed, wiped = self._commits.run_wiping(job)
        return Erasure(*removed, wiped=wiped)

    def rebuild(self, policy: Policy | None = None, *, grouping: GroupingRules | None = None) -> None:
        """Derive everything anew from the facts; with a policy or grouping rules, from now on by these.

        Args:
            policy: the thresholds of the severity rules.
            grouping: the user's rules for what belongs together (docs/grouping.md).
        """
        self.write(lambda db: derive_again(db, policy, grouping))

    def ingest(
        self,
        observed: Sequence[Observed],
        rejects: Sequence[NewReject],
        *,
        along: Callable[[Writer], None] | None = None,
        refuse: Callable[[int, Exception], NewReject] | None = None,
    ) -> Appended:
        """Record a batch of prepared events, with the attempts that others made at them; for the rooms of failaware.

        Args:
            observed: the events with their attempts.
            rejects: input that could not be understood.
            along: writes what is to be committed together with them, such as how far a file has been read.
            refuse: makes a reject of an event that cannot be recorded, given its position and the error.

        Raises:
            StoreError: nothing could be written.
            UsageError: an event cannot be recorded, and there is no `refuse`; nothing was written.
        """
        batch = Batch(observed, rejects, along, refuse)
        try:
            return self.write(lambda db: batch.append(db, self.policy))
        except StoreError:
            raise
        except Exception:
            if refuse is None:
                raise
            return self.write(lambda db: batch.append_one_by_one(db, self.policy))

    @property
    def policy(self) -> Policy:
        """The thresholds in force; read anew each time, since another process may have set them."""
        return self.read(load_policy)

    def write(self, job: Callable[[Writer], T], *, alone: bool = False) -> T:
        """Run a job in a transaction, shared with the other threads that write now; for the rooms of failaware.

        On a server that goes away it may run several times, so what it does beyond the store must bear that. With
        `alone` nobody shares the transaction: one that may take long, or not end well.
        """
        return self._commits.run(job, alone=alone)

    def read(self, job: Callable[[Writer], T]) -> T:
        """Run a job that only reads on this store's connection; for the rooms of failaware."""
        return self._commits.read(job)

    def change_token(self) -> tuple[object, int]:
        """A value that differs when something was committed since the last call, here or by others."""
        return self.read(lambda db: db.change_token()), self._commits.commits

    def close(self) -> None:
        """Close the store, sealing its facts if that is due. Closing it twice is fine."""
        if not self._closed:
            self._closed = True
            with suppress(StoreError):  # a full disk or a lock must not keep anyone from closing
                seal_what_is_due(self, self.clock())
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _tried(self, event: NewEvent, failure: Failure | None) -> int:
        """Record an event with the attempt that its caller made from its detection until now."""
        ended = max(event.detected_at, self.clock())  # the clock may have gone backwards
        because = None if failure is None else "tried by its caller: nobody here will retry it"

        attempt = NewAttempt(UNNUMBERED, failure, this_worker(), event.detected_at, ended, None, because)
        tried = Observed(event, (attempt,))

        def job(db: Writer) -> int:
            ((event_id, _),) = append.observed(db, [tried], self.policy, at_known=True)
            return event_id

        return self.write(job)

    def _check_key(self, event: NewEvent) -> None:
        """Raise KeyConflict if the event's key belongs to another type."""
        if event.key is not None:
            self.read(lambda db: append.check_key(db, event))

    def _new_event(self, item: tuple[str, Any] | Mapping[str, Any]) -> tuple[NewEvent, Any]:
        if isinstance(item, Mapping):
            return self.recorder.from_mapping(item, now=self.clock())
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise UsageError(f"an event is a (type, payload) pair or a dict with a type, not {shown(item)[:60]}")
        event_type, payload = item
        return self.recorder.event(event_type, payload, now=self.clock())

    def _first_event(self, event_id: int) -> Event:
        return self.read(lambda db: append.recorded(db, event_id))

    def _who(self, by: str | None) -> str:
        return self.recorder.said("by", whoami() if by is None else by)

    def _decide(self, kind: DecisionKind, event_ids: Iterable[int], because: str, by: str | None) -> None:
        ids, who, now = event_numbers(event_ids), self._who(by), self.clock()
        reason = self.recorder.reason(because)
        self.write(lambda db: append.decisions(db, kind, ids, by=who, reason=reason, now=now, policy=self.policy))


def whoami() -> str:
    """The person at the terminal, as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def this_worker() -> str:
    """This process, as host:pid."""
    return f"{socket.gethostname()}:{os.getpid()}"


def _event(event_id: int, new: NewEvent, payload: Any) -> Event:
    return Event(event_id, new.event_type, payload, new.key, new.source, new.occurred_at, new.detected_at)
