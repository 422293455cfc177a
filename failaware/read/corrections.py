"""Corrections: which clusters a person merged or split, and what another correction would change."""

from collections.abc import Sequence
from typing import Any

from failaware.derive import proposed as possible
from failaware.derive.as_of import PointInTime
from failaware.derive.fold import Progress
from failaware.engine import Reader
from failaware.model.differences import ClusterChange, Correction
from failaware.read.connections import ConnectionRegistry

_ALL = """
  SELECT c.correction_id, c.correction, c.cluster_id, c.into_cluster, c.split_by, c.undoes, c.decided_by, c.reason,
         c.decided_at, (SELECT max(u.correction_id) FROM correction_log u WHERE u.undoes = c.correction_id)
    FROM correction_log c ORDER BY c.correction_id DESC LIMIT ?
"""
_CLUSTERS = (
    "SELECT cluster_id, event_type, error_type, template, events, failures, severity FROM failure_cluster ORDER BY 1"
)
_SHOWN = 4  # columns that name a cluster; the others may change


def newest(db: Reader, *, limit: int) -> list[Correction]:
    """The corrections, newest first."""
    return [Correction(*row) for row in db.query(_ALL, (limit,))]


def proposed(
    db: Reader, *, merge: Sequence[int] = (), split: tuple[int, str] | None = None, undo: int | None = None
) -> list[possible.Row]:
    """The facts that a correction would append, or the error of `facts/corrections.py` that says why it cannot be."""
    if undo is not None:
        return possible.undo(db, undo)
    return possible.merges(db, merge) if split is None else possible.split(db, *split)


def preview(
    db: Reader, connections: ConnectionRegistry, rows: Sequence[possible.Row], *, now: int, progress: Progress
) -> tuple[ClusterChange, ...]:
    """The clusters that would change, derived in a private copy of the store; nothing is written."""
    ((first,),) = db.query("SELECT coalesce(max(correction_id), 0) + 1 FROM correction_log")
    facts = [(number, *row, "", "", now) for number, row in enumerate(rows, start=first)]
    copies = [connections.private_copy() for _ in range(2)]
    try:
        sides = []
        for copy, additional in zip(copies, ([], facts), strict=True):
            PointInTime(copy, additional).move(now, progress)
            sides.append({row[0]: row for row in copy.query(_CLUSTERS)})
    finally:
        for copy in copies:
            connections.close(copy)
    before, after = sides
    return tuple(
        _change(before.get(number), after.get(number))
        for number in sorted({*before, *after})
        if before.get(number) != after.get(number)
    )


def _change(before: Any, after: Any) -> ClusterChange:
    nothing = (0, 0, None)
    named = after or before
    numbers = zip(before[_SHOWN:] if before else nothing, after[_SHOWN:] if after else nothing, strict=True)
    return ClusterChange(*named[:_SHOWN], *(value for pair in numbers for value in pair))
