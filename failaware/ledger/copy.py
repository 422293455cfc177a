"""A store copied into another, of the same engine or the other: fact by fact, with their ids, and derived there anew.

Begun again, it goes on where it was: what is there already is compared, not appended.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from failaware.derive.settings import archive_of, load_rules
from failaware.engine import Reader, open_reader
from failaware.engine.catalogue import EXPORTED, SETTING
from failaware.engine.pages import pages
from failaware.errors import UsageError
from failaware.ledger.compare import derived_alike, differences
from failaware.ledger.transfer import finish, newest, read, take_over
from failaware.place import resolve
from failaware.session import Session

_PAGE = 2_000

Progress = Callable[[int, int], None]
"""Told how many facts of how many are there."""


class Copied(NamedTuple):
    """How many facts were added, and in which way the stores differ afterwards: a sentence a table, normally none.

    `compared` says whether the derived tables were compared too: both were derived by this version of failaware.
    """

    facts: int
    differences: tuple[str, ...]
    compared: bool


def copy_store(source: str | Path, target: str | Path, *, progress: Progress) -> Copied:
    """Copy what is there, then what came meanwhile, and compare; as `Store.copy_to`."""
    source, target = resolve(source), resolve(target)
    if source == target:
        raise UsageError("both are the same store; name another one to copy to")
    reader = open_reader(source)
    try:
        with Session.open(target, synchronous="NORMAL") as copy:
            added = copy_facts(reader, copy, progress)
            with reader.snapshot():  # of one moment, which is soon reached: most is there
                added += copy_facts(reader, copy, progress)
                copied = open_reader(target)
                try:
                    found, compared = tuple(differences(reader, copied)), derived_alike(reader, copied)
                finally:
                    copied.close()
            finish(copy, archive=archive_of(reader))
    finally:
        reader.close()
    return Copied(added, found, compared)


def copy_facts(source: Reader, target: Session, progress: Progress = lambda _done, _total: None) -> int:
    """Copy all facts that the source holds now, and its policy and grouping rules; returns how many were added.

    Until `restore.finish`, the target seals nothing: the seals are copied as well.

    Raises:
        UsageError: the target has facts of its own, or is another store's copy.
        StoreError: the source cannot be read, or the target cannot be written.
    """
    ends = {kind: newest(source, kind) for kind in EXPORTED}
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
