"""Events and rejects of an input that are recorded in one transaction.

Every format is read through a chunk: an error in one line, record or test makes it a reject with the reason, and does
not affect the others.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from failaware.capture.external import ParsedInput, reason
from failaware.capture.record import Recorder
from failaware.engine import Writer
from failaware.errors import StoreBusy
from failaware.ingest.encoding import STANDARD_INPUT
from failaware.model import EventWithAttempts, NewReject
from failaware.session import Session
from failaware.text import bounded, storable

MAX_REASON = 1_024
"""Characters kept of a reason."""

_MAX_RAW = 65_536  # characters kept of a rejected line
_ESCAPED = re.compile(r"\\u00([2-7][0-9a-fA-F])")  # a printable ASCII character
_MAX_REASONS = 5  # that are shown


@dataclass(slots=True)
class Ingested:
    """Counts of an ingest: events recorded, events known before (by their key), rejects; blank lines do not count.

    `ignored` are entries that are not failures: log records below ERROR, skipped tests. `skipped` are the further lines
    of a part that is not text, which is one reject.
    """

    recorded: int = 0
    known: int = 0
    rejected: int = 0
    ignored: int = 0
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, other: "Ingested") -> None:
        """Add the counts of another input."""
        self.recorded += other.recorded
        self.known += other.known
        self.rejected += other.rejected
        self.ignored += other.ignored
        self.skipped += other.skipped
        self.reasons += other.reasons[: _MAX_REASONS - len(self.reasons)]


class Collected:
    """The events and rejects of one input, before they are written.

    Args:
        recorder: makes events and rejects, with the store's limits and masking.
        clock: returns the time in µs since the epoch.
        origin: the name of the input, for rejects.
    """

    def __init__(self, recorder: Recorder, clock: Callable[[], int], origin: str) -> None:
        self.recorder = recorder
        self.events: list[EventWithAttempts] = []
        self.rejects: list[NewReject] = []
        self.ignored = self.skipped = 0
        """Entries that are not failures, and further lines of a part that is not text."""
        self._clock, self.origin = clock, origin
        self.sources: list[tuple[int, bytes]] = []
        """The line of each event: its number, and what was read."""
        self._now: int | None = None

    @property
    def now(self) -> int:
        """When the first line was read, in µs since the epoch."""
        if self._now is None:
            self._now = self._clock()
        return self._now

    def __len__(self) -> int:
        return len(self.events) + len(self.rejects)

    def take(self, line_no: int, raw: bytes, read: Callable[[], ParsedInput]) -> None:
        """Add the events that `read` returns for a line; if it raises, a reject."""
        try:
            parsed = read()
        except Exception as error:  # noqa: BLE001 - foreign input: our own bug must not affect the other lines
            self.reject(line_no, raw, reason(error))
            return
        self.events += parsed.events
        self.sources += [(line_no, raw)] * len(parsed.events)
        self.ignored += parsed.ignored
        for part, problem in parsed.rejected:
            self.reject(line_no, part, problem)

    def reject(self, line_no: int, raw: bytes, error: str) -> None:
        """Add input that could not be parsed."""
        self.rejects.append(self._reject(line_no, raw, error))

    def refuse(self, index: int, error: Exception) -> NewReject:
        """Return a reject of an event that the store does not take."""
        return self._reject(*self.sources[index], reason(error))

    def _reject(self, line_no: int, raw: bytes, error: str) -> NewReject:
        """Return a reject of a line: its secrets masked, bounded."""
        recorder = self.recorder
        text = raw.rstrip(b"\r\n").decode("utf-8", "backslashreplace")
        masked = _masked(bounded(text, 4 * _MAX_RAW), recorder)  # masking is slow; the result is cut below
        problem = bounded(recorder.masked(error), MAX_REASON)
        raw_text = bounded(storable(masked), _MAX_RAW)
        return NewReject(storable(self.origin), line_no, raw_text, storable(problem), self.now)


class Chunk:
    """Collects the events and rejects of one input until they are written, and counts them.

    Args:
        session: the store to record in.
        origin: the name of the input, for rejects.
        total: the counts to add to.
    """

    def __init__(self, session: Session, origin: str, total: Ingested) -> None:
        self._session, self._origin, self._total = session, origin, total
        self.collected = self._empty()

    def _empty(self) -> Collected:
        return Collected(self._session.recorder, self._session.clock, self._origin)

    def write(self, along: Callable[[Writer], None] | None = None) -> None:
        """Record the events and rejects in one transaction, together with what `along` writes, and forget them.

        Raises:
            StoreError: the store cannot be written; the events and rejects are kept.
            UsageError: what `along` raises.
        """
        collected = self.collected
        events, rejects = collected.events, collected.rejects
        if len(collected) or along is not None:
            known, refused = self._session.ingest(
                events, rejects, along=along, refuse=collected.refuse, once=self._origin != STANDARD_INPUT
            )
            self._total.known += known
            self._total.recorded += len(events) - known - len(refused)
            self._total.rejected += len(rejects) + len(refused)
            first = [*rejects[:_MAX_REASONS], *refused[:_MAX_REASONS]][: _MAX_REASONS - len(self._total.reasons)]
            self._total.reasons += [f"{bad.origin}:{bad.line_no}: {bad.error}" for bad in first]
        self._total.ignored += collected.ignored
        self._total.skipped += collected.skipped
        self.collected = self._empty()

    def write_when_free(self, try_again: Callable[[StoreBusy], bool]) -> None:
        """As `write`; while the store is locked, wait for it as long as `try_again` returns True."""
        while True:
            try:
                return self.write()
            except StoreBusy as error:
                if not try_again(error):
                    raise


def _masked(raw: str, recorder: Recorder) -> str:
    """Mask the secrets of a line, also those that escapes or UTF-16 would hide."""
    plain = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), raw).replace("\0", "")
    masked, hits = recorder.masker.mask_text(plain)
    return masked if hits else raw
