"""Restore an export, with the ids of its facts, into an empty store or one that already has facts of this export.

It is one transaction, which commits only if the facts pass the checks of `verify`. Nothing is masked or rejected.
"""

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, NamedTuple

from failaware.errors import StoreBusy, UsageError
from failaware.json_text import members
from failaware.ledger.transfer import Fact, Restoring
from failaware.schema.catalogue import (
    BLOB,
    CLUSTER,
    DIGEST,
    EVENT,
    EXPORTED,
    ID,
    NAME,
    NUMBER,
    SETTING,
    TIME,
    Column,
    FactTable,
)
from failaware.session import Session
from failaware.text import counted, misfit, storable

_CHUNK = 1_000
_MAX_LINE = 134_217_728  # bytes; the longest value of a store
_MAX_ID = 2**53
_MAX_TIME = 2**62
_MAX_NAME = 4_096  # characters: at most 512 when recorded, but masking may lengthen them
_HEX = re.compile("(?:[0-9a-f]{2})*")
_DIGEST = re.compile("[0-9a-f]{64}")
_IN_WORDS = {"INTEGER": "a whole number", "TEXT": "a string", "BLOB": "hexadecimal"}
_RANGES = {ID: (1, _MAX_ID), NUMBER: (0, _MAX_ID), TIME: (-_MAX_TIME, _MAX_TIME), CLUSTER: (-(2**63), 2**63 - 1)}
_BY_NAME = {kind.name: kind for kind in (SETTING, *EXPORTED)}
_ORDER = {name: number for number, name in enumerate(_BY_NAME)}


class Restored(NamedTuple):
    """The number of facts added, known (already in the store), and lost (unreadable when exported).

    `problem` is the first finding, if the export lost facts; otherwise None.
    """

    added: int
    known: int
    lost: int
    problem: str | None


def is_export(begins: bytes) -> bool:
    """Whether an input that begins with these bytes is an export, by its first JSON object."""
    text = begins.decode("utf-8", "replace").lstrip("\ufeff").lstrip(" \t\r\n[")
    try:
        first, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and first.get("failaware") == "export"


def restore_export(
    store: Session,
    lines: Iterable[bytes],
    *,
    origin: str,
    progress: Callable[[int], None] = lambda _bytes: None,
    try_again: Callable[[StoreBusy], bool] = lambda _error: False,
) -> Restored:
    """Restore an export as a whole, or nothing of it.

    `progress` is called with the number of bytes done. While the store is locked, `try_again` decides whether to keep
    waiting, since input from a pipe cannot be read again.

    Raises:
        UsageError: a line is invalid, the end is missing, the facts do not verify, or the store has facts that the
            export does not have.
        StoreError: the store cannot be written.
    """
    with tempfile.TemporaryFile() as spooled:  # the transaction may run again, and must not wait for a pipe
        for line in lines:
            spooled.write(line)
        while True:
            try:
                return store.write(lambda db: _take(Restoring(db), spooled, origin, progress), alone=True)
            except StoreBusy as error:
                if not try_again(error):
                    raise


def _take(store: Restoring, file: IO[bytes], origin: str, progress: Callable[[int], None]) -> Restored:
    chunk: list[Fact] = []
    kind, last_id, lost = SETTING, 0, None
    for where, line in _lines(file, origin):
        if lost is not None:
            raise UsageError(f"{where}: there is a line after the end of the export; remove it")
        fact_kind, fact, lost = _read(line, where)
        if fact_kind is not kind or len(chunk) >= _CHUNK:
            _append(store, kind, chunk, where)
            chunk = []
        if fact_kind is None:
            _check_count(store, fact[0], where)
            continue
        last_id = _in_order(kind, last_id, fact_kind, fact, where)
        kind = fact_kind
        chunk.append(fact)
        progress(len(line))
    if lost is None:
        _append(store, kind, chunk, origin)
        raise UsageError(f"{origin} is incomplete: its last line is missing; nothing was restored")
    problems = store.finish(lost=lost)
    if problems and not lost:
        more = f", and {counted(len(problems) - 1, 'more finding')}" if len(problems) > 1 else ""
        raise UsageError(f"{origin} does not verify: {problems[0]}{more}; nothing was restored")
    return Restored(store.added, store.known, lost, problems[0] if problems else None)


def _check_count(store: Restoring, facts: int, where: str) -> None:
    """Check the number of facts in the last line; older exports have none (-1)."""
    if facts not in (-1, store.added + store.known):
        raise UsageError(f"{where}: the export should have {facts:,} facts, but has {store.added + store.known:,}")


def _in_order(before: FactTable, last_id: int, kind: FactTable, fact: Fact, where: str) -> int:
    """Check the order of kinds and ids, and return the id of the fact."""
    if _ORDER[kind.name] < _ORDER[before.name]:
        raise UsageError(f"{where}: {kind.name} must not come after {before.name} in an export")
    if kind is SETTING:
        return 0
    number = int(fact[0])
    if kind is before and number <= last_id:
        raise UsageError(f"{where}: {kind.key} {number} does not come after {last_id}")
    return number


def _append(store: Restoring, kind: FactTable, facts: list[Fact], where: str) -> None:
    """Append facts of one kind; a fact that the database refuses is invalid."""
    if kind is SETTING:
        store.settings(facts)
    elif facts:
        try:
            store.append(kind, facts)
        except UsageError as error:
            raise UsageError(f"before {where}: {error}") from error.__cause__


def _lines(file: IO[bytes], origin: str) -> Iterator[tuple[str, bytes]]:
    """Check the first line, and yield the others with their position, without blank lines."""
    file.seek(0)
    number, has_first = 0, False
    while line := file.readline(_MAX_LINE + 1):
        number += 1
        where = f"{origin}, line {number}"
        if len(line) > _MAX_LINE:
            raise UsageError(f"{where} has more than {_MAX_LINE:,} bytes, the limit for a line of an export")
        if not line.strip(b" \t\r\n\xef\xbb\xbf"):
            continue
        if not has_first:
            _check_first(line, origin)
        else:
            yield where, line
        has_first = True
    if not has_first:
        raise UsageError(f"{origin} is empty; 'failaware export' writes a file that can be restored")


def _check_first(line: bytes, origin: str) -> None:
    try:
        first = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        first = None
    if not isinstance(first, dict) or first.get("failaware") != "export":
        raise UsageError(f"{origin} is not an export of failaware; 'failaware ingest' records other files")
    if first.get("version") != 1:
        raise UsageError(
            f"{origin} is an export of version {first.get('version')!r:.20}; this version of failaware reads version 1"
        )


def _read(line: bytes, where: str) -> tuple[FactTable | None, Fact, int | None]:
    """The kind of a line and its values in column order; for the last line, the number of facts lost."""
    try:
        fields = list(members(line.decode()))
    except (UsageError, ValueError, RecursionError) as error:
        raise UsageError(f"{where}: {storable(str(error))}") from None
    values = {name: value for name, value, _ in fields}
    if len(values) < len(fields):
        raise UsageError(f"{where}: a field is given twice")
    if values.get("failaware") == "end":
        counts = values.get("lost", 0), values.get("facts", -1)
        if set(values) - {"failaware", "lost", "facts"} or {*map(type, counts)} != {int} or counts[0] < 0:
            raise UsageError(f"{where}: the last line must have only the number of facts and of lost facts")
        return None, (counts[1],), counts[0]
    kind = _BY_NAME.get(str(values.pop("fact", None)))
    if kind is None:
        raise UsageError(f"{where}: 'fact' is not one of {', '.join(_BY_NAME)}")
    if kind is EVENT and "payload" in values:
        del values["payload"]
        values["event_payload"] = next(text for name, _, text in fields if name == "payload")
    added = {column.name for column in kind.columns if column.added}  # missing in older exports
    if set(values) | added != {column.name for column in kind.columns}:
        raise UsageError(f"{where}: {kind.name} has the fields {', '.join(column.name for column in kind.columns)}")
    return kind, tuple(_checked(values.get(column.name), column, where) for column in kind.columns), None


def _checked(value: object, column: Column, where: str) -> Any:
    if value is None and column.nullable:
        return None
    if column.type in _RANGES and type(value) is int:
        least, most = _RANGES[column.type]
        if not least <= value <= most:
            raise UsageError(f"{where}: {column.name} {value!r:.40} is out of range")
        return value
    if column.sql_type == "TEXT" and isinstance(value, str):
        return _checked_text(value, column, where)
    if column.type == BLOB and isinstance(value, str) and _HEX.fullmatch(value):
        return bytes.fromhex(value)
    raise UsageError(f"{where}: {column.name} is {_IN_WORDS[column.sql_type]}, not {storable(repr(value))[:60]}")


def _checked_text(value: str, column: Column, where: str) -> str:
    if storable(value) != value:
        raise UsageError(f"{where}: {column.name} has a NUL or an unpaired surrogate, which a store cannot hold")
    if column.type == DIGEST:
        if not _DIGEST.fullmatch(value) and value not in column.words:
            raise UsageError(f"{where}: {column.name} is 64 hexadecimal digits, not {value[:40]!r}")
    elif column.words and value not in column.words:
        raise UsageError(f"{where}: {column.name} is one of {', '.join(column.words)}, not {value[:40]!r}")
    elif column.type == NAME and not value and not column.nullable:
        raise UsageError(f"{where}: {column.name} is empty")
    elif column.type == NAME and value and (len(value) > _MAX_NAME or misfit(value)):
        raise UsageError(f"{where}: {column.name} must be a name of at most {_MAX_NAME:,} printable characters")
    return value
