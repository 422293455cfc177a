"""Corrections that a person proposes: whether they are possible, and the facts that they would append."""

from collections.abc import Sequence

from failaware.derive.corrections import not_found
from failaware.derive.grouping.groups import FRAME, overflow
from failaware.derive.grouping.learned import VARIABLE
from failaware.derive.grouping.quoted import ANY_PLACEHOLDER
from failaware.derive.settings import load_grouping
from failaware.engine import Reader
from failaware.errors import NotFound, UsageError

Row = tuple[str, int, int | None, str | None, int | None]
"""The correction, its cluster, the cluster into which it is merged, what it is split by, the id that it undoes."""

_CLUSTER = """
  SELECT c.cluster_id, c.event_type, c.template FROM failure_cluster c
   WHERE c.cluster_id = coalesce((SELECT k.cluster_id FROM known_fingerprint k WHERE k.fingerprint_id = :id), :id)
"""
_TEMPLATES = "SELECT count(*) FROM known_fingerprint WHERE cluster_id = ? AND admitted = 1"
_MERGES = """
  SELECT c.correction_id FROM correction_log c
    JOIN known_fingerprint k ON k.fingerprint_id = c.into_cluster
   WHERE c.correction = 'MERGE' AND (k.cluster_id = ? OR c.cluster_id = ?)
     AND NOT EXISTS (SELECT 1 FROM correction_log u WHERE u.undoes = c.correction_id)
   ORDER BY c.correction_id
"""
_CORRECTION = """
  SELECT c.correction, c.cluster_id,
         (SELECT max(u.correction_id) FROM correction_log u WHERE u.undoes = c.correction_id)
    FROM correction_log c WHERE c.correction_id = ?
"""


def merges(db: Reader, cluster_ids: Sequence[int]) -> list[Row]:
    """The corrections that merge clusters into the first of them.

    Raises:
        NotFound: a cluster does not exist.
        UsageError: they are fewer than two clusters, of several event types, or one is an overflow cluster.
    """
    clusters = dict.fromkeys(_cluster(db, number) for number in cluster_ids)
    if len(clusters) <= 1:
        raise UsageError("a merge needs two clusters or more; these ids are those of one cluster")
    (into, event_type), *others = clusters
    if any(other != event_type for _, other in others):
        raise UsageError("clusters of different event types cannot be merged; choose clusters of one type")
    return [("MERGE", cluster_id, into, None, None) for cluster_id, _ in others]


def split(db: Reader, cluster_id: int, by: str) -> list[Row]:
    """The correction that splits a cluster by a placeholder's value, by the place in the code, or by the learned word.

    Raises:
        NotFound: the cluster does not exist.
        UsageError: it has no such placeholder, has several templates, or was merged by a person.
    """
    cluster_id, _ = _cluster(db, cluster_id)
    ((_, _, template),) = db.query(_CLUSTER, {"id": cluster_id})
    placeholders = [VARIABLE, *ANY_PLACEHOLDER.findall(template)]
    if by != FRAME and (by not in template or by not in placeholders):
        raise UsageError(f"'{by[:60]}' is no placeholder of '{template[:200]}'; name one of its <…>, or {FRAME}")
    if merged := db.query(_MERGES, (cluster_id, cluster_id)):
        numbers = ", ".join(str(number) for (number,) in merged)
        raise UsageError(f"cluster {cluster_id} was merged by correction {numbers}; undo the merge, then split a part")
    if by != VARIABLE and db.query(_TEMPLATES, (cluster_id,))[0][0] > 1:
        raise UsageError(
            f"cluster {cluster_id} has templates that differ in a word; split it by '{VARIABLE}', then split a part"
        )
    return [("SPLIT", cluster_id, None, by, None)]


def undo(db: Reader, correction_id: int) -> list[Row]:
    """The correction that undoes another.

    Raises:
        NotFound: there is no such correction.
        UsageError: it undoes another one, or is undone.
    """
    rows = db.query(_CORRECTION, (correction_id,))
    if not rows:
        raise NotFound(f"there is no correction {correction_id}; 'failaware corrections' lists them")
    correction, cluster_id, undone = rows[0]
    if correction == "UNDO":
        raise UsageError(f"correction {correction_id} undoes another one; decide that one again instead")
    if undone is not None:
        raise UsageError(f"correction {correction_id} is undone already, by correction {undone}")
    return [("UNDO", cluster_id, None, None, correction_id)]


def _cluster(db: Reader, cluster_id: int) -> tuple[int, str]:
    """The id and event type of the cluster with this id, which may have been merged into another."""
    rows = db.query(_CLUSTER, {"id": cluster_id})
    if not rows:
        raise not_found(db, str(cluster_id))
    number, event_type, _ = rows[0]
    if number == overflow(event_type, load_grouping(db)).cluster_id:
        raise UsageError(
            f"cluster {number} has the failures beyond a limit, which have nothing in common; choose another"
        )
    return number, event_type
