"""Iteration over a table in pages of ids."""

from collections.abc import Iterator

from failaware.engine.base import Reader
from failaware.errors import StoreCorrupt


def pages(db: Reader, table: str, key: str, end: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield the first and last id of pages that cover every row up to the id `end`; gaps cost nothing.

    Archived rows leave gaps, and in a damaged file an id may be any number.
    """
    last = 0
    while (first := next_id(db, table, key, last)) is not None and first <= end:
        last = min(first + size - 1, end)
        yield first, last


def next_id(db: Reader, table: str, key: str, after: int) -> int | None:
    """The next existing id after `after`, if there is one.

    Raises:
        StoreCorrupt: the id found is not greater, and iteration would never end.
    """
    rows = db.query(f"SELECT {key} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT 1", (after,))
    if not rows:
        return None
    ((row_id,),) = rows
    if not isinstance(row_id, int) or row_id <= after:
        raise StoreCorrupt(
            f"the rows of {table} are not in the order of their numbers: the store is damaged; "
            "keep a copy of it, 'failaware export' saves what can be read, and restore a backup"
        )
    return row_id
