"""What was read of an input and is recorded in one transaction: events, what is no failure, and rejects.

This is the boundary around every format: whatever goes wrong with one line, record or test makes a reject of it, with
the reason, and leaves the others as they are.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from failaware.capture.external import ParsedInput, reason
from failaware.capture.record import Recorder
from failaware.engine import Writer
from failaware.errors import StoreBusy
from failaware.model import NewReject, Observed
from failaware.session import Session
from failaware.text import bounded, storable

MAX_REASON = 1_024
"""Characters of a reason that are kept."""

_MAX_RAW = 65_536  # characters of a rejected line that are kept
_ESCAPED = re.compile(r"\\u00([2-7][0-9a-fA-F])")  # a printable character of ASCII
_MAX_REASONS = 5  # that are shown


@dataclass(slots=True)
class Ingested:
    """What became of the input: events recorded, known before (by their key), rejected; blank lines are not counted.

    `ignored` is what was understood and is no failure: log records below ERROR, skipped tests. `skipped` are the other
    lines of a part that is no text, which is one reject.
    """

    recorded: int = 0
    known: int = 0
    rejected: int = 0
    ignored: int = 0
    skipped: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, other: "Ingested") -> None:
        """Count what became of another input as well."""
        self.recorded += other.recorded
        self.known += other.known
        self.rejected += other.rejected
        self.ignored += other.ignored
        self.skipped += other.skipped
        self.reasons += other.reasons[: _MAX_REASONS - len(self.reasons)]


class Chunk:
    """Collects what is read of one input until it is written, and counts it.

    Args:
        session: of the store to record in.
        origin: the name of the input, for rejects.
        total: what became of the input so far.
    """

    def __init__(self, session: Session, origin: str, total: Ingested) -> None:
        self._session, self._origin, self._total = session, origin, total
        self._events: list[Observed] = []
        self._sources: list[tuple[int, bytes]] = []  # of each event: its line
        self._rejects: list[NewReject] = []
        self._now: int | None = None

    @property
    def now(self) -> int:
        """When the first of it was read (µs)."""
        if self._now is None:
            self._now = self._session.clock()
        return self._now

    def __len__(self) -> int:
        return len(self._events) + len(self._rejects)

    def take(self, line_no: int, raw: bytes, read: Callable[[], ParsedInput]) -> None:
        """Add what `read` makes of a line; if it raises, a reject."""
        try:
            made = read()
        except Exception as error:  # noqa: BLE001 - foreign input: a mistake of ours must not keep out the others
            self.refuse(line_no, raw, reason(error))
            return
        self._events += made.events
        self._sources += [(line_no, raw)] * len(made.events)
        self._total.ignored += made.ignored
        for part, why in made.rejected:
            self.refuse(line_no, part, why)

    def skip(self) -> None:
        """Count a line of a part that was refused as a whole."""
        self._total.skipped += 1

    def refuse(self, line_no: int, raw: bytes, error: str) -> None:
        """Add what could not be understood."""
        self._rejects.append(self._reject(line_no, raw, error))

    def write(self, along: Callable[[Writer], None] | None = None) -> None:
        """Record what was added in one transaction, together with what `along` writes; what was written is forgotten.

        Raises:
            StoreError: the store cannot be written; what was added is still here.
            UsageError: what `along` raises.
        """
        if not self and along is None:
            return
        events, sources, rejects = self._events, self._sources, self._rejects
        known, refused = self._session.ingest(
            events, rejects, along=along, refuse=lambda place, error: self._reject(*sources[place], reason(error))
        )
        self._total.known += known
        self._total.recorded += len(events) - known - len(refused)
        self._total.rejected += len(rejects) + len(refused)
        room = _MAX_REASONS - len(self._total.reasons)
        shown = [*rejects[:room], *refused[:room]][:room]
        self._total.reasons += [f"{bad.origin}:{bad.line_no}: {bad.error}" for bad in shown]
        self._events, self._sources, self._rejects, self._now = [], [], [], None

    def write_when_free(self, try_again: Callable[[StoreBusy], bool]) -> None:
        """As `write`; while the store is locked, `try_again` says whether to go on waiting for it."""
        while True:
            try:
                return self.write()
            except StoreBusy as error:
                if not try_again(error):
                    raise

    def _reject(self, line_no: int, raw: bytes, error: str) -> NewReject:
        """A line that is not recorded, as it is kept: without its secrets, and bounded."""
        recorder = self._session.recorder
        text = raw.rstrip(b"\r\n").decode("utf-8", "backslashreplace")
        kept = _legible(bounded(text, 4 * _MAX_RAW), recorder)  # what is cut here is cut again below
        why = bounded(recorder.masked(error) or "", MAX_REASON)
        return NewReject(storable(self._origin), line_no, bounded(storable(kept), _MAX_RAW), storable(why), self.now)


def _legible(raw: str, recorder: Recorder) -> str:
    """A line that was not understood, without its secrets, also those that escapes or UTF-16 would hide."""
    plain = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), raw).replace("\0", "")
    masked, hits = recorder.masker.mask_text(plain)
    return masked if hits else raw
