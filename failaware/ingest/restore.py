"""An export taken back: each line a fact with the id it had, into a new store, or one that an earlier try began.

Nothing is masked or rejected here: an export is a store, in another form.
"""

import re
from collections.abc import Callable, Iterable
from itertools import groupby, islice
from typing import Any

from failaware.derive.exported import BLOB, EVENT, FIRST, INTEGER, KINDS, TEXT, Column, Kind
from failaware.errors import UsageError
from failaware.facts.restore import Fact, finish, take_over
from failaware.ingest.lines import members
from failaware.store import Store

_CHUNK = 1_000
_HEX = re.compile("(?:[0-9a-f]{2})*")
_IN_WORDS = {INTEGER: "a whole number", TEXT: "a text", BLOB: "bytes in hexadecimal"}
_BY_NAME = {kind.name: kind for kind in KINDS}


def is_export(begins: bytes) -> bool:
    """Whether a file that begins so is an export."""
    return begins.startswith(FIRST.encode())


def take_back(
    store: Store, lines: Iterable[bytes], *, origin: str, progress: Callable[[int], None] = lambda _bytes: None
) -> tuple[int, int]:
    """Take an export back; returns how many facts were added, and how many were there already.

    `progress` is told how many bytes are done after each chunk.

    Raises:
        UsageError: a line is none of an export's, or this store is not the one it belongs to; what was before it in the
            export is here by then, and the same export can be taken again.
        StoreError: the store cannot be written.
    """
    added = known = 0
    ended = False
    numbered = enumerate(lines, start=1)
    next(numbered)
    while chunk := list(islice(numbered, _CHUNK)):
        facts = []
        for number, line in chunk:
            if ended:
                raise UsageError(f"{origin}, line {number}: something stands after the end of the export")
            fact = _fact(line, f"{origin}, line {number}")
            ended = fact is None
            if fact is not None:
                facts.append(fact)
        for kind, of_kind in groupby(facts, key=lambda fact: fact[0]):
            rows = [row for _, row in of_kind]
            there = take_over(store, kind, rows)
            known += there
            added += len(rows) - there
        progress(sum(len(line) for _, line in chunk))
    if not ended:
        raise UsageError(
            f"{origin} breaks off: its last line is missing, so that it may not be whole; {added:,} facts are here"
        )
    finish(store)
    return added, known


def _fact(line: bytes, where: str) -> tuple[Kind, Fact] | None:
    """A line's kind and its values, in the order of the kind's columns; None for the last line."""
    try:
        values, raw = {}, ""
        for name, value, text in members(line.decode()):
            values[name] = value
            raw = text if name == "payload" else raw
    except (UsageError, ValueError, RecursionError) as error:
        raise UsageError(f"{where}: {error}") from None
    if values.get("failaware") == "end":
        return None
    kind = _BY_NAME.get(str(values.pop("fact", None)))
    if kind is None:
        raise UsageError(f"{where}: 'fact' is none of {', '.join(_BY_NAME)}")
    if kind is EVENT and "payload" in values:
        del values["payload"]
        values["event_payload"] = raw
    if set(values) != {column.name for column in kind.columns}:
        raise UsageError(f"{where}: {kind.name} has the fields {', '.join(column.name for column in kind.columns)}")
    return kind, tuple(_checked(values[column.name], column, where) for column in kind.columns)


def _checked(value: object, column: Column, where: str) -> Any:
    if value is None and column.optional:
        return None
    if column.kind == INTEGER and isinstance(value, int) and not isinstance(value, bool):
        return value
    if column.kind == TEXT and isinstance(value, str):
        return value
    if column.kind == BLOB and isinstance(value, str) and _HEX.fullmatch(value):
        return bytes.fromhex(value)
    raise UsageError(f"{where}: {column.name} is {_IN_WORDS[column.kind]}, not {repr(value)[:60]}")
