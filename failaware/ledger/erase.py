"""Erasure: remove payloads, errors and tracebacks by a person's decision; their digests keep the seals valid.

Runs inside one transaction of a Writer.
"""

from collections.abc import Sequence
from typing import NamedTuple

from failaware.derive.fold import held_by_traceback, rename_clusters
from failaware.engine import Writer
from failaware.facts import append
from failaware.ledger import sealing
from failaware.ledger.seals import text_digests
from failaware.model import DecisionKind
from failaware.rules import Policy
from failaware.schema.catalogue import ERASURE, FACTS


class Erasure(NamedTuple):
    """The number of payloads, errors and tracebacks that were erased.

    `shared` tracebacks remain, since other events have them too. `wiped` is true if the file no longer contains the
    texts. It is false if a reader kept the write-ahead log in use, and always on PostgreSQL, whose files contain them
    until VACUUM FULL, and whose backups for as long as they are kept.
    """

    payloads: int
    errors: int
    tracebacks: int
    shared: int
    wiped: bool


_FAILURES = (
    "SELECT a.attempt_id, f.cluster_id, a.traceback FROM attempt_log a JOIN failure f ON f.attempt_id = a.attempt_id "
    "WHERE a.event_id = ? ORDER BY a.attempt_id"
)
_OTHERS = "SELECT EXISTS (SELECT 1 FROM attempt_log WHERE traceback = ? AND event_id NOT IN ({events}))"


def erase(
    db: Writer, event_ids: Sequence[int], *, by: str, reason: str, now: int, policy: Policy, shared: bool
) -> tuple[int, int, int, int]:
    """Erase the payloads of these events, and the errors and tracebacks of their attempts.

    A traceback that attempts of other events have as well is erased only if `shared`. Returns the numbers of payloads,
    errors and tracebacks erased, and of tracebacks that remain.

    Raises:
        NotFound: an event does not exist.
        UsageError: an event was erased before or is to be attempted again, or a restore is in progress.
    """
    sealing.check_not_held(db)
    while seals := sealing.next_seals(db, now):  # seal the facts before they are erased
        sealing.append(db, seals)
    first = append.decisions(db, DecisionKind.ERASE, event_ids, by=by, reason=reason, now=now, policy=policy)
    clusters: set[int] = set()
    tracebacks: dict[int, int] = {}
    errors = 0
    for decision_id, event_id in enumerate(event_ids, start=first):
        _remove(db, "event_log", [event_id], decision_id)
        failures = db.query(_FAILURES, (event_id,))
        _remove(
            db,
            "attempt_log",
            [attempt_id for attempt_id, _, _ in failures],
            decision_id,
            dict(row[:2] for row in failures),
        )
        errors += len(failures)
        clusters |= {cluster_id for _, cluster_id, _ in failures}
        tracebacks |= {traceback: decision_id for _, _, traceback in failures if traceback is not None}
    remaining = {number for number in tracebacks if not shared and _is_shared(db, number, event_ids)}
    for number, decision_id in tracebacks.items():
        if number not in remaining:
            clusters |= _keep_clusters(db, number, decision_id)
            _remove(db, "traceback_log", [number], decision_id)
    rename_clusters(db, sorted(clusters), policy)
    return len(event_ids), errors, len(tracebacks) - len(remaining), len(remaining)


def _is_shared(db: Writer, traceback: int, event_ids: Sequence[int]) -> bool:
    others = _OTHERS.format(events=",".join(map(str, event_ids)))
    return bool(db.query(others, (traceback,))[0][0])


def _keep_clusters(db: Writer, traceback: int, decision_id: int) -> set[int]:
    """Keep other events' failures in the clusters that this traceback put them in; return these clusters."""
    held = held_by_traceback(db, traceback)
    first = append.next_id(db, "erasure_log", "erasure_id")
    rows = [
        (erasure_id, decision_id, "failure", attempt_id, "", cluster_id)
        for erasure_id, (attempt_id, cluster_id) in enumerate(held, start=first)
    ]
    db.append("erasure_log", ERASURE.column_names, rows)
    return {cluster_id for _, cluster_id in held}


def _remove(db: Writer, table: str, ids: list[int], decision_id: int, clusters: dict[int, int] | None = None) -> None:
    """Store the digests, then replace the texts by marks, even null ones; skips rows erased before."""
    digests = text_digests(db, FACTS[table], ids)
    clusters = clusters or {}
    first = append.next_id(db, "erasure_log", "erasure_id")
    erasures = [
        (erasure_id, decision_id, table, number, digest.hex(), clusters.get(number))
        for erasure_id, (number, digest) in enumerate(digests.items(), start=first)
    ]
    db.append("erasure_log", ERASURE.column_names, erasures)
    marks = ", ".join(f"{column} = '{mark}'" for column, mark in FACTS[table].marks.items())
    db.execute_many(f"UPDATE {table} SET {marks} WHERE {FACTS[table].key} = ?", [(number,) for number in digests])
