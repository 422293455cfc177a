"""A table in pages of its ids."""

from collections.abc import Iterator

from failaware.engine.base import Reader
from failaware.errors import StoreCorrupt


def pages(db: Reader, table: str, key: str, end: int, size: int) -> Iterator[tuple[int, int]]:
    """The first and last ids of pages that hold every row up to the id `end`; ids that no row has cost nothing.

    What was archived leaves gaps, and what a damaged file calls an id may be any number.
    """
    last = 0
    while (first := next_id(db, table, key, last)) is not None and first <= end:
        last = min(first + size - 1, end)
        yield first, last


def next_id(db: Reader, table: str, key: str, after: int) -> int | None:
    """The first id that is greater, if there is one.

    Raises:
        StoreCorrupt: what comes next is not greater, so that nobody would get to an end.
    """
    rows = db.query(f"SELECT {key} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT 1", (after,))
    if not rows:
        return None
    ((found,),) = rows
    if not isinstance(found, int) or found <= after:
        raise StoreCorrupt(
            f"the rows of {table} are not in the order of their numbers: the store is damaged; "
            "keep a copy of it, 'failaware export' saves what can be read, and restore a backup"
        )
    return found
