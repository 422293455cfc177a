"""Comparison of two stores: the rows of all fact tables and derived tables, in all columns.

Derived tables are compared only if this version of failaware derived both.
"""

from collections.abc import Iterator, Sequence

from failaware.derive.fold import COMPARED, DERIVED
from failaware.derive.stored_version import derivation
from failaware.engine import Reader, Row
from failaware.engine.derivation import CURRENT
from failaware.schema.catalogue import FACTS
from failaware.schema.ddl import columns_and_keys

_PAGE = 5_000
_COMPLETE = {
    "stored_unattempted": "unattempted_event",
    "stored_counts": "(SELECT event_type, sync_status, dismissed, cluster_id, severity, sum(events) AS events "
    "FROM event_counts GROUP BY event_type, sync_status, dismissed, cluster_id, severity) AS event_counts",
}
"""What is compared instead of a table: two stores may have stored different numbers of their newest events."""
_NOT_COMPARED = {"stored_until", "cluster_part"}


def derived_alike(*stores: Reader) -> bool:
    """Whether this version of failaware derived all of them."""
    return all(derivation(store)[0] == CURRENT for store in stores)


def differences(one: Reader, other: Reader) -> Iterator[str]:
    """Yield a sentence on the first difference of each table; nothing if the stores are equal."""
    derived = [table for table in DERIVED if table not in _NOT_COMPARED] if derived_alike(one, other) else []
    for table in (*FACTS, *derived):
        shown, view_keys = COMPARED.get(table, (_COMPLETE.get(table, table), None))
        columns, keys = columns_and_keys(shown if view_keys else table)
        keys = list(view_keys or keys)
        for row, twin in _pairs(one, other, shown, columns, keys):
            if row != twin:
                differing = row or twin or ()
                number = ", ".join(str(differing[columns.index(key)]) for key in keys)
                yield f"{table} {number} differs"
                break


def _pairs(
    one: Reader, other: Reader, table: str, columns: Sequence[str], keys: Sequence[str]
) -> Iterator[tuple[Row | None, Row | None]]:
    """Yield the rows of both in pairs, ordered by key; None where one store has no more rows."""
    names, order = ", ".join(columns), ", ".join(keys)
    beyond, sql = "", f"SELECT {names} FROM {table}"
    last: Sequence[object] = ()
    while True:
        page = f"{sql} {beyond} ORDER BY {order} LIMIT {_PAGE}"
        rows, twins = one.query(page, last), other.query(page, last)
        yield from zip(rows, twins, strict=False)
        if len(rows) != len(twins):
            longer, shorter = max(rows, twins, key=len), min(len(rows), len(twins))
            yield (longer[shorter], None)
            return
        if len(rows) < _PAGE:
            return
        last = [rows[-1][columns.index(key)] for key in keys]
        beyond = f"WHERE ({order}) > ({', '.join('?' * len(keys))})"
