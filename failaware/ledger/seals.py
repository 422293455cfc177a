"""Seals: a chain of digests over ranges of facts, so that whoever noted one knows that nothing before it has changed.

A fact's digest is SHA-256 over the JSON array of its columns (compact, UTF-8, as SQLite's json_array and Python's
json.dumps write it) followed by the digest of its text (`Column.text`), where it has one: HMAC-SHA-256 under the
store's key, so that a seal does not give away a short text; after an erasure it is what erasure_log keeps. Several
texts are a JSON array. A column that was added later follows as [name, value], a text after a NUL, only where it is not
null: so the seals of older facts stay valid.

A seal keeps the first 16 bytes of each of its facts' digests, and its own digest is SHA-256 over the digest of the seal
before (64 hex digits; zeros before the first), the JSON array of its own columns before `digest`, and those bytes. So
the chain can be followed without the facts, and each fact proved without others: wherever facts have been moved to,
both stay valid. A store that was made before there were keys has plain SHA-256 in place of HMAC.
"""

import json
from hashlib import sha256
from typing import NamedTuple

from failaware.derive.settings import load_key
from failaware.digest import keyed_digest
from failaware.engine import Reader
from failaware.engine.catalogue import Column, FactTable, selected

KEPT = 16
"""Bytes of each fact's digest that a seal keeps."""

NOTHING = bytes(KEPT)
"""What a seal keeps where there was no fact."""


class Head(NamedTuple):
    """The newest seal: what to note elsewhere, as `str`."""

    seal_id: int
    digest: str
    sealed_at: int

    def __str__(self) -> str:
        return f"{self.seal_id}:{self.digest}"


NO_SEAL = Head(0, "0" * 64, 0)
"""What the first seal follows."""


def head(db: Reader) -> Head:
    """The newest seal of a store, or NO_SEAL."""
    rows = db.query("SELECT seal_id, digest, sealed_at FROM seal_log ORDER BY seal_id DESC LIMIT 1")
    return Head(*rows[0]) if rows else NO_SEAL


SEALED_AT_ONCE = ("archive_log", "moved_log")
"""Sealed in the transaction that deletes what they name, never later: others inserted an unsealed row of these."""


class Seal(NamedTuple):
    """One link of the chain, over the facts of one table whose ids lie in a range."""

    seal_id: int
    of_table: str
    first_id: int
    last_id: int
    sealed_at: int
    digest: str
    facts: bytes


def make_seal(before: Head, facts: FactTable, ids: tuple[int, int], at: int, digests: dict[int, bytes]) -> Seal:
    """The seal over the facts with these digests, which follows the one before."""
    first, last = ids
    kept = b"".join(digests.get(number, NOTHING) for number in range(first, last + 1))
    seal = Seal(before.seal_id + 1, facts.table, first, last, at, "", kept)
    return seal._replace(digest=seal_digest(before, seal))


def seal_digest(before: Head, seal: Seal) -> str:
    """What a seal's digest must be when it follows this one."""
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
    for number, row, *texts in db.query(
        f"SELECT f.{facts.key}, CAST({_row(facts)} AS BLOB), {_texts(facts)} "
        f"FROM {facts.source} WHERE f.{facts.key} BETWEEN ? AND ? ORDER BY f.{facts.key}",
        (first, last),
    ):
        text = _joined(*texts)
        digest = b"" if text is None else erased.get(number) or keyed_digest(key, text)
        kept[number] = sha256(row + digest).digest()[:KEPT]
    return kept


def _row(facts: FactTable) -> str:
    """SQL: what a seal covers as it is."""
    columns = [column for column in facts.columns if not column.text]
    first = ", ".join(selected(column) for column in columns if not column.added)
    return " || ".join((f"json_array({first})", *(_added(column) for column in columns if column.added)))


def _added(column: Column) -> str:
    value = selected(column)
    return f"CASE WHEN {value} IS NULL THEN '' ELSE json_array('{column.name}', {value}) END"


def _texts(facts: FactTable) -> str:
    """SQL: the texts that a seal covers by a digest under the key: of the first version, and those added since."""
    texts = [column for column in facts.columns if column.text]
    first = [selected(column) for column in texts if not column.added] or [selected(column) for column in texts[:1]]
    added = [_added(column) for column in texts if selected(column) not in first]
    text = ", ".join(first) or "NULL"
    if len(first) > 1:
        text = f"CASE WHEN {facts.has_text} OR coalesce({text}) IS NOT NULL THEN json_array({text}) END"
    return f"CAST({text} AS BLOB), CAST({' || '.join(added) or 'NULL'} AS BLOB)"


def _joined(first: bytes | None, added: bytes | None) -> bytes | None:
    return (first or b"") + b"\0" + added if added else first


def _bytes_of(digest: str) -> bytes:
    """A digest in hexadecimal; one that was changed into something else proves nothing."""
    try:
        return bytes.fromhex(digest)
    except (TypeError, ValueError):
        return b"?"


def text_digests(db: Reader, facts: FactTable, ids: list[int]) -> dict[int, bytes]:
    """The digests of the texts that may be erased of these facts, by id; none of what has been erased already."""
    if not ids:
        return {}
    rows = db.query(
        f"SELECT f.{facts.key}, {_texts(facts)} FROM {facts.source} "
        f"WHERE f.{facts.key} IN ({','.join(map(str, ids))}) AND NOT EXISTS (SELECT 1 FROM erasure_log x "
        f"WHERE x.of_table = '{facts.table}' AND x.row_id = f.{facts.key})"
    )
    key = load_key(db)
    return {number: keyed_digest(key, _joined(*texts) or b"") for number, *texts in rows}
