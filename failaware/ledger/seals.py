"""Seals: a chain of digests over ranges of facts, so that whoever noted one knows that nothing before it has changed.

A fact's digest is SHA-256 over the JSON array of its columns (compact, UTF-8, as SQLite's json_array and Python's
json.dumps write it) followed by the digest of its text that may be erased, where it has one: HMAC-SHA-256 under the
store's key, so that a seal does not give away a short text; after an erasure it is what erasure_log keeps. A seal keeps
the first 16 bytes of each of its facts' digests, and its own digest is SHA-256 over the digest of the seal before (64
hex digits; zeros before the first), the JSON array of its own columns before `digest`, and those bytes. So the chain
can be followed without the facts, and each fact proved without others: wherever facts have been moved to, both stay
valid. A store that was made before there were keys has plain SHA-256 in place of HMAC.
"""

import json
from hashlib import sha256
from typing import NamedTuple

from failaware.derive.settings import load_key
from failaware.digest import keyed_digest
from failaware.engine import Reader

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


class Sealed(NamedTuple):
    """A fact table: its key, SQL for the columns that are sealed as they are, and for the text that may be erased.

    A text that is null takes no part in the digest: so what came later (`archive_log.digest`) changed no older seal.
    """

    table: str
    key: str
    columns: str
    text: str
    joined: str = ""


SEALED = (
    Sealed(
        "event_log",
        "event_id",
        "f.event_id, f.event_type, f.source, f.occurred_at, f.detected_at, f.fingerprint, k.key",
        "f.event_payload",
        "LEFT JOIN event_key k ON k.event_id = f.event_id",
    ),
    Sealed("traceback_log", "traceback_id", "f.traceback_id, f.hash", "f.text"),
    Sealed(
        "attempt_log",
        "attempt_id",
        "f.attempt_id, f.event_id, f.attempt_no, f.outcome, f.error_type, f.traceback, f.worker, f.started_at, "
        "f.finished_at, f.retry_at, f.because",
        "CASE WHEN f.outcome = 'FAILED' OR coalesce(f.error_message, f.cause, f.fingerprint) IS NOT NULL "
        "THEN json_array(f.error_message, f.cause, f.fingerprint) END",
    ),
    Sealed(
        "decision_log",
        "decision_id",
        "f.decision_id, f.event_id, f.decision, f.after_attempt, f.decided_by, f.reason, f.decided_at",
        "NULL",
    ),
    Sealed("reject_log", "reject_id", "f.reject_id, f.origin, f.line_no, f.error, f.rejected_at", "f.raw"),
    Sealed(
        "erasure_log",
        "erasure_id",
        "f.erasure_id, f.decision_id, f.of_table, f.row_id, f.digest, f.cluster_id",
        "NULL",
    ),
    Sealed(
        "archive_log",
        "archive_id",
        "f.archive_id, f.name, f.events, f.before_at, f.archived_by, f.reason, f.archived_at",
        "f.digest",
    ),
    Sealed("moved_log", "moved_id", "f.moved_id, f.archive_id, f.of_table, f.first_id, f.last_id", "NULL"),
)
"""What is sealed, and in which order within a round."""

BY_TABLE = {sealed.table: sealed for sealed in SEALED}

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


def make_seal(before: Head, sealed: Sealed, ids: tuple[int, int], at: int, facts: dict[int, bytes]) -> Seal:
    """The seal over the facts with these digests, which follows the one before."""
    first, last = ids
    kept = b"".join(facts.get(number, NOTHING) for number in range(first, last + 1))
    seal = Seal(before.seal_id + 1, sealed.table, first, last, at, "", kept)
    return seal._replace(digest=seal_digest(before, seal))


def seal_digest(before: Head, seal: Seal) -> str:
    """What a seal's digest must be when it follows this one."""
    header = json.dumps(
        [seal.seal_id, seal.of_table, seal.first_id, seal.last_id, seal.sealed_at], separators=(",", ":")
    )
    return sha256(before.digest.encode() + header.encode() + seal.facts).hexdigest()


def digests(db: Reader, sealed: Sealed, first: int, last: int) -> dict[int, bytes]:
    """The kept bytes of the digest of each fact in the range, by id, in order."""
    erased = {
        row_id: _bytes_of(digest)
        for row_id, digest in db.query(
            "SELECT row_id, digest FROM erasure_log WHERE of_table = ? AND row_id BETWEEN ? AND ?",
            (sealed.table, first, last),
        )
    }
    key = load_key(db)
    rows = db.query(
        f"SELECT f.{sealed.key}, CAST(json_array({sealed.columns}) AS BLOB), CAST({sealed.text} AS BLOB) "
        f"FROM {sealed.table} f {sealed.joined} WHERE f.{sealed.key} BETWEEN ? AND ? ORDER BY f.{sealed.key}",
        (first, last),
    )
    return {
        number: _fact_digest(columns, text if text is None else erased.get(number) or keyed_digest(key, text))
        for number, columns, text in rows
    }


def _bytes_of(digest: str) -> bytes:
    """A digest in hexadecimal; one that was changed into something else proves nothing."""
    try:
        return bytes.fromhex(digest)
    except (TypeError, ValueError):
        return b"?"


def _fact_digest(columns: bytes, text_digest: bytes | None) -> bytes:
    return sha256(columns + (text_digest or b"")).digest()[:KEPT]


def text_digests(db: Reader, sealed: Sealed, ids: list[int]) -> dict[int, bytes]:
    """The digests of the texts that may be erased of these facts, by id; none of what has been erased already."""
    if not ids:
        return {}
    rows = db.query(
        f"SELECT f.{sealed.key}, CAST({sealed.text} AS BLOB) FROM {sealed.table} f "
        f"WHERE f.{sealed.key} IN ({','.join(map(str, ids))}) AND NOT EXISTS (SELECT 1 FROM erasure_log x "
        f"WHERE x.of_table = '{sealed.table}' AND x.row_id = f.{sealed.key})"
    )
    key = load_key(db)
    return {number: keyed_digest(key, text) for number, text in rows}
