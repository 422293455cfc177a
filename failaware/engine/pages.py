"""A table in pages of its ids."""

from collections.abc import Iterator

from failaware.engine.base import Reader


def pages(db: Reader, table: str, key: str, end: int, size: int) -> Iterator[tuple[int, int]]:
    """The first and last ids of pages that hold every row up to the id `end`; ids that no row has cost nothing.

    What was archived leaves gaps, and what a damaged file calls an id may be any number.
    """
    last = 0
    while (first := next_id(db, table, key, last)) is not None and first <= end:
        last = min(first + size - 1, end)
        yield first, last


def next_id(db: Reader, table: str, key: str, after: int) -> int | None:
    """The first id that is greater, if there is one."""
    rows = db.query(f"SELECT {key} FROM {table} WHERE {key} > ? ORDER BY {key} LIMIT 1", (after,))
    return rows[0][0] if rows else None
