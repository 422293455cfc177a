"""Ranges of ids of archived facts, as in `moved_log`."""

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from hashlib import sha256

from failaware.engine import Reader
from failaware.schema.catalogue import SEALED


class Ranges:
    """A set of ids, stored as runs of first and last id."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def add(self, first: int, last: int) -> None:
        """Add a run, which must follow all earlier ones."""
        if self._lasts and first == self._lasts[-1] + 1:
            self._lasts[-1] = last
        else:
            self._firsts.append(first)
            self._lasts.append(last)

    def __contains__(self, number: int) -> bool:
        return self.overlaps(number, number)

    def overlaps(self, first: int, last: int) -> bool:
        """Whether any id of this run is in the set."""
        place = bisect_right(self._firsts, last) - 1
        return place >= 0 and self._lasts[place] >= first

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._firsts, self._lasts, strict=True)

    def windows(self, size: int) -> Iterator[tuple[int, int]]:
        """Yield disjoint runs of at most `size` ids that cover the set with few other ids."""
        done = 0
        for first, last in self:
            for start in range(max(first, done + 1), last + 1, size):
                done = start + size - 1
                yield start, done

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def count(self) -> int:
        """The number of ids."""
        return sum(last - first + 1 for first, last in self)


def archived_ranges(db: Reader, archive_id: int | None = None) -> dict[str, Ranges]:
    """The archived ids of each sealed table: of this archive, or of all."""
    archived = {sealed.table: Ranges() for sealed in SEALED}
    condition = "" if archive_id is None else f"WHERE archive_id = {archive_id:d}"
    for table, first, last in db.query(
        f"SELECT of_table, first_id, last_id FROM moved_log {condition} ORDER BY of_table, first_id"
    ):
        if table in archived:  # a forged table name is reported through the seals
            archived[table].add(first, last)
    return archived


def digest_of_runs(runs: Iterable[tuple[str, int, int]]) -> str:
    """The digest in `archive_log` of an archive's rows in `moved_log` (table, first id, last id), in order.

    Since the row of `archive_log` is sealed, `verify` notices a row added to an archive.
    """
    digest = sha256()
    for run in runs:
        digest.update(json.dumps(run, separators=(",", ":")).encode())
    return digest.hexdigest()
