"""The `Store`: records events, attempts and decisions; archives and copies."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from failaware.capture.record import MAX_PAYLOAD_BYTES, event_numbers, in_microseconds, parse_time
from failaware.derive import proposed
from failaware.derive.fold import derive_again
from failaware.derive.grouping.groups import GroupingRules
from failaware.derive.settings import archive_of
from failaware.engine import Writer
from failaware.errors import StoreError, UsageError
from failaware.facts import append, corrections
from failaware.identity import whoami
from failaware.ledger.erase import Erasure, erase
from failaware.ledger.sealing import seal_what_is_due
from failaware.model import (
    DecisionKind,
)
from failaware.recording import Recording
from failaware.rules import Policy
from failaware.session import Session

if TYPE_CHECKING:
    from failaware.ledger.archive import Archived
    from failaware.ledger.copy import Copied

F = TypeVar("F", bound=Callable[..., Any])
_CHUNK = 1_000  # events in one transaction of record_many


class Store(Recording):
    """A store opened for writing. Safe to use from many threads and processes; with PostgreSQL, from many hosts.

    When a method returns, its facts are on the disk (`synchronous="FULL"`, the default: they survive a power loss) or
    with the operating system (`"NORMAL"`: they survive a killed process; several times faster).
    """

    def __init__(self, session: Session) -> None:
        """Use `Store.open`."""
        super().__init__(session)
        self._closed = False
        if session.read(archive_of) is not None:
            raise UsageError("this is an archive, which is read-only; record in the store that it was made from")

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
        """Open a store. A file that does not exist is created, readable only by its owner.

        A store that an older failaware derived is derived again, in one transaction that other writers wait for: about
        a second for 80,000 attempts. From 100,000 attempts on, a RuntimeWarning announces it.

        Args:
            path: a SQLite file, or the URL of a PostgreSQL database: postgresql://user@host/database, with
                `?schema=NAME` for a schema other than failaware.
            synchronous: "FULL" or "NORMAL", see the class.
            max_payload_bytes: the largest accepted payload, in bytes of JSON in UTF-8.
            mask: True replaces secrets with `[masked]` before they are written; names mask the values of these keys
                too; False masks nothing.
            clock: returns the time in µs since the epoch, UTC; by default the machine's, or the PostgreSQL server's.

        Raises:
            StoreNewer: a newer failaware has derived or created it.
            StoreError: the store cannot be used; the message says why and what to do.
        """
        session = Session.open(
            path, synchronous=synchronous, max_payload_bytes=max_payload_bytes, mask=mask, clock=clock
        )
        try:
            return cls(session)
        except BaseException:
            session.close()
            raise

    def requeue(self, event_ids: Iterable[int], *, because: str, by: str | None = None) -> None:
        """Record the decision to attempt events again, with a new retry budget.

        Args:
            event_ids: the events.
            because: the reason, in words.
            by: who decides; by default the current user, as user@host.

        Raises:
            NotFound, UsageError: an event does not exist, is SYNCED, PENDING or erased; no decision was recorded.
        """
        self._decide(DecisionKind.REQUEUE, event_ids, because, by)

    def dismiss(self, event_ids: Iterable[int], *, because: str, by: str | None = None) -> None:
        """Record the decision that events need no further attempt.

        Args:
            event_ids: the events.
            because: the reason, in words.
            by: who decides; by default the current user, as user@host.

        Raises:
            NotFound, UsageError: an event does not exist, is SYNCED, or is already dismissed; no decision was recorded.
        """
        self._decide(DecisionKind.DISMISS, event_ids, because, by)

    def erase(
        self, event_ids: Iterable[int], *, because: str, by: str | None = None, shared_tracebacks: bool = False
    ) -> Erasure:
        """Remove content that must not be kept, such as personal data: payloads, error messages, causes, tracebacks.

        Everything else is kept: the events, their types, keys and sources, when they failed, with which error type and
        in which cluster; and who erased them, when and why. Returns how much was erased.

        Args:
            event_ids: the events; none of them may have an attempt due.
            because: the reason, in words, kept with the decision.
            by: who decides; by default the current user, as user@host.
            shared_tracebacks: also erase tracebacks that attempts of other events share.

        Raises:
            NotFound, UsageError: an event does not exist, will be retried, or was erased before; nothing was erased.
        """
        ids, who, now = event_numbers(event_ids), self._who(by), self.session.clock()
        reason = self.session.recorder.reason(because)

        def job(db: Writer) -> tuple[int, int, int, int]:
            return erase(db, ids, by=who, reason=reason, now=now, policy=self.session.policy, shared=shared_tracebacks)

        removed, wiped = self.session.write_wiping(job)
        return Erasure(*removed, wiped=wiped)

    def merge_clusters(self, cluster_ids: Iterable[int], *, because: str, by: str | None = None) -> list[int]:
        """Record the decision that clusters are one: all their events, past and future, belong to the first of them.

        Returns the ids of the corrections, one for each other cluster; `undo_correction` undoes them.

        Args:
            cluster_ids: two clusters or more, of one event type; the first keeps its id and name.
            because: the reason, in words.
            by: who decides; by default the current user, as user@host.

        Raises:
            NotFound, UsageError: a cluster does not exist, or they cannot be merged; nothing was recorded.
        """
        ids = list(cluster_ids)
        return self._correct(lambda db: proposed.merges(db, ids), because, by)

    def split_cluster(self, cluster_id: int, *, split_by: str, because: str, by: str | None = None) -> list[int]:
        """Record the decision that a cluster is several: one for each value of a placeholder, or for each place.

        Everything is derived again. Returns the id of the correction.

        Args:
            cluster_id: the cluster, of one template.
            split_by: a placeholder as the template has it, such as `<host>`; `<*>` for the words that were learned; or
                `frame` for the innermost function of the user's own code.
            because: the reason, in words.
            by: who decides; by default the current user, as user@host.

        Raises:
            NotFound, UsageError: the cluster does not exist, or cannot be split in this way; nothing was recorded.
        """
        return self._correct(lambda db: proposed.split(db, cluster_id, split_by), because, by)

    def undo_correction(self, correction_id: int, *, because: str, by: str | None = None) -> list[int]:
        """Record the decision to undo a merge or a split. Everything is derived again. Returns its id.

        Args:
            correction_id: the id that `merge_clusters` or `split_cluster` returned.
            because: the reason, in words.
            by: who decides; by default the current user, as user@host.

        Raises:
            NotFound, UsageError: there is no such correction, or it is undone already; nothing was recorded.
        """
        return self._correct(lambda db: proposed.undo(db, correction_id), because, by)

    def rebuild(self, policy: Policy | None = None, *, grouping: GroupingRules | None = None) -> None:
        """Derive everything again from the facts. A policy or grouping rules also apply from now on.

        Args:
            policy: the thresholds of the severity rules; by default unchanged.
            grouping: the user's grouping rules (docs/grouping.md); by default unchanged.
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
        """Move old resolved facts to a new file, the archive, which is a read-only store.

        Archived are events that are SYNCED or dismissed, with all their attempts and decisions, and rejects. They are
        copied, the copy is verified, and then they are removed from this store, which is derived again. The seals of
        both stay valid. If there is nothing to archive, no file is created.

        Args:
            file: the new SQLite file; it must not exist.
            before: archive events and rejects older than this: an aware datetime, or integer µs since the epoch.
            because: the reason, in words, kept with the decision.
            by: who decides; by default the current user, as user@host.
            progress: called with the number of facts copied so far, and of all.

        Raises:
            UsageError: the file exists, `before` is in the future, or one of the events changed meanwhile; nothing was
                archived.
            StoreError: a store cannot be read or written, or the copy does not verify; nothing was archived.
        """
        from failaware.ledger.archive import archive

        moment = parse_time(in_microseconds(before, "before"), "before")
        assert moment is not None
        who, reason = self._who(by), self.session.recorder.reason(because)
        return archive(self.session, Path(file), before=moment, by=who, reason=reason, progress=progress)

    def copy_to(
        self, target: str | Path, *, progress: Callable[[int, int], None] = lambda _done, _total: None
    ) -> "Copied":
        """Copy all facts with their ids and seals into another store, such as from a SQLite file into PostgreSQL.

        An interrupted copy is continued. The derived tables of both stores are compared.

        Args:
            target: the path or URL of a new store, or of one that an earlier copy began.
            progress: called with the number of facts copied so far, and of all.

        Raises:
            UsageError: the target has other facts, or is this store.
            StoreError: one of the stores cannot be read or written.
        """
        from failaware.ledger.copy import copy_store

        return copy_store(self.session.place, target, progress=progress)

    def close(self) -> None:
        """Close the store, and seal its facts if that is due. Closing it again does nothing."""
        if not self._closed:
            self._closed = True
            with suppress(StoreError):  # a full disk or a lock must not prevent closing
                seal_what_is_due(self.session, self.session.clock())
        self.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _who(self, by: str | None) -> str:
        return self.session.recorder.decision_text("by", whoami() if by is None else by)

    def _correct(self, rows: Callable[[Writer], list[proposed.Row]], because: str, by: str | None) -> list[int]:
        who, now, reason = self._who(by), self.session.clock(), self.session.recorder.reason(because)
        return self.session.write(
            lambda db: corrections.append(db, rows(db), by=who, reason=reason, now=now, policy=self.session.policy)
        )

    def _decide(self, kind: DecisionKind, event_ids: Iterable[int], because: str, by: str | None) -> None:
        ids, who, now = event_numbers(event_ids), self._who(by), self.session.clock()
        reason = self.session.recorder.reason(because)
        self.session.write(
            lambda db: append.decisions(db, kind, ids, by=who, reason=reason, now=now, policy=self.session.policy)
        )
