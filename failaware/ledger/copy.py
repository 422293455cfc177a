"""A store copied into another, of the same engine or the other: fact by fact, with their ids, and derived there anew.

Begun again, it goes on where it was: what is there already is compared, not appended.
"""

from collections.abc import Callable

from failaware.derive.settings import load_rules
from failaware.engine import Reader
from failaware.engine.pages import pages
from failaware.ledger.catalogue import FACT_KINDS, SETTING
from failaware.ledger.sealing import Commits
from failaware.ledger.transfer import newest, read, take_over

_PAGE = 2_000

Progress = Callable[[int, int], None]
"""Told how many facts of how many are there."""


def copy_facts(source: Reader, target: Commits, progress: Progress = lambda _done, _total: None) -> int:
    """Copy all facts that the source holds now, and its policy and grouping rules; returns how many were added.

    Until `restore.finish`, the target seals nothing: the seals are copied as well.

    Raises:
        UsageError: the target has facts of its own, or is another store's copy.
        StoreError: the source cannot be read, or the target cannot be written.
    """
    ends = {kind: newest(source, kind) for kind in FACT_KINDS}
    total, done, added = sum(ends.values()), 0, 0
    take_over(target, SETTING, load_rules(source))
    for kind, end in ends.items():
        for first, last in pages(source, kind.table, kind.key, end, _PAGE):
            rows = read(source, kind, first, last)
            if rows:
                added += len(rows) - take_over(target, kind, rows)
            progress(done + last, total)
        done += end
    return added
