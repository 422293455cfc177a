"""Seals: a hash chain over ranges of facts. A noted seal shows later that nothing before it has changed.

A fact's digest is SHA-256 over the JSON array of its columns (compact, UTF-8, as SQLite's json_array and Python's
json.dumps write it) followed by the digest of its text (`Column.text`), where it has one: HMAC-SHA-256 under the
store's key, because a seal must not reveal a short text; after an erasure it is read from erasure_log. Several
texts are a JSON array. A column that was added later follows as [name, value], a text after a NUL, only where it is not
null, which keeps the seals of older facts valid.

A seal keeps the first 16 bytes of each of its facts' digests, and its own digest is SHA-256 over the digest of the seal
before (64 hex digits; zeros before the first), the JSON array of its own columns before `digest`, and those bytes. So
the chain can be verified without the facts, and each fact without the others: both stay valid after archiving. A store
that was created before keys existed uses plain SHA-256 instead of HMAC.
"""

import json
from hashlib import sha256
from typing import NamedTuple

from failaware.derive.settings import load_key
from failaware.digest import keyed_digest
from failaware.engine import Reader
from failaware.engine.sql import Dialect
from failaware.schema.catalogue import Column, FactTable, selected

KEPT = 16
"""Bytes of each fact's digest that a seal keeps."""

NOTHING = bytes(KEPT)
"""The bytes that a seal keeps for an id without a fact."""


class Head(NamedTuple):
    """The newest seal; `str` gives ID:DIGEST, to keep on another machine."""

    seal_id: int
    digest: str
    sealed_at: int

    def __str__(self) -> str:
        return f"{self.seal_id}:{self.digest}"


NO_SEAL = Head(0, "0" * 64, 0)
"""The predecessor of the first seal."""


def head(db: Reader) -> Head:
    """The newest seal of a store, or NO_SEAL."""
    rows = db.query("SELECT seal_id, digest, sealed_at FROM seal_log ORDER BY seal_id DESC LIMIT 1")
    return Head(*rows[0]) if rows else NO_SEAL


SEALED_AT_ONCE = ("archive_log", "moved_log")
"""Tables sealed in the transaction that deletes the facts they list: an unsealed row was not inserted by failaware."""


class Seal(NamedTuple):
    """One link of the chain, over a range of ids of one table."""

    seal_id: int
    of_table: str
    first_id: int
    last_id: int
    sealed_at: int
    digest: str
    facts: bytes


def make_seal(before: Head, facts: FactTable, ids: tuple[int, int], at: int, digests: dict[int, bytes]) -> Seal:
    """The next seal after `before`, over the facts with these digests."""
    first, last = ids
    kept = b"".join([digests.get(number, NOTHING) for number in range(first, last + 1)])
    seal = Seal(before.seal_id + 1, facts.table, first, last, at, "", kept)
    return seal._replace(digest=seal_digest(before, seal))


def seal_digest(before: Head, seal: Seal) -> str:
    """The digest of a seal that follows `before`."""
    header = json.dumps(
        [seal.seal_id, seal.of_table, seal.first_id, seal.last_id, seal.sealed_at], separators=(",", ":")
    )
    return sha256(before.digest.encode() + header.encode() + seal.facts).hexdigest()


def digests(db: Reader, facts: FactTable, first: int, last: int) -> dict[int, bytes]:
    """The kept bytes of the digest of each fact in the range, by id, in order."""
    erased = {
        row_id: _bytes_of(digest)
        for row_id, digest in db.query(
            "SELECT row_id, digest FROM erasure_log WHERE of_table = ? AND row_id BETWEEN ? AND ?",
            (facts.table, first, last),
        )
    }
    key, kept = load_key(db), {}
    for number, row, text, added in db.query(
        f"SELECT f.{facts.key}, {db.dialect.bytes_of(_row(facts, db.dialect))}, {_texts(facts, db.dialect)} "
        f"FROM {facts.source} WHERE f.{facts.key} BETWEEN ? AND ? ORDER BY f.{facts.key}",
        (first, last),
    ):
        if text is not None or added:
            row += erased.get(number) or keyed_digest(key, _joined(text, added))  # noqa: PLW2901
        kept[number] = sha256(row).digest()[:KEPT]
    return kept


def _row(facts: FactTable, dialect: Dialect) -> str:
    """SQL for the values that a seal covers directly."""
    columns = [column for column in facts.columns if not column.text]
    first = dialect.json_array([selected(column) for column in columns if not column.added])
    return " || ".join((first, *(_added(column, dialect) for column in columns if column.added)))


def _added(column: Column, dialect: Dialect) -> str:
    name, value = f"'{column.name}'", selected(column)
    return f"CASE WHEN {value} IS NULL THEN '' ELSE {dialect.json_array([name, value])} END"


def _texts(facts: FactTable, dialect: Dialect) -> str:
    """SQL for the texts that a seal covers by a keyed digest: those of the first version, and those added since."""
    texts = [column for column in facts.columns if column.text]
    first = [column for column in texts if not column.added] or texts[:1]
    added = [_added(column, dialect) for column in texts if column not in first]
    values = [selected(column) for column in first] or ["NULL"]
    text = values[0]
    if len(values) > 1:
        there = f"{facts.has_text} OR coalesce({', '.join(values)}) IS NOT NULL"
        text = f"CASE WHEN {there} THEN {dialect.json_array(values)} END"
    return f"{dialect.bytes_of(text)}, {dialect.bytes_of(' || '.join(added) or 'NULL')}"


def _joined(first: bytes | None, added: bytes | None) -> bytes:
    return (first or b"") + b"\0" + added if added else first or b""


def _bytes_of(digest: str) -> bytes:
    """The bytes of a hexadecimal digest; a placeholder that matches nothing if it is invalid."""
    try:
        return bytes.fromhex(digest)
    except (TypeError, ValueError):
        return b"?"


def text_digests(db: Reader, facts: FactTable, ids: list[int]) -> dict[int, bytes]:
    """The digests of the erasable texts of these facts, by id, without facts erased already."""
    if not ids:
        return {}
    rows = db.query(
        f"SELECT f.{facts.key}, {_texts(facts, db.dialect)} FROM {facts.source} "
        f"WHERE f.{facts.key} IN ({','.join(map(str, ids))}) AND NOT EXISTS (SELECT 1 FROM erasure_log x "
        f"WHERE x.of_table = '{facts.table}' AND x.row_id = f.{facts.key})"
    )
    key = load_key(db)
    return {number: keyed_digest(key, _joined(*texts)) for number, *texts in rows}
