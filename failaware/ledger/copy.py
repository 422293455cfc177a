"""Copy a store into another, of either engine: all facts with their ids, folded again in the target.

An interrupted copy can be run again: facts already in the target are compared, not appended.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from failaware.derive.settings import archive_of, load_copied
from failaware.engine import Reader, open_reader
from failaware.engine.pages import pages
from failaware.engine.settled import settled_event
from failaware.errors import StoreBusy, UsageError
from failaware.ledger.compare import derived_alike, differences
from failaware.ledger.transfer import finish, newest, read, take_over
from failaware.place import resolve
from failaware.schema.catalogue import EVENT, EXPORTED, SETTING
from failaware.session import Session

_PAGE = 2_000
_PATIENCE_S = 30.0
_SINCE = "SELECT coalesce(max(event_id), ?), count(*) FROM event_log WHERE event_id > ?"

Progress = Callable[[int, int], None]
"""Called with the number of facts done and in total."""


class Copied(NamedTuple):
    """The number of facts added, and the differences afterwards: one sentence per table, normally none.

    `compared` is true if the derived tables were compared too: this version of failaware derived both.
    """

    facts: int
    differences: tuple[str, ...]
    compared: bool


def copy_store(source: str | Path, target: str | Path, *, progress: Progress) -> Copied:
    """Copy all facts, then those recorded meanwhile, and compare the stores; see `Store.copy_to`."""
    source, target = resolve(source), resolve(target)
    if source == target:
        raise UsageError("the source and the target are the same store; name another target")
    reader = open_reader(source)
    try:
        with Session.open(target, synchronous="NORMAL") as copy:
            added = copy_facts(reader, copy, progress)
            with _complete_snapshot(reader) as newest:  # short, since most facts are already copied
                added += copy_facts(reader, copy, progress, newest_event=newest)
                copied = open_reader(target)
                try:
                    unequal, compared = tuple(differences(reader, copied)), derived_alike(reader, copied)
                finally:
                    copied.close()
            finish(copy, archive=archive_of(reader))
    finally:
        reader.close()
    return Copied(added, unequal, compared)


@contextmanager
def _complete_snapshot(source: Reader) -> Iterator[int]:
    """A snapshot in which no event is missing that becomes visible later with a lower id than another; its newest id.

    Raises:
        StoreBusy: there was none in 30 s of trying.
    """
    until = time.monotonic() + _PATIENCE_S
    while True:
        settled = settled_event(source)
        with source.snapshot():
            ((newest, events),) = source.query(_SINCE, (settled, settled))
            if newest - settled == events or not source.dialect.recorders:
                yield newest
                return
        if time.monotonic() > until:
            raise StoreBusy(
                "events are being recorded into the source without a pause; copy again when there are fewer"
            )


def copy_facts(
    source: Reader,
    target: Session,
    progress: Progress = lambda _done, _total: None,
    *,
    newest_event: int | None = None,
) -> int:
    """Copy the facts in the source, its policy and its grouping rules; return the number of facts added.

    Events are copied up to `newest_event`, or the newest one; no event may become visible before it later. The target
    seals nothing until `transfer.finish`, since the seals are copied as well.

    Raises:
        UsageError: the target has other facts, or is a copy of another store.
        StoreError: the source cannot be read, or the target cannot be written.
    """
    ends = {EVENT: settled_event(source) if newest_event is None else newest_event} | {
        kind: newest(source, kind) for kind in EXPORTED if kind is not EVENT
    }
    total, done, added = sum(ends.values()), 0, 0
    take_over(target, SETTING, load_copied(source))
    for kind, end in ends.items():
        for first, last in pages(source, kind.table, kind.key, end, _PAGE):
            rows = read(source, kind, first, last)
            if rows:
                added += len(rows) - take_over(target, kind, rows)
            progress(done + last, total)
        done += end
    return added
