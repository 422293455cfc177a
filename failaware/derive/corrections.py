"""Corrections: facts by which a person merges clusters, splits one, or undoes that. The derivation follows them.

A merge adds to what was learned: the clusters of two fingerprints are one, for all events. `corrected_cluster` maps the
learned clusters that belong to another one. A split is a grouping rule (`grouping/groups.py`).
"""

from typing import NamedTuple

from failaware.engine import ProjectionWriter, Reader, Row
from failaware.errors import NotFound

_ACTIVE = """
  SELECT {columns} FROM {of}correction_log c
   WHERE c.correction <> 'UNDO' AND NOT EXISTS (SELECT 1 FROM {of}correction_log u WHERE u.undoes = c.correction_id)
   ORDER BY c.correction_id
"""
_LEARNED = "SELECT fingerprint_id, cluster_id FROM learned_fingerprint WHERE fingerprint_id IN ({})"
_CORRECTED = "SELECT learned_id, cluster_id FROM corrected_cluster"
_KNOWN = "SELECT cluster_id FROM known_fingerprint WHERE fingerprint_id = ?"


class Corrections(NamedTuple):
    """The corrections in force: (cluster, the one that it is merged into), and (cluster, what it is split by)."""

    merges: tuple[tuple[int, int], ...]
    splits: tuple[tuple[int, str], ...]


def in_force(db: Reader, columns: str, of: str = "") -> list[Row]:
    """Those that are not undone, in the order in which they were decided; `of` is a schema with its dot."""
    return db.query(_ACTIVE.format(columns=columns, of=of))


def load_corrections(db: Reader, of: str = "") -> Corrections:
    """The merges and splits in force."""
    rows = in_force(db, "cluster_id, into_cluster, split_by", of)
    return Corrections(
        tuple((cluster_id, into) for cluster_id, into, split_by in rows if split_by is None),
        tuple((cluster_id, split_by) for cluster_id, _, split_by in rows if split_by is not None),
    )


def not_found(db: Reader, digits: str) -> NotFound:
    """The error for a cluster that does not exist, by its id or the beginning of it; it may have been split."""
    for number, cluster_id, split_by in in_force(db, "correction_id, cluster_id, split_by"):
        if split_by is not None and digits and str(cluster_id).startswith(digits):
            return NotFound(f"cluster {cluster_id} was split by correction {number}; choose a part, or undo the split")
    return NotFound(f"there is no cluster {digits}; 'failaware clusters' lists them")


def merged_clusters(db: ProjectionWriter, merges: tuple[tuple[int, int], ...]) -> set[int]:
    """Derive `corrected_cluster` from the merges in force; return the ids whose cluster may have changed."""
    ids = sorted({number for merge in merges for number in merge})
    learned: dict[int, int] = dict(db.query(_LEARNED.format(", ".join(map(str, ids))))) if ids else {}
    leaders: dict[int, int] = {}

    def leader(number: int) -> int:
        while number in leaders:
            number = leaders[number]
        return number

    for cluster_id, into in merges:
        if cluster_id in learned and into in learned:
            one, other = leader(learned[cluster_id]), leader(learned[into])
            if one != other:
                leaders[one] = other
    corrected = {number: leader(number) for number in leaders}
    before: dict[int, int] = dict(db.query(_CORRECTED))
    if corrected == before:
        return set()
    db.execute("DELETE FROM corrected_cluster")
    db.execute_many("INSERT INTO corrected_cluster (learned_id, cluster_id) VALUES (?, ?)", list(corrected.items()))
    return {*before, *before.values(), *corrected, *corrected.values()}


def renamed(db: Reader, cluster_ids: set[int]) -> dict[int, int]:
    """Those of the clusters that belong to another one now, with its id."""
    now = {number: db.query(_KNOWN, (number,)) for number in sorted(cluster_ids)}
    return {number: rows[0][0] for number, rows in now.items() if rows and rows[0][0] != number}
