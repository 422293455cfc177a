"""Store: what users call to record events, attempts and decisions, to archive and to copy."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from failaware.capture.attempting import Attempting, attempted
from failaware.capture.json_values import short_repr
from failaware.capture.record import MAX_PAYLOAD_BYTES, event_numbers, in_microseconds, parse_time
from failaware.derive.fold import derive_again
from failaware.derive.grouping.groups import GroupingRules
from failaware.derive.rules import Policy
from failaware.derive.settings import archive_of
from failaware.engine import Writer
from failaware.errors import StoreError, UsageError
from failaware.facts import append
from failaware.identity import this_process, whoami
from failaware.ledger.erase import Erasure, erase
from failaware.ledger.sealing import seal_what_is_due
from failaware.model import (
    UNNUMBERED,
    DecisionKind,
    Event,
    Failure,
    NewAttempt,
    NewEvent,
    Observed,
)
from failaware.session import Session

if TYPE_CHECKING:
    from failaware.ledger.archive import Archived
    from failaware.ledger.copy import Copied

F = TypeVar("F", bound=Callable[..., Any])
_CHUNK = 1_000  # events in one transaction of record_many


class Store:
    """A store opened for writing. Safe from many threads and many processes; on PostgreSQL, on many hosts.

    What a method has returned is on the disk (`synchronous="FULL"`, the default: it survives power loss) or with the
    operating system (`"NORMAL"`: it survives a killed process, and is several times faster).
    """

    def __init__(self, session: Session) -> None:
        """Use `Store.open`."""
        self.session = session
        """What failaware's packages use of a store."""
        self._closed = False
        if session.read(archive_of) is not None:
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
        session = Session.open(
            path, synchronous=synchronous, max_payload_bytes=max_payload_bytes, mask=mask, clock=clock
        )
        try:
            return cls(session)
        except BaseException:
            session.close()
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
        new, kept = self.session.recorder.event(
            event_type,
            payload,
            now=self.session.clock(),
            key=key,
            source=source,
            occurred_at=in_microseconds(occurred_at),
            fingerprint=fingerprint,
        )
        ((event_id, known),) = self.session.write(lambda db: append.events(db, [new]))
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
        ids = self.session.write(lambda db: append.events(db, [event for event, _ in new]))
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
        now = self.session.clock()
        event, _ = self.session.recorder.event(
            event_type, payload, now=now, key=key, source=source, fingerprint=fingerprint
        )
        return Attempting(
            event, self._tried, self.session.recorder.masker, check=self._check_key, clock=self.session.clock
        )

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
        self.session.recorder.event(event_type, None, now=0, source=source)
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
        ids, who, now = event_numbers(event_ids), self._who(by), self.session.clock()
        reason = self.session.recorder.reason(because)

        def job(db: Writer) -> tuple[int, int, int, int]:
            return erase(db, ids, by=who, reason=reason, now=now, policy=self.session.policy, shared=shared_tracebacks)

        removed, wiped = self.session.write_wiping(job)
        return Erasure(*removed, wiped=wiped)

    def rebuild(self, policy: Policy | None = None, *, grouping: GroupingRules | None = None) -> None:
        """Derive everything anew from the facts; with a policy or grouping rules, from now on by these.

        Args:
            policy: the thresholds of the severity rules.
            grouping: the user's rules for what belongs together (docs/grouping.md).
        """
        self.session.write(lambda db: derive_again(db, policy, grouping))

    def archive(
        self,
        file: str | Path,
        *,
        before: datetime | int,
        because: str,
        by: str | None = None,
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> "Archived":
        """Move old facts that are settled to a file of their own, which is a store that can only be read.

        They are copied, the copy is verified, and only then do they leave this store, whose derived tables are derived
        again from what is left. Moved are events that are SYNCED or dismissed, with all their attempts and decisions,
        and rejects. The seals hold in both. With nothing to move, no file is made.

        Args:
            file: the new SQLite file; it must not exist.
            before: only events and rejects that are older: an aware datetime, or whole µs since the epoch.
            because: why, in words; it is kept with the decision.
            by: who decides; you, when left out.
            progress: called with how many facts of how many are copied.

        Raises:
            UsageError: the file exists, `before` lies in the future, or something was done about one of the events
                meanwhile; then nothing is moved.
            StoreError: a store cannot be read or written, or the copy does not verify; then nothing is moved.
        """
        from failaware.ledger.archive import archive

        moment = parse_time(in_microseconds(before, "before"), "before")
        assert moment is not None
        who, reason = self._who(by), self.session.recorder.reason(because)
        return archive(self.session, Path(file), before=moment, by=who, reason=reason, progress=progress)

    def copy_to(
        self, target: str | Path, *, progress: Callable[[int, int], None] = lambda _done, _total: None
    ) -> "Copied":
        """Copy all facts into another store, with their ids and seals, such as a SQLite file into PostgreSQL.

        A copy that was interrupted is continued. What the target derives from the facts is compared with what is
        derived here.

        Args:
            target: a new store, or one that an earlier copy began; as of `open`.
            progress: called with how many facts of how many are copied.

        Raises:
            UsageError: the target has facts of its own, or is this store.
            StoreError: one of the stores cannot be read or written.
        """
        from failaware.ledger.copy import copy_store

        return copy_store(self.session.place, target, progress=progress)

    def close(self) -> None:
        """Close the store, sealing its facts if that is due. Closing it twice is fine."""
        if not self._closed:
            self._closed = True
            with suppress(StoreError):  # a full disk or a lock must not keep anyone from closing
                seal_what_is_due(self.session, self.session.clock())
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _tried(self, event: NewEvent, failure: Failure | None) -> int:
        """Record an event with the attempt that its caller made from its detection until now."""
        ended = max(event.detected_at, self.session.clock())  # the clock may have gone backwards
        because = None if failure is None else "tried by its caller: nobody here will retry it"

        attempt = NewAttempt(UNNUMBERED, failure, this_process(), event.detected_at, ended, None, because)
        tried = Observed(event, (attempt,))

        def job(db: Writer) -> int:
            ((event_id, _),) = append.observed(db, [tried], self.session.policy, at_known=True)
            return event_id

        return self.session.write(job)

    def _check_key(self, event: NewEvent) -> None:
        """Raise KeyConflict if the event's key belongs to another type."""
        if event.key is not None:
            self.session.read(lambda db: append.check_key(db, event))

    def _new_event(self, item: tuple[str, Any] | Mapping[str, Any]) -> tuple[NewEvent, Any]:
        if isinstance(item, Mapping):
            return self.session.recorder.from_mapping(item, now=self.session.clock())
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise UsageError(f"an event is a (type, payload) pair or a dict with a type, not {short_repr(item)[:60]}")
        event_type, payload = item
        return self.session.recorder.event(event_type, payload, now=self.session.clock())

    def _first_event(self, event_id: int) -> Event:
        return self.session.read(lambda db: append.recorded(db, event_id))

    def _who(self, by: str | None) -> str:
        return self.session.recorder.decision_text("by", whoami() if by is None else by)

    def _decide(self, kind: DecisionKind, event_ids: Iterable[int], because: str, by: str | None) -> None:
        ids, who, now = event_numbers(event_ids), self._who(by), self.session.clock()
        reason = self.session.recorder.reason(because)
        self.session.write(
            lambda db: append.decisions(db, kind, ids, by=who, reason=reason, now=now, policy=self.session.policy)
        )


def _event(event_id: int, new: NewEvent, payload: Any) -> Event:
    return Event(event_id, new.event_type, payload, new.key, new.source, new.occurred_at, new.detected_at)
