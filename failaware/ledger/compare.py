"""Whether two stores hold the same: in every table of facts and every derived table the same rows, in all columns.

Derived rows are compared only where one version of failaware has derived both.
"""

from collections.abc import Iterator, Sequence

from failaware.derive.fold import DERIVED
from failaware.derive.stored_version import derivation
from failaware.engine import Reader, Row
from failaware.engine.catalogue import FACTS
from failaware.engine.derivation import CURRENT
from failaware.engine.schema import columns_and_keys

_PAGE = 5_000


def derived_alike(*stores: Reader) -> bool:
    """Whether all have been derived by this version of failaware."""
    return all(derivation(store)[0] == CURRENT for store in stores)


def differences(one: Reader, other: Reader) -> Iterator[str]:
    """The first difference of each table, a sentence each; nothing when they are the same."""
    for table in (*FACTS, *(DERIVED if derived_alike(one, other) else ())):
        columns, keys = columns_and_keys(table)
        for row, twin in _pairs(one, other, table, columns, keys):
            if row != twin:
                found = row or twin or ()
                which = ", ".join(str(found[columns.index(key)]) for key in keys)
                yield f"{table} {which} is not the same in both"
                break


def _pairs(
    one: Reader, other: Reader, table: str, columns: Sequence[str], keys: Sequence[str]
) -> Iterator[tuple[Row | None, Row | None]]:
    """The rows of both side by side, in the order of their keys; None where one has no more."""
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
