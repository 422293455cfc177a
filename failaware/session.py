"""An open store as failaware's packages use it: jobs in transactions, the clock, limits and masking, the policy.

`Store` is what users call; the worker, ingest, the integrations and the ledger depend on a Session.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Self, TypeVar

from failaware.capture.record import MAX_PAYLOAD_BYTES, Recorder
from failaware.capture.secrets.masking import Masker
from failaware.clock import now_us
from failaware.derive.fold import are_due, derive_again, store_unattempted
from failaware.derive.settings import load_key, load_policy
from failaware.derive.version import our_derivation
from failaware.engine import Projection, Writer, open_writer
from failaware.errors import StoreError
from failaware.facts.batch import Appended, Batch
from failaware.facts.commit import GroupCommit, Recording
from failaware.model import EventWithAttempts, NewEvent, NewReject
from failaware.place import resolve
from failaware.rules import Policy

T = TypeVar("T")


class Session:
    """A store opened for writing. Safe from many threads, which share transactions."""

    def __init__(self, place: str | Path, db: Writer, recorder: Recorder, clock: Callable[[], int]) -> None:
        """Use `Session.open`."""
        self.place = place
        """The store's absolute path or URL."""
        self.recorder = recorder
        """Makes new events, with the limits and the masking of this store."""
        self.clock = clock
        """Returns the time in µs since the epoch, UTC."""
        self._db = db
        self._commits = GroupCommit(db)
        self.read(load_policy)  # a policy that cannot be read fails now, not at the first event

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        synchronous: str = "FULL",
        max_payload_bytes: int = MAX_PAYLOAD_BYTES,
        mask: bool | Iterable[str] = True,
        clock: Callable[[], int] | None = None,
    ) -> "Session":
        """Open a store; arguments and errors as for `Store.open`."""
        extra = () if isinstance(mask, bool) else mask
        masker = Masker(extra_keys=extra, enabled=mask is not False)
        place = resolve(path)
        db = open_writer(place, synchronous=synchronous, projection=Projection(our_derivation(), derive_again))
        try:
            return cls(place, db, Recorder(masker, max_payload_bytes, load_key(db)), clock or db.clock(now_us))
        except BaseException:
            db.close()
            raise

    @property
    def policy(self) -> Policy:
        """The thresholds in force; read each time, since another process may have changed them."""
        return self.read(load_policy)

    def read(self, job: Callable[[Writer], T]) -> T:
        """Run a job that only reads, on this store's connection."""
        return self._commits.read(job)

    def write(self, job: Callable[[Writer], T], *, alone: bool = False) -> T:
        """Run a job in a transaction, which jobs of other threads may share.

        The job may run several times if the connection to a server is lost; effects outside the store must tolerate
        that. With `alone` the job has its own transaction: use it for a job that is slow or may fail.
        """
        return self._commits.run(job, alone=alone)

    def record(self, new: Sequence[NewEvent]) -> list[tuple[int, bool]]:
        """Append events; return (event_id, known) for each, as `append.record`, in a transaction without other jobs."""
        ids = self._commits.run(Recording(new))
        if are_due([event_id for event_id, known in ids if not known]):
            self._commits.try_run(store_unattempted)
        return ids

    def is_idle(self) -> bool:
        """Whether no thread writes or waits to write."""
        return self._commits.is_idle()

    def write_wiping(self, job: Callable[[Writer], T]) -> tuple[T, bool]:
        """Run a job whose deleted data must not remain in the files; also return whether none remains."""
        return self._commits.run_wiping(job)

    def ingest(
        self,
        observed: Sequence[EventWithAttempts],
        rejects: Sequence[NewReject],
        *,
        along: Callable[[Writer], None] | None = None,
        refuse: Callable[[int, Exception], NewReject] | None = None,
        once: bool = False,
    ) -> Appended:
        """Record a batch of prepared events with the attempts that were made elsewhere.

        Args:
            observed: the events with their attempts.
            rejects: input that could not be parsed.
            along: writes more in the same transaction, such as how far a file has been read.
            refuse: makes a reject of an event that cannot be recorded, given its position and the error.
            once: whether a reject that the store has for the same line of the same origin is not kept again.

        Raises:
            StoreError: the store cannot be written; nothing was recorded.
            UsageError: an event cannot be recorded, and there is no `refuse`; nothing was recorded.
        """
        batch = Batch(observed, rejects, along, refuse, once)
        try:
            return self.write(lambda db: batch.append(db, self.policy))
        except StoreError:
            raise
        except Exception:
            if refuse is None:
                raise
            return self.write(lambda db: batch.append_one_by_one(db, self.policy))

    def change_token(self) -> tuple[object, int]:
        """Return a value that changes with every commit, of this process or another."""
        return self.read(lambda db: db.change_token()), self._commits.commits

    def close(self) -> None:
        """Close the connection. Closing it again does nothing."""
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()
