"""A store copied into another, of the same engine or the other: fact by fact, with their ids, and derived there anew.

Begun again, it goes on where it was: what is there already is compared, not appended.
"""

from collections.abc import Callable
from functools import partial

from failaware.derive.exported import KINDS
from failaware.engine import Reader
from failaware.errors import UsageError
from failaware.facts import seal
from failaware.facts.restore import read, restore
from failaware.store import Store

_PAGE = 2_000

Progress = Callable[[int, int], None]
"""Told how many facts of how many are there."""


def copy_facts(source: Reader, target: Store, progress: Progress = lambda _done, _total: None) -> int:
    """Copy all facts that the source holds now, and its policy and grouping rules; returns how many were added.

    Until `finish`, the target seals nothing: the seals are copied as well.

    Raises:
        UsageError: the target has facts of its own, or is another store's copy.
        StoreError: the source cannot be read, or the target cannot be written.
    """
    try:
        return _copy(source, target, progress)
    except UsageError:
        finish(target)  # it is no copy, and will not be one
        raise


def _copy(source: Reader, target: Store, progress: Progress) -> int:
    target.write(seal.hold)
    facts = [kind for kind in KINDS if kind.name != "setting"]
    ends = {kind: _end(source, kind.table, kind.columns[0].name) for kind in facts}
    total, done, added = sum(ends.values()), 0, 0
    settings = source.query("SELECT name, value FROM setting WHERE name IN ('policy', 'grouping') ORDER BY name")
    if settings:
        target.write(partial(restore, kind=KINDS[0], facts=settings))
    for kind, end in ends.items():
        for first in range(1, end + 1, _PAGE):
            rows = read(source, kind, first, min(first + _PAGE - 1, end))
            if rows:
                added += len(rows) - target.write(partial(restore, kind=kind, facts=rows))
            progress(done + min(first + _PAGE - 1, end), total)
        done += end
    return added


def finish(target: Store) -> None:
    """The copy is whole: from now on the target lives by itself."""
    target.write(seal.release)


def _end(source: Reader, table: str, key: str) -> int:
    return int(source.query(f"SELECT coalesce(max({key}), 0) FROM {table}")[0][0])
